import { setTimeout as wait } from 'node:timers/promises'
import type { TaskId } from '../model/ids.ts'
import { backoffMs } from '../util/backoff.ts'
import { elapsedMs, readMoment } from './moment.ts'
import { isAlive, readBootId } from './process-identity.ts'
import { ContainerBook } from './watchdog-book.ts'
import { WatchdogEngine } from './watchdog-engine.ts'
import type { FiledOrder, Sheet } from './watchdog-orders.ts'
import { SheetReader } from './watchdog-sheet.ts'
import { containerTarget, processTarget, type Target } from './watchdog-target.ts'

/** How often the orders are read, in milliseconds: a renewal is known, and a machine that was frozen is noticed, so soon. */
const LOOK_MS = 400
/** Without orders it waits so long for new ones before it ends, in milliseconds. */
const LINGER_MS = 5_000
/** An engine that takes longer for a small answer is taken to hang, and the kernel is asked. In milliseconds. */
const ENGINE_MS = 1_000
/** A task that was asked to end is looked at after so long, and then ever more rarely. */
const LOOKS = { initialMs: 20, factor: 1.1, maxMs: 200 }
/** A task that did not end when it was killed is killed again after so long. */
const KILLS = { initialMs: 50, factor: 1.3, maxMs: 2_000 }
/** A task that has ended, and whose daemon may be about to start it all the same, is looked for so often. */
const GONE_MS = 1_000
/** Containers that were not found yet are looked for so often. */
const LEARN = { initialMs: 200, factor: 1.3, maxMs: 2_000 }
/** So many looks at orders that cannot be read, and it is worth a line in the log. */
const BAD_LOOKS = 5

/** Options of {@link runGuard}. */
export interface GuardOptions {
  /** The folder with the orders. */
  readonly dir: string
  readonly log: (message: string) => void
  /** Called once, when the orders that are there were read. */
  readonly onRead: () => void
}

/**
 * Carries out the orders in a folder, as they change, until nobody needs it: no orders for
 * {@link LINGER_MS}, or the daemon gone and all of them carried out.
 *
 * An order that is over cannot be taken back. What is asked to end at `stopAtMs` is killed
 * `graceMs` later, by the clock; after a freeze that was longer than both, at once. Orders that become
 * unreadable stay as they were last read.
 *
 * @returns The number of the last sheet that it read.
 */
export async function runGuard(options: GuardOptions): Promise<number> {
  const guard = new Guard(options)
  let isNeeded = guard.look()
  options.onRead()
  for (let failures = 0; isNeeded;) {
    await wait(guard.nextLookMs)
    try {
      isNeeded = guard.look()
    } catch (error) {
      // A full table of files, say. The daemon may be gone: then nobody would start another watchdog.
      if (isPowerOfTwo(++failures)) options.log(`Cannot look at the orders: ${messageOf(error)}`)
    }
  }
  return guard.seq
}

class Guard {
  readonly #options: GuardOptions
  readonly #reader: SheetReader
  readonly #bootId = readBootId()
  /** Tasks that are being ended. */
  readonly #ending = new Set<TaskId>()
  /** Tasks that were found to have ended, and when. */
  readonly #gone = new Map<TaskId, number>()
  #sheet: { readonly seq: number; readonly content: Sheet } | undefined
  #book: { readonly socket: string; readonly book: ContainerBook } | undefined
  #badLooks = 0
  #emptySinceMs: number | undefined
  #learning: Promise<void> | undefined
  #learnAtMs = 0
  #learned = 0

  constructor(options: GuardOptions) {
    this.#options = options
    this.#reader = new SheetReader(options.dir)
  }

  /** Reads the orders, and begins what is due. False when nobody needs it any more. */
  look(): boolean {
    this.#read()
    const orders = this.#orders()
    const elapsed = this.#elapsedMs()
    const due = orders.filter(({ stopInMs }) => stopInMs <= elapsed)
    for (const order of due) this.#begin(order)
    const isDue = new Set(due.map(({ task }) => task))
    for (const task of this.#gone.keys()) if (!isDue.has(task)) this.#gone.delete(task)
    this.#learn(orders)
    return this.#isNeeded(orders)
  }

  /** The number of the sheet that was read last; 0 for none. */
  get seq(): number {
    return this.#sheet?.seq ?? 0
  }

  /** How long until the next look, in milliseconds: to the next task that is due, if that is sooner. */
  get nextLookMs(): number {
    const elapsed = this.#elapsedMs()
    let nextMs = LOOK_MS
    for (const { stopInMs } of this.#orders()) {
      if (stopInMs > elapsed) nextMs = Math.min(nextMs, Math.ceil(stopInMs - elapsed))
    }
    return nextMs
  }

  #read(): void {
    const found = this.#reader.read()
    if (found.kind === 'sheet') {
      this.#badLooks = 0
      if (found.seq === this.#sheet?.seq) return
      const isSame = this.#sheet?.content.orders.length === found.sheet.orders.length
      if (!isSame) this.#learnAtMs = this.#learned = 0
      this.#sheet = { seq: found.seq, content: found.sheet }
      return
    }
    if (++this.#badLooks !== BAD_LOOKS) return
    const reason =
      found.kind === 'bad' ? found.reason : `There are no orders in ${this.#options.dir}`
    this.#options.log(`${reason}; those that were read last stay in force`)
  }

  /** What is in force. What was written before the machine was started again is about tasks that have all ended. */
  #orders(): readonly FiledOrder[] {
    const content = this.#sheet?.content
    return content === undefined || content.bootId !== this.#bootId ? [] : content.orders
  }

  /** How long ago the orders were written. */
  #elapsedMs(): number {
    const at = this.#sheet?.content.at
    return at === undefined ? 0 : elapsedMs(at, readMoment())
  }

