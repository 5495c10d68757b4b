import t, { type Test } from 'tap'
import type { HealReport } from '../../src/node/machine/split-report.ts'
import { appOf } from './apps.ts'
import type { SimHost } from './host.ts'
import { applyNow, hostOfSlot, liveTasks, rest, settled } from './scene.ts'
import type { World } from './world.ts'

/** A report may say so much too much: a record's way, and a task on its way down. */
const TOO_LONG_MS = 1_000

/** And so much too little: of a copy that moved while the sides were apart, only the last place is known. */
const TOO_SHORT_MS = 4_000

/** What each machine reported, oldest first. */
type Reports = Map<SimHost, HealReport<string>[]>

function listen(world: World): Reports {
  const reports: Reports = new Map()
  world.onTell = (host, { report }) => {
    if (report !== undefined) reports.set(host, [...(reports.get(host) ?? []), report])
  }
  return reports
}

/** What truly ran twice because of a split. */
interface Truth {
  /** How long each slot did. */
  readonly forMs: Map<string, number>
  /** From now on new copies are hand-overs. */
  healed(): void
}

/** Watches from now on which slots truly run on both sides, of which one is `away`. */
function watchDoubles(world: World, away: readonly SimHost[]): Truth {
  const forMs = new Map<string, number>()
  const known = new Set<string>()
  let isHealed = false
  let lastMs = world.nowMs
  world.onStep = () => {
    const passedMs = world.nowMs - lastMs
    lastMs = world.nowMs
    if (passedMs === 0) return
    const sides = new Map<string, Set<boolean>>()
    for (const { id, slot, host } of liveTasks(world)) {
      if (!isHealed) known.add(id)
      if (known.has(id)) sides.set(slot, (sides.get(slot) ?? new Set()).add(away.includes(host)))
    }
    for (const [slot, { size }] of sides) {
      if (size > 1) forMs.set(slot, (forMs.get(slot) ?? 0) + passedMs)
    }
  }
  return { forMs, healed: () => void (isHealed = true) }
}

/** Expects a machine to have told exactly what truly ran twice. */
function expectTruth(
  t: Test,
  host: SimHost,
  told: HealReport<string>,
  truth: Map<string, number>,
): void {
  t.strictSame(
    told.ranTwice.map(({ slot }) => String(slot)).toSorted(),
    [...truth.keys()].toSorted(),
    `${host.name} names every slot, and no other`,
  )
  for (const { slot, forMs, isStill, nodes } of told.ranTwice) {
    const trueMs = Math.round(truth.get(slot) ?? 0)
    const offMs = forMs - trueMs
    t.ok(
      offMs < TOO_LONG_MS && offMs > -TOO_SHORT_MS,
      `${slot} ran twice for ${trueMs} ms, told ${forMs}`,
    )
    t.notOk(isStill)
    t.equal(nodes.length, 2)
  }
}

const idsOf = (hosts: readonly SimHost[]): SimHost['node'][] => hosts.map(({ node }) => node)
/** Clocks that are hours apart, and go their own way. */
const drifting = (index: number): { readonly drift: number; readonly clockMs: number } => ({
  drift: index % 2 === 0 ? 1e-4 : -1e-4,
  clockMs: index * 3_600_000,
})

const WEB = appOf('/web', { instances: 8 })

t.test('after a split every machine tells what ran twice, and for how long', async t => {
  for (const [seed, alone] of [
    [1, 2],
    [2, 1],
    [3, 2],
    [4, 1],
  ] as const) {
    const world = settled(
      t,
      { seed, nodes: 5, host: drifting },
      WEB,
      appOf('/db', { instances: 2 }),
    )
    const side = world.hosts.slice(0, alone)
    const other = world.hosts.slice(alone)
    const reports = listen(world)
    const doubles = watchDoubles(world, side)
    world.network.split(idsOf(side), idsOf(other))
    world.run(25_000)
    world.network.heal()
    doubles.healed()
    rest(t, world, 90_000)
    const truth = doubles.forMs
    t.ok(truth.size >= 4, `${truth.size} slots ran on both sides`)
    world.run(70_000)
    for (const host of world.hosts) {
      const [told, ...more] = reports.get(host) ?? []
      t.ok(told, `${host.name} tells of it`)
      t.strictSame(more, [], 'once')
      if (told === undefined) continue
      const away = told.away.map(({ node }) => node).toSorted()
      const missed = (side.includes(host) ? other : side).map(({ name }) => name).toSorted()
      t.strictSame(away, missed)
      t.ok(
        told.away.every(({ forMs }) => Math.abs(forMs - 25_000) < 4_000),
        'and how long they were away',
      )
      expectTruth(t, host, told, truth)
    }
  }
})

t.test('a machine that lost its power ran nothing twice, whatever it ran before', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const world = settled(t, { seed, nodes: 4 }, WEB)
    const reports = listen(world)
    const lost = hostOfSlot(world, '/web.0')
    lost.powerOff()
    world.run(20_000)
    world.restart(lost)
    rest(t, world, 90_000)
    world.run(20_000)
    for (const host of world.hosts.filter(one => one !== lost)) {
      t.match(
        reports.get(host),
        [{ away: [{ node: lost.name }], ranTwice: [], more: 0 }],
        host.name,
      )
    }
    t.strictSame(reports.get(lost) ?? [], [], 'for itself nobody was away')
  }
})

t.test('a daemon that was dead while its tasks ran on is reported by the others', async t => {
  for (const how of ['crash', 'terminate'] as const) {
    const world = settled(t, { seed: 7, nodes: 4 }, WEB)
    const reports = listen(world)
    const host = hostOfSlot(world, '/web.0')
    const doubles = watchDoubles(world, [host])
    const count = host.tasks.live.size
    host[how]()
    world.run(30_000)
    world.restart(host)
    doubles.healed()
    rest(t, world, 90_000)
    const truth = doubles.forMs
    t.equal(truth.size, count, 'all its tasks ran twice')
    world.run(30_000)
    for (const other of world.hosts.filter(one => one !== host)) {
      const [told] = reports.get(other) ?? []
      t.ok(told, `${other.name} tells of it after ${how}`)
      if (told !== undefined) expectTruth(t, other, told, truth)
    }
  }
})

t.test('restarts in order and hand-overs are not reported', async t => {
  const world = settled(t, { seed: 8, nodes: 4 }, WEB)
  const reports = listen(world)
  for (const host of world.hosts) {
    host.terminate()
    world.run(3_000, () => host.machine === undefined)
    world.restart(host)
    rest(t, world)
  }
  applyNow(world, world.hosts[0]!, appOf('/web', { instances: 8, env: { VERSION: '2' } }))
  rest(t, world, 60_000)
  world.join(world.hosts[0]!)
  world.run(100_000)
  t.equal(reports.size, 0)
})
