import type { NodeId } from '../../model/ids.ts'
import type { Verdict } from '../../model/verdict.ts'
import { backoffMs } from '../../util/backoff.ts'
import { startWorker, type LivenessWorker } from './start-worker.ts'
import { createStreamDesk, type StreamOut } from './stream-desk.ts'
import type { ProbeAddress } from './swim-message.ts'
import { swimOptions, type SwimOptions, type SwimPreset } from './swim-options.ts'
import {
  COUNTERS,
  DROP_REASONS,
  TRAFFIC,
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
  /**
   * Carries a message over the transport, for nodes that datagrams do not reach.
   *
   * @default none: where UDP is blocked, nodes are dead to each other
   */
  readonly stream?: StreamOut
  /** Gets a line for the operator when the worker breaks or runs again. */
  readonly log: (message: string, error?: Error) => void
}

/** What the worker has sent and received, and how it fares. Bytes are of datagrams, without UDP and IP headers. */
export type Traffic = Readonly<Record<TrafficName, number>>

/** Membership of one node, running in its own thread. */
export interface Liveness {
  /** The UDP port that it listens on. */
  readonly port: number
  /** Whom to watch: the admitted nodes, each with where it listens as far as that is known. */
  setMembers(members: ReadonlyMap<NodeId, ProbeAddress | undefined>): void
  /** There is a connection to a node: streams reach it. */
  connectionUp(node: NodeId): void
  /** The last connection to a node closed: it is suspect at once, and has its chance to refute. */
  connectionLost(node: NodeId): void
  /** Takes a message that came by stream from `from`, and gives the answers to it. */
  takeStream(from: NodeId, datagram: Uint8Array): Promise<readonly Uint8Array[]>
  /** Tells the others that this node goes; resolves when the good-byes are out, after about 0.3 s. Nothing is answered afterwards. */
  leave(): Promise<void>
  /**
   * Calls `listener` with each verdict on another node. A member that nothing was heard of has
   * none, and counts as dead. `verdict.incarnation` grows with the node's starts and refutations.
   */
  onVerdict(listener: (verdict: Verdict) => void): void
  /** Calls `listener` when a node turns out to be reached by stream only, and when datagrams get through again. */
  onReached(listener: (node: NodeId, by: 'stream' | 'datagram') => void): void
  /** Nodes that datagrams do not get through to, or not back from. */
  byStream(): ReadonlySet<NodeId>
  /** Datagrams thrown away, by reason, since the start. */
  counters(): Readonly<Record<WorkerDropReason, number>>
  /** Datagrams and bytes since the start; `health` is what it is now: 0 is well. */
  traffic(): Traffic
  /** How often the worker broke and was started again. */
  restarts(): number
  /** Ends the thread and frees the port, without a good-bye. */
  close(): Promise<void>
}

/** A worker that breaks is started again after so long. */
const RESTART = { initialMs: 100, factor: 2, maxMs: 10_000 }
/** One that ran for so long had not broken at its start, in milliseconds. */
const STABLE_MS = 60_000
/**
 * Without a worker for so long, in milliseconds, this node hears nobody, and the others hold it dead by now: it takes
 * itself to be cut off, so that what must not run twice is stopped.
 */
const CUT_OFF_MS = 3_000

/**
 * Starts failure detection in a worker thread with its own UDP socket. A thread that breaks is started again, loudly,
 * on the same port, and goes on with what the one before it held.
 *
 * @throws {Error} When the address cannot be listened on.
 */
