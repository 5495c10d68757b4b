/** Cookies, identity and everything else that clients ask for in OPT; and who may what. */

import t from 'tap'
import { parseAddress } from '../../src/dns/address.ts'
import { createAnswerer } from '../../src/dns/answer.ts'
import {
  FORWARD,
  TRANSFER,
  type Answerer,
  type AnswererOptions,
  type DnsTransport,
  type Relayed,
} from '../../src/dns/answerer.ts'
import { ANYBODY, type Client } from '../../src/dns/clients.ts'
import { createCookies } from '../../src/dns/cookies.ts'
import { encodeQuery } from '../../src/dns/query.ts'
import { RCODE, TYPE } from '../../src/dns/records.ts'
import { decodeMessage, encodeName, FLAG } from '../../src/dns/wire.ts'
import { createZone } from '../../src/dns/zone.ts'
import { makeApp, makeView } from './make-view.ts'

const zone = createZone(makeView([makeApp('/web', 1), makeApp('/big', 60)]))
const secret = Buffer.from('e5e973e5a6b2a43f48e7dc849e37bfcf', 'hex')
const nowSeconds = 1_559_731_985
const options: AnswererOptions = {
  cookies: { jar: createCookies(() => secret), nowSeconds: () => nowSeconds },
  identity: { name: 'n1', version: 'Shoal 0.1.0' },
  forwards: true,
}
const client: Client = { ...ANYBODY, address: parseAddress('198.51.100.100')! }
const home: Client = { ...client, isHome: true }
const out = Buffer.alloc(65_535)

function option(code: number, hex: string): string {
  const length = hex.length / 2
  return Buffer.of(code >> 8, code & 255, length >> 8, length & 255).toString('hex') + hex
}

/** A query with OPT and these options; `changes` are written into its header. */
function makeQuery(
  name: string,
  type: number,
  ednsOptions: readonly string[] = [],
  { qclass = 1, version = 0 } = {},
): Buffer {
  const data = Buffer.from(ednsOptions.join(''), 'hex')
  const header = Buffer.from('abcd01000001000000000001', 'hex')
  const question = [encodeName(name), Buffer.of(type >> 8, type & 255, qclass >> 8, qclass & 255)]
  const opt = Buffer.from([
    0,
    0,
    41,
    0x10,
    0,
    0,
    version,
    0,
    0,
    data.length >> 8,
    data.length & 255,
  ])
  return Buffer.concat([header, ...question, opt, data])
}

function answered(
  query: Buffer,
  by: Client = client,
  transport: DnsTransport = 'udp',
  answerer: Answerer = createAnswerer(zone, options),
): Buffer {
  out.fill(0xaa)
  const length = answerer.answer(query, out, transport, by)
  t.ok(length > 0, 'answered')
  return Buffer.from(out.subarray(0, length))
}

/** The options of the OPT record that ends `bytes`, which answers without other additional records. */
function optionsOf(bytes: Buffer): Map<number, string> {
  const found = new Map<number, string>()
  const at = bytes.lastIndexOf(Buffer.from('00002904d0', 'hex'))
  t.equal(at + 11 + bytes.readUInt16BE(at + 9), bytes.length, 'OPT ends the answer')
  for (let next = at + 11; next < bytes.length;) {
    const length = bytes.readUInt16BE(next + 2)
    found.set(bytes.readUInt16BE(next), bytes.toString('hex', next + 4, next + 4 + length))
    next += 4 + length
  }
  return found
}

const CLIENT_COOKIE = '2464c4abcf10c957'
const COOKIE = '2464c4abcf10c957010000005cf79f111f8130c3eee29480'

