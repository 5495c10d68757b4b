import t from 'tap'
import { createRandom, pick } from '../../src/util/random.ts'
import { encodeMessage, parseMessage } from '../../src/node/machine/wire.ts'
import { appOf } from './apps.ts'
import { FIRST, NEXT, type Dialect } from './dialect.ts'
import { applyNow, editNow, liveTasks, rest, served, settled } from './scene.ts'
import type { World, WorldOptions } from './world.ts'

/** A cluster of three versions: by turns this one, the next, and the first. */
function mixed(seed: number, nodes: number): WorldOptions {
  const versions: readonly (Dialect | undefined)[] = [undefined, NEXT, FIRST]
  return {
    seed,
    nodes,
    isEncoded: true,
    host: index => {
      const dialect = versions[index % 3]
      return dialect === undefined ? {} : { dialect }
    },
  }
}

const WEB = appOf('/web', { instances: 7 })

/** What each machine holds of every other, as far as only the next version says it. */
function moonsSeen(world: World): Set<string> {
  const seen = new Set<string>()
  for (const { name, machine } of world.up) {
    for (const record of machine!.book.records()) {
      if ('moons' in record) seen.add(`${name} of ${record.name}`)
    }
  }
  return seen
}

t.test('a message of the next version is told apart from one that is broken', async t => {
  const weather = encodeMessage({ kind: 'weather', calm: true } as never)
  t.match(parseMessage(weather), { ok: false, fault: 'unknown-kind', reason: 'weather' })
})

t.test('three versions, side by side, place alike and lose nothing', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const world = settled(t, mixed(seed, 6), WEB)
    t.equal(served(world), 7)
    // n1 and n4 are of the next version: all others hold their records whole, the first version too.
    const moons = moonsSeen(world)
    t.ok(moons.has('n0 of n1') && moons.has('n2 of n1') && moons.has('n5 of n4'))
    const [old, next] = [world.hosts[2]!, world.hosts[1]!]
    for (const [version, host] of [old, next].entries()) {
      const env = { VERSION: String(version) }
      const asked = applyNow(world, host, appOf('/web', { instances: 7, env }))
      t.match(asked.result, { ok: true, onlyHere: false }, 'an edit through each is stored')
      rest(t, world)
    }
    t.ok(liveTasks(world).every(({ version }) => version === '1'))
    for (const { machine, name } of world.up) {
      t.equal(machine!.refused.count('forged'), 0, `${name} takes nobody for a forger`)
      t.equal(machine!.refused.count('malformed'), 0)
    }
    t.ok(old.machine!.refused.count('unknown-kind') > 0, 'and what it does not know, it counts')
    t.ok(world.hosts[0]!.machine!.refused.count('unknown-kind') > 0)
    t.equal(next.machine!.refused.count('unknown-kind'), 0)
    const told = world.story.last(4_000, 'does not know (weather)')
    t.ok(told.length < 60, `it is told ${told.length} times, not with every message`)
  }
})

t.test(
  'a record of the next version reaches one that it never met, by way of the first',
  async t => {
    const world = settled(t, mixed(4, 3), WEB)
    const [here, next] = world.hosts
    world.network.cut(here!.node, next!.node)
    world.network.cut(next!.node, here!.node)
    applyNow(world, next!, appOf('/more', { instances: 2 }))
    world.run(15_000)
    const seen = here!.machine!.book.get(next!.node)
    const own = next!.machine!.book.get(next!.node)
    t.strictSame([seen?.incarnation, seen?.seq], [own?.incarnation, own?.seq], 'the newest')
    t.ok(seen !== undefined && 'moons' in seen, 'and whole')
    t.equal(here!.machine!.refused.count('forged'), 0)
    world.network.heal()
    rest(t, world, 90_000)
  },
)

t.test('three versions through splits, crashes, upgrades and edits', async t => {
  const only = process.env['SEED']
  const seeds = only === undefined ? Number(process.env['SEEDS'] ?? 8) : 1
  for (let run = 1; run <= seeds; run++) {
    const seed = only === undefined ? run : Number(only)
    const random = createRandom(seed * 31)
    const world = settled(t, mixed(seed, 3 + Math.floor(4 * random())), WEB)
    for (let round = 0; round < 4; round++) {
      const victim = pick(world.up, random)!
      const others = world.hosts.filter(host => host !== victim).map(({ node }) => node)
      const dice = random()
      if (dice < 0.3) world.network.split([victim.node], others)
      else if (dice < 0.5) victim.crash()
      else if (dice < 0.7) victim.powerOff()
      else world.network.weather = { loss: 0.2, duplicate: 0.1, delayMs: [1, 80] }
      world.run(8_000 * random())
      const env = { VERSION: String(round) }
      const host = pick(world.up, random)!
      editNow(world, host, {
        kind: 'apply',
        specs: [appOf('/web', { instances: 7, env })],
        message: '',
      })
      world.network.heal()
      world.network.weather = { loss: 0, duplicate: 0, delayMs: [0.5, 2] }
      for (const one of world.hosts) if (one.machine === undefined) world.restart(one)
      world.run(4_000)
    }
    const tookMs = rest(t, world, 120_000)
    t.ok(tookMs >= 0, `seed ${seed}`)
    t.ok(world.up.every(({ machine }) => machine!.refused.count('forged') === 0))
  }
})
