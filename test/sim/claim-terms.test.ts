import t from 'tap'
import type { Duration } from '../../src/model/duration.ts'
import { appOfSlot, type AppId } from '../../src/model/ids.ts'
import { CLAIM_MS, CLOCK_RATE_ERROR, KILL_MS } from '../../src/node/machine/claims.ts'
import { appOf } from './apps.ts'
import type { SimHost } from './host.ts'
import { editNow, hostOfSlot, liveTasks, mostPerSlot, rest, settled, watch } from './scene.ts'
import type { World } from './world.ts'

const DB = '/db' as AppId

/** What `appOf` gives a task to end in. */
const GRACE_MS = 2_000

/** An app of which no slot may ever run twice. */
const database = (lostAfter: string): ReturnType<typeof appOf> =>
  appOf(DB, { onPartition: { isolated: 'stop', lostAfter: lostAfter as Duration } })

/** Tasks that do not listen to the signal, and are killed when their grace is over. */
const stubborn = (world: World): void => {
  world.rules.behaviour = () => ({ startMs: 100, stopMs: 3_600_000 })
}

const cutOff = (world: World, alone: SimHost): void => {
  const others = world.hosts.filter(host => host !== alone)
  world.network.split(
    [alone.link],
    others.map(({ link }) => link),
  )
}

const servesElsewhere = (world: World, than: SimHost): boolean =>
  liveTasks(world).some(
    ({ slot, host, serves }) => serves && appOfSlot(slot) === DB && host !== than,
  )

t.test('witnesses that restart vouch for nothing until what they forgot is over', async t => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = settled(t, { seed, nodes: 3 }, database('5s'))
    const alone = hostOfSlot(world, '/db.0')
    const most = watch(world, () => mostPerSlot(world, DB))
    cutOff(world, alone)
    for (const host of world.hosts) {
      if (host === alone) continue
      host.crash()
      world.restart(host)
    }
    world.run(90_000, () => servesElsewhere(world, alone))
    t.ok(servesElsewhere(world, alone), 'in the end it is served again')
    world.network.heal()
    rest(t, world, 90_000)
    t.equal(most.max, 1, `seed ${seed}: never twice`)
  }
})

t.test('a task that ignores the signal has ended before another one starts', async t => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = settled(t, { seed, nodes: 3 }, appOf('/other'))
    stubborn(world)
    editNow(world, world.hosts[0]!, { kind: 'apply', specs: [database('0s')], message: '' })
    rest(t, world)
    const most = watch(world, () => mostPerSlot(world, DB))
    const alone = hostOfSlot(world, '/db.0')
    cutOff(world, alone)
    world.run(60_000, () => servesElsewhere(world, alone))
    world.network.heal()
    rest(t, world, 90_000)
    t.equal(most.max, 1, `seed ${seed}: never twice`)
  }
})

t.test('clocks that run apart by as much as is allowed for make no second task', async t => {
  const lostAfterMs = 400_000
  for (let seed = 1; seed <= 3; seed++) {
    // The one that holds is slow, and those that wait are fast.
    const drifts = new Map<number, number>()
    const options = {
      seed,
      nodes: 3,
      host: (index: number) => ({ drift: drifts.get(index) ?? 0 }),
    }
    const holder = hostOfSlot(settled(t, options, database('400s')), '/db.0').options.index
    for (let index = 0; index < 3; index++) {
      drifts.set(index, index === holder ? -CLOCK_RATE_ERROR / 2 : CLOCK_RATE_ERROR / 2)
    }
    const world = settled(t, options, appOf('/other'))
    stubborn(world)
    editNow(world, world.hosts[0]!, { kind: 'apply', specs: [database('400s')], message: '' })
    rest(t, world)
    const alone = hostOfSlot(world, '/db.0')
    t.equal(alone.options.index, holder)
    const most = watch(world, () => mostPerSlot(world, DB))
    cutOff(world, alone)
    const termMs = CLAIM_MS + lostAfterMs + GRACE_MS + KILL_MS
    world.run(1.05 * termMs, () => servesElsewhere(world, alone))
    t.ok(servesElsewhere(world, alone))
    world.network.heal()
    rest(t, world, 90_000)
    t.equal(most.max, 1, `seed ${seed}: never twice`)
  }
})

t.test(
  'answers that come late, and engines that are slow to kill, make no second task',
  async t => {
    for (let seed = 1; seed <= 8; seed++) {
      const world = settled(t, { seed, nodes: 3 }, appOf('/other'))
      stubborn(world)
      editNow(world, world.hosts[0]!, { kind: 'apply', specs: [database('0s')], message: '' })
      rest(t, world)
      const alone = hostOfSlot(world, '/db.0')
      const most = watch(world, () => mostPerSlot(world, DB))
      for (const host of world.hosts) {
        host.tasks.killMs = KILL_MS - 450
        if (host !== alone)
          world.network.setLink(host.link, alone.link, { delayMs: [1_200, 1_450] })
      }
      world.run(8_000)
      cutOff(world, alone)
      world.run(60_000, () => servesElsewhere(world, alone))
      world.network.heal()
      world.network.clear()
      rest(t, world, 90_000)
      t.equal(most.max, 1, `seed ${seed}: never twice`)
    }
  },
)

t.test(
  'a daemon with a slow engine gives no claim up, even for a slot that goes elsewhere',
  async t => {
    for (let seed = 1; seed <= 6; seed++) {
      const world = settled(t, { seed, nodes: 3 }, database('5s'))
      const holder = hostOfSlot(world, '/db.0')
      const most = watch(world, () => mostPerSlot(world, DB))
      holder.tasks.listMs = 4_000
      holder.crash()
      const other = world.up[0]!
      editNow(world, other, { kind: 'mode', node: holder.node, mode: 'drained' })
      world.restart(holder)
      rest(t, world, 120_000)
      t.not(hostOfSlot(world, '/db.0'), holder)
      t.equal(most.max, 1, `seed ${seed}: never twice`)
    }
  },
)

t.test('fencing tokens only grow, whoever forgets', async t => {
  for (let seed = 1; seed <= 4; seed++) {
    const world = settled(t, { seed, nodes: 3 }, database('0s'))
    for (let round = 0; round < 3; round++) {
      for (const host of world.hosts) host.powerOff()
      world.run(1_000)
      for (const host of world.hosts) {
        host.clock.jump(-60_000)
        world.restart(host)
      }
      // What the tokens must do is checked with each start.
      rest(t, world, 120_000)
    }
    t.equal(liveTasks(world).length, 1)
  }
})
