import type { Socket } from 'node:net'
import { TCP_ANSWER_BYTES_MAX, type DnsTransport } from './answer.ts'

/** What TCP clients may take up. */
export interface TcpLimits {
  /** A connection that has brought no whole query for so long is closed, however many bytes it trickles. @default 10000 */
  readonly idleMs: number
  /** With more connections, the one whose last query is longest ago is closed. @default 256 */
  readonly connectionsMax: number
  /** As `connectionsMax`, but among those of one client address. @default 64 */
  readonly connectionsPerClientMax: number
}

/** Serves TCP connections that somebody else accepts. */
export interface TcpService {
  readonly onConnection: (socket: Socket) => void
  /** Closes all connections. */
  close(): void
}

/** Answers that a client does not read wait up to here, in bytes; then its queries are not read either. */
const UNREAD_BYTES_MAX = 128 * 1024
const LENGTH_BYTES = 2
/** No query that we understand is longer: a name, and OPT with room for its options. Who announces more, lies. */
const QUERY_BYTES_MAX = 4_096

/**
 * Answers queries on TCP connections, each behind its length, as many on one
 * connection as the client likes and without waiting for it (RFC 7766). What a
 * connection holds is bounded: one unfinished query, and what it has not read.
 *
 * @param answer As of the answerer. Where it gives none, the connection is closed: nothing after can be trusted.
 * @param onEvicted Called for each connection that is closed to make room, or for being too slow.
 */
export function serveTcp(
  answer: (query: Buffer, out: Buffer, transport: DnsTransport) => number,
  { idleMs, connectionsMax, connectionsPerClientMax }: TcpLimits,
  onEvicted: () => void,
): TcpService {
  // Quietest first: a connection moves to the end with each query.
  const connections = new Map<Socket, string>()
  const perClient = new Map<string, number>()
  const out = Buffer.allocUnsafeSlow(LENGTH_BYTES + TCP_ANSWER_BYTES_MAX)
  const message = out.subarray(LENGTH_BYTES)

  return {
    onConnection,
    close: () => {
      for (const socket of connections.keys()) socket.destroy()
    },
  }

  function onConnection(socket: Socket): void {
    const client = socket.remoteAddress
    if (client === undefined) {
      socket.destroy() // Gone before it was accepted.
      return
    }
    admit(socket, client)
    let pending: Buffer = Buffer.alloc(0)
    const deadline = setTimeout(() => evict(socket), idleMs)

    function read(): void {
      let at = 0
      let answered = false
      while (pending.length - at >= LENGTH_BYTES && socket.writableLength <= UNREAD_BYTES_MAX) {
        const queryBytes = pending.readUInt16BE(at)
        const end = at + LENGTH_BYTES + queryBytes
        if (end > pending.length && queryBytes <= QUERY_BYTES_MAX) break
        const length =
          queryBytes > QUERY_BYTES_MAX
            ? 0
            : answer(pending.subarray(at + LENGTH_BYTES, end), message, 'tcp')
        if (length === 0) {
          socket.destroy()
          return
        }
        out.writeUInt16BE(length)
        socket.write(Buffer.from(out.subarray(0, LENGTH_BYTES + length)))
        at = end
        answered = true
      }
      // A copy, so that a few bytes do not hold the whole chunk that they came in.
      pending = at === 0 ? pending : Buffer.from(pending.subarray(at))
      if (socket.writableLength > UNREAD_BYTES_MAX) socket.pause()
      if (!answered) return
      deadline.refresh()
      connections.delete(socket)
      connections.set(socket, client!)
    }

    socket.on('data', chunk => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      read()
    })
    socket.on('drain', () => {
      read()
      if (socket.writableLength <= UNREAD_BYTES_MAX) socket.resume()
    })
    // A client that resets its connection is its own affair; `close` follows.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(deadline)
      connections.delete(socket)
      const left = perClient.get(client)! - 1
      if (left > 0) perClient.set(client, left)
      else perClient.delete(client)
    })
  }

  function admit(socket: Socket, client: string): void {
    const ofClient = perClient.get(client) ?? 0
    if (ofClient >= connectionsPerClientMax) evictQuietest(client)
    else if (connections.size >= connectionsMax) evictQuietest()
    perClient.set(client, (perClient.get(client) ?? 0) + 1)
    connections.set(socket, client)
  }

  function evictQuietest(client?: string): void {
    for (const [socket, owner] of connections) {
      if (client !== undefined && owner !== client) continue
      evict(socket)
      return
    }
  }

  function evict(socket: Socket): void {
    connections.delete(socket)
    socket.destroy()
    onEvicted()
  }
}
