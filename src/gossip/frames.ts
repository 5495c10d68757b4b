/**
 * Messages on a libp2p stream, which is only a pipe of bytes: each is preceded by
 * its length, four bytes, big-endian. Both directions push back: a reader that
 * does not read makes the writer at the other end wait, and neither side holds
 * more than one message and one flow-control window.
 *
 * @module
 */

import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'

const HEADER_BYTES = 4
// A stream stops reading when this much waits to be taken, in bytes.
const PAUSE_BYTES = 256 * 1024
// Larger messages are handed to the stream in slices, so that a slow reader holds the writer back early.
const SLICE_BYTES = 64 * 1024

/** Takes messages off a stream, in order. */
export interface FrameReader {
  /**
   * The next message; nothing when the other side has ended the stream cleanly.
   *
   * @throws {Error} When the stream broke, a message was cut short or is larger than allowed, or `signal` is aborted.
   */
  read(signal: AbortSignal): Promise<Uint8Array | undefined>
  /** Stops listening to the stream. */
  close(): void
}

/**
 * Reads messages of at most `maxBytes` each. A longer one fails the reader before any of it is
 * kept. Memory grows with what has arrived, never with what a header announces.
 */
export function createFrameReader(stream: Stream, maxBytes: number): FrameReader {
  const chunks: Uint8Array[] = []
  let waitingBytes = 0
  let failure: Error | undefined
  let wake: (() => void) | undefined

  function onMessage(event: StreamMessageEvent): void {
    const chunk = event.data.subarray()
    chunks.push(chunk)
    waitingBytes += chunk.length
    if (waitingBytes >= PAUSE_BYTES && stream.readStatus === 'readable') stream.pause()
    wake?.()
  }
  function onEnd(): void {
    wake?.()
  }
  function onClose(event: StreamCloseEvent): void {
    failure ??= event.error
    wake?.()
  }
  /** True when no more bytes will come. A stream that ended may still hold bytes, from while it was paused or negotiated. */
  function isOver(): boolean {
    return (stream.readableEnded || stream.status !== 'open') && stream.readBufferLength === 0
  }
  stream.addEventListener('message', onMessage)
  stream.addEventListener('end', onEnd)
  stream.addEventListener('close', onClose)

  /** Waits until `bytes` are here; false when the stream ended before. */
  async function have(bytes: number, signal: AbortSignal): Promise<boolean> {
    // oxlint-disable-next-line eslint/no-unmodified-loop-condition -- the stream's events modify it
    while (waitingBytes < bytes) {
      signal.throwIfAborted()
      if (failure !== undefined) throw failure
      if (isOver()) return false
      if (stream.readStatus === 'paused') {
        stream.resume()
        continue
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      const woken = (): void => resolve()
      wake = woken
      signal.addEventListener('abort', woken, { once: true })
      try {
        // oxlint-disable-next-line no-await-in-loop -- bytes arrive one chunk after the other
        await promise
      } finally {
        wake = undefined
        signal.removeEventListener('abort', woken)
      }
    }
    return true
  }

  function take(bytes: number): Uint8Array {
    const taken = new Uint8Array(bytes)
    let at = 0
    while (at < bytes) {
      const chunk = chunks[0]
      if (chunk === undefined) throw new Error('took more bytes than have arrived')
      const part = chunk.subarray(0, bytes - at)
      taken.set(part, at)
      at += part.length
      if (part.length === chunk.length) chunks.shift()
      else chunks[0] = chunk.subarray(part.length)
    }
    waitingBytes -= bytes
    return taken
  }

  return {
    read: async signal => {
      if (!(await have(HEADER_BYTES, signal))) {
        if (waitingBytes > 0) throw new Error('the stream ended inside a message')
        return undefined
      }
      const header = take(HEADER_BYTES)
      const length = new DataView(header.buffer).getUint32(0)
      if (length > maxBytes) {
        throw new Error(`a message of ${length} bytes is more than the ${maxBytes} allowed`)
      }
      if (!(await have(length, signal))) throw new Error('the stream ended inside a message')
      return take(length)
    },
    close: () => {
      stream.removeEventListener('message', onMessage)
      stream.removeEventListener('end', onEnd)
      stream.removeEventListener('close', onClose)
    },
  }
}

/**
 * Writes one message made of `parts`, and waits for as long as the other side does not keep up.
 * One writer per stream: messages of two would mix.
 *
 * @throws {Error} When the stream breaks or `signal` is aborted; the stream is then of no further use.
 */
export async function writeFrame(
  stream: Stream,
  parts: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const header = new Uint8Array(HEADER_BYTES)
  new DataView(header.buffer).setUint32(0, length)
  if (length <= SLICE_BYTES) {
    stream.send(Buffer.concat([header, ...parts]))
    return drained(stream, signal)
  }
  stream.send(header)
  for (const part of parts) {
    for (let at = 0; at < part.length; at += SLICE_BYTES) {
      // oxlint-disable-next-line no-await-in-loop -- in order, and not before there is room
      await drained(stream, signal)
      stream.send(part.subarray(at, at + SLICE_BYTES))
    }
  }
  return drained(stream, signal)
}

/** Waits until the stream takes more. Its own `onDrain` resolves at once after the first time, so it is not used. */
async function drained(stream: Stream, signal: AbortSignal): Promise<void> {
  while (stream.writableNeedsDrain) {
    signal.throwIfAborted()
    if (stream.status !== 'open') throw new Error('the stream closed while writing')
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    stream.addEventListener('drain', wake)
    stream.addEventListener('close', wake)
    signal.addEventListener('abort', wake)
    try {
      // oxlint-disable-next-line no-await-in-loop -- waits for room once more
      await promise
    } finally {
      stream.removeEventListener('drain', wake)
      stream.removeEventListener('close', wake)
      signal.removeEventListener('abort', wake)
    }
  }
}
