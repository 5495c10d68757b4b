/** Limits and counters around the answerer, and what happens when a query breaks it. */

import t from 'tap'
import { createAnswerer } from '../../src/dns/answer.ts'
import type { DnsTransport, Names } from '../../src/dns/answerer.ts'
import { ANYBODY, type Client } from '../../src/dns/clients.ts'
import { createCookies } from '../../src/dns/cookies.ts'
import { encodeQuery } from '../../src/dns/query.ts'
import { RCODE, TYPE } from '../../src/dns/records.ts'
import { createResponder, HOME_FACTOR, type Responder } from '../../src/dns/responder.ts'
import {
  createTally,
  createTallyMemory,
  readTallies,
  type DnsCounters,
} from '../../src/dns/tally.ts'
import { decodeMessage, FLAG } from '../../src/dns/wire.ts'
import { createZone } from '../../src/dns/zone.ts'
import { makeApp, makeView } from './make-view.ts'

const stranger: Client = { ...ANYBODY, address: Buffer.of(198, 51, 100, 7), network: 5 }
const home: Client = { ...stranger, isHome: true }
const zone = createZone(makeView([makeApp('/web', 3), makeApp('/bad')]))
const out = Buffer.alloc(65_535)

interface Rig {
  readonly responder: Responder
  readonly counters: () => DnsCounters
  readonly broken: { readonly message: string; readonly query: Buffer }[]
  /** How many bytes each of `count` queries gets. */
  readonly lengths: (count: number, by: Client, transport?: DnsTransport) => number[]
}

function makeRig({
  names = zone,
  perSecond = 10,
}: { names?: Names; perSecond?: number } = {}): Rig {
  const memory = createTallyMemory()
  const broken: Rig['broken'] = []
  const cookies = { jar: createCookies(() => Buffer.alloc(16, 1)), nowSeconds: () => 1_000_000 }
  const responder = createResponder(
    createAnswerer(names, { cookies, forwards: true }),
    createTally(memory),
    {
      answersPerSecond: perSecond,
      nowMs: () => 1_000, // Time stands still, so that nothing is given back.
      onBroken: (error, query) => {
        broken.push({ message: String(error), query: Buffer.from(query) })
      },
    },
  )
  const query = encodeQuery('web.shoal', TYPE.A, 0)
  return {
    responder,
    counters: () => readTallies([memory]),
    broken,
    lengths: (count, by, transport = 'udp') =>
      Array.from({ length: count }, () => responder.answer(query, out, transport, by)),
  }
}

/** As `zone`, but with a fault that the name `bad` meets. */
const faulty: Names = {
  find: name => {
    if (name.startsWith('bad.')) throw new TypeError('a fault of ours')
    return zone.find(name)
  },
}

t.test('a query that breaks the answerer gets SERVFAIL, is told of, and harms nobody else', t => {
  const { responder, broken, counters } = makeRig({ names: faulty })
  for (const size of [0, 1_232]) {
    const query = encodeQuery('BAD.shoal', TYPE.SRV, size)
    const length = responder.answer(query, out, 'udp', home)
    const answer = decodeMessage(out.subarray(0, length))
    t.equal(answer.id, query.readUInt16BE(0))
    t.match(answer, { rcode: RCODE.SERVFAIL, answers: [], additionals: [] })
    t.ok(answer.flags & FLAG.QR)
    const questionEnd = 12 + 'BAD.shoal'.length + 2 + 4
    t.strictSame(out.subarray(12, length), query.subarray(12, questionEnd), 'with its question')
  }
  t.equal(broken.length, 2)
  t.equal(broken[0]!.message, 'TypeError: a fault of ours')
  const length = responder.answer(encodeQuery('web.shoal', TYPE.A, 0), out, 'udp', home)
  t.equal(decodeMessage(out.subarray(0, length)).answers.length, 3)
  t.strictSame(counters().queries, [
    { type: 'A', rcode: 'NOERROR', proto: 'udp', count: 1 },
    { type: 'SRV', rcode: 'SERVFAIL', proto: 'udp', count: 2 },
  ])
  t.end()
})

