/**
 * How soon a death is known, and how seldom a false one, with the real state machine of liveness on virtual time: links
 * of 1 to 5 ms, and nothing but SWIM (no streams, which would only help).
 *
 * `HOURS=24 npm run bench -- --timeout 3600 liveness` simulates the whole day; without it, one hour.
 */

import { quantile, starve, whole } from '../../test/gossip/liveness/swim-weather.ts'
import type { SwimWorld } from '../../test/gossip/liveness/swim-world.ts'
import type { NodeId } from '../../src/model/ids.ts'
import type { BenchRow } from './row.ts'

/** Sizes, how often a node dies at each, and the bound on p99 of a death known by all. */
const SIZES = [
  { nodes: 10, deaths: 300, deadMaxMs: 3_000 },
  { nodes: 100, deaths: 200, deadMaxMs: 5_000 },
  { nodes: 1_000, deaths: 40, deadMaxMs: 6_500 },
] as const
const SEED = 1
/** Between deaths: the one before is back, and nobody talks of it any more. */
const PAUSE_MS = 3_000
const IDLE_MS = 60_000
const HOURS = Number(process.env['HOURS'] ?? 1)
/** The largest cluster whose day is simulated within a quarter of an hour. */
const DAY_NODES = 50
/** What a small cluster stands: its shortest suspicion is 1.2 s. */
const SMALL = { nodes: 10, stallMs: 1_100 }

/** Measures detection: cable pulled, until all survivors suspect, and until all know it for dead. */
export function benchDetection(): BenchRow[] {
  return SIZES.flatMap(({ nodes, deaths, deadMaxMs }) => {
    const found = measureDeaths(nodes, deaths)
    const what = `${nodes.toLocaleString('en')} nodes, cable pulled`
    const note = `${deaths} deaths, simulated`
    return [
      row(`${what} → suspected first, p50`, quantile(found.first, 0.5), { note }),
      row(`${what} → suspect known by all, p50`, quantile(found.suspect, 0.5), { max: 700, note }),
      row(`${what} → suspect known by all, p99`, quantile(found.suspect, 0.99), {
        max: 1_800,
        note,
      }),
      row(`${what} → dead known by all, p50`, quantile(found.dead, 0.5), { note }),
      row(`${what} → dead known by all, p99`, quantile(found.dead, 0.99), { max: deadMaxMs, note }),
      {
        name: `${nodes.toLocaleString('en')} nodes, idle, a node sends`,
        value: found.idleBytesPerSecond / 1000,
        unit: 'kB/s',
        target: { max: 1 },
        note: 'datagrams of liveness with their headers',
      },
    ]
  })
}

/** Measures what ten virtual minutes of a thousand nodes take of one core. */
export function benchSpeed(): BenchRow[] {
  const startMs = performance.now()
  const world = whole({ seed: SEED, nodes: 1_000 })
  world.run(600_000 - world.nowMs)
  return [
    {
      name: 'simulating 1,000 nodes for ten minutes',
      value: (performance.now() - startMs) / 1000,
      unit: 's',
      target: { max: 120 },
      note: 'liveness alone, on one core, from the first contact on',
    },
  ]
}

/** Counts living nodes that were held for dead in bad weather: 5 % loss, and one node in five starved. */
export function benchWeather(): BenchRow[] {
  return [
    falseDeaths(
      DAY_NODES,
      {},
      'off for up to 0.4 s again and again, and for 1–2 s each twentieth time',
    ),
    falseDeaths(
      SMALL.nodes,
      { stallMs: SMALL.stallMs },
      `off for up to 0.4 s again and again, and for 1–${SMALL.stallMs / 1000} s each twentieth time`,
    ),
  ].flat()
}

function falseDeaths(nodes: number, how: Parameters<typeof starve>[2], what: string): BenchRow[] {
  let deaths = 0
  let suspicions = 0
  const world = whole({
    seed: SEED,
    nodes,
    loss: 0.05,
    onVerdict: ({ kind }) => {
      if (kind === 'dead') deaths++
      if (kind === 'suspect') suspicions++
    },
  })
  for (const node of world.nodes.filter((_, index) => index % 5 === 0)) starve(world, node, how)
  ;[deaths, suspicions] = [0, 0]
  const bytesBefore = world.sentBytes
  world.run(HOURS * 3_600_000)
  const name = `${nodes} nodes, ${HOURS} h at 5 % loss, one in five starved`
  return [
    {
      name: `${name}: false deaths`,
      value: deaths,
      unit: 'verdicts',
      target: { max: 0 },
      note: what,
    },
    {
      name: `${name}: suspicions`,
      value: suspicions,
      unit: 'verdicts',
      note: 'refuted, all of them',
    },
    {
      name: `${name}: a node sends`,
      value: (world.sentBytes - bytesBefore) / nodes / HOURS / 3_600_000,
      unit: 'kB/s',
    },
  ]
}

interface Found {
  readonly first: readonly number[]
  readonly suspect: readonly number[]
  readonly dead: readonly number[]
  readonly idleBytesPerSecond: number
}

function measureDeaths(nodes: number, deaths: number): Found {
  const found = { first: [] as number[], suspect: [] as number[], dead: [] as number[] }
  let gone: NodeId | undefined
  const told = { suspect: new Set<NodeId>(), dead: new Set<NodeId>(), firstMs: 0 }
  const world = whole({
    seed: SEED,
    nodes,
    onVerdict: ({ node, kind }, by, atMs) => {
      if (node !== gone || (kind !== 'suspect' && kind !== 'dead')) return
      if (told.suspect.size === 0) told.firstMs = atMs
      told[kind].add(by)
    },
  })
  const bytesBefore = world.sentBytes
  world.run(IDLE_MS)
  const idleBytesPerSecond = ((world.sentBytes - bytesBefore) / nodes / IDLE_MS) * 1000
  for (let death = 0; death < deaths; death++) {
    gone = world.nodes[Math.floor(world.random() * nodes)]!
    told.suspect.clear()
    told.dead.clear()
    const startMs = world.nowMs
    world.crash(gone)
    const suspectMs = world.run(20_000, () => told.suspect.size === nodes - 1)
    found.suspect.push(suspectMs)
    found.first.push(told.firstMs - startMs)
    found.dead.push(suspectMs + world.run(30_000, () => told.dead.size === nodes - 1))
    if (told.dead.size < nodes - 1)
      throw new Error(`the death of ${gone} is not known by all after 30 s`)
    comeBack(world, gone)
  }
  return { ...found, idleBytesPerSecond }
}

function comeBack(world: SwimWorld, node: NodeId): void {
  world.start(node)
  world.run(PAUSE_MS + world.random() * 1000)
  if (!world.isWhole) throw new Error(`${node} is not back after ${PAUSE_MS} ms`)
}

function row(name: string, value: number, { max, note }: { max?: number; note: string }): BenchRow {
  return { name, value, unit: 'ms', ...(max !== undefined && { target: { max } }), note }
}
