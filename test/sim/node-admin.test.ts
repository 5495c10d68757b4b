/** What people say of nodes, and slots that stay: labels, cordon, drain, and `placement: sticky`. */

import t, { type Test } from 'tap'
import type { AppSpec } from '../../src/model/app.ts'
import type { AppId, NodeId } from '../../src/model/ids.ts'
import type { NodeMode } from '../../src/model/node-admin.ts'
import { STEADY_MS } from '../../src/node/machine/stability.ts'
import { appOf } from './apps.ts'
import type { SimHost } from './host.ts'
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
import type { World, WorldOptions } from './world.ts'

const WEB = '/web' as AppId
const web = (fields: Parameters<typeof appOf>[1]): ReturnType<typeof appOf> => appOf(WEB, fields)
const ids = (world: World): string[] => liveTasks(world).map(({ id }) => id)
const idsOn = (world: World, host: SimHost): string[] =>
  liveTasks(world).flatMap(task => (task.host === host ? [task.id] : []))

/** A cluster in which moves need not wait for the budget. */
function generous(t: Test, options: WorldOptions, ...specs: readonly AppSpec[]): World {
  const world = settled(t, options, ...specs)
  editNow(world, world.hosts[0]!, { kind: 'settings', set: { moveBudgetPerMinute: 1_000 } })
  world.run(STEADY_MS)
  return world
}

function setMode(t: Test, world: World, node: NodeId, mode: NodeMode): void {
  const by = world.up.find(host => host.node !== node)!
  t.match(editNow(world, by, { kind: 'mode', node, mode }).result, { ok: true, changed: true })
}

t.test('a node that is drained hands every slot over, and no slot is unserved', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const world = generous(t, { seed, nodes: 4 }, web({ instances: 12, resources: { memMb: 32 } }))
    const drained = hostOfSlot(world, '/web.0')
    const before = ids(world).length
    const serving = watch(world, () => served(world))
    const doubles = watch(world, () => mostPerSlot(world))
    const newcomers = watch(world, () => idsOn(world, drained).length)
    setMode(t, world, drained.node, 'drained')
    rest(t, world)
    t.strictSame(idsOn(world, drained), [], 'nothing is left on it')
    t.equal(liveTasks(world).length, before)
    t.equal(serving.min, 12, 'all slots were served all along')
    t.ok(doubles.max <= 2, 'no slot had more than one task too many')
    world.run(20_000)
    t.strictSame(idsOn(world, drained), [], 'and nothing comes back')
    const had = newcomers.max
    setMode(t, world, drained.node, 'active')
    rest(t, world)
    t.equal(idsOn(world, drained).length, had, 'until it takes work again')
    t.equal(serving.min, 12)
  }
})

t.test('a drain takes a stop-first slot over only once it has ended', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const once = { instances: 6, update: { order: 'stop-first' } } as const
    const world = generous(t, { seed, nodes: 3 }, web(once))
    const doubles = watch(world, () => mostPerSlot(world))
    const drained = hostOfSlot(world, '/web.0')
    setMode(t, world, drained.node, 'drained')
    rest(t, world)
    t.strictSame(idsOn(world, drained), [])
    t.equal(doubles.max, 1, 'no slot ever ran twice')
  }
})

