import type { Socket } from 'node:net'
import { FORWARD, TCP_ANSWER_BYTES_MAX, TRANSFER } from './answerer.ts'
import type { Client } from './clients.ts'
import type { Forward } from './forward/forwarder.ts'
import { skipName, word } from './read-query.ts'
import { RCODE } from './records.ts'
import type { Responder } from './responder.ts'
import type { Tally } from './tally.ts'
import { HEADER_BYTES } from './wire.ts'

/** What TCP clients may take up. */
export interface TcpLimits {
  /** A connection that has brought no whole query for so long is closed, however many bytes it trickles. @default 10000 */
  readonly idleMs: number
  /** With more connections, the one whose last query is longest ago is closed. @default 256 */
  readonly connectionsMax: number
  /** As `connectionsMax`, but among those of one client: an IPv4 address, or a /56 of IPv6. @default 64 */
  readonly connectionsPerClientMax: number
}

/** What answers on TCP connections. */
export interface TcpServiceOptions extends TcpLimits {
  readonly responder: Responder
  readonly forward: Forward
  /** The messages that transfer the zone which `query` asks for. */
  readonly transfer: (query: Buffer) => Iterator<Buffer>
  readonly clientOf: (address: string) => Client
  readonly tally: Tally
}

/** Serves TCP connections that somebody else accepts, with `allowHalfOpen`. */
export interface TcpService {
  readonly onConnection: (socket: Socket) => void
  /** Closes all connections. */
  close(): void
}

/** Answers that a client does not read wait up to here, in bytes; then its queries are not read either. */
const UNREAD_BYTES_MAX = 128 * 1024
/** Questions of one connection that others are asked at one time; with more, it is not read. */
const FORWARDED_MAX = 64
/** Transfers at one time, of all connections: each costs as much as thousands of answers. */
const TRANSFERS_MAX = 2
const LENGTH_BYTES = 2
/** No query that we understand is longer: a name, and OPT with room for its options. Who announces more, lies. */
const QUERY_BYTES_MAX = 4_096

/**
 * Answers queries on TCP connections, each behind its length, as many on one
 * connection as the client likes and without waiting for it (RFC 7766). What is
 * asked of others is answered when they do, so out of order. What a connection
 * holds is bounded: one unfinished query, what it has not read, and what others
 * are asked for it.
 */
