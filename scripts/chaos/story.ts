import { existsSync, readFileSync } from 'node:fs'
import type { TestHost } from '../testbed/test-host.ts'

/** Something that happened, here or in a daemon. */
interface Line {
  /** In milliseconds since 1970. */
  readonly timeMs: number
  readonly who: string
  readonly text: string
}

/** What a daemon's log says in a line of JSON, as far as it is of interest here. */
interface LogLine {
  readonly time?: string
  readonly level?: number
  readonly msg?: string
  readonly subject?: string
  readonly err?: { readonly message?: string }
}

/** What was done to a cluster, and what it did, for the one who must find out why it failed. */
export class Story {
  readonly #beganMs = Date.now()
  readonly #lines: Line[] = []
  readonly #onLine: (line: string) => void

  /** @param onLine Hears of each line as it is added. */
  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  add(text: string): void {
    const line = { timeMs: Date.now(), who: 'chaos', text }
    this.#lines.push(line)
    this.#onLine(this.#print(line))
  }

  /** The whole of it, with what the hosts' daemons logged in between, in the order of time. */
  tell(hosts: readonly TestHost[]): string[] {
    const logged = hosts.flatMap(host => readLog(host)).filter(one => one.timeMs >= this.#beganMs)
    return [...this.#lines, ...logged]
      .toSorted((one, other) => one.timeMs - other.timeMs)
      .map(line => this.#print(line))
  }

  #print({ timeMs, who, text }: Line): string {
    const seconds = ((timeMs - this.#beganMs) / 1000).toFixed(3).padStart(8)
    return `${seconds} ${who.padEnd(5)} ${text}`
  }
}

function readLog({ number, logFile }: TestHost): Line[] {
  if (!existsSync(logFile)) return []
  const who = `h${number}`
  let timeMs = 0
  return readFileSync(logFile, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const parsed = parseLog(line)
      // A line that is no JSON (a crash) belongs to the one before it.
      if (parsed?.time === undefined) return { timeMs, who, text: line }
      timeMs = Date.parse(parsed.time)
      const words = [parsed.subject, parsed.msg, parsed.err?.message]
      return { timeMs, who, text: words.filter(word => word !== undefined).join(' ') }
    })
}

function parseLog(line: string): LogLine | undefined {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return undefined // Not written by the logger: it is told as it is.
  }
}