t.test('a client gets a cookie of ours (RFC 9018, A.1), and keeps it', async t => {
  const answerer = createAnswerer(zone, options)
  const cases: [what: string, shown: string, state: 'valid' | 'invalid'][] = [
    ['a client cookie alone', CLIENT_COOKIE, 'invalid'],
    ['with ours', COOKIE, 'valid'],
    ['with one of another length', `${CLIENT_COOKIE}0102030405060708`, 'invalid'],
    ['with a forged one', `${COOKIE.slice(0, -2)}00`, 'invalid'],
  ]
  for (const [what, shown, state] of cases) {
    const bytes = answered(
      makeQuery('web.shoal', TYPE.A, [option(10, shown)]),
      client,
      'udp',
      answerer,
    )
    t.equal(optionsOf(bytes).get(10), COOKIE, what)
    t.equal(answerer.last.cookie, state, what)
    t.equal(decodeMessage(bytes).answers.length, 1, what)
  }
  answered(
    makeQuery('web.shoal', TYPE.A, [option(10, COOKIE)]),
    { ...client, address: new Uint8Array(4) },
    'udp',
    answerer,
  )
  t.equal(answerer.last.cookie, 'invalid', 'of another client')
  answered(makeQuery('web.shoal', TYPE.A), client, 'udp', answerer)
  t.equal(answerer.last.cookie, 'none')
})

t.test('cookies of lengths that none has are FORMERR (RFC 7873, section 5.2.2)', async t => {
  for (const length of [0, 1, 7, 9, 15, 41]) {
    const query = makeQuery('web.shoal', TYPE.A, [option(10, '01'.repeat(length))])
    t.equal(decodeMessage(answered(query)).rcode, RCODE.FORMERR, `${length} bytes`)
  }
  const cut = makeQuery('web.shoal', TYPE.A, ['000a0009' + CLIENT_COOKIE])
  t.equal(decodeMessage(answered(cut)).rcode, RCODE.FORMERR, 'an option longer than OPT')
  const half = makeQuery('web.shoal', TYPE.A, ['000a00'])
  t.equal(decodeMessage(answered(half)).rcode, RCODE.FORMERR, 'half an option')
})

t.test('of two cookies the first counts', async t => {
  const query = makeQuery('web.shoal', TYPE.A, [option(10, COOKIE), option(10, '00')])
  t.equal(optionsOf(answered(query)).get(10), COOKIE)
})

t.test(
  'a query without a question gets a cookie (RFC 7873, section 5.4), and nothing else does',
  async t => {
    const withCookie = Buffer.concat([
      Buffer.from('abcd01000000000000000001', 'hex'),
      Buffer.from(`000029100000000000000c${option(10, CLIENT_COOKIE)}`, 'hex'),
    ])
    const bytes = answered(withCookie)
    t.match(decodeMessage(bytes), { rcode: RCODE.NOERROR, questions: [], answers: [] })
    t.equal(optionsOf(bytes).get(10), COOKIE)
    const without = Buffer.from('abcd010000000000000000010000291000000000000000', 'hex')
    t.equal(decodeMessage(answered(without)).rcode, RCODE.FORMERR)
  },
)

t.test('BADVERS brings a cookie, too', async t => {
  const query = makeQuery('web.shoal', TYPE.A, [option(10, CLIENT_COOKIE)], { version: 1 })
  const bytes = answered(query)
  t.equal(decodeMessage(bytes).rcode, RCODE.BADVERS)
  t.equal(optionsOf(bytes).get(10), COOKIE)
})

t.test('without cookies of its own a server passes them over', async t => {
  const bytes = answered(
    makeQuery('web.shoal', TYPE.A, [option(10, CLIENT_COOKIE), option(3, '')]),
    client,
    'udp',
    createAnswerer(zone),
  )
  t.equal(optionsOf(bytes).size, 0)
})

t.test(
  'who asks is told who answers (RFC 5001), and how long TCP may be idle (RFC 7828)',
  async t => {
    const query = makeQuery('web.shoal', TYPE.A, [
      option(3, ''),
      option(11, ''),
      option(65_001, 'ff'),
    ])
    t.strictSame(
      [...optionsOf(answered(query, client, 'tcp'))],
      [
        [3, Buffer.from('n1').toString('hex')],
        [11, '0064'],
      ],
    )
    t.strictSame([...optionsOf(answered(query)).keys()], [3], 'over UDP there is no connection')
  },
)

