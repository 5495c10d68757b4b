/**
 * One call on one stream. Request: the service's name, then the body, one frame
 * each. Answer: frames whose first byte says what they are. A side that gives up
 * resets the stream, which the other sees at once.
 *
 * @module
 */

import type { Stream } from '@libp2p/interface'
import { createFrameReader, writeFrame } from './frames.ts'
import { SEND_BYTES_MAX, TransportError } from './transport.ts'

const PIECE = Uint8Array.of(0)
const END = Uint8Array.of(1)
const FAILED = Uint8Array.of(2)
const ALIVE = Uint8Array.of(3)

/** Between pieces, the answering side shows that it lives this often, in milliseconds. */
const ALIVE_MS = 10_000
/** A caller that hears nothing for this long between pieces gives up: three signs of life were lost. */
const SILENCE_MS = 30_000
/** The request must be here within this, and each piece must be taken within this, in milliseconds. */
const STEP_MS = 30_000
const SERVICE_BYTES_MAX = 64
const ERROR_BYTES_MAX = 2048

/** What a call asks for. */
export interface CallRequest {
  readonly service: string
  readonly body: Uint8Array
}

/**
 * Makes the call on `stream` and yields the pieces of the answer. Leaving the loop resets the stream.
 *
 * @param options `who` is for messages; `firstMs` is how long the first piece or the end may take.
 * @throws {TransportError} `failed` with the other side's message, `timeout`, `unreachable` or `aborted`.
 */
export async function* requestOver(
  stream: Stream,
  { service, body }: CallRequest,
  options: { readonly who: string; readonly firstMs: number; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { who, signal } = options
  const reader = createFrameReader(stream, SEND_BYTES_MAX + 1)
  const patience = createPatience(signal)
  let whole = false
  try {
    patience.wait(options.firstMs)
    await writeFrame(stream, [Buffer.from(service)], patience.signal)
    await writeFrame(stream, [body], patience.signal)
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- pieces come one after the other
      const frame = await reader.read(patience.signal)
      if (frame === undefined) throw new Error('the stream ended before the answer')
      const rest = frame.subarray(1)
      const kind = frame[0] ?? -1
      switch (kind) {
        case PIECE[0]:
          patience.stop()
          yield rest
          patience.wait(SILENCE_MS)
          break
        case ALIVE[0]:
          // Shows that the machine lives, not that the service answers: the first answer's time runs on.
          if (patience.renewable) patience.wait(SILENCE_MS)
          break
        case END[0]:
          whole = true
          return
        case FAILED[0]:
          whole = true
          throw new TransportError('failed', Buffer.from(rest).toString())
        default:
          throw new Error(`an answer of unknown kind ${kind}`)
      }
    }
  } catch (cause) {
    if (cause instanceof TransportError) throw cause
    if (signal.aborted)
      throw new TransportError('aborted', `The call of "${service}" was aborted`, cause)
    if (patience.over) {
      throw new TransportError('timeout', `${who} did not answer "${service}" in time`, cause)
    }
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new TransportError('unreachable', `${who} hung up during "${service}": ${why}`, cause)
  } finally {
    patience.stop()
    reader.close()
    if (whole) closeSoftly(stream)
    else stream.abort(new Error('the caller hung up'))
  }
}

/**
 * Reads a request off `stream`, runs `serve` and writes its answer. Never throws: whatever fails
 * is told to the caller, or the stream is reset.
 *
 * @param serve Gets a signal that is aborted when the caller hangs up or `signal` is aborted.
 */