t.test('who floods with such queries is limited like any other', t => {
  const { responder, broken, counters } = makeRig({ names: faulty })
  const query = encodeQuery('bad.shoal', TYPE.A, 0)
  const lengths = Array.from({ length: 30 }, () => responder.answer(query, out, 'udp', stranger))
  t.equal(lengths.filter(length => length === query.length).length, 10)
  t.equal(lengths.filter(length => length === 12).length, 10, 'a header alone, with no question')
  t.equal(counters().drops.rate, 10)
  t.equal(broken.length, 30)
  responder.answer(query, out, 'udp', stranger)
  t.equal(responder.answer(query, out, 'udp', stranger), 12)
  t.strictSame([...out.subarray(2, 12)], [0x81, RCODE.SERVFAIL, 0, 0, 0, 0, 0, 0, 0, 0])
  t.end()
})

t.test('an answer of others that breaks us is SERVFAIL, too', t => {
  const { responder, broken } = makeRig()
  const query = encodeQuery('example.com', TYPE.A, 0)
  const nonsense = {
    rcode: 0,
    isAuthentic: false,
    records: undefined as unknown as Buffer,
    counts: [1, 0, 0] as const,
    ends: [16, 16, 16] as const,
  }
  const length = responder.relay(query, out, 'udp', home, nonsense, 'forward', 0)
  t.equal(decodeMessage(out.subarray(0, length)).rcode, RCODE.SERVFAIL)
  t.equal(broken.length, 1)
  t.end()
})

t.test('strangers get their rate, half of the rest a word to come by TCP', t => {
  const { lengths, counters } = makeRig()
  const got = lengths(30, stranger)
  t.equal(got.filter(length => length > 27).length, 10, 'whole')
  t.equal(got.filter(length => length === 27).length, 10, 'as long as the query')
  t.ok(got.slice(10).every(length => length <= 27))
  const { drops, events, queries } = counters()
  t.strictSame([drops.rate, events.slipped], [10, 10])
  t.equal(queries[0]?.count, 20)
  t.end()
})

t.test('our own clients get more, and are never left without a word', t => {
  const { lengths, counters } = makeRig()
  const got = lengths(10 * HOME_FACTOR + 20, home)
  t.equal(got.filter(length => length > 27).length, 10 * HOME_FACTOR)
  t.equal(got.filter(length => length === 27).length, 20)
  t.equal(counters().drops.rate, 0)
  t.end()
})

/** True when none of them is cut: the query has 27 bytes. */
function whole(lengths: readonly number[]): boolean {
  return lengths.every(length => length > 27)
}

function withCookie(data: Buffer): Buffer {
  const query = encodeQuery('web.shoal', TYPE.A, 1_232)
  query.writeUInt16BE(data.length + 4, query.length - 2)
  return Buffer.concat([query, Buffer.of(0, 10, 0, data.length), data])
}

t.test('limits are not for those whose address is sure', t => {
  t.ok(whole(makeRig().lengths(100, stranger, 'tcp')), 'TCP')
  t.ok(whole(makeRig().lengths(100, { ...stranger, isLocal: true })), 'this machine')
  t.ok(whole(makeRig({ perSecond: 0 }).lengths(100, stranger)), 'when 0 turns them off')

  const { responder, counters } = makeRig({ perSecond: 1 })
  const own = Buffer.from('0102030405060708', 'hex')
  const first = responder.answer(withCookie(own), out, 'udp', stranger)
  const cookie = Buffer.from(out.subarray(first - 24, first))
  const lengths = Array.from({ length: 50 }, () =>
    responder.answer(withCookie(cookie), out, 'udp', stranger),
  )
  t.ok(
    lengths.every(length => length === first),
    'a cookie of ours',
  )
  t.equal(counters().events['cookie-valid'], 50)
  t.equal(counters().drops.rate, 0)
  t.end()
})