export function serveTcp(options: TcpServiceOptions): TcpService {
  const { responder, forward, transfer, clientOf, tally } = options
  const { idleMs, connectionsMax, connectionsPerClientMax } = options
  // Quietest first: a connection moves to the end with each query.
  const connections = new Map<Socket, string>()
  const perClient = new Map<string, number>()
  const out = Buffer.allocUnsafeSlow(LENGTH_BYTES + TCP_ANSWER_BYTES_MAX)
  const message = out.subarray(LENGTH_BYTES)
  let transfers = 0

  return {
    onConnection: socket => {
      // Nothing: gone before it was accepted.
      if (socket.remoteAddress === undefined) socket.destroy()
      else serve(socket, clientOf(socket.remoteAddress), socket.remoteAddress)
    },
    close: () => {
      for (const socket of connections.keys()) socket.destroy()
    },
  }

  function serve(socket: Socket, client: Client, address: string): void {
    const owner = client.address.length === 16 ? String(client.network) : address
    admit(socket, owner)
    let pending: Buffer = Buffer.alloc(0)
    let forwarded = 0
    let transferring: Iterator<Buffer> | undefined
    let hasEnded = false
    let isReading = false
    let isScheduled = false
    const deadline = setTimeout(() => evict(socket, 'idle'), idleMs)

    function mayRead(): boolean {
      return (
        socket.writableLength <= UNREAD_BYTES_MAX &&
        forwarded < FORWARDED_MAX &&
        transferring === undefined
      )
    }

    function read(): void {
      if (isReading) return // A reply that came at once: the loop below goes on by itself.
      isReading = true
      let at = 0
      socket.cork() // Answers to what came together leave together.
      while (pending.length - at >= LENGTH_BYTES && mayRead()) {
        const queryBytes = pending.readUInt16BE(at)
        const end = at + LENGTH_BYTES + queryBytes
        if (end > pending.length && queryBytes <= QUERY_BYTES_MAX) break
        const isAnswered =
          queryBytes <= QUERY_BYTES_MAX && answer(pending.subarray(at + LENGTH_BYTES, end))
        if (!isAnswered) {
          tally.dropped('broken-stream') // Nothing after can be trusted.
          socket.destroy()
          return
        }
        at = end
      }
      isReading = false
      // A copy, so that a few bytes do not hold the whole chunk that they came in.
      if (at > 0) {
        pending = Buffer.from(pending.subarray(at))
        refresh()
      }
      socket.uncork()
      if (mayRead()) socket.resume()
      else socket.pause()
      if (hasEnded && forwarded === 0 && transferring === undefined) socket.end()
    }

    function answer(query: Buffer): boolean {
      const length = responder.answer(query, message, 'tcp', client)
      if (length > 0) {
        write(length)
      } else if (length === FORWARD) {
        // Its own copy: the chunk is let go before the others have answered.
        forwardQuery(Buffer.from(query))
      } else if (length === TRANSFER) {
        beginTransfer(query)
      }
      return length !== 0
    }

    function write(length: number): void {
      out.writeUInt16BE(length)
      socket.write(Buffer.from(out.subarray(0, LENGTH_BYTES + length)))
    }

    function forwardQuery(query: Buffer): void {
      const askedAtMs = performance.now()
      forwarded++
      forward(query, client, (relayed, source) => {
        forwarded--
        if (!connections.has(socket)) return // It has gone in the meantime.
        write(responder.relay(query, message, 'tcp', client, relayed, source, askedAtMs))
        read()
      })
    }

    function beginTransfer(query: Buffer): void {
      if (transfers >= TRANSFERS_MAX) {
        tally.dropped('connection-limit')
        socket.destroy() // As the client would be without a word (RFC 5936, section 4.1.2): it comes again.
        return
      }
      const type = word(query, skipName(query, HEADER_BYTES, false))
      tally.happened('transfers')
      tally.answered('tcp', type, RCODE.NOERROR)
      transfers++
      transferring = transfer(Buffer.from(query))
      schedule()
    }

    function schedule(): void {
      if (isScheduled || transferring === undefined) return
      isScheduled = true
      setImmediate(goOn)
    }

    /** One message in a turn of the loop, so that others are answered in between, and none while the client does not read. */
    function goOn(): void {
      isScheduled = false
      if (transferring === undefined || !connections.has(socket)) return
      if (socket.writableLength > UNREAD_BYTES_MAX) return // Until it drains.
      const next = transferring.next()
      if (next.done === true) {
        transferring = undefined
        transfers--
        read()
        return
      }
      const length = Buffer.alloc(LENGTH_BYTES)
      length.writeUInt16BE(next.value.length)
      socket.write(length)
      socket.write(next.value)
      refresh()
      schedule()
    }

    function refresh(): void {
      deadline.refresh()
      if (!connections.delete(socket)) return
      connections.set(socket, owner)
    }

    socket.on('data', chunk => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      read()
    })
    socket.on('drain', () => {
      if (transferring === undefined) read()
      else schedule()
    })
    socket.on('end', () => {
      hasEnded = true
      read()
    })
    // A client that resets its connection is its own affair; `close` follows.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(deadline)
      if (transferring !== undefined) transfers--
      connections.delete(socket)
      tally.set('connections', connections.size)
      const left = perClient.get(owner)! - 1
      if (left > 0) perClient.set(owner, left)
      else perClient.delete(owner)
    })
  }

  function admit(socket: Socket, owner: string): void {
    const ofOwner = perClient.get(owner) ?? 0
    if (ofOwner >= connectionsPerClientMax) evictQuietest(owner)
    else if (connections.size >= connectionsMax) evictQuietest()
    perClient.set(owner, (perClient.get(owner) ?? 0) + 1)
    connections.set(socket, owner)
    tally.set('connections', connections.size)
  }

  function evictQuietest(of?: string): void {
    for (const [socket, owner] of connections) {
      if (of !== undefined && owner !== of) continue
      evict(socket, 'connection-limit')
      return
    }
  }

  function evict(socket: Socket, reason: 'idle' | 'connection-limit'): void {
    connections.delete(socket)
    socket.destroy()
    tally.dropped(reason)
  }
}
