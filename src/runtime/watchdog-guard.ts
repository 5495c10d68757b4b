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
/** How often a task that is ending is looked at, in milliseconds. */
const ENDING_MS = 50
/** A task that did not end when it was killed is killed again after so long. */
const AGAIN = { initialMs: 200, factor: 1.5, maxMs: 2_000 }
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
  while (isNeeded) {
    await wait(guard.nextLookMs)
    isNeeded = guard.look()
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
  async #end(order: FiledOrder, { at, ...sheet }: Sheet): Promise<void> {
    const { task, slot, token, stopInMs, graceMs } = order
    const { log } = this.#options
    const target = this.#targetOf(order, { at, ...sheet })
    const killInMs = stopInMs + graceMs
    const leftMs = (): number => killInMs - elapsedMs(at, readMoment())
    const tries = { failed: 0 }
    if (!(await this.#isRunning(task, target, tries))) return
    log(`${task} is to end: its claim on ${slot}, token ${token}, was not renewed`)
    await this.#attempt(`ask ${task} to end`, () => target.ask(), tries)
    while (leftMs() > 0) {
      if (!(await this.#isRunning(task, target, tries))) return log(`${task} has ended`)
      await wait(Math.max(1, Math.min(ENDING_MS, leftMs())))
    }
    for (let kills = 1; ; kills++) {
      await this.#attempt(`kill ${task}`, () => target.kill(), tries)
      for (let looks = 0; looks * ENDING_MS < backoffMs(kills, AGAIN); looks++) {
        if (!(await this.#isRunning(task, target, tries))) return log(`${task} was killed`)
        await wait(ENDING_MS)
      }
    }
  }

  #targetOf(order: FiledOrder, sheet: Sheet): Target {
    return order.runtime === 'process'
      ? processTarget(order, sheet)
      : containerTarget(order.task, this.#bookOf(sheet), sheet.cluster)
  }

  /** While nobody can say, it may run. */
  async #isRunning(task: TaskId, target: Target, tries: { failed: number }): Promise<boolean> {
    let isRunning = true
    await this.#attempt(
      `see whether ${task} runs`,
      async () => void (isRunning = await target.isRunning()),
      tries,
    )
    return isRunning
  }

  /** Tries something that is tried again if it fails. Says so the first time, and then ever more rarely. */
  async #attempt(
    what: string,
    work: () => Promise<void>,
    tries: { failed: number },
  ): Promise<void> {
    try {
      await work()
    } catch (error) {
      const failed = ++tries.failed
      if ((failed & (failed - 1)) === 0) {
        this.#options.log(`Cannot ${what} (tried ${failed} times): ${messageOf(error)}`)
      }
    }
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
        if ((this.#learned & (this.#learned - 1)) !== 0) return
        this.#options.log(`Cannot look for containers: ${messageOf(error)}`)
      })
      .finally(() => (this.#learning = undefined))
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
