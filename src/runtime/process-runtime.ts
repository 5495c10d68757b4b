import { watch as watchFile, type FSWatcher } from 'node:fs'
import { chown, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { TaskId } from '../model/ids.ts'
import { workDigest } from '../util/work-digest.ts'
import { BoundedLog } from './bounded-log.ts'
import { findTakenPort } from './port-check.ts'
import { nameOfPort } from './port-name.ts'
import { followLogs } from './process-logs.ts'
import {
  findByEnvironment,
  isAlive,
  readBootId,
  readEnvironment,
  signalProcess,
  type ProcessIdentity,
} from './process-identity.ts'
import { argumentsOf, MARK, programOf, resolveUser, type Program } from './process-program.ts'
import { spawnWrapped, waitForExec } from './process-wrapper.ts'
import { execProgram } from './process-exec.ts'
import {
  badSpec,
  notThere,
  portTaken,
  startedTwice,
  stillRuns,
  throwIfCalledOff,
} from './runtime-errors.ts'
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
import {
  listTaskDirs,
  makeTaskDir,
  readMeta,
  removeTaskDir,
  taskDirOf,
  waitForPid,
  type TaskMeta,
} from './task-dir.ts'
import { abandon, readExit, readPid } from './task-pid.ts'

/** Options of {@link startProcessRuntime}. */
export interface ProcessRuntimeOptions {
  /** The runtime's own folder, made when it is not there. Holds a folder for each task. */
  readonly dir: string
  /** Only tasks that carry this mark are listed or touched. */
  readonly cluster: string
  /**
   * The address on which a task's ports must be free before it starts.
   * @default '0.0.0.0', every IPv4 address of the machine
   */
  readonly address?: string
  /**
   * Each of the two streams of a task keeps the last so many bytes, and up to as many again.
   * More keeps a longer past, and costs 4 × as much disk for each task.
   * @default 8 MiB
   */
  readonly logBytesMax?: number
  /**
   * How often each task is looked at: for an end that nobody told of, and for logs
   * that are too long. Shorter finds both sooner, at about 10 µs for each task and look.
   * @default 1000
   */
  readonly pollMs?: number
  /** Told of what a person should know but no caller asked for. @default nothing is told */
  readonly log?: (message: string) => void
}

/** What a task ended with when it could not say it itself: it was killed, as if by signal 9. */
const KILLED = 137
/** How long a new process may take to say that it runs, and a killed one to be gone. */
const PROCESS_MS = 10_000

/** A task whose folder this runtime holds. */
interface ProcessTask {
  readonly meta: TaskMeta
  readonly dir: string
  readonly stdout: BoundedLog
  readonly stderr: BoundedLog
  identity?: ProcessIdentity
  exitCode?: number
  /** Called when the task has ended. */
  readonly waiting: Set<() => void>
  watcher?: FSWatcher
}

/**
 * Runs plain commands of the node, for work that is in no container. Needs no root and
 * no Docker.
 *
 * A task is a session with a process group of its own under a small shell (see
 * `process-wrapper.ts`), so it outlives the daemon; the next daemon finds it by its
 * folder, and its process by pid and start time, so that a pid that was given to
 * somebody else is never killed. Limits, all told in `docs/decisions/0006-runtimes.md`:
 * `resources` and `limits` are not enforced, logs are only cut while a daemon runs, and a
 * process that both leaves its group and hides its environment is not found.
 *
 * @throws {Error} When `dir` cannot be made or read.
 */
export async function startProcessRuntime(options: ProcessRuntimeOptions): Promise<Runtime> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 })
  const runtime = new ProcessRuntime(options)
  await runtime.adopt()
  return runtime
}

class ProcessRuntime implements Runtime {
  readonly #options: Required<ProcessRuntimeOptions>
  readonly #bootId = readBootId()
  readonly #tasks = new Map<TaskId, ProcessTask>()
  /** Tasks on their way, with the ports they will listen on. */
  readonly #starting = new Map<TaskId, Launch>()
  /** Runs while there are tasks. */
  #timer: NodeJS.Timeout | undefined
  #listener: ((event: RuntimeEvent) => void) | undefined
  #closed = false

