import t, { type Test } from 'tap'
import { appOfSlot, type AppId } from '../../src/model/ids.ts'
import { CLAIM_MS, CLOCK_RATE_ERROR, KILL_MS } from '../../src/node/machine/claims.ts'
import { appOf } from './apps.ts'
import type { SimHost } from './host.ts'
import {
  applyNow,
  editNow,
  hostOfSlot,
  liveTasks,
  mostPerSlot,
  rest,
  settled,
  watch,
} from './scene.ts'
import type { World } from './world.ts'

const DB = '/db' as AppId

/** How long a witness promises a slot whose task may take so long to end. */
const promiseMs = (graceMs: number): number =>
  (CLAIM_MS + graceMs + KILL_MS) * (1 + CLOCK_RATE_ERROR)

/** Three machines, of which one runs what must never run twice: a task that ends only when it is killed, `graceMs` after it was asked. */
function withHolder(
  t: Test,
  seed: number,
  graceMs: number,
): { readonly world: World; readonly holder: SimHost; readonly others: readonly SimHost[] } {
  const world = settled(t, { seed, nodes: 3 }, appOf('/other'))
  world.rules.behaviour = () => ({ startMs: 100, stopMs: 3_600_000 })
  const app = appOf(DB, {
    stopGrace: `${graceMs / 1_000}s` as never,
    onPartition: { isolated: 'stop', lostAfter: '0s' as never },
  })
  applyNow(world, world.hosts[0]!, app)
  rest(t, world)
  const holder = hostOfSlot(world, '/db.0')
  return { world, holder, others: world.hosts.filter(host => host !== holder) }
}

const isOn = (world: World, host: SimHost): boolean =>
  liveTasks(world).some(task => task.host === host && appOfSlot(task.slot) === DB)

const servesElsewhere = (world: World, than: SimHost): boolean =>
  liveTasks(world).some(
    ({ slot, host, serves }) => serves && host !== than && appOfSlot(slot) === DB,
  )

t.test('what a holder gives back leaves the promise to its earlier life as it was', async t => {
  const graceMs = 20_000
  for (let seed = 1; seed <= 8; seed++) {
    const { world, holder, others } = withHolder(t, seed, graceMs)
    const most = watch(world, () => mostPerSlot(world, DB))
    const rival = others[1]!
    // From here on the holder renews its claim with one witness only: the promise of the other one runs out.
    world.network.cut(holder.link, rival.link)
    world.network.cut(rival.link, holder.link)
    world.run(promiseMs(graceMs) + 1_000)
    t.ok(isOn(world, holder), 'a majority of two goes on')
    holder.crash()
    world.run(CLAIM_MS + 1_000)
    // Its task is on its way out. A second life asks anew, gets one grant of two, and gives that back; at which
    // moment the next crash comes is chance, and in seven of ten seeds it is the one that matters.
    world.restart(holder)
    world.run(4_000)
    t.ok(isOn(world, holder), 'the task of the first life is there still')
    holder.crash()
    world.run(60_000, () => servesElsewhere(world, holder))
    t.ok(servesElsewhere(world, holder), 'another one serves it in the end')
    world.network.heal()
    world.restart(holder)
    rest(t, world, 120_000)
    t.equal(most.max, 1, `seed ${seed}: never twice`)
  }
})

t.test('a daemon that dies again before its engine has spoken has given no claim up', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const { world, holder, others } = withHolder(t, seed, 2_000)
    const most = watch(world, () => mostPerSlot(world, DB))
    holder.tasks.listMs = 1e9
    holder.crash()
    editNow(world, others[0]!, { kind: 'mode', node: holder.node, mode: 'drained' })
    world.restart(holder)
    // It knows that the slot belongs elsewhere, and does not know that the task is here.
    world.run(2_000)
    t.equal(holder.machine?.doc.read().nodes.get(holder.node)?.mode, 'drained')
    holder.crash()
    world.run(60_000, () => servesElsewhere(world, holder))
    t.ok(servesElsewhere(world, holder), 'another one serves it in the end')
    holder.tasks.listMs = 300
    world.restart(holder)
    rest(t, world, 120_000)
    t.equal(most.max, 1, `seed ${seed}: never twice`)
  }
})

t.test('the daemon alone ends it, where the watchdog hangs', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const { world, holder, others } = withHolder(t, seed, 2_000)
    const most = watch(world, () => mostPerSlot(world, DB))
    holder.tasks.standStill(120_000)
    world.network.split(
      [holder.link],
      others.map(({ link }) => link),
    )
    const endedMs = world.run(60_000, () => !isOn(world, holder))
    t.ok(endedMs <= promiseMs(2_000), `ended after ${endedMs} ms`)
    world.run(60_000, () => servesElsewhere(world, holder))
    t.ok(servesElsewhere(world, holder), 'another one serves it')
    world.network.heal()
    holder.tasks.resume()
    rest(t, world, 120_000)
    t.equal(most.max, 1, `seed ${seed}: never twice`)
  }
})

t.test('witnesses that restart renew what is held, so that its task runs on', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const { world, holder, others } = withHolder(t, seed, 2_000)
    const before = [...holder.tasks.live.keys()]
    for (const witness of others) {
      witness.crash()
      world.run(1_000)
      world.restart(witness)
    }
    // Neither would vouch for a new claim before this is over.
    world.run(2 * promiseMs(2_000))
    rest(t, world)
    t.ok(isOn(world, holder), `seed ${seed}: it is where it was`)
    t.strictSame([...holder.tasks.live.keys()], before)
  }
})
