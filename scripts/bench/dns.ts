/**
 * DNS: queries per CPU-second over real sockets with dnsperf, beside the servers of Debian that are installed (nsd, knot,
 * dnsmasq-base) and a bare Node socket; latency, also while the daemon's main thread is busy; and what a change costs in
 * a large zone. All servers have the same names, answer the same questions of the same client, and take turns, so that what
 * else the machine does meets all alike: on a machine that is shared the ratios mean more than the figures.
 */

import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { latencyMs, load } from './dns-load.ts'
import { QUESTIONS, type BenchQuestion } from './dns-names.ts'
import {
  installedRivals,
  startEcho,
  startRival,
  startShoal,
  type BenchServer,
  type ShoalServer,
} from './dns-servers.ts'
import type { BenchRow } from './row.ts'

/** Each server has so many turns for each question; the middle one counts. */
const TURNS = 5
const TURN_SECONDS = 2
/** Every answer is encoded once, and the path compiled. */
const WARM_SECONDS = 2
/** Sockets of the client where threads share a port: the system deals them out by chance, and few of them unevenly. */
const SHARED_CLIENTS = 256
const STALL_MS = 2_000
/** Queries in a second while the main thread is busy: client and thread share what it leaves of the machine. */
const STALL_RATE = 5_000
const APPS = 10_000
const SLOTS = 3

