import { createCipheriv, createHmac, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { createCodec } from '../../../src/gossip/liveness/codec.ts'
import { MessageBytes } from '../../../src/gossip/liveness/message-bytes.ts'
import {
  DATAGRAM_BYTES_MAX,
  INCARNATION_MAX,
  UPDATES_BYTES_MAX,
  updateBytes,
  type SwimMessage,
  type SwimUpdate,
} from '../../../src/gossip/liveness/swim-message.ts'
import { swimOptions } from '../../../src/gossip/liveness/swim-options.ts'
import { Swim } from '../../../src/gossip/liveness/swim.ts'
import type { NodeId } from '../../../src/model/ids.ts'
import { nodeOfRawKey } from '../../../src/util/keys.ts'
import { createRandom } from '../../../src/util/random.ts'

const PSK = Buffer.alloc(32, 7)
const A = nodeOfRawKey(Buffer.alloc(32, 1))
const B = nodeOfRawKey(Buffer.alloc(32, 2))
const PROBE: SwimMessage = { kind: 'probe', seq: 7, incarnation: 65_536, updates: [] }

const node = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(nodeOfRawKey)
const incarnation = fc.maxSafeNat().map(number => number % INCARNATION_MAX)
const update: fc.Arbitrary<SwimUpdate> = fc.oneof(
  fc.record({ kind: fc.constantFrom('alive', 'dead', 'left'), node, incarnation }),
  fc.record({ kind: fc.constant('suspect'), node, incarnation, by: node }),
)
const rest = {
  seq: fc.nat(2 ** 32 - 1),
  incarnation,
  updates: fc.array(update, { maxLength: 15 }),
}
const message: fc.Arbitrary<SwimMessage> = fc.oneof(
  fc.record({ kind: fc.constantFrom('probe', 'ack', 'nack', 'gossip'), ...rest }),
  fc.record({ kind: fc.constant('ask'), target: node, ...rest }),
)

t.test('open() gives what seal() was given, whole and within the limit', async t => {
  const a = createCodec({ self: A, psk: PSK })
  const b = createCodec({ self: B, psk: PSK })
  fc.assert(
    fc.property(message, sent => {
      const datagram = a.seal(sent)
      t.ok(datagram.length <= DATAGRAM_BYTES_MAX)
      t.same(b.open(datagram), { from: A, message: sent })
    }),
    { numRuns: 200 },
  )
})

t.test('seal() has room for as many updates as the machine sends', async t => {
  const longest: SwimUpdate = { kind: 'suspect', node: A, incarnation: INCARNATION_MAX, by: B }
  const count = Math.floor(UPDATES_BYTES_MAX / updateBytes(longest))
  const updates = Array.from({ length: count }, () => longest)
  const datagram = createCodec({ self: A, psk: PSK }).seal({
    ...PROBE,
    kind: 'ask',
    target: B,
    updates,
  })
  t.ok(datagram.length <= DATAGRAM_BYTES_MAX, `${datagram.length} bytes`)
})

t.test('open() says why it drops a datagram', async t => {
  const a = createCodec({ self: A, psk: PSK })
  const b = createCodec({ self: B, psk: PSK })
  const stranger = createCodec({ self: A, psk: Buffer.alloc(32, 8) })
  const good = a.seal(PROBE)
  const flipped = Buffer.from(good)
  flipped[60]! ^= 1
  const version = Buffer.from(good)
  version[0] = 2
  t.same(b.open(Buffer.alloc(DATAGRAM_BYTES_MAX + 1)), { dropped: 'oversized' })
  t.same(b.open(good.subarray(0, 32)), { dropped: 'truncated' })
  t.same(b.open(good.subarray(0, -1)), { dropped: 'forged' })
  t.same(b.open(Buffer.alloc(0)), { dropped: 'truncated' })
  t.same(b.open(version), { dropped: 'version' })
  t.same(b.open(flipped), { dropped: 'forged' })
  t.same(b.open(stranger.seal(PROBE)), { dropped: 'forged' }, 'another cluster')
  t.same(a.open(good), { dropped: 'self' })
  t.same(b.open(good), { from: A, message: PROBE })
  t.same(b.open(good), { dropped: 'replayed' })
})

t.test('open() takes a sender that started again, and still knows its old datagrams', async t => {
  const b = createCodec({ self: B, psk: PSK })
  const old = createCodec({ self: A, psk: PSK }).seal(PROBE)
  t.same(b.open(old), { from: A, message: PROBE })
  t.same(b.open(createCodec({ self: A, psk: PSK }).seal(PROBE)), { from: A, message: PROBE })
  t.same(b.open(old), { dropped: 'replayed' })
})

t.test('open() survives 100,000 random and damaged datagrams, and believes none', async t => {
  const random = createRandom(5)
  const a = createCodec({ self: A, psk: PSK })
  const b = createCodec({ self: B, psk: PSK })
  const sent: SwimMessage = {
    ...PROBE,
    updates: [{ kind: 'suspect', node: B, incarnation: 3, by: A }],
  }
  const good = a.seal(sent)
  b.open(a.seal(PROBE)) // The session is known: damaged datagrams get as far as the seal.
  const counts = new Map<string, number>()
  for (let i = 0; i < 100_000; i++) {
    const opened = b.open(damage(good, random))
    const outcome = 'dropped' in opened ? opened.dropped : 'believed'
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  }
  t.equal(counts.get('believed'), undefined)
  for (const reason of ['forged', 'truncated', 'version', 'oversized']) {
    t.ok((counts.get(reason) ?? 0) > 100, `${reason}: ${counts.get(reason)}`)
  }
  t.same(b.open(good), { from: A, message: sent }, 'the unharmed one is believed')
})

t.test('open() survives 10,000 genuine datagrams that hold no message', async t => {
  // Who holds the key can seal anything: a faulty member, or a hostile one.
  const random = createRandom(6)
  const b = createCodec({ self: B, psk: PSK })
  const whole = new MessageBytes().encode(A, {
    ...PROBE,
    updates: [{ kind: 'suspect', node: B, incarnation: 3, by: A }],
  })
  const seal = createSealer(noise(random, 12))
  const counts = new Map<string, number>()
  for (let counter = 0; counter < 10_000; counter++) {
    const plain =
      counter % 2 === 0 ? noise(random, Math.floor(random() * 200)) : damage(whole, random)
    const opened = b.open(seal(plain.subarray(0, 1100), counter))
    const outcome = 'dropped' in opened ? opened.dropped : 'believed'
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  }
  t.ok((counts.get('malformed') ?? 0) > 1000, JSON.stringify([...counts]))
  t.same(
    [...counts.keys()].filter(outcome => !['malformed', 'believed', 'self'].includes(outcome)),
    [],
  )
})

t.test('decode() and the machine survive 100,000 random and damaged messages', async t => {
  const random = createRandom(7)
  const bytes = new MessageBytes()
  const members = [
    B,
    ...Array.from({ length: 8 }, (_, i) => nodeOfRawKey(Buffer.alloc(32, i + 10))),
  ]
  const swim = new Swim({ self: A, incarnation: 1, options: swimOptions(), random, nowMs: 0 })
  const address = { address: '10.0.0.1', port: 7 }
  swim.handle({ kind: 'members', members: new Map(members.map(one => [one, address])) }, 0)
  const samples = fc
    .sample(message, { numRuns: 50, seed: 8 })
    .map(sample => bytes.encode(B, withNodes(sample, [A, ...members], random)))
  let decodedCount = 0
  let effects = 0
  for (let i = 0; i < 100_000; i++) {
    const whole = samples[i % samples.length]!
    const choice = random()
    const raw = choice < 0.2 ? noise(random, Math.floor(random() * 300)) : damage(whole, random)
    const decoded = bytes.decode(raw)
    if (decoded === undefined) continue
    decodedCount++
    if (!bytes.encode(decoded.from, decoded.message).equals(raw))
      t.fail(`not canonical: ${raw.toString('hex')}`)
    const from = members[i % members.length]!
    effects += swim.handle(
      { kind: 'received', from, route: address, message: decoded.message },
      i,
    ).length
    if (swim.wakeAtMs <= i) effects += swim.handle({ kind: 'tick' }, i).length
  }
  t.ok(decodedCount > 20_000, `${decodedCount} were messages`)
  t.ok(effects < decodedCount * 30, `${effects} effects: what one message sets off is bounded`)
  t.equal(swim.verdicts().length, members.length + 1, 'no message makes a member')
  t.equal(swim.verdictOf(A)?.kind, 'alive')
})

t.test('decode() takes whole messages only', async t => {
  const bytes = new MessageBytes()
  const updates: SwimUpdate[] = [{ kind: 'suspect', node: B, incarnation: 3, by: A }]
  const whole = bytes.encode(A, { ...PROBE, kind: 'ask', target: B, updates })
  const valid = new Set([whole.length, whole.length - updateBytes(updates[0]!)])
  for (let length = 0; length <= whole.length; length++) {
    const decoded = bytes.decode(whole.subarray(0, length))
    t.equal(decoded !== undefined, valid.has(length), `${length} bytes`)
  }
  const kind = Buffer.from(whole)
  kind[32] = 99
  t.equal(bytes.decode(kind), undefined, 'no such kind')
})

function noise(random: () => number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = Math.floor(random() * 256)
  return bytes
}

/** The message, about these nodes: strangers alone would be passed over. */
function withNodes(
  sample: SwimMessage,
  nodes: readonly NodeId[],
  random: () => number,
): SwimMessage {
  const pick = (): NodeId => nodes[Math.floor(random() * nodes.length)]!
  const updates = sample.updates.map(one =>
    one.kind === 'suspect' ? { ...one, node: pick(), by: pick() } : { ...one, node: pick() },
  )
  return sample.kind === 'ask' ? { ...sample, target: pick(), updates } : { ...sample, updates }
}

/** Seals bytes as the codec does (docs/decisions/0005-liveness.md), whatever they are. */
function createSealer(salt: Buffer): (plain: Buffer, counter: number) => Buffer {
  const cluster = new Uint8Array(hkdfSync('sha256', PSK, '', 'shoal liveness v1', 32))
  const hmac = createHmac('sha256', cluster).update('shoal liveness session v1').update(salt)
  const key = hmac.update(Buffer.of(1)).digest()
  return (plain, counter) => {
    const header = Buffer.concat([Buffer.of(1), salt, Buffer.alloc(4)])
    header.writeUInt32BE(counter, 13)
    const nonce = Buffer.alloc(12)
    nonce.writeUInt32BE(counter, 8)
    const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
    cipher.setAAD(header, { plaintextLength: plain.length })
    const sealed = Buffer.concat([header, cipher.update(plain), cipher.final()])
    return Buffer.concat([sealed, cipher.getAuthTag()])
  }
}

/** One of the ways in which a datagram can be wrong. Never returns it unharmed. */
function damage(good: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * good.length)
  const choice = random()
  if (choice < 0.25) {
    const bytes = noise(random, Math.floor(random() * 200))
    if (bytes.length > 0 && random() < 0.8) bytes[0] = 1
    return bytes
  }
  if (choice < 0.5) return good.subarray(0, at)
  if (choice < 0.55) return Buffer.concat([good, Buffer.alloc(1 + Math.floor(random() * 1300))])
  const changed = Buffer.from(good)
  changed[at]! ^= 1 << Math.floor(random() * 8)
  return changed
}
