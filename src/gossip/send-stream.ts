/**
 * The stream that carries one node's messages to another for as long as they are
 * connected. It starts with a greeting from the receiver — welcome, or why not —
 * so that a sender knows whether it is admitted *there*: admission spreads, and
 * the two sides of a connection can disagree for a moment.
 *
 * @module
 */

import type { Connection, Stream } from '@libp2p/interface'
import { createFrameReader, writeFrame } from './frames.ts'
import type { Outbox } from './outbox.ts'
import { SEND_BYTES_MAX } from './transport.ts'

/** The protocol's id. A later version that reads differently gets another number, and both are offered. */
export const SEND_PROTOCOL = '/shoal/send/1'

const WELCOME = 0
const REFUSED = 1
const GREETING_BYTES_MAX = 512
const GREETING_MS = 10_000
const LAST_WORD_MS = 1000
// Twice the worst time of a full message over a link of 10 Mbit/s.
const MESSAGE_MS = 120_000

/** How a {@link sendOver} ended. */
export type SendEnd =
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'broken'; readonly reason: string }

/**
 * Opens the stream on `connection` and sends what comes into `outbox` until something breaks or
 * `signal` is aborted. Never throws.
 *
 * @param onWelcome Told once, when the other side has admitted this node.
 */
export async function sendOver(
  connection: Connection,
  outbox: Outbox,
  signal: AbortSignal,
  onWelcome: () => void,
): Promise<SendEnd> {
  const stopped = new AbortController()
  const onClose = (): void => stopped.abort(new Error('the stream closed'))
  const over = AbortSignal.any([signal, stopped.signal])
  let stream: Stream | undefined
  try {
    const greetingSignal = AbortSignal.any([over, AbortSignal.timeout(GREETING_MS)])
    stream = await connection.newStream(SEND_PROTOCOL, { signal: greetingSignal })
    stream.addEventListener('close', onClose)
    const reader = createFrameReader(stream, GREETING_BYTES_MAX)
    const greeting = await reader.read(greetingSignal)
    if (greeting?.[0] === REFUSED) {
      reader.close()
      stream.abort(new Error('refused'))
      return { kind: 'refused', reason: Buffer.from(greeting.subarray(1)).toString() }
    }
    if (greeting?.[0] !== WELCOME) throw new Error('no greeting came')
    onWelcome()
    // The receiver says nothing more; when it ends its side, it is over.
    reader.read(over).then(onClose, onClose)
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one message after the other
      const message = await outbox.take(over)
      if (message === undefined) throw new Error('the stream closed')
      // oxlint-disable-next-line no-await-in-loop -- one message after the other
      await writeFrame(stream, [message], AbortSignal.any([over, AbortSignal.timeout(MESSAGE_MS)]))
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause : new Error(String(cause))
    stream?.abort(reason)
    return { kind: 'broken', reason: reason.message }
  } finally {
    stopped.abort()
    stream?.removeEventListener('close', onClose)
  }
}

/** Greets the sender and hands on its messages until the stream ends. Never throws. */
export async function receiveOver(
  stream: Stream,
  signal: AbortSignal,
  onMessage: (bytes: Uint8Array) => void,
): Promise<void> {
  const reader = createFrameReader(stream, SEND_BYTES_MAX)
  try {
    await writeFrame(stream, [Uint8Array.of(WELCOME)], signal)
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one message after the other
      const message = await reader.read(signal)
      if (message === undefined) break
      onMessage(message)
    }
    await stream.close({ signal })
  } catch (cause) {
    stream.abort(cause instanceof Error ? cause : new Error(String(cause)))
  } finally {
    reader.close()
  }
}

/**
 * Greets the sender with a refusal, and waits until it has hung up, so that the connection can be closed
 * without losing the reason on the way; at most a second. Never throws.
 */
export async function refuseOver(stream: Stream, reason: string): Promise<void> {
  try {
    const signal = AbortSignal.timeout(GREETING_MS)
    const { promise: hungUp, resolve } = Promise.withResolvers<void>()
    stream.addEventListener('close', () => resolve())
    const timer = setTimeout(resolve, LAST_WORD_MS)
    await writeFrame(stream, [Uint8Array.of(REFUSED), Buffer.from(reason)], signal)
    await hungUp
    clearTimeout(timer)
    stream.abort(new Error('refused'))
  } catch (cause) {
    stream.abort(cause instanceof Error ? cause : new Error(String(cause)))
  }
}
