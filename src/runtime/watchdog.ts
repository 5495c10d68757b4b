import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import { backoffMs } from '../util/backoff.ts'
import { elapsedMs, readMoment } from './moment.ts'
import { identify, isAlive, readBootId, signalProcess } from './process-identity.ts'
import { RuntimeError } from './runtime.ts'
import { taskDirOf } from './task-dir.ts'
import { findHolder } from './watchdog-lock.ts'
import { ORDERS_MAX, type FiledOrder, type Order } from './watchdog-orders.ts'
import { readSheet, SHEET_VERSION, SheetWriter } from './watchdog-sheet.ts'

/** Options of {@link startWatchdog}. */
export interface WatchdogOptions {
  /** The node's folder; the watchdog's files are in `watchdog` below it. */
  readonly dataDir: string
  /** Only tasks that carry this mark are stopped. */
  readonly cluster: string
  /** The Docker engine's socket. @default containers cannot be guarded */
  readonly dockerSocket?: string
  /** The folder of the process runtime. */
  readonly processDir: string
  /** The clock of the orders' times, in milliseconds. It must not stand still while the machine sleeps: see `createSteadyClock`. */
  readonly now: () => number
  /** Told of what a person should know but no caller asked for. */
  readonly log: (message: string) => void
}

/** Sees to it that tasks end at their time, even when this process is gone. */
export interface Watchdog {
  /**
   * Replaces the orders. Resolves when they are in force: in the file, and with a process that
   * reads it. An order that is left out is no more.
   *
   * @throws {RuntimeError} `failed` when they cannot be put in force; those of before stay.
   */
  keep(orders: readonly Order[]): Promise<void>
  /** Looks after the process no more. The orders stay in force, and so does the process. */
  close(): Promise<void>
}

/** A process that is not up after so long is taken to hang, on the busiest machine. In milliseconds. */
const START_MS = 15_000
/** How often it is seen whether the process lives, in milliseconds. */
const ALIVE_MS = 500
/** What has no end has this: JSON knows no infinity. In milliseconds, 31 years. */
const NEVER_MS = 1e12
/** How often the death of an old version's process is looked for, in milliseconds. */
const DEATH_MS = 20
/** A process that dies again and again is started ever more rarely, but for each new order at once. */
const RESTART = { initialMs: 500, factor: 2, maxMs: 30_000 }

const MAIN = fileURLToPath(new URL('watchdog-main.ts', import.meta.url))

/**
 * Gets ready to guard tasks whose claim must not outlive its time: the process is started with the
 * first order, and taken over from an earlier daemon if it runs. One daemon to a folder.
 *
 * Why a process: a daemon that was killed, or that hangs, stops nothing, and its tasks run on
 * by design. Limits: who kills the daemon *and* the watchdog has both; and a machine that
 * stands still stops nothing until it goes on. See `docs/decisions/0011-watchdog.md`.
 *
 * @throws {RuntimeError} `failed` when the folder cannot be used.
 */
export async function startWatchdog(options: WatchdogOptions): Promise<Watchdog> {
  return new WatchdogProcess(options)
}

/**
 * The orders that an earlier daemon of this boot and cluster left, with their times by the clock
 * of which `nowMs` is now; they may be over.
 *
 * @throws {RuntimeError} `failed`, with the reason, when they cannot be read: nothing of them is in force for the caller then.
 */
export function readOrders(
  dataDir: string,
  { cluster, nowMs }: { readonly cluster: string; readonly nowMs: number },
): Order[] {
  const found = readSheet(folderIn(dataDir))
  if (found.kind === 'bad') throw failed(found.reason)
  if (found.kind === 'none') return []
  const { sheet } = found
  if (sheet.cluster !== cluster || sheet.bootId !== readBootId()) return []
  const atMs = nowMs - elapsedMs(sheet.at, readMoment())
  return sheet.orders.map(({ task, slot, runtime, token, untilInMs, stopInMs, graceMs }) => ({
    task,
    slot,
    runtime,
    token,
    graceMs,
    untilMs: atMs + untilInMs,
    stopAtMs: atMs + stopInMs,
  }))
}

class WatchdogProcess implements Watchdog {
  readonly #options: WatchdogOptions
  readonly #dir: string
  readonly #self = identify(process.pid)
  readonly #writer: SheetWriter
  /** Looks after the process while there are orders in force. */
  #timer: NodeJS.Timeout | undefined
  #starting: Promise<void> | undefined
  #failures = 0
  #isClosed = false
  #restartAtMs = 0