t.test('options count in the size of an answer', async t => {
  const query = makeQuery('_big._tcp.shoal', TYPE.SRV, [option(10, CLIENT_COOKIE), option(3, '')])
  const bytes = answered(query)
  t.ok(bytes.length <= 1_232 && bytes.length > 1_232 - 100)
  t.equal(optionsOf(bytes).size, 2)
})

t.test('a server says its name and version in the class CH (RFC 4892)', async t => {
  const text = (
    name: string,
    type: number,
    answerer?: Answerer,
  ): { rcode: number; texts: string[] } => {
    const { rcode, answers } = decodeMessage(
      answered(makeQuery(name, type, [], { qclass: 3 }), client, 'udp', answerer),
    )
    return { rcode, texts: answers.flatMap(one => (one.type === 'TXT' ? one.strings : [])) }
  }
  t.strictSame(text('version.bind', TYPE.TXT), { rcode: 0, texts: ['Shoal 0.1.0'] })
  t.strictSame(text('ID.server', TYPE.TXT), { rcode: 0, texts: ['n1'] })
  t.strictSame(text('hostname.bind', TYPE.ANY), { rcode: 0, texts: ['n1'] })
  t.strictSame(text('id.server', TYPE.A), { rcode: 0, texts: [] })
  t.strictSame(text('authors.bind', TYPE.TXT), { rcode: RCODE.REFUSED, texts: [] })
  t.strictSame(text('id.server', TYPE.TXT, createAnswerer(zone)), {
    rcode: RCODE.REFUSED,
    texts: [],
  })
  const hesiod = makeQuery('version.bind', TYPE.TXT, [], { qclass: 4 })
  t.equal(decodeMessage(answered(hesiod)).rcode, RCODE.REFUSED)
})

t.test('slip() says to come back, in as many bytes as were sent', async t => {
  const answerer = createAnswerer(zone, options)
  const slipped = (query: Buffer): Buffer => {
    answered(query, client, 'udp', answerer)
    return Buffer.from(out.subarray(0, answerer.slip(out)))
  }
  const plain = encodeQuery('_big._tcp.shoal', TYPE.SRV, 1_232)
  const bytes = slipped(plain)
  t.equal(bytes.length, plain.length)
  t.match(decodeMessage(bytes), { rcode: 0, answers: [], authorities: [], additionals: [] })
  t.ok(decodeMessage(bytes).flags & FLAG.TC)
  t.notOk(decodeMessage(bytes).flags & FLAG.AA)

  t.equal(decodeMessage(slipped(encodeQuery('nope.shoal', TYPE.A, 0))).rcode, RCODE.NOERROR)

  const cookie = slipped(makeQuery('_big._tcp.shoal', TYPE.SRV, [option(10, CLIENT_COOKIE)]))
  t.match(decodeMessage(cookie), { rcode: RCODE.BADCOOKIE, answers: [] })
  t.notOk(decodeMessage(cookie).flags & FLAG.TC)
  t.equal(optionsOf(cookie).get(10), COOKIE, 'with which it is not limited')

  const broken = Buffer.from(plain)
  broken[5] = 2
  t.equal(decodeMessage(slipped(broken)).rcode, RCODE.FORMERR)
})

t.test('other domains are for our own clients, who ask for recursion', async t => {
  const answerer = createAnswerer(zone, options)
  const query = encodeQuery('example.com', TYPE.A, 0)
  t.equal(answerer.answer(query, out, 'udp', home), FORWARD)
  const refused = decodeMessage(answered(query))
  t.equal(refused.rcode, RCODE.REFUSED, 'a stranger')
  t.notOk(refused.flags & FLAG.RA)
  query[2]! &= 0xfe
  t.equal(decodeMessage(answered(query, home)).rcode, RCODE.REFUSED, 'without RD')
  const own = encodeQuery('web.shoal', TYPE.A, 0)
  t.ok(decodeMessage(answered(own, home)).flags & FLAG.RA)
  t.notOk(decodeMessage(answered(own, client)).flags & FLAG.RA)
})

