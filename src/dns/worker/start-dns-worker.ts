import { Worker } from 'node:worker_threads'
import type { DnsWorkerInit, FromDnsWorker, ToDnsWorker } from './worker-protocol.ts'

/** A thread that answers DNS, or is about to. */
export interface DnsWorker {
  /**
   * The port, once it listens.
   *
   * @throws {Error} When an address cannot be bound, with the system's `code`, or the thread breaks before it listens. It is closed then.
   */
  readonly listening: Promise<number>
  post(message: ToDnsWorker): void
  /** Ends the thread. `onEnded` is not called for it. */
  close(): Promise<void>
}

/**
 * Zones of 10,000 apps and the answers from them are some 60 MB, and the cache of forwarded answers 16; this bounds a
 * thread, it is not what one takes. Little room for the young: a query leaves next to no garbage, and each megabyte is held even when idle.
 */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 384, maxYoungGenerationSizeMb: 2, stackSizeMb: 2 }

/** What a thread tells. */
export interface DnsWorkerListener {
  readonly onLog: (message: string, error?: Error) => void
  /** This resolver leads back to us. */
  readonly onLooped: (upstream: string) => void
  /** The thread broke or ended by itself after it had listened; called once. */
  readonly onEnded: (error: Error) => void
}

/** Starts one thread. It listens when it is told to, after the changes that fill its zones. */
export function startDnsWorker(
  init: DnsWorkerInit,
  { onLog, onLooped, onEnded }: DnsWorkerListener,
): DnsWorker {
  // Sources run as they are; a published package is emitted JavaScript.
  const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js'
  const worker = new Worker(new URL(file, import.meta.url), {
    name: 'dns',
    workerData: init,
    resourceLimits: RESOURCE_LIMITS,
    execArgv: [],
  })
  const listening = Promise.withResolvers<number>()
  let isListening = false
  let isEnded = false

  worker.on('message', (message: FromDnsWorker) => {
    if (isEnded) return
    switch (message.kind) {
      case 'listening':
        isListening = true
        listening.resolve(message.port)
        break
      case 'listen-failed':
        listening.reject(Object.assign(new Error(message.message), { code: message.code }))
        break
      case 'looped':
        onLooped(message.upstream)
        break
      case 'log':
        onLog(message.message, message.error)
    }
  })
  worker.on('error', error => end(error instanceof Error ? error : new Error(String(error))))
  worker.on('exit', code => end(new Error(`the DNS thread ended by itself, with code ${code}`)))

  function end(error: Error): void {
    if (isEnded) return
    isEnded = true
    listening.reject(error)
    if (isListening) onEnded(error)
  }

  function post(message: ToDnsWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window.
    worker.postMessage(message)
  }

  async function close(): Promise<void> {
    isEnded = true
    await worker.terminate()
  }

  return { listening: closedOnFailure(), post, close }

  async function closedOnFailure(): Promise<number> {
    try {
      return await listening.promise
    } catch (error) {
      await close()
      throw error
    }
  }
}
