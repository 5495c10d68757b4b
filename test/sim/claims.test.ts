import t from 'tap'
import type { AppId } from '../../src/model/ids.ts'
import { CLAIM_MS, KILL_MS } from '../../src/node/machine/claims.ts'
import { tieBreaker } from '../../src/node/machine/majority.ts'
import { appOf } from './apps.ts'
import { hostOfSlot, liveTasks, mostPerSlot, rest, settled, watch } from './scene.ts'

const DB = '/db' as AppId

/** An app of which no slot may ever run twice. */
const database = (lostAfter: string, instances = 1): ReturnType<typeof appOf> =>
  appOf(DB, { instances, onPartition: { isolated: 'stop', lostAfter: lostAfter as never } })

/** What `appOf` gives a task to end in. */
const GRACE_MS = 2_000

t.test('a node that is cut off ends its task before the others start theirs', async t => {
  for (const lostAfterMs of [0, 5_000]) {
    for (let seed = 1; seed <= 10; seed++) {
      const app = database(`${lostAfterMs / 1_000}s`)
      const world = settled(t, { seed, nodes: 3 + (seed % 3) }, app)
      const alone = hostOfSlot(world, '/db.0')
      const others = world.hosts.filter(host => host !== alone)
      const most = watch(world, () => mostPerSlot(world))
      world.network.split(
        [alone.node],
        others.map(({ node }) => node),
      )
      const endedMs = world.run(60_000, () => liveTasks(world).every(({ host }) => host !== alone))
      t.ok(endedMs >= lostAfterMs, `it went on for ${endedMs} ms`)
      t.ok(endedMs <= CLAIM_MS + lostAfterMs + GRACE_MS + 500, `and no longer: ${endedMs} ms`)
      const termMs = CLAIM_MS + lostAfterMs + GRACE_MS + KILL_MS
      const backMs =
        endedMs + world.run(60_000, () => liveTasks(world).some(({ serves }) => serves))
      t.ok(backMs <= 1.01 * termMs + 5_000, `served again after ${backMs} ms`)
      t.not(hostOfSlot(world, '/db.0'), alone)
      world.network.heal()
      rest(t, world, 90_000)
      t.equal(most.max, 1, 'never twice')
    }
  }
})

t.test('a task ends at its time even if only its daemon died', async t => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = settled(t, { seed, nodes: 3 }, database('1s'))
    const lost = hostOfSlot(world, '/db.0')
    const most = watch(world, () => mostPerSlot(world))
    lost.crash()
    world.run(60_000, () => liveTasks(world).every(({ host }) => host !== lost))
    world.run(30_000, () => liveTasks(world).some(({ serves }) => serves))
    t.not(hostOfSlot(world, '/db.0'), lost, 'another node serves it')
    world.restart(lost)
    rest(t, world, 90_000)
    t.equal(most.max, 1, 'never twice')
  }
})

t.test('a daemon that is back in time keeps its claims, and its tasks run on', async t => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = settled(t, { seed, nodes: 3 }, database('0s', 3))
    const host = world.hosts[seed % 3]!
    const own = (): string[] =>
      liveTasks(world).flatMap(task => (task.host === host ? [task.id] : []))
    const before = own()
    for (let times = 0; times < 3; times++) {
      host.crash()
      world.run(6_000)
      world.restart(host)
      rest(t, world)
      world.run(CLAIM_MS)
      t.strictSame(own(), before)
    }
  }
})

t.test('of two nodes the first in order goes on alone, and the other stops', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const world = settled(t, { seed, nodes: 2 }, database('0s', 4))
    const [one, two] = world.hosts
    const first = tieBreaker([one!.node, two!.node])
    world.network.split([one!.node], [two!.node])
    world.run(40_000)
    const tasks = liveTasks(world)
    t.equal(tasks.length, 4)
    t.ok(tasks.every(({ host }) => host.node === first))
    t.equal(mostPerSlot(world), 1)
  }
})

t.test('without a majority anywhere nothing of such an app runs, and with one it does', async t => {
  const world = settled(t, { seed: 4, nodes: 5 }, database('0s', 3))
  const [a, b, c, d, e] = world.hosts.map(({ node }) => node)
  world.network.split([a!, b!], [c!, d!], [e!])
  world.run(30_000)
  t.equal(liveTasks(world).length, 0)
  world.network.heal()
  rest(t, world, 90_000)
  t.equal(liveTasks(world).length, 3)
})
