import fc from 'fast-check'
import t from 'tap'
import type { Message } from '../../../src/node/machine/events.ts'
import { deltaBetween } from '../../../src/node/machine/observed-book.ts'
import { encodeMessage, parseMessage } from '../../../src/node/machine/wire.ts'
import { createRandom } from '../../../src/util/random.ts'
import { nodeOf } from '../../sim/keys.ts'
import { anyRecord } from './any-record.ts'

const bytes = fc.uint8Array({ maxLength: 40 })
const id = fc.nat()
const version = fc.record({ node: fc.nat(5).map(nodeOf), incarnation: fc.nat(), seq: fc.nat() })
const signed = fc.record({ record: anyRecord, signature: bytes })

const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant('desired' as const), update: bytes }),
  fc.record({ kind: fc.constant('store' as const), id, update: bytes }),
  fc.record({ kind: fc.constant('stored' as const), id }),
  fc.record({ kind: fc.constant('record' as const), signed }),
  fc
    .tuple(anyRecord, signed)
    .map(([before, after]) =>
      deltaBetween(before, { ...after, record: { ...after.record, seq: 2 } }),
    ),
  fc.record({ kind: fc.constant('offer' as const), digest: fc.constantFrom('', '0123abcd') }),
  fc.record({
    kind: fc.constant('have' as const),
    vector: bytes,
    records: fc.array(version, { maxLength: 5 }),
    answer: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('fill' as const),
    update: bytes,
    records: fc.array(signed, { maxLength: 3 }),
  }),
)

const parse = (value: unknown): unknown => parseMessage(encodeMessage(value as Message))

t.test('parseMessage() reads back every message as it was', async t => {
  fc.assert(
    fc.property(anyMessage, message => {
      const parsed = parseMessage(encodeMessage(message))
      // `same`: what is made here has no prototype, what is read has one.
      t.same(parsed, { ok: true, message })
    }),
    { numRuns: 300 },
  )
})

t.test('parseMessage() takes any bytes without throwing', async t => {
  const random = createRandom(1)
  const samples = fc.sample(anyMessage, { numRuns: 50, seed: 1 }).map(encodeMessage)
  let refused = 0
  for (let run = 0; run < 10_000; run++) {
    const damaged = Uint8Array.from(samples[run % samples.length]!)
    const hits = 1 + Math.floor(random() * 4)
    for (let hit = 0; hit < hits; hit++) {
      damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256)
    }
    const end = random() < 0.3 ? Math.floor(random() * damaged.length) : damaged.length
    if (!parseMessage(damaged.subarray(0, end)).ok) refused++
  }
  t.ok(refused > 5_000, `${refused} of 10000 damaged messages were refused, none by throwing`)
})

t.test('parseMessage() says what is wrong', async t => {
  t.match(parse({ kind: 'stored', id: -1 }), { ok: false, reason: /^id: / })
  t.match(parse({ kind: 'stored', id: -1 }), { fault: 'malformed' })
  t.match(parse({ kind: 5 }), { ok: false, fault: 'malformed', reason: /^kind: / })
  t.match(parse([]), { ok: false, fault: 'malformed' })
  t.match(parseMessage(new Uint8Array([0xff])), { ok: false, reason: /not CBOR/ })
})

t.test('parseMessage() passes over what only a newer version knows', async t => {
  const [record] = fc.sample(anyRecord, { numRuns: 1, seed: 3 })
  const task = { ...fc.sample(anyRecord, 50).flatMap(({ tasks }) => tasks)[0]!, mood: 'calm' }
  const newer = { ...record!, tasks: [task], moons: { count: 2 } }
  const message = {
    kind: 'record',
    signed: { record: newer, signature: new Uint8Array(2) },
    hop: 3,
  }
  const { hop, ...known } = message
  t.same(parse(message), { ok: true, message: known }, 'fields of a record stay, they are signed')
  t.match(parse({ kind: 'stored', id: 1, hop }), { ok: true, message: { kind: 'stored', id: 1 } })
  const delta = {
    ...deltaBetween(record!, { record: { ...newer, seq: 2 }, signature: new Uint8Array(2) }),
  }
  t.same(parse(delta), { ok: true, message: delta })
  t.match(parse({ kind: 'lease', until: 5 }), { ok: false, fault: 'unknown-kind', reason: 'lease' })
  const long = 'x'.repeat(1_000_000)
  t.same(parse({ kind: long }), { ok: false, fault: 'unknown-kind', reason: long.slice(0, 40) })
})