  constructor(options: ProcessRuntimeOptions) {
    this.#options = {
      address: '0.0.0.0',
      logBytesMax: 8 * 1024 * 1024,
      pollMs: 1000,
      log: () => undefined,
      ...options,
      dir: resolve(options.dir),
    }
  }

  /** Takes over what earlier daemons started. */
  async adopt(): Promise<void> {
    for (const dir of await listTaskDirs(this.#options.dir)) {
      // oxlint-disable-next-line no-await-in-loop -- rarely more than one of them has anything to wait for
      await this.#adopt(dir)
    }
  }

  list(): Promise<FoundTask[]> {
    for (const task of this.#tasks.values()) this.#check(task)
    return Promise.resolve(Array.from(this.#tasks.values(), foundTask))
  }

  async start(launch: Launch, { signal, onProgress }: StartOptions): Promise<void> {
    if (this.#tasks.has(launch.task) || this.#starting.has(launch.task))
      throw startedTwice(launch.task)
    this.#starting.set(launch.task, launch)
    try {
      await this.#checkPorts(launch)
      onProgress('starting the process')
      this.#hold(await this.#start(launch, signal))
    } catch (error) {
      throw startError(launch.task, error)
    } finally {
      this.#starting.delete(launch.task)
    }
  }

  async stop(id: TaskId, { graceMs }: { readonly graceMs: number }): Promise<void> {
    const task = this.#tasks.get(id)
    if (task === undefined || !this.#runs(task)) return
    this.#signal(task, 'SIGTERM')
    if (await this.#ended(task, graceMs)) return
    this.#signal(task, 'SIGKILL')
    if (await this.#ended(task, PROCESS_MS)) return
    throw new RuntimeError('failed', `${id} was killed, but the kernel has not ended it yet`, {
      temporary: true,
    })
  }

  async remove(id: TaskId): Promise<void> {
    const task = this.#tasks.get(id)
    if (task === undefined) return
    if (this.#runs(task)) {
      throw stillRuns(id)
    }
    task.watcher?.close()
    this.#tasks.delete(id)
    await removeTaskDir(task.dir)
  }

  async *logs(id: TaskId, options: LogOptions): AsyncIterable<LogChunk> {
    const { stdout, stderr, ...task } = this.#taskOf(id)
    const ended = (): boolean => this.#tasks.get(id)?.dir !== task.dir || !this.#runsById(id)
    yield* followLogs({ stdout, stderr }, ended, options)
  }

  async exec(
    id: TaskId,
    command: string | readonly string[],
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<number> {
    const { meta, identity } = this.#taskOf(id)
    const env = identity && isAlive(identity) ? readEnvironment(identity.pid) : undefined
    if (env === undefined) throw notThere(id)
    const { cwd, uid, gid } = meta
    const program: Program = { command, cwd, env, uid, gid }
    return await execProgram(program, timeoutMs)
  }

  watch(listener: (event: RuntimeEvent) => void): void {
    this.#listener = listener
  }

  close(): Promise<void> {
    this.#closed = true
    this.#listener = undefined
    clearInterval(this.#timer)
    for (const task of this.#tasks.values()) task.watcher?.close()
    return Promise.resolve()
  }

  async #adopt(dir: string): Promise<void> {
    let meta: TaskMeta | undefined
    try {
      meta = readMeta(dir)
    } catch (error) {
      this.#options.log(`Left alone: ${String(error)}`)
      return
    }
    // Nothing is started before its description is whole on disk.
    if (meta === undefined) return await removeTaskDir(dir)
    if (meta.cluster !== this.#options.cluster) return
    const task = this.#taskIn(dir, meta)
    if (meta.bootId === this.#bootId) {
      const identity = readPid(dir) ?? (await abandon(dir))
      if (identity !== undefined) task.identity = identity
    }
    this.#hold(task)
    if (!this.#runs(task)) this.#killStragglers(task)
  }

  /** From here on the task is listed, and its end is noticed. */
  #hold(task: ProcessTask): void {
    this.#tasks.set(task.meta.task, task)
    if (!this.#closed) this.#timer ??= setInterval(() => this.#poll(), this.#options.pollMs).unref()
    if (task.identity === undefined) task.exitCode ??= readExit(task.dir) ?? KILLED
    if (task.exitCode !== undefined || this.#closed) return
    task.watcher = watchFile(task.dir, { persistent: false }, () => this.#check(task))
    // Losing the watch costs time only: the poll finds what it would have told.
    task.watcher.on('error', () => task.watcher?.close())
    setImmediate(() => this.#check(task))
  }

  #taskIn(dir: string, content: TaskMeta): ProcessTask {
    const limits = { maxBytes: this.#options.logBytesMax }
    return {
      meta: content,
      dir,
      stdout: new BoundedLog(join(dir, 'stdout.log'), limits),
      stderr: new BoundedLog(join(dir, 'stderr.log'), limits),
      waiting: new Set(),
    }
  }

  async #checkPorts({ task, ports }: Launch): Promise<void> {
    const wanted = new Set(ports.map(nameOfPort))
    const running = [...this.#tasks.values()].filter(other => this.#runs(other))
    const others = [...running.map(({ meta }) => meta), ...this.#starting.values()]
    for (const other of others) {
      if (other.task === task) continue
      const shared = other.ports.map(nameOfPort).find(port => wanted.has(port))
      if (shared !== undefined) throw portTaken(task, shared, `${other.task} has it`)
    }
    const taken = await findTakenPort(ports, this.#options.address)
    if (taken !== undefined) throw portTaken(task, nameOfPort(taken.port), taken.reason)
  }

  async #start(launch: Launch, signal: AbortSignal): Promise<ProcessTask> {
    throwIfCalledOff(launch.task, signal)
    const { task: id, slot, revision, ports, spec } = launch
    const dir = taskDirOf(this.#options.dir, id)
    const user = spec.user === undefined ? undefined : resolveUser(spec.user)
    const cwd = spec.workdir ?? join(dir, 'work')
    const program = programOf(launch, { ...user, cwd, dir })
    // Before there is anything to clean up.
    argumentsOf(program)
    const meta: TaskMeta = {
      version: 1,
      cluster: this.#options.cluster,
      task: id,
      slot,
      revision,
      work: workDigest(spec),
      ports,
      cwd,
      ...user,
      startedAtMs: Date.now(),
      bootId: this.#bootId,
    }
    if (!(await makeTaskDir(dir, meta))) throw startedTwice(launch.task)
    const task = this.#taskIn(dir, meta)
    try {
      if (user !== undefined) await chown(join(dir, 'work'), user.uid, user.gid)
      const child = await spawnWrapped(program, task)
      // One that ends before it is held is looked at when it is: its end must not come before its start.
      child.once('exit', () => {
        if (this.#tasks.get(id) === task) this.#check(task)
      })
      task.identity = await waitForPid(dir, PROCESS_MS)
      await waitForExec(task.identity)
      throwIfCalledOff(launch.task, signal)
      return task
    } catch (error) {
      const identity = await abandon(dir)
      if (identity !== undefined) {
        task.identity = identity
        this.#signal(task, 'SIGKILL')
        await this.#ended(task, PROCESS_MS)
      }
      await removeTaskDir(dir)
      throw error
    }
  }

  /** Looks whether a task has ended, and if so tells of it, once. */
  #check(task: ProcessTask): void {
    if (this.#closed || task.exitCode !== undefined || task.identity === undefined) return
    // First the process, then the file: the other way round, an end in between would look like a kill.
    const alive = isAlive(task.identity)
    const exitCode = readExit(task.dir) ?? (alive ? undefined : KILLED)
    if (exitCode === undefined) return
    task.exitCode = exitCode
    task.watcher?.close()
    this.#killStragglers(task)
    for (const tell of task.waiting) tell()
    if (this.#tasks.get(task.meta.task) !== task) return
    this.#listener?.({
      kind: 'exited',
      task: task.meta.task,
      exitCode,
      message: `exited with code ${exitCode}`,
    })
  }

  #runs(task: ProcessTask): boolean {
    this.#check(task)
    return task.exitCode === undefined
  }

  #runsById(id: TaskId): boolean {
    const task = this.#tasks.get(id)
    return task !== undefined && this.#runs(task)
  }

  /** Signals the whole group, if its leader is still the process that was started. */
  #signal({ identity }: ProcessTask, signal: 'SIGTERM' | 'SIGKILL'): void {
    if (identity !== undefined && isAlive(identity)) signalProcess(-identity.pid, signal)
  }

  /** Ends what the task left behind outside its group, such as a server that made itself a daemon. */
  #killStragglers({ dir }: ProcessTask): void {
    for (const pid of findByEnvironment(MARK, dir)) signalProcess(pid, 'SIGKILL')
  }

  /** Waits for the end of a task; false when it takes longer than `ms`. */
  #ended(task: ProcessTask, ms: number): Promise<boolean> {
    const { promise, resolve: settle } = Promise.withResolvers<boolean>()
    const tell = (): void => settle(true)
    task.waiting.add(tell)
    const timer = setTimeout(() => settle(!this.#runs(task)), ms)
    // The exit file is watched; a leader that was killed writes none, and is looked for.
    const look = setInterval(() => this.#check(task), 20)
    if (!this.#runs(task)) tell()
    return promise.finally(() => {
      clearTimeout(timer)
      clearInterval(look)
      task.waiting.delete(tell)
    })
  }

  #poll(): void {
    if (this.#tasks.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    for (const task of this.#tasks.values()) {
      this.#check(task)
      for (const stream of [task.stdout, task.stderr]) {
        stream
          .cut()
          .catch((error: unknown) =>
            this.#options.log(`Cannot cut a log of ${task.meta.task}: ${String(error)}`),
          )
      }
    }
  }

  #taskOf(id: TaskId): ProcessTask {
    const task = this.#tasks.get(id)
    if (task !== undefined) return task
    throw notThere(id)
  }
}

function foundTask({ meta, exitCode }: ProcessTask): FoundTask {
  const { task, slot, revision, work, ports, startedAtMs } = meta
  const running = exitCode === undefined
  return {
    task,
    slot,
    revision,
    work,
    ports,
    startedAtMs,
    running,
    ...(running ? {} : { exitCode }),
  }
}

/** A start that failed, in Shoal's words: a wrong folder or right stays wrong, a full machine may have room later. */
function startError(task: TaskId, error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error
  const reason = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (/^(ENOENT|EACCES|EPERM|ENOTDIR)$/.test(code)) return badSpec(task, reason, error)
  const options = { temporary: true, cause: error }
  return new RuntimeError('failed', `Cannot start ${task}: ${reason}`, options)
}
