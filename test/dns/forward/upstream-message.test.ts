/** What resolvers send, read with suspicion; and what is kept of it. `SEED=` replays a run. */

import t from 'tap'
import { createForwardCache } from '../../../src/dns/forward/forward-cache.ts'
import {
  encodeUpstreamQuery,
  readUpstreamAnswer,
  type Question,
  type UpstreamAnswer,
} from '../../../src/dns/forward/upstream-message.ts'
import { TYPE } from '../../../src/dns/records.ts'
import { decodeMessage, encodeName } from '../../../src/dns/wire.ts'
import { createRandom, pick } from '../../../src/util/random.ts'
import { aRecord, answerWith, soaRecord } from './fake-resolver.ts'

const seed = Number(process.env['SEED'] ?? 4)
const random = createRandom(seed)
const upTo = (max: number): number => Math.floor(random() * (max + 1))

const question: Question = {
  bytes: Buffer.concat([encodeName('www.example.com'), Buffer.of(0, 1, 0, 1)]),
  dnssecOk: true,
  checkingDisabled: false,
}
const query = encodeUpstreamQuery(question, Buffer.alloc(64, 1), true)
const OPT = '0000290400000000000000'

/** An answer with more in its additional section than `answerWith` makes. */
function withAdditionals(packet: Buffer, additionals: readonly string[]): Buffer {
  const whole = Buffer.concat([packet, ...additionals.map(hex => Buffer.from(hex, 'hex'))])
  whole.writeUInt16BE(additionals.length, 10)
  return whole
}

function read(packet: Buffer): UpstreamAnswer {
  const reading = readUpstreamAnswer(query, packet)
  if (reading.kind !== 'answer') throw new Error(`it is ${reading.kind}`)
  return reading.answer
}

t.test('a query says what it wants, in letters by chance', async t => {
  const { id, flags, questions, udpPayloadBytes } = decodeMessage(query)
  t.strictSame([id, flags, udpPayloadBytes], [0x0101, 0x0120, 1_232])
  t.strictSame(questions, [{ name: 'www.example.com', type: TYPE.A, class: 1 }])
  t.equal(query.toString('latin1', 13, 16), 'WWW')
  t.equal(query[query.length - 4], 0x80, 'DO')
  const plain = encodeUpstreamQuery(
    { ...question, checkingDisabled: true },
    Buffer.alloc(64),
    false,
  )
  t.strictSame([plain.readUInt16BE(2), plain.readUInt16BE(10)], [0x0130, 0])
  t.ok(plain.includes('example'))
})

t.test('records are taken without OPT, with where their TTLs are', async t => {
  const answers = [aRecord(1, 300), aRecord(2, 0xffffffff)]
  const authorities = [soaRecord(100_000, 5)]
  const packet = withAdditionals(answerWith(query, { answers, authorities }), [aRecord(3, 7), OPT])
  const { relayed, ttls, keepSeconds } = read(packet)
  t.strictSame(relayed.counts, [2, 1, 1])
  t.equal(relayed.records.length, relayed.ends[2])
  t.strictSame(
    ttls.map(at => relayed.records.readUInt32BE(at)),
    [300, 0, 86_400, 7],
  )
  t.equal(keepSeconds, 0, 'a TTL with the highest bit is zero')
  t.equal(
    read(withAdditionals(answerWith(query, { answers: [answers[0]!] }), [OPT])).keepSeconds,
    300,
  )
})

t.test('what stands behind OPT is left out: it would move', async t => {
  const packet = withAdditionals(answerWith(query, { answers: [aRecord(1)] }), [OPT, aRecord(9)])
  t.strictSame(read(packet).relayed.counts, [1, 0, 0])
})

t.test('an extended code is put together', async t => {
  const packet = withAdditionals(answerWith(query, {}), ['0000290400010000000000'])
  t.equal(read(packet).relayed.rcode, 16)
})

/** An A record with this owner, all as hex. */
function recordOf(owner: string): string {
  return `${owner}000100010000003c00040a000001`
}

t.test('names that lead nowhere are no answer', async t => {
  const at = (12 + question.bytes.length).toString(16).padStart(4, '0')
  const cases: [what: string, owner: string][] = [
    ['a pointer to itself', `c${at.slice(1)}`],
    ['a pointer forwards', 'c0ff'],
    ['a pointer into the header', 'c004'],
    ['a label of an unknown kind', '8061'],
    ['a name that is cut off', '3f61'],
    ['a label before a loop', `0161c${at.slice(1)}`],
  ]
  for (const [what, owner] of cases) {
    const packet = answerWith(query, { answers: [recordOf(owner)] })
    t.equal(readUpstreamAnswer(query, packet).kind, 'mismatch', what)
  }
})

t.test(`no packet breaks the reader, and what it takes is whole (SEED=${seed})`, async t => {
  const whole = withAdditionals(
    answerWith(query, { answers: [aRecord(1), aRecord(2)], authorities: [soaRecord(60, 5)] }),
    [aRecord(3), OPT],
  )
  const telling = [0, 1, 12, 63, 64, 0x80, 0xc0, 0xff, 41]
  let taken = 0
  for (let count = 0; count < 100_000; count++) {
    let packet = Buffer.from(whole)
    for (let changes = upTo(4); changes > 0; changes--) {
      const at = upTo(packet.length - 1)
      packet[at] = random() < 0.5 ? upTo(255) : pick(telling, random)!
      if (random() < 0.1) packet = packet.subarray(0, at + 1)
    }
    const reading = readUpstreamAnswer(query, packet)
    if (reading.kind !== 'answer') continue
    taken++
    const { relayed, ttls, keepSeconds } = reading.answer
    const { records, counts, ends } = relayed
    const isWhole =
      ends[0] <= ends[1] &&
      ends[1] <= ends[2] &&
      ends[2] === records.length &&
      ttls.length === counts[0] + counts[1] + counts[2] &&
      ttls.every(ttlAt => ttlAt + 4 <= records.length) &&
      keepSeconds >= 0 &&
      keepSeconds <= 86_400
    if (!isWhole) throw new Error(`not whole: ${packet.toString('hex')}`)
  }
  t.ok(taken > 10_000, `${taken} were answers`)
})

t.test('the cache holds what fits, and drops first what was not asked for longest', async t => {
  const answer = read(
    answerWith(query, { answers: Array.from({ length: 40 }, (_, index) => aRecord(index)) }),
  )
  const cache = createForwardCache(40_000)
  for (let index = 0; index < 100; index++) {
    cache.put(`n${index}`, answer, 0)
    t.ok(cache.get('n0', 0), 'the one that is asked for stays')
  }
  t.ok(cache.bytes <= 40_000)
  t.ok(cache.entries > 10 && cache.entries < 40, `${cache.entries} entries`)
  t.equal(cache.get('n1', 0), undefined)
  t.ok(cache.get('n99', 0))
  const before = cache.bytes
  cache.put('n99', answer, 0)
  t.equal(cache.bytes, before, 'the same again takes no more room')
  cache.put('huge', { ...answer, relayed: { ...answer.relayed, records: Buffer.alloc(10_000) } }, 0)
  t.equal(cache.get('huge', 0), undefined, 'none takes the room of many')
  t.equal(cache.get('n99', 60_000), undefined, 'nothing lives longer than its TTL')
  cache.clear()
  t.strictSame([cache.bytes, cache.entries], [0, 0])
})
