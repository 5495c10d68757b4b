import type { Container, ContainerCreateOptions, ContainerInfo } from 'dockerode'
import { appOfSlot, type AppId, type TaskId } from '../model/ids.ts'
import { digest } from '../util/keys.ts'
import {
  containerOptions,
  type ContainerDns,
  type ContainerOwner,
  parseContainer,
} from './container-options.ts'
import { createDemux } from './demux.ts'
import { dockerError, statusOf } from './docker-error.ts'
import { execInContainer } from './docker-exec.ts'
import { DockerLink, exitedEvent } from './docker-link.ts'
import { LABELS } from './labels.ts'
import { pullImage } from './pull-image.ts'
import { badSpec, notThere, startedTwice, stillRuns, throwIfCalledOff } from './runtime-errors.ts'
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

/** Options of {@link startDockerRuntime}. */
export interface DockerRuntimeOptions {
  /**
   * Where the engine listens. It need not be there yet.
   * @default '/var/run/docker.sock'
   */
  readonly socketPath?: string
  /** Only containers that carry this mark are listed or touched. */
  readonly cluster: string
  /** And this one: an engine may serve the daemons of several nodes, as on a developer's machine. */
  readonly node: string
  /**
   * An engine that takes longer, in milliseconds, for an answer that needs no work is taken to
   * hang. It is asked after half of it: a hang is known after 1.5 × this at most. Shorter finds
   * it sooner, and takes an engine that is merely busy for one that hangs.
   * @default 10_000
   */
  readonly answerMs?: number
  /** Whom a container asks about names, and in which domains; nothing leaves that to the engine. @default nothing */
  readonly dnsOf?: (app: AppId) => ContainerDns | undefined
  /** Told of what a person should know but no caller asked for. @default nothing is told */
  readonly log?: (message: string) => void
}

/** Creating and starting wait for disks and networks. A slow engine is not a hung one. */
const WORK_MS = 60_000
/** A pull has no deadline of its own: `pullImage` ends one that says nothing. */
const PULL_MS = 24 * 3_600_000
/** Ends that are remembered until a list shows them. */
const ENDED_MAX = 10_000

type ExitedEvent = Extract<RuntimeEvent, { readonly kind: 'exited' }>

/**
 * Runs tasks as containers of the Docker engine of this machine.
 *
 * Resolves when the engine was looked for, whether it was found or not: a node gains
 * Docker when its engine comes up, and `watch` tells. Containers are found by label, so
 * a daemon that restarts takes over what runs. Each call has a deadline.
 *
 * Limits: `resources.diskMb` is not enforced; images are pulled without credentials; what
 * a timed-out `exec` started is killed only where the daemon may (as root).
 */
export async function startDockerRuntime(options: DockerRuntimeOptions): Promise<Runtime> {
  const runtime = new DockerRuntime(options)
  await runtime.open()
  return runtime
}

class DockerRuntime implements Runtime {
  readonly #owner: ContainerOwner
  readonly #log: (message: string) => void
  readonly #dnsOf: NonNullable<DockerRuntimeOptions['dnsOf']>
  readonly #link: DockerLink
  readonly #starting = new Set<TaskId>()
  /** What was said to run, by a start or a list. Only the ends of these are news. */
  readonly #running = new Set<TaskId>()
  /**
   * Ends that the engine has told of. Its list learns of an end some milliseconds later,
   * and would call such a task running.
   */
  readonly #ended = new Map<TaskId, ExitedEvent>()
  readonly #removing = new Set<TaskId>()
  /** Counts the starts and removals that are done. */
  #changes = 0
  #listener: ((event: RuntimeEvent) => void) | undefined

  constructor(options: DockerRuntimeOptions) {
    const {
      socketPath = '/var/run/docker.sock',
      cluster,
      node,
      answerMs = 10_000,
      dnsOf,
      log,
    } = options
    this.#owner = { cluster, node }
    this.#log = log ?? (() => undefined)
    this.#dnsOf = dnsOf ?? (() => undefined)
    const onEvent = (event: RuntimeEvent): void => this.#hear(event)
    this.#link = new DockerLink({ socketPath, cluster, node, answerMs, onEvent })
  }

  open(): Promise<void> {
    return this.#link.open()
  }

