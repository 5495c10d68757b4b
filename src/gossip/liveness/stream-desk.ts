import type { NodeId } from '../../model/ids.ts'
import { DATAGRAM_BYTES_MAX } from './swim-message.ts'
import type { FromWorker, ToWorker } from './worker-protocol.ts'

/**
 * Carries one message to a node over the transport, and gives what is answered. `mayDial`: worth a new connection
 * when there is none. Best effort: it may throw.
 */
export type StreamOut = (
  to: NodeId,
  datagram: Uint8Array,
  mayDial: boolean,
) => AsyncIterable<Uint8Array>

/** Where the main thread handles the liveness messages that go by stream. */
export interface StreamDesk {
  /** Carries one out; its answers go to the worker. */
  carry(message: Extract<FromWorker, { kind: 'stream-out' }>): void
  /** Hands one that came in to the worker; resolves with the answers. */
  take(from: NodeId, datagram: Uint8Array): Promise<readonly Uint8Array[]>
  /** The worker's answers to one that came in. */
  answer(message: Extract<FromWorker, { kind: 'stream-answer' }>): void
  /** The worker is gone: nothing is answered any more. */
  clear(): void
}

/** Under way at once, each way. More are lost, as datagrams are; the next probe comes soon. */
const STREAMS_MAX = 64
/** A message is answered by an ack, and perhaps a correction. */
const ANSWERS_MAX = 4

/** Makes a desk. Everything at it is bounded, since the other end of a stream may be hostile. */
export function createStreamDesk(
  stream: StreamOut | undefined,
  post: (message: ToWorker) => void,
): StreamDesk {
  const waiting = new Map<number, (datagrams: readonly Uint8Array[]) => void>()
  let carrying = 0
  let lastId = 0

  async function carryOut(
    out: StreamOut,
    { to, datagram, mayDial }: Parameters<StreamDesk['carry']>[0],
  ): Promise<void> {
    let answers = 0
    for await (const answer of out(to, datagram, mayDial)) {
      if (answer.length <= DATAGRAM_BYTES_MAX)
        post({ kind: 'stream-in', from: to, datagram: new Uint8Array(answer) })
      if (++answers === ANSWERS_MAX) return
    }
  }

  return {
    carry: message => {
      post({ kind: 'stream-taken' })
      if (stream === undefined || carrying >= STREAMS_MAX) return
      carrying++
      carryOut(stream, message)
        // It did not get there, or no answer came back: that is what probes are to find out.
        .catch(() => undefined)
        .finally(() => carrying--)
    },
    take: async (from, datagram) => {
      if (datagram.length > DATAGRAM_BYTES_MAX || waiting.size >= STREAMS_MAX) return []
      const id = ++lastId
      const { promise, resolve } = Promise.withResolvers<readonly Uint8Array[]>()
      waiting.set(id, resolve)
      post({ kind: 'stream-in', from, datagram: new Uint8Array(datagram), id })
      return await promise
    },
    answer: ({ id, datagrams }) => {
      waiting.get(id)?.(datagrams)
      waiting.delete(id)
    },
    clear: () => {
      for (const resolve of waiting.values()) resolve([])
      waiting.clear()
    },
  }
}
