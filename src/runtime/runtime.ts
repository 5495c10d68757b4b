import type { AppSpec } from '../model/app.ts'
import type { RevisionId, SlotId, TaskId } from '../model/ids.ts'
import type { TaskPort } from '../model/task.ts'

/** All that a runtime must know to start a task. The plan leaves it no choices. */
export interface Launch {
  readonly task: TaskId
  readonly slot: SlotId
  readonly revision: RevisionId
  readonly spec: AppSpec
  /** The host ports, already chosen. */
  readonly ports: readonly TaskPort[]
  /** The whole environment: the app's own and Shoal's (`PORT0`, `SHOAL_SLOT`, …). */
  readonly env: Readonly<Record<string, string>>
}

/** A task of our cluster that a runtime found on this node: running, or ended and not yet removed. */
export interface FoundTask {
  readonly task: TaskId
  readonly slot: SlotId
  readonly revision: RevisionId
  /** {@link workDigest} of what it was started with. */
  readonly work: string
  readonly ports: readonly TaskPort[]
  readonly startedAtMs: number
  readonly running: boolean
  readonly exitCode?: number
}

/** What a runtime tells unasked. */
export type RuntimeEvent =
  /**
   * A task has ended, by itself or because it was stopped. Told once, and only of a task that a
   * start or a list of this runtime said to run. What ended while nobody could watch (before the
   * runtime was made, or while its engine was away) is in the next list instead.
   */
  | {
      readonly kind: 'exited'
      readonly task: TaskId
      readonly exitCode: number
      readonly message: string
    }
  /** The engine is gone; its tasks may run on. */
  | { readonly kind: 'unreachable'; readonly message: string }
  /** The engine is back (or there for the first time): list again. */
  | { readonly kind: 'reachable' }

/** Why a runtime could not do something. */
export type RuntimeErrorCode =
  | 'image-missing'
  | 'port-taken'
  | 'bad-spec'
  | 'no-such-task'
  | 'unreachable'
  | 'failed'

/** An error of a runtime. `temporary`: the same call may succeed later on this node. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError'
  readonly code: RuntimeErrorCode
  readonly temporary: boolean

  constructor(
    code: RuntimeErrorCode,
    message: string,
    options: { readonly temporary: boolean; readonly cause?: unknown },
  ) {
    super(message, { cause: options.cause })
    this.code = code
    this.temporary = options.temporary
  }
}

/** Options of {@link Runtime.start}. */
export interface StartOptions {
  readonly signal: AbortSignal
  /** Told of slow steps, for people: `pulling hello_world:latest, 12 of 40 MB`. */
  readonly onProgress: (message: string) => void
}

/** Options of {@link Runtime.logs}. */
export interface LogOptions {
  readonly follow: boolean
  /** Only so many of the last lines; all that is kept, if absent. */
  readonly tail?: number
  readonly signal: AbortSignal
}

/** A piece of a task's output. */
export interface LogChunk {
  readonly stream: 'stdout' | 'stderr'
  readonly data: Uint8Array
}

/**
 * Runs tasks. Three implementations, Docker, plain processes and a fake, pass one
 * conformance suite. A runtime only ever touches tasks that carry its cluster's
 * mark, and a daemon that goes away leaves them all running.
 */
export interface Runtime {
  /** The tasks of our cluster on this node, without those on their way. Throws {@link RuntimeError} `unreachable`. */
  list(): Promise<FoundTask[]>
  /**
   * Starts a task, and resolves when it runs. Throws {@link RuntimeError}; then nothing is left
   * behind. A task is started once in its life: while it is there, and even when it has ended, the
   * next start of it fails. A start that is on its way is ended by its signal, not by `stop`.
   */
  start(launch: Launch, options: StartOptions): Promise<void>
  /** Asks a task to end, kills it after `graceMs`, and resolves when it has ended. A task that is not there has ended. */
  stop(task: TaskId, options: { readonly graceMs: number }): Promise<void>
  /** Forgets an ended task and frees what it held, its logs too. Doing it twice is doing it once; a task that runs is refused. */
  remove(task: TaskId): Promise<void>
  /**
   * What the task printed, oldest first. Ends at what is there now, or with `follow` when the task
   * has ended or `signal` fires. Throws {@link RuntimeError} `no-such-task`.
   */
  logs(task: TaskId, options: LogOptions): AsyncIterable<LogChunk>
  /** Runs a command inside the task and gives its exit code. Throws when it takes over `timeoutMs`. */
  exec(
    task: TaskId,
    command: string | readonly string[],
    options: { readonly timeoutMs: number },
  ): Promise<number>
  /** Calls `listener` for every event until the runtime is closed. One listener. An engine that is away already is told of at once. */
  watch(listener: (event: RuntimeEvent) => void): void
  /** Stops watching. Touches no task. */
  close(): Promise<void>
}
