import type { TaskLine } from '../../src/api/shapes.ts'
import { lookUp } from '../demo/client.ts'
import { askDaemon } from '../testbed/host-daemon.ts'
import type { TestHost } from '../testbed/test-host.ts'
import { TruthCheck } from './truth-check.ts'

/** How often each host is asked, in milliseconds. */
const WATCH_MS = 200
/** An answer later than this is none. */
const ANSWER_MS = 1_000

/**
 * Asks each host's daemon what it holds of an app's tasks, and then its DNS server, again and again: whoever knows that a
 * node is lost must not send clients there, whatever else is wrong.
 */
export class TruthWatch {
  readonly #app: string
  readonly #checks = new Map<TestHost, TruthCheck>()
  readonly #over = new AbortController()
  readonly #asking: Promise<void>[]

  /** @param app Its id: `/hello`. */
  constructor(hosts: readonly TestHost[], app: string) {
    this.#app = app
    for (const host of hosts) this.#checks.set(host, new TruthCheck())
    this.#asking = Array.from(this.#checks, async ([host, check]) => await this.#watch(host, check))
  }

  /** The longest that any host's DNS was behind its own daemon, in milliseconds. */
  get worstMs(): number {
    return Math.max(0, ...Array.from(this.#checks.values(), ({ worstMs }) => worstMs))
  }

  /** What was named for too long, in words. */
  stale(): string[] {
    return this.#tell(({ stale }) => stale)
  }

  /** What was not named for too long, in words. A daemon that has just started holds more than it says until engines and nodes have spoken. */
  missing(): string[] {
    return this.#tell(({ missing }) => missing)
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await Promise.all(this.#asking)
  }

  #tell(of: (check: TruthCheck) => readonly string[]): string[] {
    return [...this.#checks].flatMap(([{ number }, check]) =>
      of(check).map(problem => `DNS of h${number}: ${this.#app} at ${problem}`),
    )
  }

  async #watch(host: TestHost, check: TruthCheck): Promise<void> {
    const path = `/v1/tasks?app=${encodeURIComponent(this.#app)}`
    while (!this.#over.signal.aborted) {
      try {
        // oxlint-disable-next-line eslint/no-await-in-loop -- one question after the other
        const tasks = await askDaemon<TaskLine[]>(host, path, { timeoutMs: ANSWER_MS })
        check.look(tasks)
        const askedMs = performance.now()
        const server = { address: host.address, port: 53, timeoutMs: ANSWER_MS }
        // oxlint-disable-next-line eslint/no-await-in-loop
        const found = await lookUp(server, this.#app.slice(1))
        const places = found.map(({ address, port }) => `${address}:${port}`)
        check.answered(askedMs, places)
      } catch {
        check.lost() // It is down, frozen or on its way up: it tells nobody anything.
      }
      // oxlint-disable-next-line eslint/no-await-in-loop
      await new Promise(resolve => setTimeout(resolve, WATCH_MS))
    }
  }
}
