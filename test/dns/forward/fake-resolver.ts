import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Test } from 'tap'
import type { DnsTransport } from '../../../src/dns/answerer.ts'
import type { Upstream } from '../../../src/dns/forward/upstream.ts'
import { decodeMessage } from '../../../src/dns/wire.ts'

/** What a resolver of a test does with a query: the packets that it sends back. */
export type Behave = (query: Buffer, transport: DnsTransport) => readonly Buffer[]

/** A resolver of a test, over UDP and TCP on one port of loopback. */
export interface FakeResolver extends Upstream {
  /** The names and types it was asked, as they were written, in order. */
  readonly asked: {
    readonly name: string
    readonly type: number
    readonly transport: DnsTransport
  }[]
  /** The ports that UDP queries came from. */
  readonly ports: number[]
  readonly queries: Buffer[]
  behave: Behave
}

/** Starts a resolver that does as it is told. */
export async function startFakeResolver(t: Test, behave: Behave): Promise<FakeResolver> {
  const server = createServer()
  const udp = createSocket('udp4')
  const fake: FakeResolver = {
    address: '127.0.0.1',
    port: 0,
    asked: [],
    ports: [],
    queries: [],
    behave,
  }
  const note = (query: Buffer, transport: DnsTransport): readonly Buffer[] => {
    const { type } = decodeMessage(query).questions[0]!
    fake.queries.push(Buffer.from(query))
    fake.asked.push({ name: nameAsWritten(query), type, transport })
    return fake.behave(query, transport)
  }
  server.on('connection', socket => {
    socket.on('error', () => socket.destroy())
    socket.on('data', bytes => {
      for (const packet of note(bytes.subarray(2), 'tcp')) {
        socket.write(Buffer.concat([Buffer.of(packet.length >> 8, packet.length & 255), packet]))
      }
    })
    t.teardown(() => socket.destroy())
  })
  udp.on('message', (query, { port, address }) => {
    fake.ports.push(port)
    for (const packet of note(query, 'udp')) udp.send(packet, port, address)
  })
  server.listen(0, fake.address)
  await once(server, 'listening')
  const bound = server.address()
  if (bound === null || typeof bound !== 'object') throw new Error('a TCP server has a port')
  udp.bind(bound.port, fake.address)
  await once(udp, 'listening')
  t.teardown(() => {
    server.close()
    udp.close()
  })
  return Object.assign(fake, { port: bound.port })
}

/** The answer to `query` with these records, as hex, that may point at the question's name. */
export function answerWith(
  query: Buffer,
  {
    answers = [],
    authorities = [],
    rcode = 0,
    flags = 0x8180,
  }: {
    readonly answers?: readonly string[]
    readonly authorities?: readonly string[]
    readonly rcode?: number
    readonly flags?: number
  },
): Buffer {
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  header.writeUInt16BE(flags | rcode, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(answers.length, 6)
  header.writeUInt16BE(authorities.length, 8)
  const question = query.subarray(12, query.indexOf(0, 12) + 5)
  const records = [...answers, ...authorities].map(record => Buffer.from(record, 'hex'))
  return Buffer.concat([header, question, ...records])
}

/** An A record of the question's name, as hex. */
export function aRecord(lastByte: number, ttlSeconds = 60): string {
  const ttl = ttlSeconds.toString(16).padStart(8, '0')
  return `c00c00010001${ttl}00040a0000${lastByte.toString(16).padStart(2, '0')}`
}

/** An SOA record of the question's name, as hex. */
export function soaRecord(ttlSeconds: number, minimumSeconds: number): string {
  const [ttl, minimum] = [ttlSeconds, minimumSeconds].map(n => n.toString(16).padStart(8, '0'))
  return `c00c00060001${ttl}0018c00cc00c00000001000000020000000300000004${minimum}`
}

function nameAsWritten(query: Buffer): string {
  const labels: string[] = []
  for (let at = 12; query[at]! > 0; at += 1 + query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
  }
  return labels.join('.')
}
