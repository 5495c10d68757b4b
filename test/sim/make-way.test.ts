import t from 'tap'
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

/** Small tasks that must never run twice: the old one ends before the new one starts. */
const once = (instances: number): ReturnType<typeof appOf> =>
  appOf('/once', {
    instances,
    resources: { memMb: 16, cpus: 0.1 },
    update: { order: 'stop-first' },
  })

const web = (more: Parameters<typeof appOf>[1]): ReturnType<typeof appOf> =>
  appOf('/web', { instances: 4, resources: { memMb: 16, cpus: 0.1 }, ...more })

const ids = (world: World): string[] => liveTasks(world).map(({ id }) => id)

/** How many of these tasks run no more. */
const gone = (world: World, before: readonly string[]): number => {
  const now = new Set(ids(world))
  return before.filter(id => !now.has(id)).length
}

function setBudget(world: World, moveBudgetPerMinute: number): void {
  editNow(world, world.hosts[0]!, { kind: 'settings', set: { moveBudgetPerMinute } })
}

t.test('tasks make way for a node that joined once it is steady, within the budget', async t => {
  const world = settled(t, { seed: 2, nodes: 3 }, once(30))
  setBudget(world, 2)
  world.run(STEADY_MS)
  const before = ids(world)
  const most = watch(world, () => mostPerSlot(world))
  world.join(world.hosts[0]!)
  world.run(STEADY_MS - 1_000)
  t.equal(world.hosts[3]!.tasks.live.size, 0, 'none makes way while the new node is not steady')
  world.run(45_000)
  const moved = gone(world, before)
  // Before they hear of each other's, all three may have begun one.
  t.ok(moved > 0 && moved <= 2 + 2, `${moved} made way in the first minute`)
  setBudget(world, 1_000)
  rest(t, world)
  t.equal(most.max, 1)
  t.ok(world.hosts[3]!.tasks.live.size > 3)
})

t.test('a node that leaves keeps to no budget', async t => {
  const world = settled(t, { seed: 3, nodes: 3 }, once(30))
  setBudget(world, 1)
  const leaver = hostOfSlot(world, '/once.0')
  const asked = world.ledger.ask(leaver, { kind: 'expel', node: leaver.node })
  leaver.take({ kind: 'leave-asked', request: asked.request })
  const tookMs = world.run(50_000, () => asked.result !== undefined)
  t.ok(tookMs < 10_000, `all was handed over after ${tookMs} ms`)
  t.equal(liveTasks(world).length, 30)
})

t.test('when a split heals no slot loses both of its tasks', async t => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = settled(t, { seed, nodes: 5 }, once(10))
    setBudget(world, 1_000)
    world.run(STEADY_MS)
    const before = ids(world)
    const here = 1 + (seed % 2)
    world.network.split(
      world.hosts.slice(0, here).map(({ link }) => link),
      world.hosts.slice(here).map(({ link }) => link),
    )
    world.run(15_000)
    const kept = before.filter(id => ids(world).includes(id))
    t.ok(kept.length > 4, `${kept.length} are where they were before the split`)
    world.network.heal()
    rest(t, world, 60_000)
    t.equal(gone(world, kept), 0, `seed ${seed}: and of two tasks these are the ones that go on`)
  }
})

t.test(
  'of two tasks that a split left of a slot one stays, also where no node may run it any more',
  async t => {
    for (let seed = 1; seed <= 4; seed++) {
      const world = settled(t, { seed, nodes: 5 }, web({}))
      const links = world.hosts.map(({ link }) => link)
      world.network.split(links.slice(0, 2), links.slice(2))
      world.run(20_000)
      t.ok(liveTasks(world).length > 4, 'some run on both sides')
      world.network.heal()
      applyNow(
        world,
        world.hosts[0]!,
        web({
          env: { VERSION: '2' },
          constraints: [{ field: 'zone', operator: 'IS', value: 'nowhere' }],
        }),
      )
      const least = watch(world, () => served(world))
      world.run(30_000)
      t.strictSame([liveTasks(world).length, least.min], [4, 4], `seed ${seed}`)
      rest(t, world)
    }
  },
)
