import type { SlotId, TaskId } from '../model/ids.ts'
import { runtimeOf } from '../model/app.ts'
import { probe } from '../runtime/probe.ts'
import {
  RuntimeError,
  type Launch,
  type LogChunk,
  type LogOptions,
  type Runtime,
} from '../runtime/runtime.ts'
import type { Effect, NodeEvent } from './machine/events.ts'
import { ENGINE_GRACE_MS } from './machine/members.ts'
import { taskEnv } from './task-env.ts'

type Kind = 'docker' | 'process'

/** Starts that run side by side; more wait. Four use a machine to the full without making each slow. */
export const STARTS_MAX = 4

/** How a start gets on is told at most so often: all nodes hear of it, and most starts are over before. */
const PROGRESS_MS = 1_000

/** An engine is asked again for all that it has so long after something there did not work … */
const RELIST_SOON_MS = 5_000
/** … and so long after it said so: what it told of in between may have been lost, or said while nobody listened yet. */
const RELIST_MS = 60_000

/** Options of {@link startTaskRunner}. */
export interface TaskRunnerOptions {
  readonly runtimes: Partial<Record<Kind, Runtime>>
  readonly node: { readonly name: string; readonly address: string }
  readonly cluster: string
  readonly push: (event: NodeEvent) => void
  readonly log: (message: string, error: unknown) => void
  /** Holds a start back until nothing can make the task outlive its claim: see `TaskGuard.ready`. */
  readonly guarded: (task: TaskId, slot: SlotId) => Promise<void>
}

/** Carries out what the machine decides about tasks, and tells it what became of it. */
export interface TaskRunner {
  perform(effect: TaskEffect): void
  /** A task's output, whichever runtime has it. */
  logs(task: TaskId, kind: Kind, options: LogOptions): AsyncIterable<LogChunk>
  /** Stops watching. Touches no task. */
  close(): Promise<void>
}

/** The effects that are about tasks. */
export type TaskEffect = Extract<Effect, { readonly kind: 'start' | 'stop' | 'remove' | 'probe' }>

