import { randomInt } from 'node:crypto'
import type { Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { createAnswerer } from './answer.ts'
import type { AnswererOptions, Names } from './answerer.ts'
import { createClients, type ClientRules } from './clients.ts'
import type { Forward } from './forward/forwarder.ts'
import { emptyReply } from './forward/special-names.ts'
import { createNetworks, LOOPBACK_NETWORKS, PRIVATE_NETWORKS } from './networks.ts'
import { onceAMinute } from './once-a-minute.ts'
import { RCODE } from './records.ts'
import { createResponder } from './responder.ts'
import { serveTcp, type TcpLimits } from './serve-tcp.ts'
import { serveUdp } from './serve-udp.ts'
import { createTally, createTallyMemory, readTallies, type DnsCounters } from './tally.ts'
import { transferZone, type TransferSource } from './transfer-zone.ts'

/** What a DNS server needs, and its knobs. */
export interface DnsServerOptions
  extends Partial<TcpLimits>, Pick<AnswererOptions, 'udpAnswerBytesMax' | 'cookies' | 'identity'> {
  /** What to listen on: the node's advertised address and 127.0.0.1, say. All get the same port. */
  readonly addresses: readonly string[]
  /** 0 takes a free one. */
  readonly port: number
  /** Lets others of this process listen on the same port, and shares what comes among all of them. @default false */
  readonly reusePort?: boolean
  /** What is answered from. It may change in place. */
  readonly names: Names & Partial<TransferSource>
  /** Asks others about other domains. @default nobody is asked: REFUSED */
  readonly forward?: Forward
  /** Who may what. @default see {@link PRIVATE_NETWORKS}; whole zones are for loopback alone */
  readonly clients?: ClientRules
  /** Answers that may wait for the system's send buffer, per address; more are dropped, and the client asks again. @default 256 */
  readonly udpQueueMax?: number
  /** UDP answers to one network of strangers each second: see `ResponderOptions`. 0 limits nobody. @default 200 */
  readonly answersPerSecond?: number
  /** Where to count, as `createTallyMemory` makes it. @default memory of its own */
  readonly tally?: SharedArrayBuffer
  /** Told of what goes wrong while it runs. Rare: a broken client is counted, not logged. */
  readonly onError?: (error: Error) => void
}

/** A DNS server that runs. */
export interface DnsServer {
  readonly port: number
  readonly addresses: readonly string[]
  counters(): DnsCounters
  /** Stops listening and closes every connection. */
  close(): Promise<void>
}

/** Tries for a port that is free for UDP and TCP on every address. */
const FREE_PORT_TRIES = 20
const RECEIVE_BUFFER_BYTES = 1024 * 1024
/** Clients keep connections open, and must not have each query answered on its own: a few may wait to be accepted. */
const BACKLOG = 511

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
  const { addresses, names, reusePort = false, udpQueueMax = 256 } = options
  const {
    onError = () => undefined,
    forward = refuse,
    tally: memory = createTallyMemory(),
  } = options
  const { idleMs = 10_000, connectionsMax = 256, connectionsPerClientMax = 64 } = options
  const { udpAnswerBytesMax = 1232, answersPerSecond = 200 } = options
  const answerer = createAnswerer(names, {
    udpAnswerBytesMax,
    forwards: options.forward !== undefined,
    tcpIdleMs: idleMs,
    ...(options.cookies && { cookies: options.cookies }),
    ...(options.identity && { identity: options.identity }),
  })
  const tally = createTally(memory)
  const clientOf = createClients(options.clients ?? defaultClients())
  const responder = createResponder(answerer, tally, {
    answersPerSecond,
    nowMs: now,
    onBroken: onceAMinute((cause, query) => {
      onError(new Error(`the DNS query ${query.toString('hex')} broke the server`, { cause }))
    }, now),
  })
  const shared = { responder, forward, clientOf, tally }
  const limits = { idleMs, connectionsMax, connectionsPerClientMax }
  const tcp = serveTcp({
    ...shared,
    ...limits,
    transfer: query => transferZone(query, { transfer: domain => names.transfer?.(domain) }),
  })
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
      const server = createServer({ noDelay: true, allowHalfOpen: true }, tcp.onConnection)
      servers.push(server)
      const listening = once(server, 'listening')
      // As with UDP: an address of one kind of IP is not one of the other's.
      server.listen({ host: address, port, ipv6Only: true, reusePort, backlog: BACKLOG })
      // oxlint-disable-next-line no-await-in-loop
      await listening
      const own = server.address()
      if (own !== null && typeof own === 'object') port = own.port
      server.on('error', onError)

      const answerBytesMax = udpAnswerBytesMax
      const socket = serveUdp({
        ...shared,
        address,
        reusePort,
        queueMax: udpQueueMax,
        answerBytesMax,
      })
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
    counters: () => readTallies([memory]),
    close,
  }
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

function now(): number {
  return performance.now()
}

/** For who does not forward: never called, as the answerer refuses by itself. */
const refuse: Forward = (_query, _client, reply) => reply(emptyReply(RCODE.REFUSED), 'forward')

function defaultClients(): ClientRules {
  const loopback = createNetworks(LOOPBACK_NETWORKS)
  return {
    local: loopback,
    home: createNetworks(PRIVATE_NETWORKS),
    transfer: loopback,
    seed: randomInt(2 ** 32),
  }
}