  constructor(options: WatchdogOptions) {
    this.#options = options
    this.#dir = folderIn(options.dataDir)
    const found = readSheet(this.#dir)
    try {
      this.#writer = new SheetWriter(this.#dir)
    } catch (error) {
      throw failed(`Cannot keep orders in ${this.#dir}: ${messageOf(error)}`, error)
    }
    this.#want(found.kind === 'sheet' && found.sheet.orders.length > 0)
  }

  async keep(orders: readonly Order[]): Promise<void> {
    if (orders.length > ORDERS_MAX) {
      throw failed(`Cannot guard ${orders.length} tasks: ${ORDERS_MAX} are the most`)
    }
    if (this.#isClosed) throw failed('Cannot guard tasks: the watchdog was closed')
    const at = readMoment()
    // Read after the moment: a machine that slept in between has less time left, not more.
    const nowMs = this.#options.now()
    try {
      this.#writer.write({
        cluster: this.#options.cluster,
        bootId: readBootId(),
        daemon: this.#self ?? { pid: process.pid, startTicks: '' },
        dockerSocket: this.#options.dockerSocket ?? '',
        at,
        orders: orders.map(order => this.#fileOrder(order, nowMs)),
      })
    } catch (error) {
      throw failed(`Cannot keep orders in ${this.#dir}: ${messageOf(error)}`, error)
    }
    this.#want(orders.length > 0)
    if (orders.length > 0) await this.#ensure()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#timer)
    await this.#starting?.catch(() => undefined) // Whoever waits for it hears of it.
    this.#writer.close()
  }

  #fileOrder({ untilMs, stopAtMs, ...order }: Order, nowMs: number): FiledOrder {
    const { task, runtime } = order
    return {
      ...order,
      untilInMs: Math.min(untilMs - nowMs, NEVER_MS),
      stopInMs: Math.min(stopAtMs - nowMs, NEVER_MS),
      dir: runtime === 'process' ? taskDirOf(resolve(this.#options.processDir), task) : '',
    }
  }

  #want(isWanted: boolean): void {
    if (isWanted) {
      this.#timer ??= setInterval(() => this.#restart(), ALIVE_MS).unref()
    } else {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  /** Brings a process back that died. */
  #restart(): void {
    if (this.#starting !== undefined) return
    if (performance.now() < this.#restartAtMs || this.#isThere()) return
    this.#options.log('the watchdog is gone: it is started again')
    this.#ensure().catch((error: unknown) => this.#options.log(messageOf(error)))
  }

  #isThere(): boolean {
    return findHolder(this.#dir)?.version === SHEET_VERSION
  }

  /** Resolves when there is a process that read the folder after this call, or will within a moment. */
  async #ensure(): Promise<void> {
    if (this.#isThere()) return
    this.#starting ??= this.#start().finally(() => (this.#starting = undefined))
    await this.#starting
  }

  async #start(): Promise<void> {
    try {
      await endOtherVersion(this.#dir)
      await spawnWatchdog(this.#dir)
      this.#failures = 0
    } catch (error) {
      this.#restartAtMs = performance.now() + backoffMs(++this.#failures, RESTART)
      throw failed(`Cannot start the watchdog: ${messageOf(error)}`, error)
    }
  }
}

/** Starts a process that outlives this one, and waits until it is in charge, or another one is. */
async function spawnWatchdog(dir: string): Promise<void> {
  const cache = process.env['NODE_COMPILE_CACHE']
  const flags = ['--disable-warning=ExperimentalWarning', '--optimize-for-size']
  const heap = ['--max-semi-space-size=1', '--single-threaded-gc', '--v8-pool-size=1']
  const child = spawn(process.execPath, [...flags, ...heap, MAIN, dir], {
    cwd: '/',
    env: { MALLOC_ARENA_MAX: '1', ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }) },
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const late = AbortSignal.timeout(START_MS)
  const over = new AbortController()
  child.once('exit', code =>
    over.abort(new Error(`it ended with code ${code ?? 'none'}, see ${join(dir, 'log')}`)),
  )
  try {
    await once(child, 'spawn')
    await once(child.stdout, 'data', { signal: AbortSignal.any([late, over.signal]) })
  } catch (error) {
    if (child.pid !== undefined && child.exitCode === null) child.kill('SIGKILL')
    if (late.aborted) throw new Error(`it is not up after ${START_MS / 1000} s`, { cause: error })
    throw over.signal.aborted ? over.signal.reason : error
  } finally {
    child.stdout.destroy()
    child.unref()
  }
}

/** Ends the process of another version: it cannot read what this one writes. */
async function endOtherVersion(dir: string): Promise<void> {
  const holder = findHolder(dir)
  if (holder === undefined || holder.version === SHEET_VERSION) return
  signalProcess(holder.pid, 'SIGTERM')
  for (let waitedMs = 0; isAlive(holder); waitedMs += DEATH_MS) {
    if (waitedMs === 2_000) signalProcess(holder.pid, 'SIGKILL')
    if (waitedMs >= START_MS) throw new Error(`an older one, process ${holder.pid}, does not end`)
    await wait(DEATH_MS)
  }
}

function folderIn(dataDir: string): string {
  return join(resolve(dataDir), 'watchdog')
}

function failed(message: string, cause?: unknown): RuntimeError {
  return new RuntimeError('failed', message, { temporary: true, cause })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
