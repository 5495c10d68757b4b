import type { TaskId } from '../model/ids.ts'
import { nameOfPort } from './port-name.ts'
import { workDigest } from '../util/work-digest.ts'
import type { FoundTask, Launch, LogChunk, RuntimeErrorCode } from './runtime.ts'

/** What a fake task does with its life. All times are in milliseconds from the call of start. */
export interface FakeBehaviour {
  /** How long the start takes, such as for a pull. @default 0 */
  readonly startMs?: number
  /** The start fails with this after `startMs`. @default it succeeds */
  readonly failure?: FakeFailure
  /** When it ends by itself. @default never */
  readonly exitAfterMs?: number
  /** What it ends with by itself. @default 0 */
  readonly exitCode?: number
  /** How long it needs to end when asked to; `Infinity` ignores the question. @default 0 */
  readonly stopMs?: number
  /** What it ends with when asked to. @default 143, as by signal 15 */
  readonly stopCode?: number
  /** What it prints, in order of time. @default nothing */
  readonly output?: readonly FakeOutput[]
  /** What a command inside it does. @default it ends at once with code 0 */
  readonly exec?: (command: string | readonly string[]) => {
    readonly exitCode: number
    readonly takesMs: number
  }
}

/** Why a fake start fails. */
export interface FakeFailure {
  readonly code: RuntimeErrorCode
  readonly message: string
  readonly temporary: boolean
}

/** Something that a fake task prints. */
export interface FakeOutput {
  readonly atMs: number
  readonly stream: LogChunk['stream']
  readonly text: string
}

/** What came to pass in a {@link FakeEngine}, with the cluster it concerns. */
export type FakeEvent = { readonly cluster: string; readonly task: TaskId } & (
  | { readonly kind: 'started' }
  | { readonly kind: 'failed'; readonly failure: FakeFailure }
  | { readonly kind: 'exited'; readonly exitCode: number }
)

/** Options of {@link FakeEngine}. */
export interface FakeEngineOptions {
  /** Says what a launch will do. @default it starts at once and runs until it is stopped */
  readonly script?: (launch: Launch) => FakeBehaviour
}

interface FakeTask {
  readonly cluster: string
  readonly launch: Launch
  readonly behaviour: FakeBehaviour
  readonly askedAtMs: number
  phase: 'starting' | 'running' | 'ended'
  /** When it leaves its phase; `Infinity` for never. */
  nextAtMs: number
  /** What it will end, or has ended, with. */
  exitCode: number
}

/**
 * A machine that pretends to run tasks: no I/O, no clock, no chance. It outlives the
 * daemons that talk to it, as a Docker engine does, so a simulator can restart a daemon
 * around it. Time passes only in {@link FakeEngine.advance}.
 */
export class FakeEngine {
  readonly #script: (launch: Launch) => FakeBehaviour
  readonly #tasks = new Map<string, FakeTask>()
  readonly #listeners = new Set<(event: FakeEvent) => void>()
  /** Ports that a stranger on the machine holds, as `tcp 80`. Change it at will. */
  readonly occupied = new Set<string>()

  constructor({ script = () => ({}) }: FakeEngineOptions = {}) {
    this.#script = script
  }

  /** Calls `listener` with all that happens, until the returned function is called. */
  subscribe(listener: (event: FakeEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Begins a start; `started` or `failed` follows in {@link FakeEngine.advance}.
   *
   * @returns Why not, when the task exists or a port is taken: nothing was begun then.
   */
  start(cluster: string, launch: Launch, nowMs: number): FakeFailure | undefined {
    const refusal = this.#refusal(cluster, launch)
    if (refusal !== undefined) return refusal
    const behaviour = this.#script(launch)
    this.#tasks.set(keyOf(cluster, launch.task), {
      cluster,
      launch,
      behaviour,
      askedAtMs: nowMs,
      phase: 'starting',
      nextAtMs: nowMs + (behaviour.startMs ?? 0),
      exitCode: 0,
    })
    return undefined
  }

  /** Asks a task to end, and kills it (137) when it has not ended by itself within `graceMs`. */
  stop(cluster: string, task: TaskId, graceMs: number, nowMs: number): void {
    const found = this.#tasks.get(keyOf(cluster, task))
    if (found?.phase !== 'running') return
    const { stopMs = 0, stopCode = 143 } = found.behaviour
    const obeys = stopMs <= graceMs
    const endsAtMs = nowMs + (obeys ? stopMs : graceMs)
    if (endsAtMs >= found.nextAtMs) return
    found.nextAtMs = endsAtMs
    found.exitCode = obeys ? stopCode : 137
  }

