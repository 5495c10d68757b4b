import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestHost } from '../testbed/test-host.ts'

/** What a client tells of one request. */
export interface ProbeLine {
  /** When it began, in milliseconds since 1970: the clock that processes of one machine share. */
  readonly atMs: number
  readonly tookMs: number
  /** Whom it asked. */
  readonly place?: string
  /** What went wrong with the first instance. */
  readonly error?: string
  /** What went wrong with the second one; null when that answered. */
  readonly secondError?: string | null
}

/** A request, with the host it was made on. */
export interface Probe extends ProbeLine {
  readonly host: number
}

/** A time on a host in which it is not to be counted on. In milliseconds since 1970. */
export interface Away {
  readonly host: number
  readonly fromMs: number
  readonly toMs: number
}

/** How an app fared in the eyes of its clients. */
export interface Availability {
  readonly requests: number
  /** Of which the first instance did not answer. */
  readonly failed: number
  /** And neither did a second one. */
  readonly failedTwice: number
  /** Share of requests that the first instance answered, in percent. */
  readonly percent: number
  /** The same with one more try. */
  readonly percentWithRetry: number
  /** The longest time from a client's answered request to its next answered one, in milliseconds. */
  readonly longestGapMs: number
}

/** Programs on every host that ask for an app all the time. */
export class Clients {
  readonly probes: Probe[] = []
  readonly #children: ChildProcess[] = []
  readonly #complaints: string[] = []

  constructor(
    hosts: readonly TestHost[],
    { app, intervalMs }: { readonly app: string; readonly intervalMs: number },
  ) {
    const program = join(import.meta.dirname, 'probe-client.ts')
    const flags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1']
    for (const host of hosts) {
      const argv = [process.execPath, ...flags, program, host.address, app, String(intervalMs)]
      const child = host.spawn(argv)
      this.#children.push(child)
      if (child.stdout === null || child.stderr === null) throw new Error('A client has no pipes')
      createInterface({ input: child.stdout }).on('line', line => {
        this.probes.push({ host: host.number, ...(JSON.parse(line) as ProbeLine) })
      })
      createInterface({ input: child.stderr }).on('line', line => {
        if (this.#complaints.length < 20) this.#complaints.push(`h${host.number}: ${line}`)
      })
    }
  }

  /** Ends them; throws if one ended by itself, because what it did not see was not measured. */
  stop(): void {
    const ended = this.#children.filter(child => child.exitCode !== null)
    for (const child of this.#children) child.kill('SIGKILL')
    if (ended.length > 0) throw new Error(`A client ended:\n${this.#complaints.join('\n')}`)
  }
}

/** What clients saw while nothing was wrong with the hosts that they ran on. */
export function availabilityOf(probes: readonly Probe[], away: readonly Away[]): Availability {
  const isAway = ({ host, atMs, tookMs }: Probe): boolean =>
    away.some(one => one.host === host && atMs + tookMs >= one.fromMs && atMs <= one.toMs)
  const counted = probes.filter(probe => !isAway(probe))
  const failed = counted.filter(({ error }) => error !== undefined)
  const twice = failed.filter(({ secondError }) => secondError !== null)
  const share = (bad: number): number =>
    counted.length === 0 ? 0 : (100 * (counted.length - bad)) / counted.length
  return {
    requests: counted.length,
    failed: failed.length,
    failedTwice: twice.length,
    percent: share(failed.length),
    percentWithRetry: share(twice.length),
    longestGapMs: longestGap(counted, away),
  }
}

function longestGap(counted: readonly Probe[], away: readonly Away[]): number {
  let longestMs = 0
  for (const host of new Set(counted.map(probe => probe.host))) {
    const answered = counted
      .filter(probe => probe.host === host && probe.error === undefined)
      .map(({ atMs }) => atMs)
      .toSorted((a, b) => a - b)
    const absences = away.filter(one => one.host === host)
    for (const [index, atMs] of answered.entries()) {
      const before = answered[index - 1]
      if (before === undefined) continue
      // Over a time that does not count nothing can be said.
      if (absences.some(({ fromMs, toMs }) => fromMs < atMs && toMs > before)) continue
      longestMs = Math.max(longestMs, atMs - before)
    }
  }
  return longestMs
}
