import type { TaskId } from '../../src/model/ids.ts'
import type { Runtimes } from '../../src/model/node-record.ts'
import type { Effect, GuardOrder, NodeEvent } from '../../src/node/machine/events.ts'
import { FakeEngine, type FakeEvent } from '../../src/runtime/fake-engine.ts'
import type { Launch } from '../../src/runtime/runtime.ts'
import { runtimeOf } from '../../src/model/app.ts'
import type { HostWorld, SimHost } from './host.ts'
import { Lane } from './lane.ts'

type Kind = 'docker' | 'process'
type TaskEffect = Extract<Effect, { readonly kind: 'start' | 'stop' | 'remove' | 'probe' }>

/** The watchdog looks at its orders at least so often. */
const WATCH_MS = 400

/** The mark of the simulated cluster's tasks. */
const CLUSTER = 'sim'

/** The engines of a simulated machine, and what the daemon's task runner does between them and the machine. */
export class TaskHost {
  /** Every task that runs or is on its way, with what it was launched from. */
  readonly live = new Map<TaskId, Launch>()
  /** Chance that a stop does not work. */
  stopFailure = 0
  /** An engine needs so long to kill what does not end by itself. */
  killMs = 0
  /** An engine needs up to so long to say what it runs. */
  listMs = 300
  readonly #world: HostWorld
  readonly #host: SimHost
  readonly #engines: Readonly<Partial<Record<Kind, FakeEngine>>>
  /** On their way, whoever asked for them. */
  readonly #starting = new Set<TaskId>()
  /** Whose end this life of the daemon waits for. */
  readonly #stopping = new Set<TaskId>()
  /** What this life of the daemon has seen run. */
  readonly #known = new Set<TaskId>()

  #usable: Runtimes = { docker: false, process: false }
  /** What the watchdog goes by, which outlives the daemon. Times are by the monotonic clock. */
  #orders: readonly GuardOrder[] = []
  /** The watchdog, which stands still with its machine only. */
  readonly #watchdog: Lane
  readonly #asked = new Set<TaskId>()

  constructor(world: HostWorld, host: SimHost) {
    this.#world = world
    this.#host = host
    const script = (launch: Launch): ReturnType<HostWorld['behaviourOf']> =>
      world.behaviourOf(host, launch)
    this.#engines = {
      process: new FakeEngine({ script }),
      ...(host.options.hasDocker && { docker: new FakeEngine({ script }) }),
    }
    for (const engine of Object.values(this.#engines)) engine.subscribe(event => this.#told(event))
    this.#watchdog = new Lane(world, 1)
  }

  /** When an engine has something to say. */
  get nextAtMs(): number {
    return Math.min(...Object.values(this.#engines).map(({ nextAtMs }) => nextAtMs))
  }

  /** What the last daemon held, for the next one: by the clock that it starts with. */
  get orders(): readonly GuardOrder[] {
    return this.#shifted(this.#orders, this.#host.clock.baseMs)
  }

  /** The watchdog takes its orders, and looks at them several times a second. */
  guard(orders: readonly GuardOrder[]): void {
    const isIdle = this.#orders.length === 0
    this.#orders = this.#shifted(orders, -this.#host.clock.baseMs)
    if (isIdle && orders.length > 0) this.#watch()
  }

  /** The watchdog and the tasks stand still for so long. */
  standStill(forMs: number): void {
    this.#watchdog.standStill(forMs)
    this.#host.wakeForTasks()
  }

  /** They run again. */
  resume(): void {
    this.#watchdog.resume()
    this.#host.wakeForTasks()
  }

  #shifted(orders: readonly GuardOrder[], byMs: number): GuardOrder[] {
    return orders.map(order => ({
      ...order,
      untilMs: order.untilMs + byMs,
      stopAtMs: order.stopAtMs + byMs,
    }))
  }

  #watch(): void {
    this.#world.after(WATCH_MS * this.#world.random(), () =>
      this.#watchdog.run(() => {
        for (const order of this.#orders) this.#carryOut(order)
        this.#host.wakeForTasks()
        if (this.#orders.length > 0) this.#watch()
      }),
    )
  }

