/** TCP streams that lie about lengths, break off, or go on as if nothing were: none may outlive its time, or harm another. */

import { connect } from 'node:net'
import t from 'tap'
import { encodeQuery, query } from '../../src/dns/query.ts'
import { TYPE } from '../../src/dns/records.ts'
import { startDnsServer } from '../../src/dns/start-dns-server.ts'
import { createZone } from '../../src/dns/zone.ts'
import { createRandom, pick } from '../../src/util/random.ts'
import { faultOf } from './check-answer.ts'
import { makeApp, makeView } from './make-view.ts'

const address = '127.0.0.1'
const seed = Number(process.env['SEED'] ?? 4)
const random = createRandom(seed)
const upTo = (max: number): number => Math.floor(random() * (max + 1))

function framed(message: Buffer, announced = message.length): Buffer {
  return Buffer.concat([Buffer.of(announced >> 8, announced & 255), message])
}

/** What comes behind the queries of a stream. */
const ends: readonly (() => Buffer)[] = [
  () => Buffer.alloc(0),
  () => Buffer.of(0),
  () => Buffer.of(0, 0),
  () => framed(encodeQuery('web.shoal', TYPE.A, 0), 11),
  () => framed(encodeQuery('web.shoal', TYPE.A, 0), 28),
  () => framed(encodeQuery('web.shoal', TYPE.A, 0), 4_096),
  () => framed(encodeQuery('web.shoal', TYPE.A, 0), 4_097),
  () => framed(encodeQuery('web.shoal', TYPE.A, 0), 65_535),
  () => framed(Buffer.alloc(12, 0x80)),
  () => Buffer.from('GET / HTTP/1.1\r\nHost: shoal\r\n\r\n'),
  () => Buffer.from(Array.from({ length: upTo(3_000) }, () => upTo(255))),
]

interface Stream {
  readonly queries: ReadonlyMap<number, Buffer>
  readonly bytes: Buffer
}

function makeStream(): Stream {
  const names = ['web.shoal', '_big._tcp.shoal', 'nope.shoal', 'example.com']
  const asked = Array.from({ length: upTo(4) }, () =>
    encodeQuery(pick(names, random)!, pick([TYPE.A, TYPE.SRV, TYPE.ANY], random)!, 1_232),
  )
  return {
    queries: new Map(asked.map(one => [one.readUInt16BE(0), one])),
    bytes: Buffer.concat([...asked.map(one => framed(one)), pick(ends, random)!()]),
  }
}

/** Sends a stream in pieces. Returns all that came back until the server closed the connection. */
async function send(port: number, { bytes }: Stream): Promise<Buffer> {
  const socket = connect({ host: address, port, noDelay: true })
  const received: Buffer[] = []
  const closed = new Promise<void>(done => {
    socket.on('close', () => done())
  })
  socket.on('data', chunk => received.push(chunk))
  socket.on('error', () => undefined) // Being reset is what some of them are to be.
  for (let at = 0; at < bytes.length;) {
    const piece = bytes.subarray(at, (at += 1 + upTo(40)))
    // Each leaves by itself, so that the server meets every cut; none after it has hung up.
    // oxlint-disable-next-line no-await-in-loop
    await new Promise<void>(done => {
      socket.write(piece, () => done())
    })
  }
  if (random() < 0.5) socket.end()
  await closed
  return Buffer.concat(received)
}

/** What is wrong with what came back; nothing when each of it answers a query. */
function faultOfStream({ queries }: Stream, received: Buffer): string | undefined {
  const left = new Map(queries)
  let at = 0
  while (at + 2 <= received.length) {
    const end = at + 2 + received.readUInt16BE(at)
    if (end > received.length) break // The reset that ends a lie takes back what was not read yet.
    const answer = received.subarray(at + 2, end)
    at = end
    // What looks like a query may stand in noise.
    const asked = left.get(answer.readUInt16BE(0))
    if (asked === undefined) continue
    left.delete(answer.readUInt16BE(0))
    const fault = faultOf(asked, answer, 'tcp')
    if (fault !== undefined) return fault
  }
  return undefined
}

t.test(`streams of every kind end, and the server goes on (SEED=${seed})`, async t => {
  const zone = createZone(makeView([makeApp('/web', 3), makeApp('/big', 60)]))
  const server = await startDnsServer({ addresses: [address], port: 0, names: zone, idleMs: 500 })
  t.teardown(() => server.close())
  const streams = Array.from({ length: 240 }, makeStream)
  let answers = 0
  while (streams.length > 0) {
    const batch = streams.splice(0, 40)
    // oxlint-disable-next-line no-await-in-loop
    const received = await Promise.all(batch.map(async one => await send(server.port, one)))
    for (const [index, bytes] of received.entries()) {
      if (bytes.length > 0) answers++
      const fault = faultOfStream(batch[index]!, bytes)
      if (fault !== undefined) t.fail(`${fault}: ${batch[index]!.bytes.toString('hex')}`)
    }
    // oxlint-disable-next-line no-await-in-loop
    const other = await query('web.shoal', TYPE.A, {
      address,
      port: server.port,
      tcp: true,
      timeoutMs: 30_000,
    })
    t.equal(other.answers.length, 3, 'others are answered')
  }
  const { drops } = server.counters()
  t.ok(answers > 5, `${answers} streams were answered in part`)
  t.ok(drops['broken-stream'] > 5, `${drops['broken-stream']} were broken`)
  t.ok(drops.idle > 5, `${drops.idle} ran out of time`)
})