/** Starts to watch the runtimes, and lists what each has. */
export function startTaskRunner(options: TaskRunnerOptions): TaskRunner {
  const { runtimes, push, log } = options
  const starting = new Map<TaskId, AbortController>()
  const waiting: (() => void)[] = []
  const graces = new Map<Kind, NodeJS.Timeout>()
  const relists = new Map<Kind, { readonly timer: NodeJS.Timeout; readonly atMs: number }>()
  let running = 0
  let isClosed = false

  function watch(kind: Kind, runtime: Runtime): void {
    runtime.watch(event => {
      if (event.kind === 'exited') {
        push({
          kind: 'task-exited',
          task: event.task,
          exitCode: event.exitCode,
          message: event.message,
        })
      } else if (event.kind === 'reachable') {
        clearTimeout(graces.get(kind))
        graces.delete(kind)
        void list(kind, runtime)
      } else if (!graces.has(kind)) {
        log(`the ${kind} engine is away: ${event.message}`, undefined)
        graces.set(
          kind,
          setTimeout(() => setUsable(kind, false), ENGINE_GRACE_MS),
        )
      }
    })
    void list(kind, runtime)
  }

  async function list(kind: Kind, runtime: Runtime): Promise<void> {
    try {
      const tasks = await runtime.list()
      if (isClosed) return
      // First that it can be used: what is found is to stay where it is.
      setUsable(kind, true)
      push({ kind: 'found', runtime: kind, tasks })
      listLater(kind, RELIST_MS)
    } catch (error) {
      log(`cannot list the tasks of the ${kind} engine`, error)
      listLater(kind, RELIST_SOON_MS)
    }
  }

  /**
   * What did not work may have left something behind, such as a container that was created while its answer was lost:
   * the machine hears of it by the next list, and ends or removes it.
   */
  function listLater(kind: Kind, inMs: number): void {
    const runtime = runtimes[kind]
    if (runtime === undefined || isClosed) return
    const atMs = performance.now() + inMs
    const planned = relists.get(kind)
    if (planned !== undefined && planned.atMs <= atMs) return
    clearTimeout(planned?.timer)
    const timer = setTimeout(() => {
      relists.delete(kind)
      // An engine that is away says when it is back, and is listed then.
      if (!graces.has(kind)) void list(kind, runtime)
    }, inMs)
    relists.set(kind, { timer, atMs })
  }

  const usable: Record<Kind, boolean> = { docker: false, process: false }
  function setUsable(kind: Kind, value: boolean): void {
    usable[kind] = value
    if (!isClosed) push({ kind: 'facts-changed', facts: { runtimes: { ...usable } } })
  }

  function runtimeFor(kind: Kind): Runtime {
    const runtime = runtimes[kind]
    if (runtime !== undefined) return runtime
    const message =
      kind === 'docker' ? 'this node has no Docker engine' : 'this node runs no processes'
    throw new RuntimeError('unreachable', message, { temporary: false })
  }

  async function start(effect: Extract<TaskEffect, { kind: 'start' }>): Promise<void> {
    const { task, slot, revision, spec, ports, fence } = effect
    const aborted = new AbortController()
    starting.set(task, aborted)
    let news: string | undefined
    const telling = setInterval(() => {
      if (news !== undefined) push({ kind: 'task-progressed', task, message: news })
      news = undefined
    }, PROGRESS_MS)
    try {
      if (running >= STARTS_MAX) await new Promise<void>(resolve => void waiting.push(resolve))
      running++
      const { node, cluster } = options
      const env = taskEnv({ task, slot, revision, spec, ports, fence, node, cluster })
      const launch: Launch = { task, slot, revision, spec, ports, env }
      await options.guarded(task, slot)
      await runtimeFor(runtimeOf(spec)).start(launch, {
        signal: aborted.signal,
        onProgress: message => void (news = message),
      })
      push({ kind: 'task-started', task })
    } catch (error) {
      push({ kind: 'task-start-failed', task, ...failureOf(error) })
      listLater(runtimeOf(spec), RELIST_SOON_MS)
    } finally {
      clearInterval(telling)
      running--
      starting.delete(task)
      waiting.shift()?.()
    }
  }

  async function stop(task: TaskId, kind: Kind, graceMs: number): Promise<void> {
    try {
      starting.get(task)?.abort()
      await runtimeFor(kind).stop(task, { graceMs })
      push({ kind: 'task-stopped', task })
    } catch (error) {
      push({ kind: 'task-stop-failed', task, message: failureOf(error).message })
    }
  }

  async function remove(task: TaskId, kind: Kind): Promise<void> {
    try {
      await runtimeFor(kind).remove(task)
    } catch (error) {
      log(`cannot remove ${task}`, error)
      listLater(kind, RELIST_SOON_MS)
    }
  }

  async function look(effect: Extract<TaskEffect, { kind: 'probe' }>): Promise<void> {
    const { task, revision, check, spec, ports } = effect
    const described = spec.health[check]
    if (described === undefined) return
    try {
      const runtime = runtimeFor(runtimeOf(spec))
      const result = await probe({
        check: described,
        address: options.node.address,
        ports,
        exec: (command, timing) => runtime.exec(task, command, timing),
      })
      push({ kind: 'probed', task, revision, check, ...result })
    } catch (error) {
      const { message } = failureOf(error)
      push({ kind: 'probed', task, revision, check, healthy: false, message })
    }
  }

  for (const kind of ['docker', 'process'] as const) {
    const runtime = runtimes[kind]
    if (runtime !== undefined) watch(kind, runtime)
  }

  return {
    perform: effect => {
      switch (effect.kind) {
        case 'start':
          return void start(effect)
        case 'stop':
          return void stop(effect.task, effect.runtime, effect.graceMs)
        case 'remove':
          return void remove(effect.task, effect.runtime)
        case 'probe':
          return void look(effect)
      }
    },
    logs: (task, kind, logOptions) => runtimeFor(kind).logs(task, logOptions),
    close: async () => {
      isClosed = true
      for (const timer of graces.values()) clearTimeout(timer)
      for (const { timer } of relists.values()) clearTimeout(timer)
      for (const aborted of starting.values()) aborted.abort()
      await Promise.all(Object.values(runtimes).map(runtime => runtime.close()))
    },
  }
}

function failureOf(error: unknown): { code: string; temporary: boolean; message: string } {
  if (error instanceof RuntimeError) {
    const { code, temporary, message } = error
    return { code, temporary, message }
  }
  return {
    code: 'failed',
    temporary: true,
    message: error instanceof Error ? error.message : String(error),
  }
}
