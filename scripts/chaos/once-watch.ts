import { listContainers, type Container } from '../testbed/containers.ts'
import type { TestHost } from '../testbed/test-host.ts'

/** How often the engines are asked, in milliseconds. */
const WATCH_MS = 200

/**
 * Asks the engines of all hosts, cut off or not, for the tasks of one app that must never run twice, and keeps what was seen
 * side by side. The engines answer one after the other, so only a pair that runs still when asked again counts.
 */
export class OnceWatch {
  /** What ran twice, in words; empty is what is wanted. */
  readonly problems: string[] = []
  readonly #hosts: readonly TestHost[]
  readonly #app: string
  readonly #over = new AbortController()
  readonly #asking: Promise<void>
  readonly #told = new Set<string>()
  #sideBySide: ReadonlySet<string> = new Set()

  constructor(hosts: readonly TestHost[], app: string) {
    this.#hosts = hosts
    this.#app = app
    this.#asking = this.#watch()
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await this.#asking
  }

  async #watch(): Promise<void> {
    while (!this.#over.signal.aborted) {
      // oxlint-disable-next-line eslint/no-await-in-loop -- one look after the other
      const lists = await Promise.all(this.#hosts.map(listRunning))
      this.#look(pairsOf(lists.flat().filter(({ slot }) => slot.startsWith(`${this.#app}.`))))
      // oxlint-disable-next-line eslint/no-await-in-loop
      await new Promise(resolve => setTimeout(resolve, WATCH_MS))
    }
  }

  #look(pairs: ReadonlySet<string>): void {
    for (const pair of pairs) {
      if (!this.#sideBySide.has(pair) || this.#told.has(pair)) continue
      this.#told.add(pair)
      this.problems.push(`${new Date().toISOString()}: ${pair} ran side by side`)
    }
    this.#sideBySide = pairs
  }
}

/** Every two tasks of one slot, by name. */
export function pairsOf(running: readonly Container[]): Set<string> {
  const pairs = new Set<string>()
  for (const [at, one] of running.entries()) {
    for (const other of running.slice(at + 1)) {
      if (one.slot !== other.slot || one.id === other.id) continue
      const names = [one, other].map(({ task, host }) => `${task} on h${host}`).toSorted()
      pairs.add(names.join(' and '))
    }
  }
  return pairs
}

/** None where the engine does not answer: it was killed with all its containers. */
async function listRunning(host: TestHost): Promise<Container[]> {
  const containers = await listContainers(host).catch((): Container[] => [])
  return containers.filter(({ running }) => running)
}
