import type { FileResult } from './run-file.ts'
import type { Outcome } from './tap-reader.ts'

/** How many tests ended in each way. */
export type Totals = Readonly<Record<Outcome['kind'], number>>

/** Adds up the tests of all files. */
export function countOutcomes(results: readonly FileResult[]): Totals {
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const { outcomes } of results) for (const { kind } of outcomes) totals[kind]++
  return totals
}

/** One line for a file, and under it every failed test with what it said. */
export function describeFile(result: FileResult): string {
  const { file, outcomes, elapsedMs } = result
  const { passed, failed, skipped } = countOutcomes([result])
  const parts = [`${passed} passed`]
  if (failed > 0) parts.push(`${failed} failed`)
  if (skipped > 0) parts.push(`${skipped} skipped`)
  const head = failed > 0 ? 'FAIL' : 'ok  '
  const seconds = (elapsedMs / 1000).toFixed(1).padStart(6)
  const failures = outcomes
    .filter(({ kind }) => kind === 'failed')
    .flatMap(({ name, detail }) => [`     ✗ ${name}`, ...detail.map(line => `       ${line}`)])
  return [`${head} ${seconds} s  ${file}: ${parts.join(', ')}`, ...failures].join('\n')
}

/** What was skipped and why, what failed, and the line of totals, which stands alone at the end. */
export function summarize(results: readonly FileResult[]): string {
  const lines = ['']
  for (const [title, kind] of [
    ['Skipped', 'skipped'],
    ['Failed', 'failed'],
  ] as const) {
    const rows = results.flatMap(({ file, outcomes }) =>
      outcomes
        .filter(outcome => outcome.kind === kind)
        .map(({ name, detail }) =>
          kind === 'skipped' ? `  ${file}: ${name} (${detail.join(' ')})` : `  ${file}: ${name}`,
        ),
    )
    if (rows.length > 0) lines.push(`${title}:`, ...rows, '')
  }
  const { passed, failed, skipped } = countOutcomes(results)
  lines.push(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  return lines.join('\n')
}
