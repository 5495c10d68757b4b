import { Worker } from 'node:worker_threads'
import type { ProbeAddress } from './swim-message.ts'
import type { FromWorker, ToWorker, WorkerInit } from './worker-protocol.ts'

/** A worker that listens. */
export interface LivenessWorker {
  readonly port: number
  post(message: ToWorker): void
  /** Ends the thread. `onEnded` is not called for it. */
  close(): Promise<void>
}

/** A worker that keeps a thousand members needs about 10 MB; this bounds it, not what it takes. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 1, stackSizeMb: 2 }

/**
 * Starts the thread of liveness, and waits until it listens.
 *
 * @param onEnded The thread broke or ended by itself after it had listened; called once.
 * @throws {Error} When the address cannot be listened on, or the thread breaks before it listens.
 */
export async function startWorker(
  init: WorkerInit,
  onMessage: (message: FromWorker) => void,
  onEnded: (error: Error) => void,
): Promise<LivenessWorker> {
  // Sources run as they are; a published package is emitted JavaScript.
  const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js'
  const worker = new Worker(new URL(file, import.meta.url), {
    name: 'liveness',
    workerData: init,
    resourceLimits: RESOURCE_LIMITS,
    execArgv: [],
  })
  const listening = Promise.withResolvers<number>()
  let isListening = false
  let isEnded = false

  worker.on('message', (message: FromWorker) => {
    if (isEnded) return
    if (message.kind === 'listening') {
      isListening = true
      listening.resolve(message.port)
    } else if (message.kind === 'bind-failed') {
      listening.reject(cannotListen(init.bind, message.message))
    } else {
      onMessage(message)
    }
  })
  worker.on('error', error => end(error instanceof Error ? error : new Error(String(error))))
  worker.on('exit', code =>
    end(new Error(`the liveness worker ended by itself, with code ${code}`)),
  )

  function end(error: Error): void {
    if (isEnded) return
    isEnded = true
    listening.reject(error)
    if (isListening) onEnded(error)
  }

  async function close(): Promise<void> {
    isEnded = true
    await worker.terminate()
  }

  try {
    const port = await listening.promise
    return {
      port,
      // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window.
      post: message => worker.postMessage(message),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function cannotListen({ address, port }: ProbeAddress, reason: string): Error {
  return new Error(
    `Cannot listen for probes on UDP ${address} port ${port}: ${reason}. Choose a free port, or an address of this machine`,
  )
}
