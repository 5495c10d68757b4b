/** Limits of an {@link Outbox}. */
export interface OutboxOptions {
  /** Most messages that wait. @default 1024 */
  readonly messagesMax?: number
  /** Most bytes that wait; one message larger than this still fits into an empty box. @default 64 MiB */
  readonly bytesMax?: number
}

/** Messages that wait to be sent to one peer, in order. */
export interface Outbox {
  /** Adds a message; when the box overflows, the oldest are dropped, because newer news says more. Returns how many. */
  push(message: Uint8Array): number
  /** Takes the oldest message; waits for one until `signal` is aborted, then gives nothing. */
  take(signal: AbortSignal): Promise<Uint8Array | undefined>
  /** Empties the box and returns how many messages that lost. */
  clear(): number
}

/** Makes an empty outbox. One taker at a time. */
export function createOutbox({
  messagesMax = 1024,
  bytesMax = 64 * 1024 * 1024,
}: OutboxOptions = {}): Outbox {
  const waiting: Uint8Array[] = []
  let bytes = 0
  let wake: (() => void) | undefined

  function shift(): Uint8Array | undefined {
    const message = waiting.shift()
    bytes -= message?.length ?? 0
    return message
  }

  return {
    push: message => {
      let dropped = 0
      while (
        waiting.length > 0 &&
        (waiting.length >= messagesMax || bytes + message.length > bytesMax)
      ) {
        shift()
        dropped++
      }
      waiting.push(message)
      bytes += message.length
      wake?.()
      return dropped
    },
    take: async signal => {
      while (waiting.length === 0 && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>()
        const woken = (): void => resolve()
        wake = woken
        signal.addEventListener('abort', woken, { once: true })
        // oxlint-disable-next-line no-await-in-loop -- waits for the next message
        await promise
        signal.removeEventListener('abort', woken)
        wake = undefined
      }
      return signal.aborted ? undefined : shift()
    },
    clear: () => {
      const lost = waiting.length
      waiting.length = 0
      bytes = 0
      return lost
    },
  }
}
