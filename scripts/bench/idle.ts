/**
 * What a daemon costs that has nothing to do: real daemons, one cluster, left alone until they have met and
 * rest, then watched for a while through /proc.
 *
 * `SOAK_MINUTES=10` looks for leaks afterwards: apps are edited, scaled and restarted all the time, and the
 * row tells how much memory grows by the hour. Give `--timeout` the time that this takes.
 */

import type { BenchRow } from './row.ts'
import { BenchCluster } from './daemons.ts'

const NODES = 10
/** Time to rest after all have met: meshes form, the JIT is done, and what the start took is given back. */
const SETTLE_MS = 60_000
const WATCH_MS = 40_000
const SOAK_MINUTES = Number(process.env['SOAK_MINUTES'] ?? 0)
/** The first part of a soak fills caches and histories, and says nothing of leaks. */
const SOAK_WARM_UP = 0.3
const SOAK_STEP_MS = 1_000
const SOAK_APPS = 5

/** Measures idle memory, processor time and traffic of a daemon in a cluster of ten. */
export async function benchIdle(): Promise<BenchRow[]> {
  await using cluster = new BenchCluster()
  await cluster.start(NODES)
  await wait(SETTLE_MS)
  const before = { usage: cluster.usage(), bytes: cluster.loopbackBytes() }
  await wait(WATCH_MS)
  const after = { usage: cluster.usage(), bytes: cluster.loopbackBytes() }

  const seconds = WATCH_MS / 1000
  const note = `${NODES} daemons on loopback, ${seconds} s watched`
  const rss = after.usage.map(({ rssMB }) => rssMB)
  const cpu = after.usage.map(
    ({ cpuSeconds }, at) => ((cpuSeconds - before.usage[at]!.cpuSeconds) / seconds) * 100,
  )
  return [
    {
      name: 'idle daemon, memory (mean)',
      value: mean(rss),
      unit: 'MB',
      target: { max: 130 },
      note,
    },
    { name: 'idle daemon, memory (largest)', value: Math.max(...rss), unit: 'MB', note },
    {
      name: 'idle daemon, memory (its share)',
      value: mean(after.usage.map(({ pssMB }) => pssMB)),
      unit: 'MB',
      note: 'pages shared with the other daemons counted once',
    },
    {
      name: 'idle daemon, processor (mean)',
      value: mean(cpu),
      unit: '%',
      target: { max: 0.5 },
      note,
    },
    {
      name: 'idle daemon, network (mean)',
      value: (after.bytes - before.bytes) / NODES / seconds / 1000,
      unit: 'kB/s',
      target: { max: 2 },
      note: cluster.isAlone
        ? 'all that loopback sent, with headers, by daemon'
        : 'all that loopback sent, by daemon: whatever else used it is in it',
    },
    ...(SOAK_MINUTES > 0 ? await soak(cluster) : []),
  ]
}

/** Edits and task churn, while memory is sampled. */
async function soak(cluster: BenchCluster): Promise<BenchRow[]> {
  const startMs = performance.now()
  const endMs = startMs + SOAK_MINUTES * 60_000
  const samples: { readonly hours: number; readonly rssMB: number }[] = []
  let edits = 0
  while (performance.now() < endMs) {
    const { client } = cluster.daemons[edits % NODES]!
    const app = edits % SOAK_APPS
    const spec = {
      id: `/soak-${app}`,
      command: 'exec sleep 1000',
      instances: 1 + (edits % 3),
      resources: { cpus: 0.01, memMb: 1 },
      env: { EDIT: String(edits) },
      stopGrace: '1s',
    }
    // oxlint-disable no-await-in-loop -- one edit after the other, at a steady pace
    await client.post('/v1/apply', {
      files: [{ name: 'soak.json', text: JSON.stringify(spec) }],
    })
    edits++
    await wait(SOAK_STEP_MS)
    // oxlint-enable no-await-in-loop
    const hours = (performance.now() - startMs) / 3_600_000
    if (hours * 60 > SOAK_MINUTES * SOAK_WARM_UP) {
      samples.push({ hours, rssMB: mean(cluster.usage().map(({ rssMB }) => rssMB)) })
    }
  }
  for (let app = 0; app < SOAK_APPS; app++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await cluster.daemons[0]!.client.delete('/v1/app', { app: `/soak-${app}` })
  }
  await wait(10_000)
  const note = `${edits} edits in ${SOAK_MINUTES} min, each restarts up to three tasks; first ${SOAK_WARM_UP * 100} % not counted`
  return [
    { name: 'soak, memory growth of a daemon', value: slopeOf(samples), unit: 'MB/h', note },
    { name: 'soak, memory (mean, at its end)', value: samples.at(-1)?.rssMB ?? 0, unit: 'MB' },
  ]
}

/** Least squares. */
function slopeOf(samples: readonly { readonly hours: number; readonly rssMB: number }[]): number {
  const meanHours = mean(samples.map(({ hours }) => hours))
  const meanMB = mean(samples.map(({ rssMB }) => rssMB))
  let above = 0
  let below = 0
  for (const { hours, rssMB } of samples) {
    above += (hours - meanHours) * (rssMB - meanMB)
    below += (hours - meanHours) ** 2
  }
  return below === 0 ? 0 : above / below
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function wait(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
