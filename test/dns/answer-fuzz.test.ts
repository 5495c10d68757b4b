/**
 * Throws packets at everything that a query passes: noise, and real queries with a
 * few bytes changed. `SEED=` takes other packets, `PACKETS=` more of them.
 */

import { decode } from 'dns-packet'
import t from 'tap'
import { createAnswerer } from '../../src/dns/answer.ts'
import { FORWARD, TRANSFER, type DnsTransport, type Relayed } from '../../src/dns/answerer.ts'
import { ANYBODY, type Client } from '../../src/dns/clients.ts'
import { createCookies } from '../../src/dns/cookies.ts'
import { emptyReply } from '../../src/dns/forward/special-names.ts'
import { encodeQuery } from '../../src/dns/query.ts'
import { TYPE } from '../../src/dns/records.ts'
import { createResponder } from '../../src/dns/responder.ts'
import { createTally, createTallyMemory, readTallies } from '../../src/dns/tally.ts'
import { transferZone } from '../../src/dns/transfer-zone.ts'
import { decodeMessage, encodeName } from '../../src/dns/wire.ts'
import { createZone } from '../../src/dns/zone.ts'
import { createRandom, pick } from '../../src/util/random.ts'
import { faultOf } from './check-answer.ts'
import { makeApp, makeView } from './make-view.ts'

const seed = Number(process.env['SEED'] ?? 4)
const packets = Number(process.env['PACKETS'] ?? 520_000)
const random = createRandom(seed)
const upTo = (max: number): number => Math.floor(random() * (max + 1))

const zone = createZone(
  makeView([makeApp('/web', 60), makeApp('/shop/web', 3, ['front']), makeApp('/node', 1)], {
    mesos: { domain: 'mesos', rule: 'rfc1123', apiPort: 8080 },
  }),
)
const below =
  ' nope. web. _web._tcp. 3.web. web.shop. _tcp. n1.node. why.web. _x._web._udp. near._web._tcp. web.default.svc.'
const names = [
  ...below.split(' ').map(name => `${name}shoal`),
  'example.com',
  'id.server',
  '_web._tcp.marathon.mesos',
  '1.0.0.10.in-addr.arpa',
]
const types = [
  ...Object.values(TYPE),
  ...Array<number>(12).fill(TYPE.A),
  ...Array<number>(12).fill(TYPE.SRV),
]
/** Cookies, ours and not; NSID, keepalive, one that nobody knows, and two whose lengths lie. */
const options = [
  '000a00080102030405060708',
  '000a00180102030405060708010000000000000a8182838485868788',
  '00030000',
  '000b0000',
  'fde90003aabbcc',
  '000a0007010203040506',
  '0003ffff',
].map(hex => Buffer.from(hex, 'hex'))
const records = ['c00c00060001000000000018c00cc00c0000000700000001000000020000000300000004']
const queries = [...names, ...Array<string>(5).fill('shoal')].flatMap(name =>
  types.map(type => makeQuery(name, type)),
)
// Bytes that mean something where they stand: lengths, pointers, types, flags.
const telling = [0, 1, 2, 3, 10, 11, 12, 63, 64, 0x80, 0xc0, 0xff, 41, 250, 251, 255]

function makeQuery(name: string, type: number): Buffer {
  const query = encodeQuery(name, type, pick([0, 512, 1232, 65_535], random)!)
  if (type === TYPE.IXFR) {
    query[9] = 1
    const questionEnd = 12 + encodeName(name).length + 4
    const parts = [query.subarray(0, questionEnd), Buffer.from(records[0]!, 'hex')]
    return Buffer.concat([...parts, query.subarray(questionEnd)])
  }
  if (query[11] === 0 || random() < 0.5) return query
  const data = Buffer.concat(Array.from({ length: 1 + upTo(2) }, () => pick(options, random)!))
  query.writeUInt16BE(data.length, query.length - 2)
  return Buffer.concat([query, data])
}

// One after the other in the same memory: making buffers would take most of the time.
const memory = Buffer.alloc(4_096)

function makePacket(): Buffer {
  let length: number
  if (random() < 0.15) {
    length = upTo(80)
    for (let at = 0; at < length; at++) memory[at] = upTo(255)
    return memory.subarray(0, length)
  }
  length = pick(queries, random)!.copy(memory)
  for (let changes = upTo(4); changes > 0 && length > 0; changes--) {
    const at = upTo(length - 1)
    const how = random()
    memory[at] = how < 0.5 ? upTo(255) : pick(telling, random)!
    if (how < 0.04) {
      length = at + 1 // Cut.
    } else if (how > 0.96) {
      const from = upTo(at) // What stands between is said twice.
      memory.copy(memory, at, from, length)
      length = Math.min(memory.length, at + length - from)
    }
  }
  return memory.subarray(0, length)
}

const nowSeconds = (): number => 10
const tallyMemory = createTallyMemory()
const responder = createResponder(
  createAnswerer(zone, {
    cacheBytesMax: 100_000,
    forwards: true,
    cookies: { jar: createCookies(() => Buffer.alloc(16, 1)), nowSeconds },
    identity: { name: 'n1', version: 'Shoal' },
  }),
  createTally(tallyMemory),
  {
    answersPerSecond: 10_000,
    nowMs: nowSeconds,
    onBroken: (error, query) => {
      throw new Error(`broken by ${query.toString('hex')}`, { cause: error })
    },
  },
)
const stranger: Client = { ...ANYBODY, address: Buffer.of(198, 51, 100, 7) }
const home: Client = { ...stranger, isHome: true, isLocal: true, mayTransfer: true, network: 1 }
const relayed: readonly Relayed[] = [
  emptyReply(3),
  ...[1, 30, 80].map(count => {
    const bytes = Buffer.alloc(16 * count, Buffer.from('c00c00010001000000050004cb007101', 'hex'))
    const { length } = bytes
    return {
      ...emptyReply(0),
      records: bytes,
      counts: [count, 0, 0] as const,
      ends: [length, length, length] as const,
    }
  }),
]

