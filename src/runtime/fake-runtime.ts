import type { TaskId } from '../model/ids.ts'
import type { FakeEngine, FakeEvent, FakeFailure } from './fake-engine.ts'
import { calledOff, notThere, stillRuns, throwIfCalledOff } from './runtime-errors.ts'
import {
  RuntimeError,
  type FoundTask,
  type Launch,
  type LogChunk,
  type LogOptions,
  type Runtime,
  type RuntimeEvent,
  type StartOptions,
} from './runtime.ts'

/** Time for a {@link FakeRuntime}: the real one, or a simulation's. */
export interface FakeTimers {
  nowMs(): number
  /** Calls `then` once after `delayMs`, unless the returned function is called before. */
  after(delayMs: number, then: () => void): () => void
}

/** Options of {@link createFakeRuntime}. */
export interface FakeRuntimeOptions {
  /** The machine that outlives this runtime. Others may use it too. */
  readonly engine: FakeEngine
  readonly cluster: string
  readonly timers: FakeTimers
}

/** A {@link Runtime} with a switch for its engine's outages. */
export interface FakeRuntime extends Runtime {
  /** Cuts the runtime off from its engine, or gives it back: what ended meanwhile is in the next list. */
  setReachable(reachable: boolean): void
}

/** Makes a runtime of a {@link FakeEngine}, for tests. It keeps no timer of its own when nothing is due. */
export function createFakeRuntime(options: FakeRuntimeOptions): FakeRuntime {
  return new InMemoryRuntime(options)
}

class InMemoryRuntime implements FakeRuntime {
  readonly #engine: FakeEngine
  readonly #cluster: string
  readonly #timers: FakeTimers
  readonly #unsubscribe: () => void
  #cancelTimer: () => void = () => undefined
  #listener: ((event: RuntimeEvent) => void) | undefined
  #reachable = true
  #closed = false

  constructor({ engine, cluster, timers }: FakeRuntimeOptions) {
    this.#engine = engine
    this.#cluster = cluster
    this.#timers = timers
    this.#unsubscribe = engine.subscribe(event => this.#hear(event))
    this.#pass()
  }

  async list(): Promise<FoundTask[]> {
    this.#enter()
    return this.#engine.list(this.#cluster)
  }

  async start(launch: Launch, { signal, onProgress }: StartOptions): Promise<void> {
    this.#enter()
    throwIfCalledOff(launch.task, signal)
    onProgress(`starting ${launch.spec.image ?? 'the process'}`)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const fail = ({ code, message, temporary }: FakeFailure): void =>
      reject(new RuntimeError(code, message, { temporary }))
    const callOff = (): void => {
      this.#engine.remove(this.#cluster, launch.task)
      reject(calledOff(launch.task))
    }
    const refusal = this.#engine.start(this.#cluster, launch, this.#timers.nowMs())
    if (refusal !== undefined) fail(refusal)
    const forget = this.#engine.subscribe(event => {
      if (event.task !== launch.task || event.cluster !== this.#cluster) return
      if (event.kind === 'started') resolve()
      if (event.kind === 'failed') fail(event.failure)
    })
    signal.addEventListener('abort', callOff)
    this.#pass()
    try {
      await promise
    } finally {
      forget()
      signal.removeEventListener('abort', callOff)
    }
  }

  async stop(task: TaskId, { graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#enter()
    if (!this.#runs(task)) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const forget = this.#engine.subscribe(event => {
      if (event.task === task && event.cluster === this.#cluster) resolve()
    })
    this.#engine.stop(this.#cluster, task, graceMs, this.#timers.nowMs())
    this.#pass()
    await promise.finally(forget)
  }

  async remove(task: TaskId): Promise<void> {
    this.#enter()
    if (this.#runs(task)) throw stillRuns(task)
    this.#engine.remove(this.#cluster, task)
  }

  async *logs(task: TaskId, { follow, tail, signal }: LogOptions): AsyncIterable<LogChunk> {
    this.#enter()
    this.#behaviourOf(task)
    let seen = 0
    if (tail !== undefined) seen = Math.max(0, this.#output(task).length - tail)
    while (!signal.aborted) {
      const last = !follow || !this.#runs(task)
      for (const { stream, text } of this.#output(task).slice(seen)) {
        seen++
        yield { stream, data: Buffer.from(text) }
      }
      if (last) return
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      await this.#wait(10, signal)
    }
  }

  async exec(
    task: TaskId,
    command: string | readonly string[],
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<number> {
    this.#enter()
    const behaviour = this.#behaviourOf(task)
    if (!this.#runs(task)) throw notThere(task)
    const { exitCode, takesMs } = behaviour.exec?.(command) ?? { exitCode: 0, takesMs: 0 }
    await this.#wait(Math.min(takesMs, timeoutMs))
    if (takesMs <= timeoutMs) return exitCode
    const message = `Command failed: took over ${timeoutMs} ms`
    throw new RuntimeError('failed', message, { temporary: true })
  }

  watch(listener: (event: RuntimeEvent) => void): void {
    this.#listener = listener
  }

  close(): Promise<void> {
    this.#closed = true
    this.#listener = undefined
    this.#unsubscribe()
    this.#cancelTimer()
    return Promise.resolve()
  }

  setReachable(reachable: boolean): void {
    this.#pass()
    if (reachable === this.#reachable) return
    this.#reachable = reachable
    const message = 'the fake engine is switched off'
    this.#tell(reachable ? { kind: 'reachable' } : { kind: 'unreachable', message })
  }

  #enter(): void {
    this.#pass()
    if (this.#reachable) return
    throw new RuntimeError('unreachable', 'the fake engine is switched off', { temporary: true })
  }

  /** Carries out what is due, and comes back when the next thing is. */
  #pass(): void {
    if (this.#closed) return
    this.#cancelTimer()
    const nowMs = this.#timers.nowMs()
    this.#engine.advance(nowMs)
    const { nextAtMs } = this.#engine
    if (nextAtMs === Infinity) return
    this.#cancelTimer = this.#timers.after(nextAtMs - nowMs, () => this.#pass())
  }

  #hear(event: FakeEvent): void {
    if (event.kind !== 'exited' || event.cluster !== this.#cluster || !this.#reachable) return
    const { task, exitCode } = event
    this.#tell({ kind: 'exited', task, exitCode, message: `exited with code ${exitCode}` })
  }

  /** Tells the listener, but never before the call that caused it has answered. */
  #tell(event: RuntimeEvent): void {
    queueMicrotask(() => this.#listener?.(event))
  }

  #runs(task: TaskId): boolean {
    return this.#engine.list(this.#cluster).some(found => found.task === task && found.running)
  }

  #output(task: TaskId): ReturnType<FakeEngine['outputOf']> {
    return this.#engine.outputOf(this.#cluster, task, this.#timers.nowMs())
  }

  #behaviourOf(task: TaskId): NonNullable<ReturnType<FakeEngine['behaviourOf']>> {
    const behaviour = this.#engine.behaviourOf(this.#cluster, task)
    if (behaviour === undefined) throw notThere(task)
    return behaviour
  }

  async #wait(ms: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#timers.after(ms, resolve)
    const stop = (): void => resolve()
    signal?.addEventListener('abort', stop)
    await promise
    signal?.removeEventListener('abort', stop)
    cancel()
  }
}