  async list(): Promise<FoundTask[]> {
    for (;;) {
      const changes = this.#changes
      // oxlint-disable-next-line eslint/no-await-in-loop -- one answer after the other
      const tasks = await this.#list()
      // What began to run while the engine answered may be missing, and would be taken for gone; and what
      // was removed may be there, and would be taken for news.
      if (changes === this.#changes) return tasks
    }
  }

  async #list(): Promise<FoundTask[]> {
    // What comes while the engine answers is newer than its answer.
    const [running, ended] = [[...this.#running], [...this.#ended.keys()]]
    const containers = await this.#containers('list the tasks')
    const listed = containers.map(parseContainer).filter(task => task !== undefined)
    const tasks = listed
      .filter(({ task }) => !this.#starting.has(task) && !this.#removing.has(task))
      .map(task => this.#corrected(task))
    const stale = new Set(listed.filter(one => one.running).map(({ task }) => task))
    for (const task of ended) {
      if (!stale.has(task) && !this.#starting.has(task)) this.#ended.delete(task)
    }
    for (const task of running) if (!stale.has(task)) this.#running.delete(task)
    for (const found of tasks) if (found.running) this.#running.add(found.task)
    return tasks
  }

  async start(launch: Launch, options: StartOptions): Promise<void> {
    const { task } = launch
    if (this.#starting.has(task)) throw startedTwice(task)
    this.#starting.add(task)
    try {
      await this.#start(launch, options)
    } finally {
      this.#starting.delete(task)
    }
    this.#changes++
    this.#running.add(task)
    const ended = this.#ended.get(task)
    // It was quick; but first the caller hears that it ran.
    if (ended !== undefined) setImmediate(() => this.#hear(ended))
  }

  async stop(task: TaskId, { graceMs }: { readonly graceMs: number }): Promise<void> {
    const doing = `stop ${task}`
    const info = await this.#find(task, doing)
    if (info === undefined) return
    // The engine counts in seconds; the task gets the rest of the last one as a gift.
    const t = Math.ceil(graceMs / 1000)
    await this.#do(info.Id, doing, t * 1000 + WORK_MS, [304, 404], (container, abortSignal) =>
      container.stop({ t, abortSignal }),
    )
    const ended = await this.#link
      .ask(doing, this.#link.answerMs, (docker, abortSignal) =>
        docker.getContainer(info.Id).inspect({ abortSignal }),
      )
      .catch((error: unknown) => ignoreMissing(error))
    if (ended !== undefined) this.#hear(exitedEvent(task, ended.State.ExitCode))
  }

  async remove(task: TaskId): Promise<void> {
    this.#removing.add(task)
    try {
      const info = await this.#find(task, `remove ${task}`)
      if (info === undefined) return
      const found = parseContainer(info)
      if (found !== undefined && this.#corrected(found).running) throw stillRuns(task)
      await this.#remove(info.Id, task)
      this.#ended.delete(task)
      this.#changes++
    } finally {
      this.#removing.delete(task)
    }
  }

  async *logs(task: TaskId, { follow, tail, signal }: LogOptions): AsyncIterable<LogChunk> {
    const doing = `read the log of ${task}`
    const { Id: id } = await this.#get(task, doing)
    const info = await this.#link.ask(doing, this.#link.answerMs, (docker, abortSignal) =>
      docker.getContainer(id).inspect({ abortSignal }),
    )
    const demux = createDemux({ tty: info.Config.Tty })
    const options = { stdout: true, stderr: true, ...(tail === undefined ? {} : { tail }) }
    if (!follow) {
      // Whole: the engine keeps 20 MB at most.
      const bytes = await this.#link.ask(doing, WORK_MS, (docker, abortSignal) =>
        docker.getContainer(id).logs({ ...options, follow: false, abortSignal }),
      )
      yield* demux(bytes)
      return
    }
    try {
      const stream = await this.#link.ask(doing, WORK_MS, docker =>
        docker.getContainer(id).logs({ ...options, follow: true, abortSignal: signal }),
      )
      for await (const bytes of stream) yield* demux(Buffer.from(bytes))
    } catch (error) {
      if (!signal.aborted) throw dockerError(error, doing)
    }
  }

  async exec(
    task: TaskId,
    command: string | readonly string[],
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<number> {
    const doing = `run a command in ${task}`
    const { Id: id, State: state } = await this.#get(task, doing)
    if (state !== 'running') throw notThere(task)
    return await execInContainer(this.#link, { id, command, timeoutMs, doing })
  }

  watch(listener: (event: RuntimeEvent) => void): void {
    this.#listener = listener
    const { trouble } = this.#link
    if (trouble === undefined) return
    queueMicrotask(() => this.#listener?.({ kind: 'unreachable', message: trouble }))
  }

  async close(): Promise<void> {
    this.#listener = undefined
    await this.#link.close()
  }

  /** Passes an event on; an exit only once, and only of a task that was said to run. */
  #hear(event: RuntimeEvent): void {
    if (event.kind === 'exited') {
      this.#ended.set(event.task, event)
      if (this.#ended.size > ENDED_MAX) this.#ended.delete(this.#ended.keys().next().value!)
      if (!this.#running.delete(event.task)) return
    }
    this.#listener?.(event)
  }

  /** What the engine listed, with the end that it has already told of. */
  #corrected(found: FoundTask): FoundTask {
    const ended = this.#ended.get(found.task)
    if (!found.running || ended === undefined) return found
    return { ...found, running: false, exitCode: ended.exitCode }
  }

  async #start(launch: Launch, options: StartOptions): Promise<void> {
    const { task } = launch
    throwIfCalledOff(task, options.signal)
    const id = await this.#create(launch, options)
    try {
      throwIfCalledOff(task, options.signal)
      options.onProgress('starting the container')
      await this.#do(id, `start ${task}`, WORK_MS, [], (container, abortSignal) =>
        container.start({ abortSignal }),
      )
      throwIfCalledOff(task, options.signal)
    } catch (error) {
      await this.#remove(id, task).catch((failure: unknown) =>
        // It is in the next list, not running, and whoever reads that removes it.
        this.#log(`A container was left behind: ${String(failure)}`),
      )
      throw error
    }
  }

  /** Creates the container, with its image pulled where it must be. */
  async #create(launch: Launch, options: StartOptions): Promise<string> {
    const { task, spec } = launch
    const { image } = spec
    if (image === undefined) throw badSpec(task, 'it has no image')
    if (spec.forcePull) await this.#pull(task, image, options)
    const wanted = containerOptions(launch, this.#owner, this.#dnsOf(appOfSlot(launch.slot)))
    try {
      return await this.#tryCreate(task, wanted)
    } catch (error) {
      const failure = dockerError(error, `start ${task}`)
      if (failure.code === 'image-missing') {
        // Most starts find their image: asking for it first would cost them a call each.
        await this.#pull(task, image, options)
        return await this.#tryCreate(task, wanted)
      }
      if (statusOf(failure.cause) !== 409) throw failure
      if ((await this.#find(task, `start ${task}`)) !== undefined) throw startedTwice(task)
      // Another cluster's task, or another path, reads the same.
      const name = `${wanted.name}-${digest(`${this.#owner.cluster} ${task}`, 8)}`
      return await this.#tryCreate(task, { ...wanted, name })
    }
  }

  async #tryCreate(task: TaskId, options: ContainerCreateOptions): Promise<string> {
    const container = await this.#link.ask(`start ${task}`, WORK_MS, (docker, abortSignal) =>
      docker.createContainer({ ...options, abortSignal }),
    )
    return container.id
  }

  async #pull(task: TaskId, image: string, options: StartOptions): Promise<void> {
    try {
      await this.#link.ask(`pull ${image}`, PULL_MS, docker => pullImage(docker, image, options))
    } catch (error) {
      throwIfCalledOff(task, options.signal)
      const { message, code } = dockerError(error, `pull ${image}`)
      throw new RuntimeError('image-missing', message, {
        // A registry that is away may come back; one that knows no such image will hardly learn it.
        temporary: code !== 'image-missing',
        cause: error,
      })
    }
  }

  /** Removes a container by force: whoever asks knows that it may go. */
  #remove(id: string, task: TaskId): Promise<void> {
    return this.#do(id, `remove ${task}`, WORK_MS, [404, 409], (container, abortSignal) =>
      // 409 is a removal that is on its way already. Unnamed volumes go with their task.
      container.remove({ force: true, v: true, abortSignal }),
    )
  }

  /** Does something with a container, where the answers in `fine` mean that it was done before. */
  async #do(
    id: string,
    doing: string,
    deadlineMs: number,
    fine: readonly number[],
    work: (container: Container, signal: AbortSignal) => Promise<unknown>,
  ): Promise<void> {
    try {
      await this.#link.ask(doing, deadlineMs, (docker, signal) =>
        work(docker.getContainer(id), signal),
      )
    } catch (error) {
      const status = error instanceof RuntimeError ? statusOf(error.cause) : undefined
      if (status === undefined || !fine.includes(status)) throw error
    }
  }

  #containers(doing: string, ...labels: readonly string[]): Promise<ContainerInfo[]> {
    const { cluster, node } = this.#owner
    const label = [`${LABELS.cluster}=${cluster}`, `${LABELS.node}=${node}`, ...labels]
    return this.#link.ask(doing, this.#link.answerMs, (docker, abortSignal) =>
      docker.listContainers({ all: true, filters: { label }, abortSignal }),
    )
  }

  async #find(task: TaskId, doing: string): Promise<ContainerInfo | undefined> {
    const [info] = await this.#containers(doing, `${LABELS.task}=${task}`)
    return info
  }

  async #get(task: TaskId, doing: string): Promise<ContainerInfo> {
    const info = await this.#find(task, doing)
    if (info === undefined) throw notThere(task)
    return info
  }
}

/** Nothing, for a container that was removed meanwhile; every other error is thrown again. */
function ignoreMissing(error: unknown): undefined {
  if (error instanceof RuntimeError && error.code === 'no-such-task') return
  throw error
}
