import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { mustAsk } from '../testbed/engine-api.ts'
import { until } from '../testbed/process-table.ts'
import type { TestHost } from '../testbed/test-host.ts'

/** A container that runs, as its engine tells. */
export interface Running {
  readonly id: string
  readonly host: number
  /** Which replica it is: one that moves while others are replaced is there twice for a moment. */
  readonly replica: string
  /** Its address in each network that it is in. */
  readonly addresses: readonly string[]
}

interface Listed {
  readonly Id: string
  readonly Labels: Readonly<Record<string, string>>
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>>
  }
}

/** How often the engines are asked, in milliseconds: what is measured is true to within this. */
const ASK_MS = 50

/** The containers with a label that run on these hosts, by the engines' own word. */
export async function listRunning(hosts: readonly TestHost[], label: string): Promise<Running[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [label], status: ['running'] }))
  const path = `/containers/json?filters=${filters}`
  const lists = await Promise.all(
    hosts.map(async ({ number, dockerSocket = '' }) => {
      const text = await mustAsk(dockerSocket, { method: 'GET', path, timeoutMs: 30_000 })
      return (JSON.parse(text) as Listed[]).map(({ Id, Labels, NetworkSettings }) => ({
        id: Id,
        host: number,
        replica: Labels['shoal.slot'] ?? Id,
        addresses: Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress),
      }))
    }),
  )
  return lists.flat()
}

/** Waits until no container with a label is left on these hosts: one that is still being removed keeps its engine busy. */
export async function awaitGone(hosts: readonly TestHost[], label: string): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ label: [label] }))
  const path = `/containers/json?all=1&filters=${filters}`
  await until(`no container with ${label} is left`, 180_000, async () => {
    const lists = await Promise.all(
      hosts.map(async ({ dockerSocket = '' }) => {
        const text = await mustAsk(dockerSocket, { method: 'GET', path, timeoutMs: 30_000 })
        return JSON.parse(text) as unknown[]
      }),
    )
    return lists.every(({ length }) => length === 0)
  })
}

/**
 * Waits until so many replicas with a label run on these hosts; gives the milliseconds from `sinceMs`
 * (by `performance.now()`). Throws after `timeoutMs`, with the number that there was.
 */
export async function awaitRunning(
  hosts: readonly TestHost[],
  label: string,
  count: number,
  { sinceMs = performance.now(), timeoutMs = 180_000 } = {},
): Promise<number> {
  for (;;) {
    // oxlint-disable-next-line eslint/no-await-in-loop -- one question after the other
    const running = await listRunning(hosts, label)
    const tookMs = performance.now() - sinceMs
    const { size } = new Set(running.map(({ replica }) => replica))
    if (size === count) return tookMs
    if (tookMs > timeoutMs) {
      throw new Error(`${size} of ${count} replicas run after ${timeoutMs / 1000} s`)
    }
    // oxlint-disable-next-line eslint/no-await-in-loop
    await new Promise(resolve => setTimeout(resolve, ASK_MS))
  }
}

/**
 * Hears the engines tell what starts and ends. While many containers start, asking again and again what runs
 * costs the engines a sixth of two processors, which whoever starts them then does not have.
 */
export class StartWatch implements Disposable {
  readonly #hosts: readonly TestHost[]
  readonly #label: string
  readonly #running = new Set<string>()
  readonly #ending = new AbortController()
  /** When the last one of them started, by `performance.now()`. */
  #lastMs = -Infinity

  private constructor(hosts: readonly TestHost[], label: string) {
    this.#hosts = hosts
    this.#label = label
  }

  /** Listens to these hosts, for containers with a label. None of them may run yet. */
  static async open(hosts: readonly TestHost[], label: string): Promise<StartWatch> {
    const watch = new StartWatch(hosts, label)
    await Promise.all(hosts.map(async host => await watch.#listen(host)))
    return watch
  }

  /** The milliseconds from `sinceMs` until so many ran. Throws when the engines' lists say otherwise in the end. */
  async reached(count: number, sinceMs: number): Promise<number> {
    await until(`${count} containers run`, 180_000, async () => this.#running.size >= count)
    const atMs = this.#lastMs
    const { length } = await listRunning(this.#hosts, this.#label)
    if (length !== count) throw new Error(`${length} containers run instead of ${count}`)
    return atMs - sinceMs
  }

  [Symbol.dispose](): void {
    this.#ending.abort()
  }

  async #listen({ dockerSocket = '' }: TestHost): Promise<void> {
    const filters = { type: ['container'], event: ['start', 'die'], label: [this.#label] }
    const path = `/events?filters=${encodeURIComponent(JSON.stringify(filters))}`
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const { signal } = this.#ending
    const asked = request({ socketPath: dockerSocket, path, headers: { host: 'docker' }, signal })
    asked.on('error', reject)
    asked.on('response', response => {
      resolve()
      const lines = createInterface(response)
      lines.on('error', () => undefined) // Whatever ends it early, the count is missed.
      lines.on('line', line => {
        const { Action, id } = JSON.parse(line) as { readonly Action: string; readonly id: string }
        if (Action !== 'start') {
          this.#running.delete(id)
          return
        }
        this.#running.add(id)
        this.#lastMs = performance.now()
      })
    })
    asked.end()
    await promise
  }
}
