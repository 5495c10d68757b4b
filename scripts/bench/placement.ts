import type { AppId, NodeId, RevisionId } from '../../src/model/ids.ts'
import type {
  Placement,
  PlacementApp,
  PlacementInput,
  PlacementNode,
} from '../../src/placement/input.ts'
import { inputsHash, placementHash } from '../../src/placement/digest.ts'
import { place } from '../../src/placement/place.ts'
import { createPlacer } from '../../src/placement/placer.ts'
import type { BenchRow } from './row.ts'

const SLOTS_PER_APP = 10
/** Declared capacity: 1.25 × the mean of ten slots per node, rounded up. */
const MAX_SLOTS = 13
const CHANGES = 25

/**
 * Time and moves of placement at the two sizes of the design: from nothing, and for
 * one node in or out. Times are of this thread alone, and for full runs the best of
 * several, because other work on the machine only ever adds to them. Nodes have room for 1.25 times their mean load.
 */
export async function benchPlacement(): Promise<BenchRow[]> {
  return [
    ...benchSize(1_000, { full: 50, one: 5 }),
    ...benchSize(10_000, { full: 250, one: 25 }),
    ...benchEdits(),
  ]
}

function benchSize(size: number, target: { full: number; one: number }): BenchRow[] {
  const nodes = makeNodes(size + CHANGES, MAX_SLOTS)
  const apps = makeApps(size)
  const input = { apps, nodes: nodes.slice(0, size) }
  const at = `${size.toLocaleString('en')} nodes × ${(size * SLOTS_PER_APP).toLocaleString('en')} slots`

  const full: number[] = []
  for (let run = 0; run < 8; run++) full.push(timed(() => place(input)).ms)

  const placer = createPlacer()
  const before = placer.place(input)
  placementHash(before)
  const [out, into, hash, leaves, joins]: number[][] = [[], [], [], [], []]
  for (let run = 0; run < CHANGES; run++) {
    const gone = input.nodes[run * 31]!
    const without = { apps, nodes: input.nodes.filter(node => node !== gone) }
    const left = timed(() => placer.place(without))
    out!.push(left.ms)
    hash!.push(timed(() => [inputsHash(without), placementHash(left.result)]).ms)
    leaves!.push(countMoved(before, left.result) / countOn(before, gone))
    placer.place(input)
    const came = nodes[size + run]!
    const joined = timed(() => placer.place({ apps, nodes: [...input.nodes, came] }))
    into!.push(joined.ms)
    joins!.push(countMoved(before, joined.result) / countOn(joined.result, came))
    placer.place(input)
  }
  return [
    {
      name: `place, full, ${at}`,
      value: Math.min(...full),
      unit: 'ms',
      target: { max: target.full },
    },
    {
      name: `place, one node out, ${at}`,
      ...mean(out!),
      unit: 'ms',
      target: { max: target.one },
    },
    {
      name: `place, one node in, ${at}`,
      ...mean(into!),
      unit: 'ms',
      target: { max: target.one },
    },
    { name: `both digests after one change, ${at}`, ...mean(hash!), unit: 'ms' },
    ...moves(`one node out, ${at}`, leaves!),
    ...moves(`one node in, ${at}`, joins!),
    ...balance(before, size, at),
  ]
}

/** Edits of one app, and how many slots of others they move. */
function benchEdits(): BenchRow[] {
  const apps = makeApps(1_000)
  const rows: BenchRow[] = []
  for (const [name, maxSlots, target] of [
    ['half full', 20, { max: 0 }],
    ['80 % full', MAX_SLOTS, undefined],
  ] as const) {
    const input = { apps, nodes: makeNodes(1_000, maxSlots) }
    const before = place(input)
    const edited = apps.map((app, index) => (index === 7 ? { ...app, revision: id('r2') } : app))
    rows.push({
      name: `slots moved by a new revision, cluster ${name}`,
      value: countMoved(before, place({ ...input, apps: edited })),
      unit: 'slots',
      target: { max: 0 },
    })
    const added = makeApps(1_010)
    let total = 0
    for (const app of added.slice(1_000)) {
      total += countMoved(before, place({ ...input, apps: [...apps, app] }))
    }
    rows.push({
      name: `slots of others moved by an app of 10 more, cluster ${name}`,
      value: total / 10,
      unit: 'slots',
      ...(target !== undefined && { target }),
      note: target === undefined ? 'declared capacity forces these' : 'mean of ten apps',
    })
  }
  return rows
}

function moves(name: string, ratios: readonly number[]): BenchRow[] {
  return [
    {
      name: `moves / needed, mean, ${name}`,
      value: mean(ratios).value,
      unit: '×',
      target: { max: 1.25 },
    },
    {
      name: `moves / needed, worst of ${CHANGES}, ${name}`,
      value: Math.max(...ratios),
      unit: '×',
      target: { max: 1.7 },
    },
  ]
}

function balance(placement: Placement, size: number, at: string): BenchRow[] {
  const loads = new Map<NodeId, number>()
  for (const node of placement.placed.values()) loads.set(node, (loads.get(node) ?? 0) + 1)
  const name = `largest load / mean load, ${at}`
  const value = Math.max(...loads.values()) / (placement.placed.size / size)
  return [
    {
      name,
      value,
      unit: '×',
      target: { max: MAX_SLOTS / SLOTS_PER_APP },
      note: '1.25, rounded up',
    },
    {
      name: `slots without a node, ${at}`,
      value: placement.unplaced.size,
      unit: 'slots',
      target: { max: 0 },
    },
  ]
}

/** The mean, because the clock of a thread is too coarse for one run. */
function mean(times: readonly number[]): { value: number; note: string } {
  const sum = times.reduce((all, time) => all + time, 0)
  return { value: sum / times.length, note: `mean of ${times.length}` }
}

/** Time that this thread computed: what it would take on a machine with nothing else to do. */
function timed<Result>(run: () => Result): { ms: number; result: Result } {
  const start = process.threadCpuUsage()
  const result = run()
  const { user, system } = process.threadCpuUsage(start)
  return { ms: (user + system) / 1000, result }
}

function countMoved(before: Placement, after: Placement): number {
  let count = 0
  for (const [slot, node] of before.placed) if (after.placed.get(slot) !== node) count++
  return count
}

function countOn({ placed }: Placement, { id: wanted }: PlacementNode): number {
  let count = 0
  for (const node of placed.values()) if (node === wanted) count++
  return Math.max(1, count)
}

function makeNodes(count: number, maxSlots: number): PlacementInput['nodes'] {
  return Array.from({ length: count }, (_, index) => ({
    id: `12D3KooWnode${index}` as NodeId,
    name: `node${index}`,
    labels: {},
    runtimes: { docker: true, process: true },
    capacity: { cpus: 64, memMb: 65_536, diskMb: 100_000, gpus: 0 },
    maxSlots,
    mode: 'active',
    refusals: [],
  }))
}

function makeApps(count: number): PlacementApp[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `/shop/app${index}` as AppId,
    revision: id('r1'),
    mode: 'replicated',
    instances: SLOTS_PER_APP,
    resources: { cpus: 0.1, memMb: 128, diskMb: 0, gpus: 0 },
    fixedPorts: [],
    constraints: [],
    runtime: 'docker',
  }))
}

function id(text: string): RevisionId {
  return text as RevisionId
}
