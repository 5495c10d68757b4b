/**
 * Throws packets at the answerer: noise, and real queries with a few bytes changed.
 * `SEED=` replays a run, `PACKETS=` makes it longer.
 */

import t from 'tap'
import { createAnswerer } from '../../src/dns/answer.ts'
import { encodeQuery } from '../../src/dns/query.ts'
import { TYPE } from '../../src/dns/records.ts'
import { decodeMessage, encodeName, FLAG } from '../../src/dns/wire.ts'
import { createZone } from '../../src/dns/zone.ts'
import { createRandom, pick } from '../../src/util/random.ts'
import { makeApp, makeView } from './make-view.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const packets = Number(process.env['PACKETS'] ?? 60_000)
const random = createRandom(seed)
const upTo = (max: number): number => Math.floor(random() * (max + 1))

const zone = createZone(
  makeView([makeApp('/web', 60), makeApp('/shop/web', 3, ['front']), makeApp('/node', 1)]),
)
const names = ['web', '_web._tcp', 'web.shop', '_tcp', '3.web', 'n1.node', 'nope', '_x._web._udp']
const types = [
  ...Object.values(TYPE),
  ...Array<number>(7).fill(TYPE.A),
  ...Array<number>(7).fill(TYPE.SRV),
]
const queries = ['shoal', 'example.com', ...names.map(name => `${name}.shoal`)].flatMap(name =>
  types.map(type => encodeQuery(name, type, pick([0, 512, 1232, 65_535], random)!)),
)
// Bytes that mean something where they stand: lengths, pointers, types, flags.
const telling = [0, 1, 2, 12, 63, 64, 0x80, 0xc0, 0xff, 41, 250, 255]

function makePacket(): Buffer {
  if (random() < 0.2) return Buffer.from(Array.from({ length: upTo(80) }, () => upTo(255)))
  let bytes = Buffer.from(pick(queries, random)!)
  for (let changes = upTo(4); changes > 0; changes--) {
    const at = upTo(bytes.length - 1)
    bytes[at] = random() < 0.5 ? upTo(255) : pick(telling, random)!
    if (random() < 0.1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(upTo(at))])
    if (random() < 0.1) bytes = bytes.subarray(0, at + 1)
  }
  return bytes
}

/** The largest answer that the sender of `query` may get over UDP, as far as a lenient reader can tell. */
function allowedBytes(query: Buffer): number {
  try {
    return Math.min(1232, Math.max(512, decodeMessage(query).udpPayloadBytes ?? 0))
  } catch {
    return 512 // Not a message: it can have asked for no more.
  }
}

t.test(`no packet breaks the answerer (SEED=${seed})`, async t => {
  const answerer = createAnswerer(zone, { cacheBytesMax: 100_000 })
  // Over-long writes would land behind the end of what is allowed, and show.
  const out = Buffer.alloc(70_000)
  let answered = 0
  let found = 0
  for (let count = 0; count < packets; count++) {
    const packet = makePacket()
    const before = Buffer.from(packet)
    const transport = random() < 0.9 ? 'udp' : 'tcp'
    const fail = (why: string): never => {
      throw new Error(`${why}: ${transport} ${before.toString('hex')}`)
    }
    const length = answerer.answer(packet, out, transport)
    if (!packet.equals(before)) fail('the query was written to')
    const mustDrop = packet.length < 12 || (packet[2]! & 0x80) !== 0
    if (mustDrop !== (length === 0)) fail(`an answer of ${length} bytes`)
    if (length === 0) continue
    answered++
    if (length > (transport === 'tcp' ? 65_535 : allowedBytes(packet))) fail('too large')
    const message = decodeMessage(out.subarray(0, length))
    if (message.id !== packet.readUInt16BE(0)) fail('another id')
    if ((message.flags & FLAG.QR) === 0) fail('not an answer')
    if (message.answers.length > 0) found++
  }
  t.ok(answered > packets / 2, `${answered} of ${packets} answered`)
  t.ok(found > packets / 50, `${found} of ${packets} with records`)
})

t.test(`after all that, the answerer still answers (SEED=${seed})`, async t => {
  const answerer = createAnswerer(zone)
  const out = Buffer.alloc(1_232)
  for (let count = 0; count < 1_000; count++) answerer.answer(makePacket(), out, 'udp')
  const length = answerer.answer(encodeQuery('n1.node.shoal', TYPE.A, 0), out, 'udp')
  t.match(decodeMessage(out.subarray(0, length)).answers, [{ address: '10.0.0.1' }])
})

t.test('letters may come in any case, and go back as they came', async t => {
  const answerer = createAnswerer(zone)
  const out = Buffer.alloc(1_232)
  const plain = encodeQuery('_web._tcp.shop.shoal', TYPE.SRV, 0)
  for (let count = 0; count < 200; count++) {
    const query = Buffer.from(plain)
    for (let at = 13; at < query.length - 4; at++) {
      const isLetter = query[at]! >= 97 && query[at]! <= 122
      if (isLetter && random() < 0.5) query[at]! -= 32
    }
    const length = answerer.answer(query, out, 'udp')
    const asked = out.subarray(12, 12 + encodeName('_web._tcp.shop.shoal').length)
    t.ok(asked.equals(query.subarray(12, query.length - 4)))
    t.equal(decodeMessage(out.subarray(0, length)).answers.length, 3)
  }
})
