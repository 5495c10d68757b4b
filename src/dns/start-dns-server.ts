import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { createAnswerer, type Answerer, type DnsTransport } from './answer.ts'
import { rcodeName } from './records.ts'
import { serveTcp, type TcpLimits } from './serve-tcp.ts'
import { FLAG } from './wire.ts'
import type { Zone } from './zone.ts'

/** What a DNS server needs, and its knobs. */
export interface DnsServerOptions extends Partial<TcpLimits> {
  /** What to listen on: the node's advertised address and 127.0.0.1, say. All get the same port. */
  readonly addresses: readonly string[]
  /** 0 takes a free one. */
  readonly port: number
  readonly zone: Zone
  /** Largest UDP answer, in bytes: see {@link createAnswerer}. @default 1232 */
  readonly udpAnswerBytesMax?: number
  /** Answers that may wait for the system's send buffer, per address; more are dropped, and the client asks again. @default 256 */
  readonly udpQueueMax?: number
  /** Told of what goes wrong while it runs. Rare: a broken client is counted, not logged. */
  readonly onError?: (error: Error) => void
}

/** What a server has done since its start. */
export interface DnsCounters {
  readonly queries: { readonly udp: number; readonly tcp: number }
  /** Answers by response code. */
  readonly rcodes: Readonly<Record<string, number>>
  /** Answers with TC: the client must come back over TCP. */
  readonly truncated: number
  /** Queries that got no answer: not DNS, or answers themselves. */
  readonly dropped: number
  /** UDP answers that were thrown away because too many waited already. One that the system refuses is lost like any packet. */
  readonly unsent: number
  /** TCP connections that were closed to make room, or for being too slow. */
  readonly evicted: number
}

/** A DNS server that runs. */
export interface DnsServer {
  readonly port: number
  readonly addresses: readonly string[]
  /** Answers from `zone` from now on. A zone that was changed in place need not be set again. */
  setZone(zone: Zone): void
  counters(): DnsCounters
  /** Stops listening and closes every connection. */
  close(): Promise<void>
}

/** Tries for a port that is free for UDP and TCP on every address. */
const FREE_PORT_TRIES = 20
const RECEIVE_BUFFER_BYTES = 1024 * 1024

/**
 * True when a server could not start because its port is taken, or is below 1024
 * and the process may not have it: another port may do.
 */
export function isPortUnavailable(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'EADDRINUSE' || code === 'EACCES'
}

/**
 * Answers DNS queries over UDP and TCP (RFC 7766) on all of `addresses`. All of
 * them or none: when one cannot be bound, the others are let go again.
 *
 * @throws {Error} When an address cannot be bound, with the system's `code`; see {@link isPortUnavailable}.
 */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  return startWithin(options, options.port === 0 ? FREE_PORT_TRIES : 1)
}

async function startWithin(options: DnsServerOptions, tries: number): Promise<DnsServer> {
  try {
    return await start(options)
  } catch (error) {
    if (tries === 1 || !isPortUnavailable(error)) throw error
    return await startWithin(options, tries - 1) // Free on one address, taken on another: the next may not be.
  }
}

