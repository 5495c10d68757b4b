/**
 * What a daemon costs that has nothing to do: real daemons, one cluster, each on a loopback address of
 * its own, left alone until they have met, then watched for a while through /proc.
 */

import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StatusAnswer } from '../../src/api/shapes.ts'
import { mustRun } from '../testbed/run-command.ts'
import { until } from '../testbed/process-table.ts'
import type { BenchRow } from './row.ts'

const NODES = 10
const SHOAL = join(import.meta.dirname, '../../bin/shoal')
/** How long ten daemons may take to start and meet, on two processors that have other work. */
const MEET_MS = 120_000
/** Time to settle after all have met: caches fill, meshes form, the JIT rests. */
const SETTLE_MS = 20_000
const WATCH_MS = 30_000
/** Linux counts processor time in these, whatever the kernel was built with (`getconf CLK_TCK`). */
const TICKS_PER_SECOND = 100

interface Daemon {
  readonly child: ChildProcess
  readonly dir: string
  readonly apiPort: number
}

interface Usage {
  readonly rssBytes: number
  /** Shared pages, Node's own program above all, divided among the daemons that share them. */
  readonly pssBytes: number
  readonly cpuTicks: number
}

/** Measures idle memory, processor time and traffic of a daemon in a cluster of ten. */
export async function benchIdle(): Promise<BenchRow[]> {
  const root = mkdtempSync(join(tmpdir(), 'shoal-idle-'))
  const daemons: Daemon[] = []
  try {
    daemons.push(startDaemon(root, 1))
    await awaitNodes(daemons, 1)
    const env = { SHOAL_DATA: daemons[0]?.dir ?? '' }
    const created = await mustRun([SHOAL, 'token', 'create'], { env, timeoutMs: MEET_MS })
    const token = created.trim().split('\n').at(-1) ?? ''
    for (let number = 2; number <= NODES; number++) daemons.push(startDaemon(root, number, token))
    await awaitNodes(daemons, NODES)

    await new Promise(resolve => setTimeout(resolve, SETTLE_MS))
    const before = { usage: daemons.map(readUsage), network: readLoopbackBytes() }
    await new Promise(resolve => setTimeout(resolve, WATCH_MS))
    const after = { usage: daemons.map(readUsage), network: readLoopbackBytes() }
    return toRows(before, after)
  } finally {
    for (const { child } of daemons) child.kill('SIGKILL')
    await Promise.all(daemons.map(async ({ child }) => await ended(child)))
    rmSync(root, { recursive: true, force: true })
  }
}

interface Sample {
  readonly usage: readonly Usage[]
  readonly network: number
}

function toRows(before: Sample, after: Sample): BenchRow[] {
  const seconds = WATCH_MS / 1000
  const rss = after.usage.map(({ rssBytes }) => rssBytes / 1e6)
  const pss = after.usage.map(({ pssBytes }) => pssBytes / 1e6)
  const cpu = after.usage.map(
    ({ cpuTicks }, i) =>
      ((cpuTicks - (before.usage[i]?.cpuTicks ?? 0)) / TICKS_PER_SECOND / seconds) * 100,
  )
  const bytes = (after.network - before.network) / NODES / seconds
  const note = `${NODES} daemons on loopback, ${seconds} s watched`
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
      value: mean(pss),
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
      value: bytes / 1000,
      unit: 'kB/s',
      target: { max: 2 },
      note: 'all that loopback sent, by daemon: with headers and whatever else used it',
    },
  ]
}

function startDaemon(root: string, number: number, token?: string): Daemon {
  const dir = join(root, `n${number}`)
  const apiPort = 18_400 + number
  const options = {
    '--name': `n${number}`,
    '--data': dir,
    '--advertise': `127.0.0.${number}`,
    '--port': String(17_400 + number),
    '--api-port': String(apiPort),
    '--dns-port': String(19_400 + number),
    '--docker': 'none',
    ...(token === undefined ? {} : { '--join': token }),
  }
  const log = openSync(`${dir}.log`, 'w')
  const args = ['up', ...Object.entries(options).flat()]
  const child = spawn(SHOAL, args, { stdio: ['ignore', log, log] })
  closeSync(log)
  return { child, dir, apiPort }
}

/** Waits until every daemon sees this many alive nodes: over HTTP, which starts no process. */
async function awaitNodes(daemons: readonly Daemon[], count: number): Promise<void> {
  await until(`${count} nodes see each other`, MEET_MS, async () => {
    const views = await Promise.all(daemons.map(countAlive))
    return views.every(seen => seen === count)
  })
}

async function countAlive({ child, dir, apiPort }: Daemon): Promise<number> {
  if (child.exitCode !== null) {
    const words = readFileSync(`${dir}.log`, 'utf8').trim().split('\n').slice(-3).join('\n')
    throw new Error(`A daemon ended with ${child.exitCode}:\n${words}`)
  }
  try {
    const signal = AbortSignal.timeout(10_000)
    const answer = await fetch(`http://127.0.0.1:${apiPort}/v1/status`, { signal })
    return answer.ok ? ((await answer.json()) as StatusAnswer).nodes.alive : 0
  } catch {
    // Not listening yet, or too busy to answer: ask again, until the deadline of the caller.
    return 0
  }
}

function readUsage({ child }: Daemon): Usage {
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  const rollup = readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8')
  const pss = /^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1]
  return {
    rssBytes: Number(rss) * 1024,
    pssBytes: Number(pss) * 1024,
    cpuTicks: Number(fields[11]) + Number(fields[12]),
  }
}

function readLoopbackBytes(): number {
  const line = /^\s*lo:\s*(.*)$/m.exec(readFileSync('/proc/net/dev', 'utf8'))?.[1] ?? ''
  return Number(line.split(/\s+/)[8])
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise(resolve => child.once('exit', resolve))
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
