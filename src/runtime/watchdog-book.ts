import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import {
  identify,
  isAlive,
  readBootId,
  readCgroup,
  signalProcess,
  type ProcessIdentity,
} from './process-identity.ts'
import type { EngineContainer, WatchdogEngine } from './watchdog-engine.ts'

/** What is known of one container. */
interface Known {
  readonly task: string
  readonly id: string
  /** Its first process; absent where this process cannot see it, as in an engine's own machine. */
  readonly identity?: ProcessIdentity
  /** What asks it to end. */
  readonly stopSignal: number
}

const SIGKILL = 9

/**
 * Which container, and which process, a task is: asked of the engine while that answers, and
 * kept in a file, so that a container can be ended when its engine hangs.
 *
 * A container's first process is known by pid and start time, and only if the kernel counts it to
 * the group that is named by the container's id: its end is the end of all that runs in it
 * (pid_namespaces(7)).
 */
export class ContainerBook {
  readonly #path: string
  readonly #engine: WatchdogEngine
  readonly #known: Map<string, Known>
  #written = ''

  /** @param path The file. One of an earlier boot says nothing. */
  constructor(path: string, engine: WatchdogEngine) {
    this.#path = path
    this.#engine = engine
    this.#known = new Map(read(path).map(known => [known.task, known]))
  }

  /** True when a task's container was found, and its process lives. */
  knows(task: string): boolean {
    const identity = this.#known.get(task)?.identity
    return identity !== undefined && isAlive(identity)
  }

  /** Looks for the containers of these tasks, and forgets all others. Throws when the engine does not answer. */
  async learn(tasks: ReadonlySet<string>, cluster: string): Promise<void> {
    const listed = await this.#engine.list(cluster)
    for (const container of listed) {
      // oxlint-disable-next-line no-await-in-loop -- mostly there is one
      if (tasks.has(container.task) && isUp(container)) await this.#learn(container)
    }
    for (const task of this.#known.keys()) if (!tasks.has(task)) this.#known.delete(task)
    this.#write()
  }

  /**
   * See `Target`. One that was made and not started yet is removed: who made it may be just about to start it.
   *
   * @throws {Error} When neither the engine nor the kernel can say.
   */
  async isRunning(task: string, cluster: string): Promise<boolean> {
    if (this.knows(task)) return true
    let listed: EngineContainer[]
    try {
      listed = await this.#engine.list(cluster)
    } catch (error) {
      // Its process is gone, and what does not answer starts no other.
      if (this.#known.get(task)?.identity !== undefined) return false
      throw error
    }
    const found = listed.filter(container => container.task === task)
    for (const container of found) {
      // oxlint-disable-next-line no-await-in-loop -- there is one
      if (container.state === 'created') await this.#engine.remove(container.id)
    }
    const up = found.find(isUp)
    if (up !== undefined) await this.#learn(up)
    return up !== undefined
  }

  /** Asks a task's container to end, by the signal that its image names. */
  async ask(task: string): Promise<void> {
    const known = this.#known.get(task)
    if (known === undefined || signalKnown(known, known.stopSignal)) return
    await this.#engine.signal(known.id, known.stopSignal)
  }

  /** Kills a task's container: by the kernel, and by the engine too, which alone can kill a paused one. */
  async kill(task: string): Promise<void> {
    const known = this.#known.get(task)
    if (known === undefined) return
    const isKilled = signalKnown(known, SIGKILL)
    try {
      await this.#engine.signal(known.id, SIGKILL)
    } catch (error) {
      if (!isKilled) throw error
    }
  }

  async #learn({ id, task }: EngineContainer): Promise<void> {
    if (this.#known.get(task)?.id === id && this.knows(task)) return
    const { pid, stopSignal } = await this.#engine.inspect(id)
    const identity = pid > 0 ? identify(pid) : undefined
    const isSeen = identity !== undefined && readCgroup(pid)?.includes(id) === true
    this.#known.set(task, { task, id, stopSignal, ...(isSeen ? { identity } : {}) })
  }

  #write(): void {
    const text = print([...this.#known.values()])
    if (text === this.#written) return
    writeFileSync(`${this.#path}.new`, text, { mode: 0o600 })
    renameSync(`${this.#path}.new`, this.#path)
    this.#written = text
  }
}

/** The boot on the first line; then a container on each: task, id, pid, start time and signal. */
function print(all: readonly Known[]): string {
  const lines = all
    .filter(({ identity }) => identity !== undefined)
    .map(({ task, id, identity, stopSignal }) =>
      [task, id, identity?.pid, identity?.startTicks, stopSignal].join(' '),
    )
  return `${[readBootId(), ...lines].join('\n')}\n`
}

function read(path: string): Known[] {
  if (!existsSync(path)) return []
  const [bootId, ...lines] = readFileSync(path, 'utf8').split('\n')
  if (bootId !== readBootId()) return []
  return lines.flatMap(line => {
    const [task, id, pid, startTicks, stopSignal] = line.split(' ')
    if (task === undefined || id === undefined || startTicks === undefined) return []
    const identity = { pid: Number(pid), startTicks }
    return [{ task, id, identity, stopSignal: Number(stopSignal) }]
  })
}

/** Signals a container's first process by itself. False when that cannot be seen, has ended, or is another user's. */
function signalKnown({ identity }: Known, signal: number): boolean {
  if (identity === undefined || !isAlive(identity)) return false
  try {
    signalProcess(identity.pid, signal)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EPERM') return false
    throw error
  }
}

function isUp({ state }: EngineContainer): boolean {
  return state === 'running' || state === 'paused' || state === 'restarting'
}
