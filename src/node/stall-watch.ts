/** How often the watch looks, in milliseconds. Each look wakes an idle daemon, for about 0.01 % of a core a second. */
const LOOK_MS = 500

/** Shorter delays are a busy machine's everyday life, in milliseconds. */
const STALL_MS = 250

/** What the watch found since the start. */
export interface Stalls {
  readonly count: number
  readonly totalMs: number
  readonly longestMs: number
}

/** Watches the main thread. */
export interface StallWatch {
  stalls(): Stalls
  close(): void
}

/**
 * Measures for how long the main thread did not run: a long computation, a starved machine, or a
 * daemon that was stopped. A stall is measured to within half a second, never as longer than it was.
 *
 * Liveness is not told: its worker runs on and answers, and finds its own stalls by its own timers.
 *
 * @param onStall Called after each stall of more than a quarter of a second.
 */
export function startStallWatch(onStall: (ms: number) => void): StallWatch {
  let found: Stalls = { count: 0, totalMs: 0, longestMs: 0 }
  let dueMs = performance.now() + LOOK_MS
  const timer = setInterval(() => {
    const nowMs = performance.now()
    const lateMs = nowMs - dueMs
    dueMs = nowMs + LOOK_MS
    if (lateMs < STALL_MS) return
    found = {
      count: found.count + 1,
      totalMs: found.totalMs + lateMs,
      longestMs: Math.max(found.longestMs, lateMs),
    }
    onStall(lateMs)
  }, LOOK_MS).unref()
  return { stalls: () => found, close: () => clearInterval(timer) }
}
