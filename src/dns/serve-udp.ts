import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { FORWARD } from './answerer.ts'
import type { Client } from './clients.ts'
import type { Forward } from './forward/forwarder.ts'
import type { Responder } from './responder.ts'
import type { Tally } from './tally.ts'

/** What answers on a UDP socket. */
export interface UdpServiceOptions {
  /** Decides the socket's family. */
  readonly address: string
  /** Other sockets of this process share the port. @default false */
  readonly reusePort?: boolean
  /** Answers that may wait for the system's send buffer; more are dropped, and the client asks again. */
  readonly queueMax: number
  readonly answerBytesMax: number
  readonly responder: Responder
  readonly forward: Forward
  readonly clientOf: (address: string) => Client
  readonly tally: Tally
}

/** The smallest size of a UDP answer, in bytes: clients without EDNS take as much. */
const ANSWER_BYTES_MIN = 512

/**
 * Makes a UDP socket that answers in the turn of the loop that the query came in; it
 * must still be bound.
 *
 * Answers are written into one buffer, and sent as views of it that are kept by their
 * length: making a view costs as much as the answer. When the system cannot take an
 * answer at once it goes on reading from the buffer, so the next ones get another.
 */
export function serveUdp(options: UdpServiceOptions): Socket {
  const { address, reusePort = false, queueMax, responder, forward, clientOf, tally } = options
  const type = address.includes(':') ? 'udp6' : 'udp4'
  // Addresses of clients are numbers already: looking them up the usual way costs a turn of the loop each.
  const lookup: NonNullable<Parameters<typeof createSocket>[0] & object>['lookup'] = (
    host,
    _options,
    callback,
  ) => callback(null, host, type === 'udp6' ? 6 : 4)
  const socket = createSocket({ type, lookup, ipv6Only: type === 'udp6', reusePort })
  const answerBytesMax = Math.max(ANSWER_BYTES_MIN, options.answerBytesMax)
  let out = Buffer.allocUnsafeSlow(answerBytesMax)
  let views: (Buffer | undefined)[] = []
  let isWaiting = false

  function send(length: number, port: number, client: string): void {
    if (port === 0 || (isWaiting && socket.getSendQueueCount() >= queueMax)) {
      tally.dropped('send-queue')
      return
    }
    const view = (views[length] ??= out.subarray(0, length))
    // With a callback, which would learn of the rare refusal, a query costs a fifth more.
    socket.send(view, port, client)
    isWaiting = socket.getSendQueueCount() > 0
    if (!isWaiting) return
    out = Buffer.allocUnsafeSlow(answerBytesMax)
    views = []
  }

  function forwardQuery(query: Buffer, port: number, from: string): void {
    const client = clientOf(from)
    const askedAtMs = performance.now()
    forward(query, client, (relayed, source) => {
      const length = responder.relay(query, out, 'udp', client, relayed, source, askedAtMs)
      if (length > 0) send(length, port, from)
    })
  }

  socket.on('message', (query: Buffer, from: RemoteInfo) => {
    const length = responder.answer(query, out, 'udp', clientOf(from.address))
    if (length > 0) send(length, from.port, from.address)
    else if (length === FORWARD) forwardQuery(query, from.port, from.address)
  })
  return socket
}