/** An A record of the question's name. */
function record(byte: number): Buffer {
  return Buffer.from(`c00c000100010000003c00040a0000${byte.toString(16).padStart(2, '0')}`, 'hex')
}

function relayedOf(...counts: [number, number, number]): Relayed {
  const all = counts.reduce((sum, count) => sum + count, 0)
  const [one, two, three] = counts.map(count => count * 16)
  return {
    rcode: RCODE.NOERROR,
    isAuthentic: true,
    records: Buffer.concat(Array.from({ length: all }, (_, index) => record(index & 255))),
    counts,
    ends: [one!, one! + two!, one! + two! + three!],
  }
}

t.test('relay() passes on what others say, cut to what the client takes', async t => {
  const answerer = createAnswerer(zone, options)
  const relay = (query: Buffer, relayed: Relayed, transport: DnsTransport = 'udp'): Buffer => {
    t.equal(answerer.answer(query, out, transport, home), FORWARD)
    return Buffer.from(out.subarray(0, answerer.relay(query, out, transport, home, relayed)))
  }
  const plain = encodeQuery('Example.COM', TYPE.A, 0)
  const small = relay(plain, relayedOf(1, 1, 1))
  const { flags, answers, authorities, additionals, id } = decodeMessage(small)
  t.equal(id, plain.readUInt16BE(0))
  t.equal(flags, FLAG.QR | FLAG.RD | FLAG.RA, 'no AA, and no AD for who did not ask')
  t.strictSame([answers.length, authorities.length, additionals.length], [1, 1, 1])
  t.equal(small.toString('latin1', 13, 20), 'Example')

  t.ok(decodeMessage(relay(makeQuery('example.com', TYPE.A), relayedOf(1, 0, 0))).udpPayloadBytes)
  const asks = Buffer.from(plain)
  asks[3]! |= 0x20
  t.ok(decodeMessage(relay(asks, relayedOf(1, 0, 0))).flags & FLAG.AD)

  const without = decodeMessage(relay(plain, relayedOf(1, 1, 40)))
  t.strictSame([without.answers.length, without.additionals.length], [1, 0], 'additionals go first')
  t.notOk(without.flags & FLAG.TC)
  const cut = decodeMessage(relay(plain, relayedOf(40, 0, 0)))
  t.strictSame([cut.answers.length, cut.flags & FLAG.TC], [0, FLAG.TC])
  t.equal(decodeMessage(relay(plain, relayedOf(40, 0, 0), 'tcp')).answers.length, 40)
})

t.test('whole zones are for those who may, over TCP, by their own name', async t => {
  const answerer = createAnswerer(zone, options)
  const monitor: Client = { ...client, mayTransfer: true }
  const rcodeOf = (query: Buffer, by: Client, transport: DnsTransport): number =>
    decodeMessage(answered(query, by, transport, answerer)).rcode
  for (const type of [TYPE.AXFR, TYPE.IXFR]) {
    const query = encodeQuery('SHOAL', type, 0)
    t.equal(answerer.answer(query, out, 'tcp', monitor), TRANSFER)
    t.equal(rcodeOf(query, client, 'tcp'), RCODE.REFUSED)
    t.equal(rcodeOf(encodeQuery('web.shoal', type, 0), monitor, 'tcp'), RCODE.NOTAUTH)
    t.equal(rcodeOf(encodeQuery('example.com', type, 0), monitor, 'tcp'), RCODE.REFUSED)
  }
  t.equal(rcodeOf(encodeQuery('shoal', TYPE.AXFR, 0), monitor, 'udp'), RCODE.REFUSED)
  const serial = decodeMessage(
    answered(encodeQuery('shoal', TYPE.IXFR, 0), monitor, 'udp', answerer),
  )
  t.match(serial.answers, [{ type: 'SOA', serial: 7 }], 'IXFR over UDP: come by TCP (RFC 1995)')
})