t.test('a cordoned node keeps what it has, and takes nothing new', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const world = generous(
      t,
      { seed, nodes: 4 },
      web({ instances: 8, resources: { memMb: 32 } }),
      appOf('/agent', { mode: 'global' }),
    )
    const cordoned = hostOfSlot(world, '/web.0')
    const all = ids(world)
    const kept = idsOn(world, cordoned)
    const { actions } = world.safety
    setMode(t, world, cordoned.node, 'cordoned')
    rest(t, world)
    t.strictSame(ids(world), all, 'nothing moves when it is cordoned')
    t.equal(world.safety.actions, actions)

    const other = world.hosts.find(host => host !== cordoned)!
    other.powerOff()
    world.run(10_000)
    applyNow(world, cordoned, appOf('/more', { instances: 8, resources: { memMb: 32 } }))
    applyNow(world, cordoned, appOf('/everywhere', { mode: 'global' }))
    rest(t, world)
    t.strictSame(idsOn(world, cordoned), kept, 'nor when another node dies, or apps come')
    t.equal(served(world), 8 + 3 + 8 + 2, 'the rest runs elsewhere')
    world.join(cordoned)
    world.restart(other)
    world.run(2 * STEADY_MS)
    rest(t, world)
    t.strictSame(idsOn(world, cordoned), kept, 'nor when nodes come')

    setMode(t, world, cordoned.node, 'active')
    rest(t, world)
    t.ok(
      liveTasks(world).some(
        ({ slot, host }) => host === cordoned && slot.startsWith('/everywhere.'),
      ),
      'it takes work again',
    )
  }
})

t.test('a cordoned node updates, restarts and outlives what it has', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const world = generous(t, { seed, nodes: 3 }, web({ instances: 6, env: { VERSION: '1' } }))
    const cordoned = hostOfSlot(world, '/web.0')
    const slotsOn = (): string[] =>
      liveTasks(world).flatMap(({ host, slot }) => (host === cordoned ? [slot] : []))
    const kept = slotsOn()
    setMode(t, world, cordoned.node, 'cordoned')
    applyNow(world, cordoned, web({ instances: 6, env: { VERSION: '2' } }))
    rest(t, world)
    t.strictSame(slotsOn(), kept, 'through an update')
    for (const id of cordoned.tasks.live.keys()) cordoned.tasks.crash(id, 1)
    world.run(5_000)
    rest(t, world)
    t.strictSame(slotsOn(), kept, 'through crashes')
    cordoned.crash()
    world.run(2_000)
    world.restart(cordoned)
    rest(t, world)
    t.strictSame(slotsOn(), kept, 'through a restart of the daemon')
    cordoned.powerOff()
    world.run(20_000)
    world.restart(cordoned)
    rest(t, world)
    t.strictSame(slotsOn(), [], 'a loss of power ends it: others have its slots now')
  }
})

t.test(
  'a label that people set moves slots with no gap, and unset gives way to the node’s own',
  async t => {
    const constraints = [{ field: 'disk', operator: 'IS', value: 'ssd' }] as const
    for (let seed = 1; seed <= 5; seed++) {
      const world = generous(
        t,
        { seed, nodes: 4, host: index => ({ labels: index === 0 ? { disk: 'ssd' } : {} }) },
        web({ instances: 4, constraints: [...constraints], resources: { memMb: 32 } }),
      )
      const [first, second, third] = world.hosts
      const on = (): SimHost[] => world.hosts.filter(host => idsOn(world, host).length > 0)
      t.strictSame(on(), [first])
      const serving = watch(world, () => served(world))
      const label = (host: SimHost, set: Record<string, string>, unset: string[] = []): void => {
        editNow(world, third!, { kind: 'label', node: host.node, set, unset })
        rest(t, world)
      }
      label(second!, { disk: 'ssd' })
      t.strictSame(on(), [first, second])
      label(first!, { disk: 'hdd' })
      t.strictSame(on(), [second], 'what people say counts before what the node says')
      label(first!, {}, ['disk'])
      t.strictSame(on(), [first, second])
      t.equal(serving.min, 4, 'all slots were served all along')
    }
  },
)

t.test('a sticky slot moves to no node that joins or comes back', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const spec = web({ instances: 9, placement: 'sticky', resources: { memMb: 32 } })
    const world = generous(t, { seed, nodes: 4 }, spec)
    const lost = hostOfSlot(world, '/web.0')
    const others = ids(world).filter(id => !lost.tasks.live.has(id as never))
    lost.powerOff()
    rest(t, world)
    const after = ids(world)
    t.equal(after.length, 9)
    t.ok(
      others.every(id => after.includes(id)),
      'only what was lost starts elsewhere',
    )
    world.restart(lost)
    world.join(world.up[0]!)
    world.run(2 * STEADY_MS)
    rest(t, world)
    t.strictSame(ids(world), after, 'nothing moves back, nothing moves on')
    const { node } = hostOfSlot(world, '/web.3')
    editNow(world, lost, { kind: 'label', node, set: { zone: 'z9' }, unset: [] })
    rest(t, world)
    t.strictSame(ids(world), after, 'nor for an evener spread over zones')
  }
})