  /** Asks a task to end when its time is over, and kills it after the grace: by the clock, so after a long freeze at once. */
  #carryOut({ task, stopAtMs, graceMs }: GuardOrder): void {
    const { nowMs, story } = this.#world
    const lateMs = this.#host.clock.monotonicMs(nowMs) - stopAtMs
    const launch = this.live.get(task)
    if (lateMs < 0 || launch === undefined || this.#starting.has(task)) return
    const leftMs = Math.max(0, graceMs - lateMs)
    if (this.#asked.has(task) && leftMs > 0) return
    if (!this.#asked.has(task)) story.add(nowMs, this.#host.name, `the watchdog ends ${task}`)
    this.#asked.add(task)
    this.#engines[runtimeOf(launch.spec)]?.stop(CLUSTER, task, leftMs + this.killMs, nowMs)
  }

  /** Tasks that ended and were not removed yet. */
  get ended(): number {
    const listed = Object.values(this.#engines).flatMap(engine => engine.list(CLUSTER))
    return listed.filter(({ running }) => !running).length
  }

  /** Tells the machine what runs here, engine by engine, each in its own time. */
  list(): void {
    for (const kind of Object.keys(this.#engines) as Kind[]) {
      this.#later(1 + this.#world.random() * this.listMs, () => this.#list(kind))
    }
  }

  /** Lets the engines run until now. */
  advance(): void {
    for (const engine of Object.values(this.#engines)) engine.advance(this.#world.nowMs)
  }

  /** Ends a running task as a crash would. */
  crash(task: TaskId, exitCode: number): void {
    for (const engine of Object.values(this.#engines)) {
      engine.crash(CLUSTER, task, exitCode, this.#world.nowMs)
    }
    this.#host.wakeForTasks()
  }

  /** The daemon is gone: what runs runs on, and of what was on its way some is called off. */
  daemonGone(): void {
    this.#stopping.clear()
    this.#known.clear()
    this.#usable = { docker: false, process: false }
    for (const task of this.#starting) if (this.#world.random() < 0.5) this.#callOff(task)
  }

  /** All tasks end. */
  powerOff(): void {
    for (const task of this.#starting) this.#callOff(task)
    for (const task of this.live.keys()) this.crash(task, 137)
    this.#orders = []
    this.advance()
  }

  perform(effect: TaskEffect): void {
    const { random, nowMs } = this.#world
    switch (effect.kind) {
      case 'start':
        return this.#start({ ...effect, env: {} })
      case 'stop':
        return this.#stop(effect)
      case 'remove':
        if (this.live.has(effect.task) && !this.#starting.has(effect.task)) return
        this.#engines[effect.runtime]?.remove(CLUSTER, effect.task)
        return
      case 'probe': {
        const { task, revision, check, spec } = effect
        const { timeout } = spec.health[check]!
        this.#later(1 + 20 * random(), () => {
          // A probe that was under way when the machine froze may find its time over when it thaws.
          const isInTime = !this.#host.isFrozen || random() < 0.5
          const isWell = this.live.has(task) && this.#world.isHealthy(this.#host, task, spec)
          const healthy = isWell && isInTime
          const message = healthy ? '' : `no answer within ${timeout} at ${nowMs}`
          this.#host.take({ kind: 'probed', task, revision, check, healthy, message })
        })
      }
    }
  }

  #list(kind: Kind): void {
    // A start that outlived its daemon is over before the engine answers the next one.
    if (this.#starting.size > 0) {
      this.#later(50, () => this.#list(kind))
      return
    }
    const tasks = this.#engines[kind]!.list(CLUSTER)
    for (const { task, running } of tasks) if (running) this.#known.add(task)
    this.#usable = { ...this.#usable, [kind]: true }
    this.#host.take({ kind: 'facts-changed', facts: { runtimes: this.#usable } })
    this.#host.take({ kind: 'found', runtime: kind, tasks })
  }

  #start(launch: Launch): void {
    const { task, spec } = launch
    const engine = this.#engines[runtimeOf(spec)]
    const failure =
      engine === undefined
        ? ({ code: 'unreachable', message: 'no such engine', temporary: false } as const)
        : engine.start(CLUSTER, launch, this.#world.nowMs)
    if (failure === undefined) {
      this.live.set(task, launch)
      this.#starting.add(task)
      this.#host.wakeForTasks()
    } else {
      this.#later(1, () => this.#host.take({ kind: 'task-start-failed', task, ...failure }))
    }
  }

  #stop({ task, runtime, graceMs }: Extract<TaskEffect, { kind: 'stop' }>): void {
    const tell = (event: NodeEvent): void => {
      this.#later(1 + 3 * this.#world.random(), () => this.#host.take(event))
    }
    if (this.#world.random() < this.stopFailure) {
      tell({ kind: 'task-stop-failed', task, message: 'the engine does not answer' })
    } else if (this.#starting.has(task)) {
      this.#callOff(task)
      const message = 'it was called off'
      tell({ kind: 'task-start-failed', task, code: 'failed', temporary: true, message })
      tell({ kind: 'task-stopped', task })
    } else if (this.#isLive(task, runtime)) {
      this.#stopping.add(task)
      this.#engines[runtime]?.stop(CLUSTER, task, graceMs + this.killMs, this.#world.nowMs)
      this.#host.wakeForTasks()
    } else {
      tell({ kind: 'task-stopped', task })
    }
  }

  /** An engine knows its own tasks only. */
  #isLive(task: TaskId, runtime: Kind): boolean {
    const launch = this.live.get(task)
    return launch !== undefined && runtimeOf(launch.spec) === runtime
  }

  #callOff(task: TaskId): void {
    this.#starting.delete(task)
    this.live.delete(task)
    for (const engine of Object.values(this.#engines)) engine.remove(CLUSTER, task)
  }

  #told(event: FakeEvent): void {
    const { task } = event
    this.#starting.delete(task)
    if (event.kind !== 'started') this.live.delete(task)
    const isAwaited = this.#host.machine !== undefined
    if (!isAwaited) return
    switch (event.kind) {
      case 'started':
        this.#known.add(task)
        this.#host.take({ kind: 'task-started', task })
        return
      case 'failed':
        this.#host.take({ kind: 'task-start-failed', task, ...event.failure })
        return
      case 'exited': {
        const { exitCode } = event
        if (this.#known.delete(task)) {
          this.#host.take({ kind: 'task-exited', task, exitCode, message: '' })
        }
        if (this.#stopping.delete(task)) this.#host.take({ kind: 'task-stopped', task })
      }
    }
  }

  #later(ms: number, act: () => void): void {
    const { life } = this.#host
    this.#world.after(ms, () => {
      if (this.#host.life === life) act()
    })
  }
}
