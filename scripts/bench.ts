/**
 * Runs the benches of `scripts/bench` and prints a table of what was measured against what we aim at:
 *
 *     npm run bench [-- [--json] [--timeout SECONDS] [NAME…]]
 *
 * With `--json`, the same as data, with the machine it was measured on. The exit code is 1 if a bench
 * failed to run; a missed target is a figure, not a failure.
 */

import { globSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { meetsTarget, type BenchRow } from './bench/row.ts'
import { runBench, type BenchResult } from './bench/run-bench.ts'

const BENCHES = join(import.meta.dirname, 'bench')

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    timeout: { type: 'string', default: '1800' },
  },
})
process.exitCode = await main(positionals)

async function main(wanted: readonly string[]): Promise<number> {
  const known = listBenches()
  const unknown = wanted.find(name => !known.includes(name))
  const timeoutMs = Number(values.timeout) * 1000
  if (unknown !== undefined) return refuse(`no bench "${unknown}": take ${known.join(', ')}`)
  if (!(timeoutMs > 0)) return refuse(`--timeout must be seconds > 0: ${values.timeout}`)

  const results: BenchResult[] = []
  for (const bench of wanted.length > 0 ? wanted : known) {
    process.stderr.write(`bench ${bench} …\n`)
    // One after the other: they would measure each other.
    results.push(await runBench(join(BENCHES, `${bench}.ts`), timeoutMs))
  }
  process.stdout.write(values.json ? describeAsData(results) : describeAsTable(results))
  return results.some(({ problem }) => problem !== undefined) ? 1 : 0
}

function refuse(reason: string): number {
  process.stderr.write(`bench: ${reason}\n`)
  return 2
}

/** The files that export a bench, by name; beside them lie what they share. */
function listBenches(): readonly string[] {
  return globSync(join(BENCHES, '*.ts'))
    .filter(file => /^export (?:async )?function bench[A-Z]/m.test(readFileSync(file, 'utf8')))
    .map(file => basename(file, '.ts'))
    .toSorted()
}

function describeAsData(results: readonly BenchResult[]): string {
  const machine = {
    cpus: availableParallelism(),
    model: cpus()[0]?.model ?? 'unknown',
    memoryMB: Math.round(totalmem() / 1e6),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
  }
  const rows = results.flatMap(({ bench, rows: measured }) =>
    measured.map(row => ({ bench, ...row, ok: meetsTarget(row) })),
  )
  const problems = results.flatMap(({ bench, problem }) => (problem ? [{ bench, problem }] : []))
  return `${JSON.stringify({ machine, rows, problems }, null, 2)}\n`
}

function describeAsTable(results: readonly BenchResult[]): string {
  const head = ['bench', 'what', 'value', 'unit', 'target', '', 'note']
  const body = results.flatMap(({ bench, rows, problem }) => [
    ...rows.map(row => [bench, ...cells(row)]),
    ...(problem === undefined ? [] : [[bench, problem, '', '', '', 'FAILED', '']]),
  ])
  const table = [head, ...body]
  const widths = head.map((_, column) => Math.max(...table.map(row => row[column]?.length ?? 0)))
  const lines = table.map(row =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return column === 2 ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

function cells(row: BenchRow): string[] {
  const { min, max } = row.target ?? {}
  const bounds = [min === undefined ? [] : `≥ ${min}`, max === undefined ? [] : `≤ ${max}`].flat()
  const met = meetsTarget(row)
  const verdict = met === undefined ? '' : met ? 'ok' : 'MISS'
  return [row.name, format(row.value), row.unit, bounds.join(', '), verdict, row.note ?? '']
}

/** Three figures that mean something, and whole numbers above a thousand. */
function format(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}