async function start(options: DnsServerOptions): Promise<DnsServer> {
  const { addresses, zone, udpQueueMax = 256, onError = () => undefined } = options
  const { idleMs = 10_000, connectionsMax = 256, connectionsPerClientMax = 64 } = options
  const { udpAnswerBytesMax = 1232 } = options
  const answerer = createAnswerer(zone, { udpAnswerBytesMax })
  const tally = createTally()
  const counted = countedAnswers(answerer, tally)
  const limits = { idleMs, connectionsMax, connectionsPerClientMax }
  const tcp = serveTcp(counted, limits, () => tally.evicted++)
  const servers: Server[] = []
  const sockets: UdpSocket[] = []
  let { port } = options

  async function close(): Promise<void> {
    tcp.close()
    await Promise.all([
      ...servers.map(server => closed(server)),
      ...sockets.map(socket => closed(socket)),
    ])
  }

  try {
    for (const address of addresses) {
      // One after the other: the first address picks the port of the rest.
      const server = createServer({ noDelay: true }, tcp.onConnection)
      servers.push(server)
      const listening = once(server, 'listening')
      server.listen({ host: address, port })
      // oxlint-disable-next-line no-await-in-loop
      await listening
      const own = server.address()
      if (own !== null && typeof own === 'object') port = own.port
      server.on('error', onError)

      const socket = openUdp(address, udpQueueMax, udpAnswerBytesMax, counted, tally)
      sockets.push(socket)
      const bound = once(socket, 'listening') // Before the call: a failure may be told within it.
      socket.bind({ address, port, exclusive: true })
      // oxlint-disable-next-line no-await-in-loop
      await bound
      socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES)
      socket.on('error', onError)
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    port,
    addresses,
    setZone: next => answerer.setZone(next),
    counters: () => snapshot(tally),
    close,
  }
}

/** Writes an answer and counts it; 0 for none. */
type CountedAnswer = (query: Buffer, out: Buffer, transport: DnsTransport) => number

interface Tally {
  udp: number
  tcp: number
  truncated: number
  dropped: number
  unsent: number
  evicted: number
  readonly rcodes: number[]
}

function createTally(): Tally {
  const rcodes = Array<number>(16).fill(0)
  return { udp: 0, tcp: 0, truncated: 0, dropped: 0, unsent: 0, evicted: 0, rcodes }
}

function snapshot({ udp, tcp, rcodes, ...rest }: Tally): DnsCounters {
  const named: Record<string, number> = {}
  for (const [rcode, count] of rcodes.entries()) if (count > 0) named[rcodeName(rcode)] = count
  return { queries: { udp, tcp }, rcodes: named, ...rest }
}

function countedAnswers(answerer: Answerer, tally: Tally): CountedAnswer {
  return (query, out, transport) => {
    tally[transport]++
    const length = answerer.answer(query, out, transport)
    if (length === 0) {
      tally.dropped++
      return 0
    }
    if ((out[2]! & (FLAG.TC >> 8)) !== 0) tally.truncated++
    tally.rcodes[out[3]! & FLAG.RCODE]!++
    return length
  }
}

/**
 * A UDP socket that answers in the turn of the loop that the query came in. Answers
 * are written into a ring of buffers, one more than may wait to be sent, so none is
 * written over while the system still reads it.
 */
function openUdp(
  address: string,
  queueMax: number,
  answerBytesMax: number,
  answer: CountedAnswer,
  tally: Tally,
): UdpSocket {
  const type = address.includes(':') ? 'udp6' : 'udp4'
  // Addresses of clients are numbers already: looking them up the usual way costs a turn of the loop each.
  const lookup: NonNullable<Parameters<typeof createSocket>[0] & object>['lookup'] = (
    host,
    _options,
    callback,
  ) => callback(null, host, type === 'udp6' ? 6 : 4)
  const socket = createSocket({ type, lookup, ipv6Only: type === 'udp6' })
  const ring = Array.from({ length: queueMax + 1 }, () =>
    Buffer.allocUnsafeSlow(Math.max(512, answerBytesMax)),
  )
  let turn = 0
  socket.on('message', (query: Buffer, { port, address: client }: RemoteInfo) => {
    const out = ring[turn]!
    const length = answer(query, out, 'udp')
    if (length === 0) return
    if (port === 0 || socket.getSendQueueCount() >= queueMax) {
      tally.unsent++
      return
    }
    turn = turn === queueMax ? 0 : turn + 1
    // With a callback, which would learn of the rare refusal, a query costs a fifth more.
    socket.send(out, 0, length, port, client)
  })
  return socket
}

async function closed(server: Server | UdpSocket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  try {
    server.close(() => resolve())
  } catch {
    resolve() // A UDP socket that never ran says so by throwing: there is nothing to close.
  }
  await promise
}
