import type { AppSpec, HealthCheck } from '../../model/app.ts'
import type { RevisionId } from '../../model/ids.ts'
import type { Health } from '../../model/task.ts'
import { createCheck, judge, overallHealth, type CheckState } from '../../reconcile/health.ts'

/** The health checks of one task, by those of one revision: how each stands, and which probes are on their way. */
export class CheckRun {
  /** The revision that they were begun by: the task may be of a later one, which has the same. */
  readonly revision: RevisionId
  readonly #checks: readonly HealthCheck[]
  readonly #states: CheckState[]
  readonly #probing = new Set<number>()

  /** All are due at once. */
  constructor(
    { revision, spec }: { readonly revision: RevisionId; readonly spec: AppSpec },
    nowMs: number,
  ) {
    const checks = spec.health
    this.revision = revision
    this.#checks = checks
    this.#states = checks.map(() => createCheck(nowMs))
  }

  /** As good as the worst of them. */
  get health(): Health {
    return overallHealth(this.#states)
  }

  /** True when the task is to be replaced. */
  get mustReplace(): boolean {
    return this.#states.some(({ mustReplace }) => mustReplace)
  }

  /** What the last probe of the first check said that fails; empty when none does. */
  get complaint(): string {
    return this.#states.find(({ health }) => health === 'unhealthy')?.message ?? ''
  }

  /** When the next probe is due; Infinity while all are on their way. */
  get wakeAtMs(): number {
    let at = Infinity
    for (const [check, { nextProbeAtMs }] of this.#states.entries()) {
      if (!this.#probing.has(check)) at = Math.min(at, nextProbeAtMs)
    }
    return at
  }

  /** The checks whose probe is due, by their numbers; they count as on their way from then on. */
  takeDue(nowMs: number): number[] {
    const due: number[] = []
    for (const [check, { nextProbeAtMs }] of this.#states.entries()) {
      if (nextProbeAtMs > nowMs || this.#probing.has(check)) continue
      this.#probing.add(check)
      due.push(check)
    }
    return due
  }

  /** Takes in what a probe found. One that nothing here is waiting for says nothing. */
  probed(
    { check, healthy, message }: ProbeResult,
    times: { readonly nowMs: number; readonly startedAtMs: number },
  ): void {
    if (!this.#probing.delete(check)) return
    this.#states[check] = judge(
      this.#states[check]!,
      this.#checks[check]!,
      { healthy, message },
      times,
    )
  }
}

/** What a probe found. */
export interface ProbeResult {
  /** Which of the checks, counted from 0. */
  readonly check: number
  readonly healthy: boolean
  readonly message: string
}
