import { existsSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type Docker from 'dockerode'
import { z } from 'zod'
import type { TaskId } from '../model/ids.ts'
import { backoffMs } from '../util/backoff.ts'
import { dockerError } from './docker-error.ts'
import { LABELS } from './labels.ts'
import { RuntimeError, type RuntimeEvent } from './runtime.ts'

/** What the link hears of an engine. */
export interface DockerLinkOptions {
  readonly socketPath: string
  readonly cluster: string
  readonly node: string
  /** See `DockerRuntimeOptions.answerMs`. */
  readonly answerMs: number
  /** May be told of an exit more than once: the last seconds are told again on each connection. */
  readonly onEvent: (event: RuntimeEvent) => void
}

/** An absent engine is looked for again after 0.1 s, and then ever more rarely, up to every 2 s. */
const RETRY = { initialMs: 100, factor: 1.5, maxMs: 2_000 }
/** One event of the engine is about 1 kB. */
const EVENT_CHARS_MAX = 256 * 1024
/** On each connection the engine tells again what happened in the last so many seconds. */
const PAST_S = 5
const OUT_OF_MEMORY_MAX = 1_000

const engineEvent = z.object({
  Action: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: z.record(z.string(), z.string()) }),
})

/**
 * The way to one Docker engine: whether it answers, and what it tells unasked. Looks
 * for the engine for as long as it is open, so an engine that is restarted, hangs or
 * is installed later is found again within about 2 s of answering.
 */
export class DockerLink {
  readonly #options: DockerLinkOptions
  readonly #closing = new AbortController()
  /** Ids of containers that ran out of memory and have not ended yet. */
  readonly #outOfMemory = new Set<string>()
  #docker: Docker | undefined
  /** Why the engine does not answer; nothing while it does. */
  #trouble: string | undefined = 'it was not looked for yet'
  #running: Promise<void> | undefined

  constructor(options: DockerLinkOptions) {
    this.#options = options
  }

  /** Looks for the engine once, and goes on looking. Resolves after the first look, whatever it found. */
  async open(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#running = this.#run(resolve)
    await promise
  }

  /** Stops looking and listening. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  /** How long the engine may take for an answer that needs no work, in milliseconds. */
  get answerMs(): number {
    return this.#options.answerMs
  }