  #isNeeded(orders: readonly FiledOrder[]): boolean {
    if (this.#ending.size > 0) return true
    const daemon = this.#sheet?.content.daemon
    const isDone = orders.every(({ task }) => this.#gone.has(task))
    if (daemon === undefined || !isAlive(daemon)) return !isDone
    if (orders.length > 0) {
      this.#emptySinceMs = undefined
      return true
    }
    const { monotonicMs: nowMs } = readMoment()
    this.#emptySinceMs ??= nowMs
    return nowMs - this.#emptySinceMs < LINGER_MS
  }

  #begin(order: FiledOrder): void {
    const { task } = order
    const sheet = this.#sheet?.content
    const { monotonicMs: nowMs } = readMoment()
    const goneSinceMs = this.#gone.get(task)
    const isFresh = goneSinceMs !== undefined && nowMs - goneSinceMs < GONE_MS
    if (sheet === undefined || this.#ending.has(task) || isFresh) return
    this.#ending.add(task)
    void this.#end(order, sheet).finally(() => {
      this.#ending.delete(task)
      this.#gone.set(task, readMoment().monotonicMs)
    })
  }

  /** Ends a task, and resolves when nothing of it runs. */
  async #end(order: FiledOrder, sheet: Sheet): Promise<void> {
    const { task, slot, token, stopInMs, graceMs } = order
    const { log } = this.#options
    const target = this.#targetOf(order, sheet)
    const attempt = this.#attempter()
    const look = (): Promise<boolean> =>
      // While nobody can say, it may run.
      attempt(`see whether ${task} runs`, () => target.isRunning(), true)
    if (!(await look())) return
    log(`${task} is to end: its claim on ${slot}, token ${token}, was not renewed`)
    await attempt(`ask ${task} to end`, () => target.ask(), undefined)
    for (let looks = 1, kills = 0; await look(); looks++) {
      const leftMs = stopInMs + graceMs - elapsedMs(sheet.at, readMoment())
      if (leftMs > 0) {
        await wait(Math.max(1, Math.min(backoffMs(looks, LOOKS), leftMs)))
        continue
      }
      await attempt(`kill ${task}`, () => target.kill(), undefined)
      await wait(backoffMs(++kills, KILLS))
    }
    log(`${task} has ended`)
  }

  /** Returns what tries something that is tried again later if it fails. Says so the first time, and then ever more rarely. */
  #attempter(): <T>(what: string, work: () => Promise<T>, otherwise: T) => Promise<T> {
    let failed = 0
    return async (what, work, otherwise) => {
      try {
        return await work()
      } catch (error) {
        if (isPowerOfTwo(++failed)) {
          this.#options.log(`Cannot ${what} (failed ${failed} times so far): ${messageOf(error)}`)
        }
        return otherwise
      }
    }
  }

  #targetOf(order: FiledOrder, sheet: Sheet): Target {
    return order.runtime === 'process'
      ? processTarget(order, sheet)
      : containerTarget(order.task, this.#bookOf(sheet), sheet.cluster)
  }

  #bookOf({ dockerSocket: socket }: Sheet): ContainerBook {
    if (this.#book?.socket !== socket) {
      const engine = new WatchdogEngine(socket, ENGINE_MS)
      this.#book = { socket, book: new ContainerBook(`${this.#options.dir}/containers`, engine) }
    }
    return this.#book.book
  }

  /** Finds out which processes the containers are, as long as the engine answers. */
  #learn(orders: readonly FiledOrder[]): void {
    const sheet = this.#sheet?.content
    const tasks = orders.filter(({ runtime }) => runtime === 'docker').map(({ task }) => task)
    if (sheet === undefined || this.#learning !== undefined) return
    const { monotonicMs: nowMs } = readMoment()
    if (nowMs < this.#learnAtMs || tasks.length === 0) return
    const book = this.#bookOf(sheet)
    if (tasks.every(task => book.knows(task))) return
    this.#learnAtMs = nowMs + backoffMs(++this.#learned, LEARN)
    this.#learning = book
      .learn(new Set(tasks), sheet.cluster)
      .catch((error: unknown) => {
        if (!isPowerOfTwo(this.#learned)) return
        this.#options.log(`Cannot look for containers: ${messageOf(error)}`)
      })
      .finally(() => (this.#learning = undefined))
  }
}

function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
