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

/** One of the ways in which a datagram can be wrong. Never returns it unharmed. */
function damage(good: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * good.length)
  const choice = random()
  if (choice < 0.25) {
    const noise = Buffer.alloc(Math.floor(random() * 200))
    for (let i = 0; i < noise.length; i++) noise[i] = Math.floor(random() * 256)
    if (noise.length > 0 && random() < 0.8) noise[0] = 1
    return noise
  }
  if (choice < 0.5) return good.subarray(0, at)
  if (choice < 0.55) return Buffer.concat([good, Buffer.alloc(1 + Math.floor(random() * 1300))])
  const changed = Buffer.from(good)
  changed[at]! ^= 1 << Math.floor(random() * 8)
  return changed
}