/** Measures rates, latency and the cost of changes. */
export async function benchDns(): Promise<BenchRow[]> {
  if (process.platform !== 'linux' || spawnSync('dnsperf', ['-h']).error !== undefined) {
    process.stderr.write('dnsperf on Linux is needed: DNS is not measured (Debian: dnsperf)\n')
    return []
  }
  const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-dns-'))
  try {
    const a = await benchRates(folder, QUESTIONS.a, 80_000)
    const srv = await benchRates(folder, QUESTIONS.srv, 75_000)
    return [
      ...a.rows,
      ...srv.rows,
      ...(await benchLatency(folder, a.perSecond / 2)),
      await benchWorkers(folder),
      ...(await benchChanges(folder)),
    ]
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** One server after the other, and again. */
async function benchRates(
  folder: string,
  question: BenchQuestion,
  min: number,
): Promise<{ readonly rows: BenchRow[]; readonly perSecond: number }> {
  await using servers = new AsyncDisposableStack()
  const all: BenchServer[] = [servers.use(await startShoal({ apps: 'asked', workers: 1 }))]
  for (const name of installedRivals()) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    all.push(servers.use(await startRival(name, folder, question)))
  }
  all.push(servers.use(await startEcho()))
  const turns = all.map(() => [] as { perCpuSecond: number; perSecond: number }[])
  for (let turn = -1; turn < TURNS; turn++) {
    const seconds = turn < 0 ? WARM_SECONDS : TURN_SECONDS
    for (const [at, server] of all.entries()) {
      // oxlint-disable-next-line no-await-in-loop -- they would measure each other
      const result = await load(server, folder, { question, seconds })
      if (turn >= 0) turns[at]!.push(result)
    }
  }
  const [own = [], ...others] = turns
  const rates = own.map(({ perCpuSecond }) => perCpuSecond)
  const note = `the middle of ${TURNS} turns of ${TURN_SECONDS} s, one socket`
  const rows: BenchRow[] = [
    { name: question.name, value: median(rates), unit: 'queries/CPU-s', target: { min }, note },
  ]
  for (const [at, other] of others.entries()) {
    const { name } = all[at + 1]!
    const theirs = other.map(({ perCpuSecond }) => perCpuSecond)
    const ratios = rates.map((rate, turn) => rate / theirs[turn]!)
    const target = RATIOS[name]
    rows.push(
      { name: `${question.name}, ${name}`, value: median(theirs), unit: 'queries/CPU-s' },
      {
        name: `${question.name}, shoal : ${name}`,
        value: median(ratios),
        unit: '×',
        ...(target !== undefined && { target: { min: target } }),
      },
    )
  }
  return { rows, perSecond: median(own.map(({ perSecond }) => perSecond)) }
}

/** What we aim at, by server. */
const RATIOS: Readonly<Record<string, number>> = { nsd: 0.55, dnsmasq: 0.7 }

async function benchLatency(folder: string, rate: number): Promise<BenchRow[]> {
  await using shoal = await startShoal({ apps: 'asked', workers: 1 })
  await using echo = await startEcho()
  const question = QUESTIONS.a
  const half = { question, seconds: TURN_SECONDS, rate }
  const calm = { question, seconds: (STALL_MS / 1000) * 0.8, rate: STALL_RATE }
  await load(shoal, folder, { question, seconds: WARM_SECONDS })
  const turns = { shoal: [] as number[], echo: [] as number[], stalled: [] as number[] }
  for (let turn = 0; turn < TURNS; turn++) {
    // oxlint-disable no-await-in-loop -- they would measure each other
    turns.shoal.push(await latencyMs(shoal, folder, half))
    turns.echo.push(await latencyMs(echo, folder, half))
    const stalled = shoal.ask({ kind: 'stall', ms: STALL_MS })
    turns.stalled.push(await latencyMs(shoal, folder, calm))
    await stalled
    // oxlint-enable no-await-in-loop
  }
  const note = `${Math.round(rate)} queries/s, as dnsperf on the same machine sees it; the middle of ${TURNS} turns`
  return [
    {
      name: 'p99 at half load',
      value: median(turns.shoal),
      unit: 'ms',
      target: { max: 1 },
      note,
    },
    { name: 'p99 at that load, a bare Node socket', value: median(turns.echo), unit: 'ms' },
    {
      name: `p99 with the main thread busy for ${STALL_MS / 1000} s`,
      value: median(turns.stalled),
      unit: 'ms',
      target: { max: 5 },
      note: `${STALL_RATE} queries/s; the main thread takes one processor of ${availableParallelism()}`,
    },
  ]
}

/** What a second thread adds, on processors of their own: so many answers until the busier one of them can no more. */
async function benchWorkers(folder: string): Promise<BenchRow> {
  await using one = await startShoal({ apps: 'asked', workers: 1 })
  await using two = await startShoal({ apps: 'asked', workers: 2 })
  const ratios: number[] = []
  for (let turn = -1; turn < TURNS; turn++) {
    const how = { question: QUESTIONS.a, seconds: TURN_SECONDS, clients: SHARED_CLIENTS }
    // oxlint-disable no-await-in-loop -- they would measure each other
    const alone = await load(one, folder, how)
    const both = await load(two, folder, how)
    // oxlint-enable no-await-in-loop
    if (turn >= 0) ratios.push(both.perBusiestSecond / alone.perBusiestSecond)
  }
  return {
    name: 'two workers : one',
    value: median(ratios),
    unit: '×',
    target: { min: 1.7 },
    note: `answers by the time of the busier thread, ${SHARED_CLIENTS} client sockets: client and two workers do not fit two processors`,
  }
}

async function benchChanges(folder: string): Promise<BenchRow[]> {
  const size = `${APPS.toLocaleString('en')} apps × ${SLOTS} slots`
  await using empty = await startShoal({ apps: 'none', workers: 1 })
  await using full = await startShoal({ apps: { count: APPS, slots: SLOTS }, workers: 1 })
  const lines = Array.from({ length: APPS }, (_, index) => [
    `a${index}.shoal A`,
    `_a${index}._tcp.shoal SRV`,
  ]).flat()
  const everything = { name: 'all', lines, edns: true, answers: SLOTS, additionals: 0 }
  for (const server of [empty, full]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await load(server, folder, { question: everything, seconds: 4, rate: lines.length / 2 })
  }
  const [before, after] = [await memoryOf(empty), await memoryOf(full)]
  const took = await full.ask({ kind: 'update', index: 77, slots: SLOTS, rounds: 200 })
  if (typeof took === 'number') throw new Error('an update takes a list of times')
  took.sort((one, other) => one - other)
  const update = `one app of ${size} changes`
  return [
    {
      name: `${update}: answered (p99)`,
      value: took[Math.ceil(took.length * 0.99) - 1]!,
      unit: 'ms',
      target: { max: 20 },
      note: 'from the main thread to the new answer over UDP',
    },
    { name: `${update}: answered (median)`, value: median(took), unit: 'ms' },
    {
      name: `memory for ${size}, every A and SRV asked`,
      value: (after - before) / 1e6,
      unit: 'MB',
      target: { max: 100 },
      note: 'resident, of the whole process, over one without apps that was asked the same',
    },
  ]
}

async function memoryOf(server: ShoalServer): Promise<number> {
  const bytes = await server.ask({ kind: 'memory' })
  if (typeof bytes !== 'number') throw new Error('memory is one number')
  return bytes
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
