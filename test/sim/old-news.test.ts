import t from 'tap'
import type { AppId } from '../../src/model/ids.ts'
import { isNewer, type NodeRecord } from '../../src/model/node-record.ts'
import { appOf } from './apps.ts'
import { rest, settled, watch } from './scene.ts'
import type { SimHost } from './host.ts'
import type { World } from './world.ts'

const WEB = '/web' as AppId
const web = (instances = 6): ReturnType<typeof appOf> => appOf(WEB, { instances })

/** Counts from now on how often somebody, while its daemon runs, has an older record of a node than before. */
function watchRecords(world: World): { unsaid: number } {
  const seen = { unsaid: 0 }
  const latest = new Map<SimHost, { readonly life: number; readonly of: Map<string, NodeRecord> }>()
  world.onSettled = host => {
    const { machine, life } = host
    let known = latest.get(host)
    if (known?.life !== life)
      latest.set(host, (known = { life, of: new Map<string, NodeRecord>() }))
    for (const record of machine!.book.records()) {
      const before = known.of.get(record.node)
      if (before === record) continue
      if (before !== undefined && isNewer(before, record)) seen.unsaid++
      known.of.set(record.node, record)
    }
  }
  return seen
}

t.test('what a node said is never unsaid by what comes later on a slower way', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const world = settled(t, { seed, nodes: 4 }, web())
    const seen = watchRecords(world)
    world.network.weather = { loss: 0, duplicate: 0.1, delayMs: [1, 400] }
    for (let instances = 3; instances < 9; instances++) {
      world.edit(world.hosts[0]!, { kind: 'scale', app: WEB, instances })
      world.run(1_500)
    }
    world.network.clear()
    rest(t, world)
    t.equal(seen.unsaid, 0, `seed ${seed}: no record went back`)
  }
})

t.test('a good-bye that comes late says nothing of a node that is back', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const world = settled(t, { seed, nodes: 5 }, web())
    const [leaver, late, listener] = world.hosts
    // What one says to another comes three seconds late; the others vouch for it meanwhile.
    world.network.setLink(late!.link, listener!.link, { delayMs: [3_000, 3_000] })
    leaver!.terminate()
    world.run(2_000, () => leaver!.machine === undefined)
    world.run(300)
    world.restart(leaver!)
    const isAlive = (): boolean => listener!.machine!.members.isAlive(leaver!.node)
    t.ok(world.run(2_000, isAlive) < 2_000, 'it is back')
    const gone = watch(world, () => Number(!isAlive()))
    world.run(5_000)
    t.equal(gone.max, 0, `seed ${seed}: and is not taken for gone any more`)
    world.network.clear()
    rest(t, world)
  }
})

t.test('who slept through a death brings nobody back', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const world = settled(t, { seed, nodes: 6 }, web())
    const [lost, sleeper, ...others] = world.hosts
    sleeper!.freeze(12_000)
    world.run(1_000)
    lost!.powerOff(true)
    const believers = (): number =>
      others.filter(({ machine }) => machine!.members.isPresent(lost!.node)).length
    world.run(10_000, () => believers() === 0)
    const most = watch(world, believers)
    world.run(10_000)
    t.ok(
      others.every(({ machine }) => machine!.members.isAlive(sleeper!.node)),
      'the sleeper is back',
    )
    t.equal(most.max, 0, `seed ${seed}: nobody took its word for the lost node`)
    rest(t, world)
  }
})

t.test('two halves that held each other for dead bury nobody when they meet', async t => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = settled(t, { seed, nodes: 8 }, web())
    const halves = [world.hosts.slice(0, 4), world.hosts.slice(4)]
    world.network.split(...halves.map(half => half.map(({ link }) => link)))
    // They meet while each still tells its own of the deaths on the other side.
    const isBuried = (): boolean => {
      const { members } = world.hosts[0]!.machine!
      return halves[1]!.some(({ node }) => !members.isPresent(node))
    }
    world.run(10_000, isBuried)
    world.network.heal()
    // Within a half all have heard each other all along, whatever the other half has to say of them.
    const buried = watch(world, () =>
      Math.max(
        ...halves.map(half =>
          half.reduce(
            (sum, { machine }) =>
              sum + half.filter(({ node }) => !machine!.members.isPresent(node)).length,
            0,
          ),
        ),
      ),
    )
    rest(t, world, 60_000)
    t.equal(buried.max, 0, `seed ${seed}: nobody was held for dead by who had heard it all along`)
  }
})

t.test('two halves find each other again before anybody dials', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const world = settled(t, { seed, nodes: 6 }, web())
    const halves = [world.hosts.slice(0, 3), world.hosts.slice(3)]
    world.network.split(...halves.map(half => half.map(({ link }) => link)))
    world.run(20_000)
    world.network.isDialHeld = true
    world.network.heal()
    const isFound = (): boolean =>
      world.hosts.every(({ machine }) =>
        world.hosts.every(({ node }) => machine!.members.isAlive(node)),
      )
    t.notOk(isFound(), 'they had lost each other')
    const tookMs = world.run(10_000, isFound)
    t.ok(tookMs <= 3_000, `seed ${seed}: all have found all after ${tookMs} ms`)
    world.network.isDialHeld = false
    rest(t, world, 60_000)
  }
})