  /** Why the engine does not answer, for people; nothing while it does. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /**
   * Asks the engine something.
   *
   * @param doing For the error: `list the tasks`.
   * @param deadlineMs The signal given to `ask` fires after it, and the call fails even if `ask` hangs on.
   * @throws {RuntimeError} `unreachable` when there is no answer, else in the engine's words.
   */
  async ask<T>(
    doing: string,
    deadlineMs: number,
    ask: (docker: Docker, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#docker === undefined || this.#trouble !== undefined) {
      const reason = this.#trouble ?? 'it was not looked for yet'
      throw new RuntimeError('unreachable', `Cannot ${doing}: ${reason}`, { temporary: true })
    }
    return await askWithin(this.#docker, doing, deadlineMs, ask)
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted
  }

  async #run(looked: () => void): Promise<void> {
    for (let failures = 0; !this.#isClosing; failures++) {
      // oxlint-disable-next-line no-await-in-loop -- one connection after the other
      const trouble = await this.#listen(() => {
        failures = 0
        const isNews = this.#trouble !== undefined
        this.#trouble = undefined
        looked()
        if (isNews) this.#options.onEvent({ kind: 'reachable' })
      })
      const isNews = this.#trouble === undefined && !this.#closing.signal.aborted
      this.#trouble = trouble
      looked()
      if (isNews) this.#options.onEvent({ kind: 'unreachable', message: trouble })
      // oxlint-disable-next-line no-await-in-loop
      await rest(backoffMs(failures + 1, RETRY), this.#closing.signal)
    }
    looked()
  }

  /** Hears the engine until it is gone or the link is closed, and says why it ended. */
  async #listen(connected: () => void): Promise<string> {
    const ending = new AbortController()
    const { signal } = this.#closing
    const end = (): void => ending.abort()
    signal.addEventListener('abort', end)
    try {
      this.#docker ??= await connect(this.#options.socketPath)
      const docker = this.#docker
      const options = {
        // A task that ended just before may still be in the engine's list as running.
        since: Math.floor(Date.now() / 1000) - PAST_S,
        filters: {
          type: ['container' as const],
          event: ['die', 'oom'],
          label: [
            `${LABELS.cluster}=${this.#options.cluster}`,
            `${LABELS.node}=${this.#options.node}`,
          ],
        },
        abortSignal: ending.signal,
      }
      // An engine that hangs may still take connections for events.
      await askWithin(docker, 'ping', this.answerMs, engine => engine.ping())
      // On failure, a late one too, `end` below takes the request back.
      const stream = await askWithin(docker, 'hear events', this.answerMs, engine =>
        engine.getEvents(options),
      )
      connected()
      const asking = this.#ping(docker, ending)
      let tail = ''
      for await (const bytes of stream) {
        const lines = (tail + String(bytes)).split('\n')
        tail = (lines.pop() ?? '').slice(0, EVENT_CHARS_MAX)
        for (const line of lines) this.#hear(line)
      }
      end()
      return (await asking) ?? 'the Docker engine closed the connection'
    } catch (error) {
      const reason = ending.signal.reason as unknown
      return reason instanceof RuntimeError
        ? reason.message
        : dockerError(error, 'hear events').message
    } finally {
      end()
      signal.removeEventListener('abort', end)
    }
  }

  /** Ends the connection when the engine no longer answers. A hung engine closes nothing. */
  async #ping(docker: Docker, ending: AbortController): Promise<string | undefined> {
    try {
      // oxlint-disable-next-line no-await-in-loop -- a question every so often
      while (await rest(this.answerMs / 2, ending.signal)) {
        // oxlint-disable-next-line no-await-in-loop -- one question at a time
        await askWithin(docker, 'ping', this.answerMs, engine => engine.ping())
      }
      return undefined
    } catch (error) {
      const trouble = dockerError(error, 'ping')
      ending.abort(trouble)
      return trouble.message
    }
  }

  #hear(line: string): void {
    const parsed = engineEvent.safeParse(line.trim() === '' ? undefined : JSON.parse(line))
    if (!parsed.success) return // Not about a container, though we asked for nothing else.
    const { ID: id, Attributes: attributes } = parsed.data.Actor
    if (parsed.data.Action === 'oom') {
      if (this.#outOfMemory.size < OUT_OF_MEMORY_MAX) this.#outOfMemory.add(id)
      return
    }
    const task = attributes[LABELS.task]
    if (task === undefined) return
    const exitCode = Number(attributes['exitCode'] ?? NaN)
    const outOfMemory = this.#outOfMemory.delete(id)
    // Minted by us: only containers with our label are heard.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    this.#options.onEvent(exitedEvent(task as TaskId, exitCode, outOfMemory))
  }
}

/** The end of a task, in words too. */
export function exitedEvent(
  task: TaskId,
  code: number,
  outOfMemory = false,
): Extract<RuntimeEvent, { readonly kind: 'exited' }> {
  const exitCode = Number.isInteger(code) ? code : 137
  const message = `${outOfMemory ? 'out of memory, ' : ''}exited with code ${exitCode}`
  return { kind: 'exited', task, exitCode, message }
}

/** Loads the client only when there is a socket: it costs 34 MB, which a node without Docker need not pay. */
async function connect(socketPath: string): Promise<Docker> {
  if (!existsSync(socketPath)) {
    const message = `there is no Docker engine at ${socketPath}`
    throw new RuntimeError('unreachable', message, { temporary: true })
  }
  const { default: Client } = await import('dockerode')
  // Connections are not kept: after a restart of the engine, kept ones fail on first use.
  return new Client({ socketPath, headers: { Connection: 'close' } })
}

/** Waits; false when `signal` fired first. */
async function rest(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await wait(ms, undefined, { signal })
    return true
  } catch {
    return false // Only the signal ends a wait early.
  }
}

/** Asks with a deadline that holds whatever the client does. */
async function askWithin<T>(
  docker: Docker,
  doing: string,
  deadlineMs: number,
  ask: (docker: Docker, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController()
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    deadline.abort()
    const message = `Cannot ${doing}: the Docker engine does not answer within ${deadlineMs} ms`
    reject(new RuntimeError('unreachable', message, { temporary: true }))
  }, deadlineMs)
  try {
    return await Promise.race([ask(docker, deadline.signal), late])
  } catch (error) {
    throw dockerError(error, doing)
  } finally {
    clearTimeout(timer)
  }
}
