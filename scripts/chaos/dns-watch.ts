import { lookUp } from '../demo/client.ts'
import type { TestHost } from '../testbed/test-host.ts'

/** How often each host is asked, in milliseconds: what is measured is true to within this. */
export const WATCH_MS = 50

/** An answer later than this is none. */
const ANSWER_MS = 1_000

/** What a host's DNS server says from a moment on. */
export interface DnsAnswer {
  /** By `performance.now()`. */
  readonly atMs: number
  /** `address:port` of each instance, sorted; undefined where no answer came. */
  readonly places: readonly string[] | undefined
}

/**
 * Asks the DNS server of each host for one app, again and again, over the machine's own cable, which no
 * fault touches; keeps every change of the answers.
 */
export class DnsWatch {
  readonly #app: string
  readonly #answers = new Map<number, DnsAnswer[]>()
  readonly #over = new AbortController()
  readonly #asking: Promise<void>[] = []

  /** @param app As DNS has it: `hello` for `/hello`. */
  constructor(hosts: readonly TestHost[], app: string) {
    this.#app = app
    for (const host of hosts) {
      this.#answers.set(host.number, [{ atMs: performance.now(), places: undefined }])
      this.#asking.push(this.#ask(host))
    }
  }

  /** What a host said, oldest first. */
  answersOf(host: number): readonly DnsAnswer[] {
    return this.#answers.get(host) ?? []
  }

  /** What each host says now, in the order of the hosts. */
  now(): readonly (readonly string[] | undefined)[] {
    return [...this.#answers.values()].map(answers => answers.at(-1)?.places)
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await Promise.all(this.#asking)
  }

  async #ask({ number, address }: TestHost): Promise<void> {
    const answers = this.#answers.get(number)!
    const server = { address, port: 53, timeoutMs: ANSWER_MS }
    while (!this.#over.signal.aborted) {
      const askedMs = performance.now()
      // oxlint-disable-next-line eslint/no-await-in-loop -- one question after the other
      const places = await lookUp(server, this.#app).then(
        found => found.map(one => `${one.address}:${one.port}`).toSorted(),
        // No server, a cut, a frozen one: that is what is to be seen.
        () => undefined,
      )
      if (String(places) !== String(answers.at(-1)?.places)) {
        answers.push({ atMs: performance.now(), places })
      }
      const restMs = WATCH_MS - (performance.now() - askedMs)
      // oxlint-disable-next-line eslint/no-await-in-loop
      await new Promise(resolve => setTimeout(resolve, Math.max(0, restMs)))
    }
  }
}