export async function answerOver(
  stream: Stream,
  bodyBytesMax: number,
  signal: AbortSignal,
  serve: (request: CallRequest, signal: AbortSignal) => AsyncIterable<Uint8Array>,
): Promise<void> {
  const hungUp = new AbortController()
  const onClose = (): void => hungUp.abort(new Error('the caller hung up'))
  stream.addEventListener('close', onClose)
  const patience = createPatience(AbortSignal.any([signal, hungUp.signal]))
  const reader = createFrameReader(stream, bodyBytesMax)
  try {
    patience.wait(STEP_MS)
    const service = await reader.read(patience.signal)
    const body = await reader.read(patience.signal)
    patience.stop()
    if (service === undefined || body === undefined || service.length > SERVICE_BYTES_MAX) {
      throw new Error('this is not a call')
    }
    await writeAnswer(stream, patience, stopped =>
      serve({ service: Buffer.from(service).toString(), body }, stopped),
    )
    await stream.close({ signal: AbortSignal.timeout(STEP_MS) })
  } catch (cause) {
    stream.abort(cause instanceof Error ? cause : new Error(String(cause)))
  } finally {
    patience.stop()
    reader.close()
    stream.removeEventListener('close', onClose)
  }
}

async function writeAnswer(
  stream: Stream,
  patience: Patience,
  serve: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
): Promise<void> {
  // The service's own throw is an answer; a broken stream is not, and is thrown on.
  let iterator: AsyncIterator<Uint8Array> | undefined
  let waiting = false
  const alive = setInterval(() => {
    if (!waiting || stream.writableNeedsDrain || stream.status !== 'open') return
    // A failure here is a broken stream, which aborts the patience's signal.
    writeFrame(stream, [ALIVE], patience.signal).catch(() => undefined)
  }, ALIVE_MS)
  try {
    for (;;) {
      let piece: Uint8Array | undefined
      try {
        iterator ??= serve(patience.signal)[Symbol.asyncIterator]()
        waiting = true
        // oxlint-disable-next-line no-await-in-loop -- pieces are made one after the other
        const next = await raceAbort(iterator.next(), patience.signal)
        if (next.done !== true) piece = next.value
      } catch (cause) {
        patience.signal.throwIfAborted()
        const message = cause instanceof Error ? cause.message : String(cause)
        const text = Buffer.from(message).subarray(0, ERROR_BYTES_MAX)
        patience.wait(STEP_MS)
        // oxlint-disable-next-line no-await-in-loop -- the last frame
        await writeFrame(stream, [FAILED, text], patience.signal)
        return
      } finally {
        waiting = false
      }
      patience.wait(STEP_MS)
      // oxlint-disable-next-line no-await-in-loop -- one frame after the other
      await writeFrame(stream, piece === undefined ? [END] : [PIECE, piece], patience.signal)
      patience.stop()
      if (piece === undefined) {
        iterator = undefined
        return
      }
    }
  } finally {
    clearInterval(alive)
    // Not awaited: a generator that is stuck in a wait ends only when that wait does.
    iterator?.return?.().catch(() => undefined)
  }
}

/** A signal that is aborted with another one, or when a wait takes too long. */
interface Patience {
  readonly signal: AbortSignal
  /** True once a wait took too long. */
  readonly over: boolean
  /** True after the first wait ended well. */
  readonly renewable: boolean
  wait(ms: number): void
  stop(): void
}

function createPatience(outer: AbortSignal): Patience {
  const timeout = new AbortController()
  const signal = AbortSignal.any([outer, timeout.signal])
  let timer: NodeJS.Timeout | undefined
  let renewable = false
  function stop(): void {
    clearTimeout(timer)
    renewable = true
  }
  return {
    signal,
    get over() {
      return timeout.signal.aborted
    },
    get renewable() {
      return renewable
    },
    wait: ms => {
      clearTimeout(timer)
      timer = setTimeout(() => timeout.abort(new Error(`nothing for ${ms} ms`)), ms)
    },
    stop,
  }
}

async function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(new Error('aborted', { cause: signal.reason }))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Ends our side of a stream whose answer is whole; a stream that cannot even do that is reset. */
function closeSoftly(stream: Stream): void {
  stream
    .close({ signal: AbortSignal.timeout(STEP_MS) })
    .catch(() => stream.abort(new Error('could not be closed')))
}
