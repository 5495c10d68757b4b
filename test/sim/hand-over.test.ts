import t from 'tap'
import type { AppId } from '../../src/model/ids.ts'
import { BRAKE_START_INTERVAL_MS } from '../../src/node/machine/mass-loss.ts'
import { STEADY_MS } from '../../src/node/machine/stability.ts'
import { appOf } from './apps.ts'
import {
  applyNow,
  editNow,
  hostOfSlot,
  liveTasks,
  mostPerSlot,
  rest,
  served,
  settled,
  watch,
} from './scene.ts'
import type { World } from './world.ts'

const WEB = '/web' as AppId
const web = (fields: Parameters<typeof appOf>[1]): ReturnType<typeof appOf> => appOf(WEB, fields)
const ids = (world: World): string[] => liveTasks(world).map(({ id }) => id)

/** How many of these tasks run no more. */
const gone = (world: World, before: readonly string[]): number => {
  const now = new Set(ids(world))
  return before.filter(id => !now.has(id)).length
}

t.test('a dead node keeps its slots for as long as the app says', async t => {
  for (const lostAfterMs of [0, 8_000, 30_000]) {
    const onPartition = { lostAfter: `${lostAfterMs / 1_000}s` as never }
    const world = settled(t, { seed: 3, nodes: 4 }, web({ instances: 4, onPartition }))
    const lost = hostOfSlot(world, '/web.0')
    lost.powerOff()
    const awayMs = world.run(60_000, () => served(world) === 4)
    t.ok(awayMs >= lostAfterMs, `replaced after ${awayMs} ms`)
    t.ok(awayMs <= lostAfterMs + 4_500, `replaced after ${awayMs} ms`)
    rest(t, world)
  }
})

t.test('a node that is back within that time has moved nothing', async t => {
  const onPartition = { lostAfter: '20s' as never }
  const world = settled(t, { seed: 3, nodes: 4 }, web({ instances: 6, onPartition }))
  const before = ids(world)
  const lost = hostOfSlot(world, '/web.0')
  world.network.split(
    [lost.node],
    world.hosts.flatMap(host => (host === lost ? [] : [host.node])),
  )
  // The other side would wait as well; what counts is that nobody started anything here.
  world.run(15_000)
  world.network.heal()
  rest(t, world)
  t.equal(gone(world, before), 0)
})

t.test('slots move to a node that joined once it is steady, no faster than the budget', async t => {
  for (const budget of [undefined, 2, 1_000]) {
    const world = settled(
      t,
      { seed: 2, nodes: 3 },
      web({ instances: 30, resources: { memMb: 16 } }),
    )
    if (budget !== undefined) {
      editNow(world, world.hosts[0]!, { kind: 'settings', set: { moveBudgetPerMinute: budget } })
    }
    world.run(STEADY_MS)
    const before = ids(world)
    const serving = watch(world, () => served(world))
    world.join(world.hosts[0]!)
    const atNew = (): number =>
      liveTasks(world).filter(({ host }) => host === world.hosts[3]).length
    world.run(STEADY_MS - 1_000)
    t.equal(atNew(), 0, 'nothing moves to the new node while it is not steady')
    const perMinute = budget ?? 4
    world.run(45_000)
    const moved = gone(world, before)
    // Before they hear of each other's, all three may have begun one.
    t.ok(moved > 0 && moved <= perMinute + 2, `${moved} moved in the first minute`)
    rest(t, world, 10 * 60_000)
    t.equal(serving.min, 30, 'all were served all along')
    t.ok(atNew() > 3)
  }
})

t.test('a node that comes and goes is avoided until it stays', async t => {
  const world = settled(t, { seed: 5, nodes: 4 }, web({ instances: 8 }))
  const flappy = hostOfSlot(world, '/web.0')
  const others = world.hosts.filter(host => host !== flappy).map(({ node }) => node)
  for (let times = 0; times < 3; times++) {
    world.network.split([flappy.node], others)
    world.run(8_000)
    world.network.heal()
    world.run(4_000)
  }
  rest(t, world, 120_000)
  const isOnIt = (): boolean => liveTasks(world).some(({ host }) => host === flappy)
  t.notOk(isOnIt(), 'its slots are elsewhere')
  t.equal(mostPerSlot(world), 1)
  t.ok(world.run(6 * 60_000, isOnIt) < 6 * 60_000, 'it gets some back when it has stayed')
  rest(t, world, 6 * 60_000)
})

t.test('where all nodes flap none is avoided', async t => {
  const world = settled(t, { seed: 5, nodes: 2 }, web({ instances: 4 }))
  const [one, two] = world.hosts
  for (let times = 0; times < 5; times++) {
    world.network.split([one!.node], [two!.node])
    world.run(8_000)
    world.network.heal()
    world.run(4_000)
  }
  rest(t, world, 12 * 60_000)
  t.equal(served(world), 4)
})

t.test(
  'when many nodes vanish at once the rest takes their work over slowly, and says so',
  async t => {
    const world = settled(
      t,
      { seed: 7, nodes: 9 },
      web({ instances: 36, resources: { memMb: 32, cpus: 0.1 } }),
    )
    const lost = world.hosts.slice(5)
    const here = served(world)
    for (const host of lost) host.powerOff()
    world.run(5_000)
    const { brake } = world.hosts[0]!.machine!
    t.match(brake, { lost: 4, of: 9 })
    t.match(world.story.last(400).join('\n'), /4 of 9 nodes were lost within a minute/)
    const start = served(world)
    t.ok(start < here, 'slots are lost')
    world.run(2 * BRAKE_START_INTERVAL_MS)
    t.ok(served(world) <= start + 5 * 3, `at most one a node each ${BRAKE_START_INTERVAL_MS} ms`)
    t.ok(served(world) > start, 'but some do start')
    t.equal(world.run(5 * 60_000, () => served(world) === 36) < 5 * 60_000, true, 'all in the end')
    for (const host of lost) world.restart(host)
    rest(t, world, 10 * 60_000)
    t.equal(world.hosts[0]!.machine!.brake, undefined)
  },
)

t.test('three of nine are no mass loss', async t => {
  const world = settled(t, { seed: 7, nodes: 9 }, web({ instances: 18, resources: { memMb: 32 } }))
  for (const host of world.hosts.slice(6)) host.powerOff()
  t.ok(world.run(10_000, () => served(world) === 18) < 10_000)
})

t.test('an edit is not held up by any of this', async t => {
  const world = settled(t, { seed: 8, nodes: 3 }, web({ instances: 6, env: { VERSION: '1' } }))
  world.join(world.hosts[0]!)
  applyNow(world, world.hosts[1]!, appOf('/other', { instances: 8 }))
  t.ok(world.run(3_000, () => served(world) === 14) < 3_000, 'new slots start at once')
})

t.test('after a split with edits on both sides every slot is down to one task soon', async t => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = settled(t, { seed, nodes: 3 }, web({ instances: 12, env: { VERSION: '0' } }))
    const [one, ...others] = world.hosts
    world.network.split(
      [one!.node],
      others.map(({ node }) => node),
    )
    world.run(12_000)
    applyNow(world, one!, web({ instances: 12, env: { VERSION: 'left' } }))
    applyNow(world, others[0]!, web({ instances: 12, env: { VERSION: 'right' } }))
    world.run(10_000)
    world.network.heal()
    const healedMs = rest(t, world, 60_000)
    t.ok(healedMs < 25_000, `healed in ${healedMs} ms`)
    t.equal(mostPerSlot(world), 1)
  }
})
