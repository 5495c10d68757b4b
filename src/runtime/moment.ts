import { openSync, readFileSync, readSync } from 'node:fs'

/**
 * A moment of this boot, by two clocks that all processes of the machine share and that
 * no change of the date touches.
 */
export interface Moment {
  /** CLOCK_MONOTONIC, in milliseconds. Exact, but it stands still while the machine sleeps. */
  readonly monotonicMs: number
  /** `/proc/uptime`, in milliseconds, by tens. It counts sleep. Absent where there is no such file. */
  readonly uptimeMs?: number
}

/** The two clocks are read one after the other, and one of them counts by tens: less than this apart is no sleep. */
const SLEPT_MS_MIN = 100

/** Reads both clocks. Costs about 20 µs. */
export function readMoment(): Moment {
  return momentOf(() => readFileSync('/proc/uptime', 'latin1'))
}

/**
 * How long it is from one moment to a later one, in milliseconds, the time that the machine
 * slept included: the larger of what the two clocks say. A lease goes on running out while its
 * holder's lid is closed.
 *
 * Limits: a sleep of less than 0.1 s in all counts for nothing, and what neither clock counts
 * (a virtual machine that its host has paused) cannot be seen from inside.
 */
export function elapsedMs(from: Moment, to: Moment): number {
  const awakeMs = to.monotonicMs - from.monotonicMs
  if (from.uptimeMs === undefined || to.uptimeMs === undefined) return awakeMs
  const upMs = to.uptimeMs - from.uptimeMs
  return upMs - awakeMs >= SLEPT_MS_MIN ? upMs : awakeMs
}

/**
 * A clock for one process: `startMs`, and the time since, sleep included. Never goes back.
 *
 * For the many calls of a loop: it keeps its file open, for as long as the process lives, and so costs 4 µs.
 *
 * @param read Where the moments come from. @default the two clocks of this machine
 */
export function createSteadyClock(startMs: number, read = createReader()): () => number {
  const start = read()
  let nowMs = startMs
  return () => {
    nowMs = Math.max(nowMs, startMs + elapsedMs(start, read()))
    return nowMs
  }
}

function createReader(): () => Moment {
  let file: number
  try {
    file = openSync('/proc/uptime', 'r')
  } catch {
    return readMoment // No such file, as that one will find each time.
  }
  const bytes = Buffer.alloc(64)
  // Read at its beginning, the file tells the time of the reading.
  const readText = (): string =>
    bytes.toString('latin1', 0, readSync(file, bytes, 0, bytes.length, 0))
  return () => momentOf(readText)
}

function momentOf(readUptime: () => string): Moment {
  const monotonicMs = Number(process.hrtime.bigint() / 1_000n) / 1_000
  try {
    const seconds = Number.parseFloat(readUptime())
    if (Number.isFinite(seconds)) return { monotonicMs, uptimeMs: seconds * 1_000 }
  } catch {
    // No such file: this machine's sleep cannot be seen, and the other clock must do.
  }
  return { monotonicMs }
}
