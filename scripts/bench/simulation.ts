import { runScale } from '../../test/sim/scale.ts'
import type { BenchRow } from './row.ts'

const NODES = 1_000
const MINUTES = 10
/** What is wanted for it on two cores, in seconds. */
const TARGET_S = 120
const SEED = 1

/**
 * A thousand whole nodes on virtual time, each with the daemon's own machine and liveness: how long the simulation
 * takes, and what the cluster does meanwhile over links of 1 to 5 ms.
 */
export function benchSimulation(): BenchRow[] {
  const startMs = performance.now()
  const cpu = process.cpuUsage()
  const { formedMs, startedMs, deadMs, replacedMs, editMs, problems } = runScale({
    seed: SEED,
    nodes: NODES,
    forMs: MINUTES * 60_000,
    slots: NODES,
    deaths: 4,
    edits: 20,
  })
  if (problems.length > 0) throw new Error(`the cluster went wrong: ${problems[0]}`)
  const { user, system } = process.cpuUsage(cpu)
  const what = `${NODES.toLocaleString('en')} nodes`
  return [
    {
      name: `simulate ${what} for ${MINUTES} virtual minutes`,
      value: (performance.now() - startMs) / 1_000,
      unit: 's',
      target: { max: TARGET_S },
      note: `${((user + system) / 1e6).toFixed(0)} s of CPU, ${Math.round(process.memoryUsage().rss / 1e6)} MB`,
    },
    row(`${what}, all started at once → all know all`, formedMs / 1_000, 's'),
    row(`${what}, apply → as many tasks run`, startedMs / 1_000, 's'),
    {
      ...row(`${what}, cable pulled → dead known by all, p99`, quantile(deadMs, 0.99) / 1_000, 's'),
      target: { max: 6.5 },
      note: `${deadMs.length} deaths; p50 ${(quantile(deadMs, 0.5) / 1_000).toFixed(1)} s`,
    },
    {
      ...row(
        `${what}, cable pulled → its slots run elsewhere, p99`,
        quantile(replacedMs, 0.99) / 1_000,
        's',
      ),
      note: `${replacedMs.length} slots; p50 ${(quantile(replacedMs, 0.5) / 1_000).toFixed(1)} s`,
    },
    {
      ...row(`${what}, edit → on a node, p99 of all nodes`, quantile(editMs, 0.99), 'ms'),
      target: { max: 500 },
      note: `${editMs.length} nodes and edits; p50 ${quantile(editMs, 0.5).toFixed(0)} ms`,
    },
  ]
}

function row(name: string, value: number, unit: string): BenchRow {
  return { name, value, unit }
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}
