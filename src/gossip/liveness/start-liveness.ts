import { Worker } from 'node:worker_threads'
import type { NodeId } from '../../model/ids.ts'
import type { Verdict } from '../../model/verdict.ts'
import type { ProbeAddress } from './swim-message.ts'
import { swimOptions, type SwimOptions, type SwimPreset } from './swim-options.ts'
import {
  COUNTERS,
  type CounterName,
  type FromWorker,
  type ToWorker,
  type TrafficName,
  type WorkerDropReason,
  type WorkerInit,
} from './worker-protocol.ts'

/** What liveness needs to start. */
export interface LivenessOptions {
  readonly self: NodeId
  /** The cluster's pre-shared key; the datagrams' keys are derived from it. */
  readonly psk: Uint8Array
  /** Where to listen, by number; UDP port 0 takes a free one. `::` takes IPv4 too. */
  readonly bind: ProbeAddress
  /** Counts the starts of this node: higher than at every earlier start, from 1. */
  readonly incarnation: number
  /** @default 'lan' */
  readonly preset?: SwimPreset
  /** Changes to the preset. */
  readonly options?: Partial<SwimOptions>
  /** Makes the machine's choices repeatable; for tests. */
  readonly seed?: number
  /** The worker broke or ended by itself. There is no liveness any more: close, and start again or exit. */
  readonly onError: (error: Error) => void
}

/** What the worker has sent and received, and how it fares. Bytes are of datagrams, without UDP and IP headers. */
export type Traffic = Readonly<Record<TrafficName, number>>

/** Membership of one node, running in its own thread. */
export interface Liveness {
  /** The UDP port that it listens on. */
  readonly port: number
  /** Whom to watch: the admitted nodes, each with where it listens as far as that is known. */
  setMembers(members: ReadonlyMap<NodeId, ProbeAddress | undefined>): void
  /** The last connection to a node closed: it is suspect at once, and has its chance to refute. */
  connectionLost(node: NodeId): void
  /** Tells the others that this node goes; resolves when the good-byes are out, after about 0.3 s. Nothing is answered afterwards. */
  leave(): Promise<void>
  /**
   * Calls `listener` with each verdict on another node. A member that nothing was heard of has
   * none, and counts as dead. `verdict.incarnation` grows with the node's starts and refutations.
   */
  onVerdict(listener: (verdict: Verdict) => void): void
  /** Datagrams thrown away, by reason, since the start. */
  counters(): Readonly<Record<WorkerDropReason, number>>
  /** Datagrams and bytes since the start; `health` is what it is now: 0 is well. */
  traffic(): Traffic
  /** Ends the thread and frees the port, without a good-bye. */
  close(): Promise<void>
}

/** A worker that keeps a thousand members needs about 10 MB; this bounds it, not what it takes. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 1, stackSizeMb: 2 }

/**
 * Starts failure detection in a worker thread with its own UDP socket.
 *
 * @throws {Error} When the address cannot be listened on.
 */
export async function startLiveness(options: LivenessOptions): Promise<Liveness> {
  const { self, psk, bind, incarnation, seed, onError } = options
  const shared = new SharedArrayBuffer(COUNTERS.length * Float64Array.BYTES_PER_ELEMENT)
  const counters = new Float64Array(shared)
  const init: WorkerInit = {
    self,
    psk,
    bind,
    incarnation,
    options: swimOptions(options.preset, options.options),
    seed,
    counters: shared,
  }
  // Sources run as they are; a published package is emitted JavaScript.
  const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js'
  const worker = new Worker(new URL(file, import.meta.url), {
    name: 'liveness',
    workerData: init,
    resourceLimits: RESOURCE_LIMITS,
    execArgv: [],
  })
  const listening = Promise.withResolvers<number>()
  const left = Promise.withResolvers<void>()
  const listeners: ((verdict: Verdict) => void)[] = []
  let isEnded = false
  let leaving: Promise<void> | undefined

  worker.on('message', (message: FromWorker) => {
    switch (message.kind) {
      case 'listening':
        listening.resolve(message.port)
        break
      case 'bind-failed':
        listening.reject(cannotListen(bind, message.message))
        break
      case 'verdict':
        for (const listener of listeners) listener(message.verdict)
        break
      case 'left':
        left.resolve()
        break
    }
  })
  worker.on('error', error => fail(error instanceof Error ? error : new Error(String(error))))
  worker.on('exit', code =>
    fail(new Error(`The liveness worker ended by itself, with code ${code}`)),
  )

  /** Tells once that the thread is gone, unless it was closed. */
  function fail(error: Error): void {
    left.resolve()
    if (isEnded) return
    isEnded = true
    listening.reject(error)
    onError(error)
  }

  function post(message: ToWorker): void {
    // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window.
    if (!isEnded) worker.postMessage(message)
  }

  function read(name: CounterName): number {
    return counters[COUNTERS.indexOf(name)]!
  }

  async function close(): Promise<void> {
    isEnded = true
    await worker.terminate()
  }

  try {
    const port = await listening.promise
    return {
      port,
      setMembers: members => post({ kind: 'members', members }),
      connectionLost: node => post({ kind: 'connection-lost', node }),
      leave: () => {
        if (leaving === undefined) post({ kind: 'leave' })
        leaving ??= isEnded ? Promise.resolve() : left.promise
        return leaving
      },
      onVerdict: listener => {
        listeners.push(listener)
      },
      counters: () => ({
        oversized: read('oversized'),
        truncated: read('truncated'),
        version: read('version'),
        forged: read('forged'),
        replayed: read('replayed'),
        malformed: read('malformed'),
        self: read('self'),
        stranger: read('stranger'),
      }),
      traffic: () => ({
        sent: read('sent'),
        sentBytes: read('sentBytes'),
        sendErrors: read('sendErrors'),
        received: read('received'),
        receivedBytes: read('receivedBytes'),
        stalls: read('stalls'),
        health: read('health'),
      }),
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