t.test('a sticky slot stays through updates, crashes, bad health and restarts', async t => {
  for (const order of ['start-first', 'stop-first'] as const) {
    for (let seed = 1; seed <= 4; seed++) {
      const at = (VERSION: string): ReturnType<typeof appOf> =>
        web({
          instances: 6,
          placement: 'sticky',
          env: { VERSION },
          update: { order, parallelism: 2 },
        })
      const world = generous(t, { seed, nodes: 4 }, at('1'))
      // Where it is now need not be where the hash says: a node is lost, and comes back.
      const lost = hostOfSlot(world, '/web.0')
      lost.powerOff()
      rest(t, world)
      world.restart(lost)
      world.run(2 * STEADY_MS)
      rest(t, world)
      const where = (): string[] => liveTasks(world).map(({ slot, host }) => `${slot} ${host.name}`)
      const before = where()
      t.notOk(
        before.some(line => line.endsWith(lost.name)),
        'not all is where its hash says',
      )

      applyNow(world, lost, at('2'))
      rest(t, world)
      t.strictSame(where(), before, `${order}, through an update`)
      const sick = new Set(ids(world))
      world.rules.isHealthy = (_, task) => !sick.has(task)
      world.run(10_000)
      rest(t, world)
      t.strictSame(where(), before, `${order}, through bad health`)
      for (const { id, host } of liveTasks(world)) host.tasks.crash(id, 1)
      world.run(5_000)
      rest(t, world)
      t.strictSame(where(), before, `${order}, through crashes`)
      for (const host of world.hosts) {
        host.crash()
        world.run(1_000)
        world.restart(host)
        rest(t, world)
      }
      t.strictSame(where(), before, `${order}, through restarts of the daemons`)
    }
  }
})

t.test('a sticky slot that a split ran twice ends on one of the two', async t => {
  for (let seed = 1; seed <= 4; seed++) {
    const world = generous(t, { seed, nodes: 4 }, web({ instances: 4, placement: 'sticky' }))
    const [a, b, c, d] = world.hosts.map(({ node }) => node)
    const before = ids(world)
    world.network.split([a!, b!], [c!, d!])
    world.run(20_000)
    t.equal(liveTasks(world).length, 8, 'both sides run all')
    const both = ids(world)
    world.network.heal()
    rest(t, world)
    const after = ids(world)
    t.equal(after.length, 4)
    t.ok(
      after.every(id => both.includes(id)),
      'one that ran on a side: nothing was started anew',
    )
    t.ok(before.length === 4)
  }
})

t.test('a sticky slot leaves a node that refuses it, and stays where it went', async t => {
  const world = generous(t, { seed: 3, nodes: 3 }, web({ instances: 3, placement: 'sticky' }))
  const bad = hostOfSlot(world, '/web.0')
  const kept = idsOn(world, bad).filter(id => !id.startsWith('/web.0@'))
  world.rules.behaviour = (host, { slot }) => ({
    startMs: 100,
    stopMs: 10,
    ...(host === bad &&
      slot === '/web.0' && {
        failure: { code: 'failed', message: 'no', temporary: false },
      }),
  })
  for (const id of bad.tasks.live.keys()) if (id.startsWith('/web.0@')) bad.tasks.crash(id, 1)
  world.run(20_000)
  const next = hostOfSlot(world, '/web.0')
  t.not(next, bad)
  world.rules.behaviour = () => ({ startMs: 100, stopMs: 10 })
  world.run(120_000)
  rest(t, world)
  t.equal(hostOfSlot(world, '/web.0'), next, 'also when the refusal is over')
  t.strictSame(idsOn(world, bad), kept)
})
