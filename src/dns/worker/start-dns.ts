import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { backoffMs } from '../../util/backoff.ts'
import type { DnsView } from '../dns-view.ts'
import type { ForwardPlan } from '../forward/forward-plan.ts'
import { LOOPED_MS } from '../forward/upstream-book.ts'
import { LOOPBACK_NETWORKS, PRIVATE_NETWORKS } from '../networks.ts'
import { createTallyMemory, readTallies, type DnsCounters } from '../tally.ts'
import { createZoneLog, type ZoneChange } from '../zone-change.ts'
import { startDnsWorker, type DnsWorker } from './start-dns-worker.ts'
import type { DnsWorkerInit, ToDnsWorker } from './worker-protocol.ts'

/** What DNS needs to start, and its knobs. */
export interface DnsOptions {
  /** What to listen on. All get the same port. */
  readonly addresses: readonly string[]
  /** 0 takes a free one. */
  readonly port: number
  /** The zones as they are at the start. */
  readonly view: DnsView
  /** Who answers, for clients who ask. */
  readonly identity: { readonly name: string; readonly version: string }
  /**
   * Threads that answer. Two answer almost twice as many queries, and each holds zones of its own: some 10 MB, and 3 MB for a thousand apps.
   *
   * @default 1
   */
  readonly workers?: number
  /** This machine's own addresses. @default loopback */
  readonly local?: readonly string[]
  /** Where our own clients live. @default see {@link PRIVATE_NETWORKS} */
  readonly home?: readonly string[]
  /** Where whole zones may be read from. @default loopback */
  readonly transfer?: readonly string[]
  /** Who is asked about other domains. @default nobody */
  readonly forward?: ForwardPlan
  /** The file that names the host's resolvers. @default /etc/resolv.conf */
  readonly resolvConf?: string
  /** UDP answers to one network of strangers each second: see `ResponderOptions`. 0 limits nobody. @default 200 */
  readonly answersPerSecond?: number
  /** Gets a line for the operator when a thread breaks or runs again. */
  readonly log: (message: string, error?: Error) => void
}

/** DNS of one node, in threads of its own. */
export interface Dns {
  readonly port: number
  readonly addresses: readonly string[]
  /** True where other domains are asked about elsewhere: then a client needs no other server. */
  readonly forwards: boolean
  /** Makes these changes in the zones of all threads; each answers by them within milliseconds. */
  apply(changes: readonly ZoneChange[]): void
  /** What all threads together have done since the start. */
  counters(): DnsCounters
  /** How often a thread broke and was started again. */
  restarts(): number
  close(): Promise<void>
}

/** A thread that breaks is started again after so long. */
const RESTART = { initialMs: 50, factor: 2, maxMs: 10_000 }
/** Changes are handed to a new thread in so many at a time: it listens to nothing else while it makes them. */
const CHANGES_AT_ONCE = 250
/** One that ran for so long had not broken at its start, in milliseconds. */
const STABLE_MS = 60_000

/**
 * Starts to answer DNS in worker threads. A thread that breaks is started again, loudly, with all that the zones hold
 * by then: until it is whole it says nothing.
 *
 * @throws {Error} When an address cannot be bound, with the system's `code`; see `isPortUnavailable`.
 */