t.test(`no packet of ${packets} breaks the server (SEED=${seed})`, t => {
  const out = { udp: Buffer.alloc(1_232), tcp: Buffer.alloc(65_535) }
  const copy = Buffer.alloc(memory.length)
  const count = { answered: 0, found: 0, forwarded: 0, transferred: 0, limited: 0 }
  for (let index = 0; index < packets; index++) {
    const packet = makePacket()
    packet.copy(copy)
    const transport: DnsTransport = random() < 0.9 ? 'udp' : 'tcp'
    const client = index % 8 === 0 ? stranger : home
    const fail = (why: string): never => {
      throw new Error(`${why}: ${transport} ${copy.toString('hex', 0, packet.length)}`)
    }
    let length = responder.answer(packet, out[transport], transport, client)
    if (copy.compare(packet, 0, packet.length, 0, packet.length) !== 0) fail('it was written to')
    const mustDrop = packet.length < 12 || (packet[2]! & 0x80) !== 0
    if (mustDrop && length !== 0) fail(`an answer of ${length} bytes`)
    if (length === FORWARD) {
      count.forwarded++
      const reply = pick(relayed, random)!
      length = responder.relay(packet, out[transport], transport, client, reply, 'cache', 0)
    } else if (length === TRANSFER) {
      if (count.transferred++ % 20 === 0) checkTransfer(packet, fail)
      continue
    }
    if (length === 0) {
      if (!mustDrop && client.isLocal) fail('no answer')
      if (!mustDrop) count.limited++
      continue
    }
    count.answered++
    const answer = out[transport].subarray(0, length)
    const fault = faultOf(packet, answer, transport)
    if (fault !== undefined) fail(fault)
    if (answer.readUInt16BE(6) > 0) count.found++
    if (index % 32 === 0) decodeMessage(answer)
    if (index % 256 === 0) decode(answer)
  }
  const { answered, found, forwarded, transferred, limited } = count
  t.ok(answered > packets / 2, `${answered} of ${packets} answered`)
  t.ok(found > packets / 20, `${found} with records`)
  t.ok(forwarded > packets / 1_000, `${forwarded} asked of others`)
  t.ok(transferred > packets / 20_000, `${transferred} for a whole zone`)
  t.ok(limited > 0, `${limited} beyond the rate`)
  const { queries: counted } = readTallies([tallyMemory])
  const rcodes = new Set(counted.map(({ rcode }) => rcode))
  for (const rcode of ['NOERROR', 'FORMERR', 'NXDOMAIN', 'NOTIMP', 'REFUSED', 'NOTAUTH', 'BADVERS'])
    t.ok(rcodes.has(rcode), rcode)
  t.notOk(rcodes.has('SERVFAIL'), 'no fault of ours')
  t.end()
})

function checkTransfer(packet: Buffer, fail: (why: string) => never): void {
  for (const message of transferZone(packet, zone)) {
    const fault = faultOf(packet, message, 'tcp')
    if (fault !== undefined) fail(`${fault} in a transfer`)
  }
}

t.test('packets as long as can be', t => {
  const out = Buffer.alloc(1_232)
  const record = Buffer.from('0000010001000000000000', 'hex')
  const query = encodeQuery('web.shoal', TYPE.A, 0)
  // As many records as are announced, fewer, and one long one; labels without end; a pointer to itself.
  const many = Buffer.concat([query, Buffer.alloc(11 * 5_900, record)])
  many.writeUInt16BE(5_900, 10)
  const fewer = Buffer.from(many)
  fewer.writeUInt16BE(0xffff, 10)
  const long = Buffer.concat([query, record, Buffer.alloc(65_000)])
  long.writeUInt16BE(1, 10)
  long.writeUInt16BE(65_000, query.length + 9)
  const endless = Buffer.concat([query.subarray(0, 12), Buffer.alloc(65_000, Buffer.of(1, 97))])
  const loop = Buffer.concat([query.subarray(0, 12), Buffer.from('c00c00010001', 'hex')])
  const cases = { many: [many, 0], fewer: [fewer, 1], long: [long, 0], endless: [endless, 1] }
  for (const [what, [packet, rcode]] of Object.entries({ ...cases, loop: [loop, 1] })) {
    const length = responder.answer(packet as Buffer, out, 'udp', home)
    t.ok(length > 0 && length <= 512, what)
    t.equal(out[3]! & 0x0f, rcode, what)
  }
  t.end()
})

t.test(`after all that, it still answers (SEED=${seed})`, t => {
  const out = Buffer.alloc(1_232)
  const length = responder.answer(encodeQuery('n1.node.shoal', TYPE.A, 0), out, 'udp', home)
  t.match(decodeMessage(out.subarray(0, length)).answers, [{ address: '10.0.0.1' }])
  t.end()
})

t.test('letters may come in any case, and go back as they came', t => {
  const out = Buffer.alloc(1_232)
  const plain = encodeQuery('_web._tcp.shop.shoal', TYPE.SRV, 0)
  for (let count = 0; count < 200; count++) {
    const query = Buffer.from(plain)
    for (let at = 13; at < query.length - 4; at++) {
      const isLetter = query[at]! >= 97 && query[at]! <= 122
      if (isLetter && random() < 0.5) query[at]! -= 32
    }
    const length = responder.answer(query, out, 'udp', home)
    const answer = out.subarray(0, length)
    t.equal(faultOf(query, answer, 'udp'), undefined)
    t.equal(decodeMessage(answer).answers.length, 3)
  }
  t.end()
})
