import t from 'tap'
import type { AppId } from '../../src/model/ids.ts'
import { CLAIM_MS, CLOCK_RATE_ERROR, KILL_MS } from '../../src/node/machine/claims.ts'
import { appOf } from './apps.ts'
import type { SimHost } from './host.ts'
import { hostOfSlot, liveTasks, rest, settled } from './scene.ts'
import { THAW_OVERLAP_MS } from './sole-tasks.ts'
import type { World } from './world.ts'

const DB = '/db' as AppId
const GRACE_MS = 2_000

/** An app of which no slot may ever run twice. */
const database = (instances = 1): ReturnType<typeof appOf> =>
  appOf(DB, { instances, onPartition: { isolated: 'stop', lostAfter: '0s' as never } })

/** The longest that a witness promises a slot of it. */
const PROMISE_MS = (CLAIM_MS + GRACE_MS + KILL_MS) * (1 + CLOCK_RATE_ERROR)

const othersServe = (world: World, than: unknown): boolean =>
  liveTasks(world).some(({ host, serves }) => serves && host !== than)

/** Thaws a machine. Gives how long the one task that it had goes on. */
function afterThaw(world: World, frozen: SimHost): number {
  const [task] = frozen.tasks.live.keys()
  if (task === undefined) throw new Error(`${frozen.name} has no task`)
  frozen.thaw()
  return world.run(10_000, () => !frozen.tasks.live.has(task))
}

t.test('a machine that thaws ends what was given to another, within a second', async t => {
  let longestMs = 0
  for (let seed = 1; seed <= 12; seed++) {
    const world = settled(t, { seed, nodes: 3 + (seed % 3) }, database())
    // Tasks that ignore the signal are killed, not waited for.
    world.rules.behaviour = () => ({ startMs: 100, stopMs: seed % 2 === 0 ? 50 : 60_000 })
    const frozen = hostOfSlot(world, '/db.0')
    frozen.freeze(120_000)
    const takenMs = world.run(60_000, () => othersServe(world, frozen))
    t.ok(takenMs < PROMISE_MS + 5_000, `seed ${seed}: another serves it after ${takenMs} ms`)
    const overlapMs = afterThaw(world, frozen)
    t.ok(overlapMs <= THAW_OVERLAP_MS, `it is gone ${overlapMs} ms after the thaw`)
    rest(t, world, 90_000)
    longestMs = Math.max(longestMs, world.safety.sole.longestOverlapMs)
  }
  t.ok(longestMs > 0, 'there was an overlap')
  t.comment(`the longest overlap was ${Math.round(longestMs)} ms`)
})

t.test('the watchdog alone ends it, where the daemon died before the machine froze', async t => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = settled(t, { seed, nodes: 3 }, database())
    const frozen = hostOfSlot(world, '/db.0')
    frozen.crash()
    frozen.freeze(120_000)
    world.run(60_000, () => othersServe(world, frozen))
    const overlapMs = afterThaw(world, frozen)
    t.ok(overlapMs <= THAW_OVERLAP_MS, `seed ${seed}: it is gone ${overlapMs} ms after the thaw`)
    world.restart(frozen)
    rest(t, world, 90_000)
  }
})

t.test('a machine that thaws in time keeps its slot', async t => {
  for (const forMs of [1_000, 4_000, 7_000]) {
    const world = settled(t, { seed: 3, nodes: 4 }, database())
    const before = liveTasks(world).map(({ id }) => id)
    hostOfSlot(world, '/db.0').freeze(forMs)
    world.run(forMs)
    rest(t, world, 90_000)
    t.strictSame(
      liveTasks(world).map(({ id }) => id),
      before,
      `frozen for ${forMs} ms`,
    )
  }
})

t.test('a stall of the main thread alone moves nothing', async t => {
  for (let seed = 1; seed <= 6; seed++) {
    const web = appOf('/web', { instances: 6 })
    const world = settled(t, { seed, nodes: 4 }, web, database(2))
    const before = liveTasks(world).map(({ id }) => id)
    const { actions } = world.safety
    for (const host of world.hosts) {
      host.stall(5_000)
      world.run(6_000)
    }
    rest(t, world)
    t.strictSame(
      liveTasks(world).map(({ id }) => id),
      before,
    )
    t.equal(world.safety.actions, actions, 'nothing was started and nothing stopped')
    t.strictSame(world.story.last(4_000, 'for dead'), [], 'nobody was held for dead')
  }
})

t.test('a node whose liveness worker stalls accuses nobody when it goes on', async t => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = settled(t, { seed, nodes: 5 }, appOf('/web', { instances: 5 }))
    const sleeper = world.hosts[seed % 5]!
    for (let times = 0; times < 5; times++) {
      sleeper.stallLiveness(300 + 500 * times)
      world.run(6_000)
    }
    const accused = world.story
      .last(4_000, ` ${sleeper.name} `)
      .filter(
        line => line.includes(` ${sleeper.name}       holds `) && line.includes('for suspect'),
      )
    t.strictSame(accused, [], `seed ${seed}: ${sleeper.name} suspected nobody`)
    rest(t, world)
  }
})

t.test('a clock that is set by a day changes nothing, restarts or not', async t => {
  for (const [seed, byMs] of [86_400_000, -86_400_000, 9_000, -9_000].entries()) {
    const web = appOf('/web', { instances: 4 })
    const world = settled(t, { seed, nodes: 3 }, web, database(2))
    const before = liveTasks(world).map(({ id }) => id)
    const host = hostOfSlot(world, '/db.0')
    host.clock.jump(byMs)
    world.run(15_000)
    t.strictSame(
      world.story.last(4_000, 'for suspect').length,
      0,
      'nobody was suspected while the daemon ran on',
    )
    host.crash()
    world.run(1_000)
    world.restart(host)
    rest(t, world, 90_000)
    world.run(2 * PROMISE_MS)
    t.strictSame(
      liveTasks(world).map(({ id }) => id),
      before,
      `set by ${byMs / 1000} s: what ran runs on, also after a restart of the daemon`,
    )
    // What comes next is fenced off from all that went before, whatever the clock says.
    host.powerOff()
    rest(t, world, 90_000)
    t.ok(liveTasks(world).some(({ slot }) => slot === '/db.0'))
  }
})