export async function startLiveness(options: LivenessOptions): Promise<Liveness> {
  const { self, psk, incarnation, seed, log } = options
  const shared = new SharedArrayBuffer(COUNTERS.length * Float64Array.BYTES_PER_ELEMENT)
  const counters = new Float64Array(shared)
  const init: WorkerInit = {
    self,
    psk,
    bind: options.bind,
    incarnation,
    options: swimOptions(options.preset, options.options),
    seed,
    counters: shared,
  }
  // What a worker is told, and what it held, is kept for the next one.
  let members: ReadonlyMap<NodeId, ProbeAddress | undefined> = new Map()
  const connected = new Set<NodeId>()
  const verdicts = new Map<NodeId, Verdict>()
  const byStream = new Set<NodeId>()
  const verdictListeners: ((verdict: Verdict) => void)[] = []
  const reachedListeners: ((node: NodeId, by: 'stream' | 'datagram') => void)[] = []
  const left = Promise.withResolvers<void>()
  const desk = createStreamDesk(options.stream, post)
  let worker: LivenessWorker | undefined
  let leaving: Promise<void> | undefined
  let isClosed = false
  let restarts = 0
  let failures = 0
  let startedAtMs = performance.now()
  let restartTimer: NodeJS.Timeout | undefined
  let cutOffTimer: NodeJS.Timeout | undefined

  worker = await startWorker(init, onMessage, onEnded)
  const { port } = worker

  function onMessage(message: FromWorker): void {
    switch (message.kind) {
      case 'verdict':
        tell(message.verdict)
        break
      case 'reached':
        if (message.by === 'stream') byStream.add(message.node)
        else byStream.delete(message.node)
        for (const listener of reachedListeners) listener(message.node, message.by)
        break
      case 'stream-out':
        desk.carry(message)
        break
      case 'stream-answer':
        desk.answer(message)
        break
      case 'left':
        left.resolve()
        break
      case 'listening':
      case 'bind-failed': // Of the start alone.
    }
  }

  function tell(verdict: Verdict): void {
    verdicts.set(verdict.node, verdict)
    for (const listener of verdictListeners) listener(verdict)
  }

  function post(message: ToWorker): void {
    worker?.post(message)
  }

  function onEnded(error: Error): void {
    worker = undefined
    byStream.clear()
    desk.clear()
    left.resolve()
    if (isClosed || leaving !== undefined) return
    failures = performance.now() - startedAtMs > STABLE_MS ? 1 : failures + 1
    const waitMs = backoffMs(failures, RESTART)
    log(`the liveness worker broke: it is started again in ${waitMs} ms`, error)
    cutOffTimer ??= setTimeout(cutOff, CUT_OFF_MS)
    restartTimer = setTimeout(() => void restart(), waitMs)
  }

  async function restart(): Promise<void> {
    restarts++
    startedAtMs = performance.now()
    try {
      const bind = { address: options.bind.address, port }
      const started = await startWorker({ ...init, bind }, onMessage, onEnded)
      if (isClosed) await started.close()
      else goOn(started)
    } catch (error) {
      onEnded(error instanceof Error ? error : new Error(String(error)))
    }
  }

  function goOn(started: LivenessWorker): void {
    worker = started
    clearTimeout(cutOffTimer)
    cutOffTimer = undefined
    post({ kind: 'members', members })
    post({ kind: 'recall', verdicts: [...verdicts.values()] })
    for (const node of connected) post({ kind: 'connection-up', node })
    log('the liveness worker runs again')
  }

  function cutOff(): void {
    log('there is no liveness worker: all other nodes count as dead here until there is one')
    for (const { node, kind, incarnation: known } of verdicts.values()) {
      if (kind === 'alive' || kind === 'suspect') tell({ node, kind: 'dead', incarnation: known })
    }
  }

  /** What was counted, by name. */
  function read<Name extends CounterName>(names: readonly Name[]): Record<Name, number> {
    const entries = names.map(name => [name, counters[COUNTERS.indexOf(name)]!] as const)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it has all of these names, and no others
    return Object.fromEntries(entries) as Record<Name, number>
  }

  return {
    port,
    setMembers: admitted => {
      members = admitted
      for (const known of [verdicts, byStream]) {
        for (const node of known.keys()) if (!members.has(node)) known.delete(node)
      }
      post({ kind: 'members', members })
    },
    connectionUp: node => {
      connected.add(node)
      post({ kind: 'connection-up', node })
    },
    connectionLost: node => {
      connected.delete(node)
      byStream.delete(node)
      post({ kind: 'connection-lost', node })
    },
    takeStream: async (from, datagram) =>
      worker === undefined ? [] : await desk.take(from, datagram),
    leave: async () => {
      clearTimeout(restartTimer)
      if (leaving === undefined) post({ kind: 'leave' })
      leaving ??= worker === undefined ? Promise.resolve() : left.promise
      await leaving
    },
    onVerdict: listener => {
      verdictListeners.push(listener)
    },
    onReached: listener => {
      reachedListeners.push(listener)
    },
    byStream: () => byStream,
    counters: () => read(DROP_REASONS),
    traffic: () => read(TRAFFIC),
    restarts: () => restarts,
    close: async () => {
      isClosed = true
      clearTimeout(restartTimer)
      clearTimeout(cutOffTimer)
      desk.clear()
      await worker?.close()
    },
  }
}