export async function startDns(options: DnsOptions): Promise<Dns> {
  const { addresses, view, log, workers: count = 1 } = options
  const tallies = Array.from({ length: count }, createTallyMemory)
  const secret = randomBytes(32)
  const zoneLog = createZoneLog()
  // Each change adds one to it. A thread that is started late begins lower, and ends where the others are.
  let { serial } = view
  let { port } = options
  let restarts = 0

  const threads: Thread[] = []

  apply(changesOf(view))
  if (count > 1 && port !== 0) await mustBeFree(addresses, port)

  function apply(changes: readonly ZoneChange[]): void {
    for (const change of changes) zoneLog.add(change)
    serial = (serial + changes.length) >>> 0
    if (changes.length > 0) for (const thread of threads) thread.post({ kind: 'changes', changes })
  }

  function onLooped(upstream: string): void {
    log(
      `DNS: the resolver ${upstream} asks this daemon itself, so questions would go round: it is not asked for ${LOOPED_MS / 60_000} minutes. Give it other resolvers, or this daemon with --dns-forward`,
    )
    for (const thread of threads) thread.post({ kind: 'looped', upstream })
  }

  /** Starts a thread whose zones hold what the others' do. */
  function open(index: number, onEnded: (error: Error) => void): DnsWorker {
    const changes = zoneLog.changes()
    const init: DnsWorkerInit = {
      view: { ...view, apps: [], nodes: [], serial: (serial - changes.length) >>> 0 },
      addresses,
      port,
      reusePort: count > 1,
      tally: tallies[index]!,
      local: [...LOOPBACK_NETWORKS, ...(options.local ?? [])],
      home: options.home ?? PRIVATE_NETWORKS,
      transfer: options.transfer ?? LOOPBACK_NETWORKS,
      // What one network sends is shared among the threads.
      answersPerSecond: Math.ceil((options.answersPerSecond ?? 200) / count),
      secret,
      forward: options.forward && {
        plan: options.forward,
        resolvConf: options.resolvConf ?? '/etc/resolv.conf',
      },
      identity: options.identity,
    }
    const worker = startDnsWorker(init, { onLog: log, onLooped, onEnded })
    for (let at = 0; at < changes.length; at += CHANGES_AT_ONCE) {
      worker.post({ kind: 'changes', changes: changes.slice(at, at + CHANGES_AT_ONCE) })
    }
    worker.post({ kind: 'listen' })
    return worker
  }

  async function close(): Promise<void> {
    await Promise.all(threads.map(async thread => await thread.close()))
  }

  try {
    for (let index = 0; index < count; index++) {
      const thread = keepRunning({
        open: onEnded => open(index, onEnded),
        log,
        onRestart: () => restarts++,
      })
      threads.push(thread)
      // One after the other: the first one picks the port of the rest.
      // oxlint-disable-next-line no-await-in-loop
      port = await thread.listening
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    port,
    addresses,
    forwards: options.forward !== undefined,
    apply,
    counters: () => readTallies(tallies),
    restarts: () => restarts,
    close,
  }
}

/** A thread, and those that take its place when it breaks. */
interface Thread {
  /** The first one's. */
  readonly listening: Promise<number>
  post(message: ToDnsWorker): void
  close(): Promise<void>
}

function keepRunning({
  open,
  log,
  onRestart,
}: {
  readonly open: (onEnded: (error: Error) => void) => DnsWorker
  readonly log: DnsOptions['log']
  readonly onRestart: () => void
}): Thread {
  let isClosed = false
  let failures = 0
  let startedAtMs = performance.now()
  let timer: NodeJS.Timeout | undefined
  let worker: DnsWorker | undefined = open(onEnded)

  function onEnded(error: Error): void {
    worker = undefined
    if (isClosed) return
    failures = performance.now() - startedAtMs > STABLE_MS ? 1 : failures + 1
    const waitMs = backoffMs(failures, RESTART)
    log(`the DNS thread broke: it is started again in ${waitMs} ms`, error)
    timer = setTimeout(() => void restart(), waitMs)
  }

  async function restart(): Promise<void> {
    onRestart()
    startedAtMs = performance.now()
    const started = open(onEnded)
    worker = started
    try {
      await started.listening
      log('the DNS thread answers again')
    } catch (error) {
      onEnded(error instanceof Error ? error : new Error(String(error)))
    }
  }

  return {
    listening: worker.listening,
    post: message => worker?.post(message),
    close: async () => {
      isClosed = true
      clearTimeout(timer)
      await worker?.close()
    },
  }
}

function changesOf({ nodes, apps }: DnsView): ZoneChange[] {
  const ofNodes: ZoneChange[] = nodes.length === 0 ? [] : [{ kind: 'nodes', nodes }]
  return [...ofNodes, ...apps.map(app => ({ kind: 'app', app }) as const)]
}

/**
 * Sockets that share a port are shared with every process of the same user, so that two daemons would take each other's
 * queries: whether the port is free is asked for as one that does not share.
 *
 * @throws {Error} With the system's `code`.
 */
async function mustBeFree(addresses: readonly string[], port: number): Promise<void> {
  for (const address of addresses) {
    const server = createServer()
    const isV6 = address.includes(':')
    const socket = createSocket({ type: isV6 ? 'udp6' : 'udp4', ipv6Only: isV6 })
    try {
      const [listening, bound] = [once(server, 'listening'), once(socket, 'listening')]
      server.listen({ host: address, port, ipv6Only: true })
      socket.bind({ address, port, exclusive: true })
      // oxlint-disable-next-line no-await-in-loop
      await Promise.all([listening, bound])
    } finally {
      server.close()
      socket.close()
    }
  }
}