  /** Forgets a task, whatever it does: also how a start is called off. */
  remove(cluster: string, task: TaskId): void {
    this.#tasks.delete(keyOf(cluster, task))
  }

  /** Ends a running task as a crash would. Told by the next {@link FakeEngine.advance}. */
  crash(cluster: string, task: TaskId, exitCode: number, nowMs: number): void {
    const found = this.#tasks.get(keyOf(cluster, task))
    if (found?.phase === 'running') Object.assign(found, { nextAtMs: nowMs, exitCode })
  }

  /** The tasks of a cluster that run, or ran and were not removed, oldest first. */
  list(cluster: string): FoundTask[] {
    const own = [...this.#tasks.values()].filter(task => task.cluster === cluster)
    return own.filter(({ phase }) => phase !== 'starting').map(foundTask)
  }

  /** What the task runs; nothing for a task that is not there. */
  behaviourOf(cluster: string, task: TaskId): FakeBehaviour | undefined {
    return this.#tasks.get(keyOf(cluster, task))?.behaviour
  }

  /** What the task printed until `nowMs` or its end, oldest first. */
  outputOf(cluster: string, task: TaskId, nowMs: number): readonly FakeOutput[] {
    const found = this.#tasks.get(keyOf(cluster, task))
    if (found === undefined || found.phase === 'starting') return []
    const until = (found.phase === 'ended' ? found.nextAtMs : nowMs) - found.askedAtMs
    return (found.behaviour.output ?? []).filter(({ atMs }) => atMs <= until)
  }

  /** When something will happen next by itself; `Infinity` when nothing will. */
  get nextAtMs(): number {
    const waiting = [...this.#tasks.values()].filter(({ phase }) => phase !== 'ended')
    return Math.min(Infinity, ...waiting.map(({ nextAtMs }) => nextAtMs))
  }

  /** Lets time pass until `nowMs`: gives all that happened, in its order, and tells the subscribers. */
  advance(nowMs: number): FakeEvent[] {
    const events: FakeEvent[] = []
    for (let at = this.nextAtMs; at <= nowMs; at = this.nextAtMs) {
      for (const [key, task] of this.#tasks) {
        if (task.phase !== 'ended' && task.nextAtMs <= at) events.push(this.#step(key, task))
      }
    }
    for (const event of events) {
      for (const tell of this.#listeners) tell(event)
    }
    return events
  }

  #step(key: string, task: FakeTask): FakeEvent {
    const { cluster, launch, behaviour, askedAtMs } = task
    const about = { cluster, task: launch.task }
    if (task.phase === 'running') {
      task.phase = 'ended'
      return { ...about, kind: 'exited', exitCode: task.exitCode }
    }
    if (behaviour.failure !== undefined) {
      this.#tasks.delete(key)
      return { ...about, kind: 'failed', failure: behaviour.failure }
    }
    task.phase = 'running'
    task.exitCode = behaviour.exitCode ?? 0
    task.nextAtMs = Math.max(task.nextAtMs, askedAtMs + (behaviour.exitAfterMs ?? Infinity))
    return { ...about, kind: 'started' }
  }

  #refusal(cluster: string, { task, ports }: Launch): FakeFailure | undefined {
    if (this.#tasks.has(keyOf(cluster, task))) {
      const message = `${task} was already started on this node`
      return { code: 'failed', message, temporary: false }
    }
    const holders = [...this.#tasks.values()].filter(({ phase }) => phase !== 'ended')
    const taken = new Set(holders.flatMap(({ launch }) => launch.ports.map(nameOfPort)))
    const port = ports.map(nameOfPort).find(name => taken.has(name) || this.occupied.has(name))
    if (port === undefined) return undefined
    return {
      code: 'port-taken',
      message: `Cannot start ${task}: ${port} is taken`,
      temporary: true,
    }
  }
}

function keyOf(cluster: string, task: TaskId): string {
  return `${cluster} ${task}`
}

function foundTask({ launch, askedAtMs, phase, exitCode }: FakeTask): FoundTask {
  const { task, slot, revision, spec, ports } = launch
  const running = phase === 'running'
  return {
    task,
    slot,
    revision,
    work: workDigest(spec),
    ports,
    startedAtMs: askedAtMs,
    running,
    ...(running ? {} : { exitCode }),
  }
}
