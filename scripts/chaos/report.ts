import type { Availability } from './clients.ts'
import { FAULT_KINDS, type FaultKind } from './fault-plan.ts'
import type { LedgerStats } from './ledger.ts'
import type { Reaction } from './measure.ts'

/** What became of one fault. Times in milliseconds. */
export interface FaultReport extends Reaction {
  readonly kind: FaultKind
  readonly hosts: readonly number[]
  /** From the begin of the run. */
  readonly atMs: number
  readonly lastedMs: number
  /** Whether nothing else was wrong meanwhile. */
  readonly isAlone: boolean
  /** From its end until the struck hosts saw all others; absent where that took too long to wait for. */
  readonly backMs?: number
}

/** What came of a run. */
export interface ChaosReport {
  readonly seed: number
  readonly minutes: number
  readonly hosts: number
  readonly edits: LedgerStats & {
    /** How long each acknowledged one took, in milliseconds. */
    readonly tookMs: readonly number[]
  }
  readonly availability: Availability
  readonly faults: readonly FaultReport[]
  /** From the end of all faults until all was well. */
  readonly settledMs: number
  /** What did not hold; empty is what is wanted. */
  readonly problems: readonly string[]
  /** What happened, line by line; only where something did not hold. */
  readonly story: readonly string[]
}

/** The value that a share of the values is not above: 0.5 for the median; undefined of none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

/** The report for people. */
export function printReport(report: ChaosReport): string {
  const { edits, availability, problems } = report
  const lines = [
    `${report.minutes} minutes on ${report.hosts} hosts, seed ${report.seed}: ${report.faults.length} faults`,
    '',
    row('fault', 'times', 'out of DNS', 'worst', 'replaced', 'worst', 'back', 'worst'),
    ...FAULT_KINDS.flatMap(kind => {
      const all = report.faults.filter(fault => fault.kind === kind)
      if (all.length === 0) return []
      return [
        row(
          kind,
          String(all.length),
          ...(['outOfDnsMs', 'replacedMs', 'backMs'] as const).flatMap(what => {
            const values = all.flatMap(fault => fault[what] ?? [])
            return [seconds(quantile(values, 0.5)), seconds(quantile(values, 1))]
          }),
        ),
      ]
    }),
    '(medians; of those faults that lasted long enough to be seen and made up for)',
    '',
    `clients on hosts that nothing was wrong with: ${availability.requests} requests, ${availability.percent.toFixed(3)} % answered, ${availability.percentWithRetry.toFixed(3)} % with one retry, longest gap ${seconds(availability.longestGapMs)}`,
    `edits: ${edits.asked} asked of all hosts, ${edits.acknowledged} acknowledged (${edits.onlyHere} as being on one disk only), p50 ${ms(quantile(edits.tookMs, 0.5))}, p99 ${ms(quantile(edits.tookMs, 0.99))}`,
    problems.length === 0
      ? `all held ${seconds(report.settledMs)} after the last fault`
      : `NOT WELL ${seconds(report.settledMs)} after the last fault:`,
    ...problems.slice(0, 50).map(problem => `  ${problem}`),
  ]
  return `${lines.join('\n')}\n`
}

function row(...cells: readonly string[]): string {
  return cells.map((cell, at) => (at === 0 ? cell.padEnd(10) : cell.padStart(11))).join('')
}

function seconds(value: number | undefined): string {
  return value === undefined ? '-' : `${(value / 1000).toFixed(2)} s`
}

function ms(value: number | undefined): string {
  return value === undefined ? '-' : `${Math.round(value)} ms`
}
