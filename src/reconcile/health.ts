import type { HealthCheck } from '../model/app.ts'
import { toMs } from '../model/duration.ts'
import type { Health } from '../model/task.ts'

/** How one health check of one task stands. Plain data; {@link judge} makes the next one. */
export interface CheckState {
  readonly health: Exclude<Health, 'none'>
  /** Failures in a row, those within the grace left out. */
  readonly failures: number
  /** True when the task is to be replaced. Never with `maxFailures` 0: that only takes it out of DNS. */
  readonly mustReplace: boolean
  readonly nextProbeAtMs: number
  /** What the last probe said. */
  readonly message: string
}

/** A check before its first probe, which comes at once: a task that is up is to be served soon. */
export function createCheck(startedAtMs: number): CheckState {
  return {
    health: 'unknown',
    failures: 0,
    mustReplace: false,
    nextProbeAtMs: startedAtMs,
    message: '',
  }
}

/** Until a task has passed for the first time it is probed this often, however long the interval: fast starts are served fast. */
export const FIRST_PROBES_MS = 200

/**
 * The state after a probe.
 *
 * One success makes a task healthy. A healthy task is unhealthy after its first
 * failure's worth of doubt only when `maxFailures` failures come in a row (one,
 * where `maxFailures` is 0). Failures before the first success count for nothing
 * while the task is younger than `grace`.
 */
export function judge(
  state: CheckState,
  check: HealthCheck,
  probe: { readonly healthy: boolean; readonly message: string },
  times: { readonly nowMs: number; readonly startedAtMs: number },
): CheckState {
  const { nowMs, startedAtMs } = times
  const intervalMs = toMs(check.interval)
  if (probe.healthy) {
    const nextProbeAtMs = nowMs + intervalMs
    return {
      health: 'healthy',
      failures: 0,
      mustReplace: false,
      nextProbeAtMs,
      message: probe.message,
    }
  }
  const nextProbeAtMs =
    nowMs + (state.health === 'unknown' ? Math.min(intervalMs, FIRST_PROBES_MS) : intervalMs)
  if (state.health === 'unknown' && nowMs - startedAtMs < toMs(check.grace)) {
    return { ...state, nextProbeAtMs, message: probe.message }
  }
  const failures = state.failures + 1
  const isOver = failures >= Math.max(1, check.maxFailures)
  return {
    health: isOver ? 'unhealthy' : state.health,
    failures,
    mustReplace: isOver && check.maxFailures > 0,
    nextProbeAtMs: isOver || state.health !== 'unknown' ? nowMs + intervalMs : nextProbeAtMs,
    message: probe.message,
  }
}

/** The health of a task with these checks: as good as its worst. `none` when it has no checks. */
export function overallHealth(checks: readonly CheckState[]): Health {
  if (checks.length === 0) return 'none'
  for (const health of ['unhealthy', 'unknown'] as const) {
    if (checks.some(check => check.health === health)) return health
  }
  return 'healthy'
}
