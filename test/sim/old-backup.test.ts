import t, { type Test } from 'tap'
import { createRandom, pick } from '../../src/util/random.ts'
import { appOf } from './apps.ts'
import type { SimHost } from './host.ts'
import { applyNow, hostOfSlot, liveTasks, rest, settled } from './scene.ts'
import type { World } from './world.ts'

const WEB = appOf('/web', { instances: 6 })

/** A node goes back in time by a few lives and edits; the cluster does not. */
const REST_MS = 90_000

const version = (VERSION: string): ReturnType<typeof appOf> =>
  appOf('/web', { instances: 6, env: { VERSION } })

/** A cluster of four, and a machine of it with a backup that is several starts and edits old. */
function withBackup(
  t: Test,
  seed: number,
): { readonly world: World; readonly host: SimHost; readonly backup: SimHost['disk'] } {
  const world = settled(t, { seed, nodes: 4 }, WEB)
  const host = hostOfSlot(world, '/web.0')
  applyNow(world, host, appOf('/job'))
  const backup = host.disk.copy()
  for (let life = 1; life <= 3; life++) {
    applyNow(world, host, version(String(life)))
    host.crash()
    world.run(300)
    world.restart(host)
    rest(t, world, REST_MS)
  }
  return { world, host, backup }
}

/** No place of any log was written twice, by whatever machine. */
function placesAreUnique(t: Test, world: World): void {
  const places = world.ledger.edits.flatMap(({ made, isVoid }) =>
    made === undefined || isVoid ? [] : [`${made.client} ${made.clock}`],
  )
  t.equal(new Set(places).size, places.length, 'no place of a log was written twice')
}

t.test('a node whose disk was put back to an older state goes on, and loses nothing', async t => {
  for (let seed = 1; seed <= 8; seed++) {
    const { world, host, backup } = withBackup(t, seed)
    const before = host.machine!.book.get(host.node)!.incarnation
    host.powerOff()
    // Sometimes the others have given it up by then, sometimes not.
    world.run(seed % 2 === 0 ? 500 : 15_000)
    world.restore(host, backup)
    rest(t, world, REST_MS)
    t.ok(
      liveTasks(world).every(task => task.version !== '1'),
      'the last edit holds',
    )
    for (const { machine } of world.up) {
      const record = machine!.book.get(host.node)!
      t.ok(record.incarnation > before, 'its record goes on')
      t.equal(record.run?.twin, undefined, 'it is no twin of its own past')
    }
    const [edited, other] = [
      applyNow(world, host, version('4')),
      applyNow(world, host, version('5')),
    ]
    t.match([edited.result, other.result], [{ ok: true }, { ok: true }])
    rest(t, world, REST_MS)
    t.ok(liveTasks(world).every(task => task.slot.startsWith('/job') || task.version === '5'))
    placesAreUnique(t, world)
  }
})

t.test('an edit through a restored node is safe before it has heard of anybody', async t => {
  for (let seed = 1; seed <= 8; seed++) {
    const { world, host, backup } = withBackup(t, seed)
    host.powerOff()
    world.run(8_000)
    const others = world.hosts.filter(one => one !== host)
    world.network.split(
      [host.link],
      others.map(({ link }) => link),
    )
    world.restore(host, backup)
    // At once, or after it has given up to look for others.
    world.run(seed % 2 === 0 ? 50 : 12_000)
    const alone = applyNow(world, host, version('alone'))
    const there = applyNow(world, others[0]!, appOf('/job', { env: { VERSION: 'there' } }))
    t.match(alone.result, { ok: true, onlyHere: true })
    world.network.heal()
    rest(t, world, REST_MS)
    placesAreUnique(t, world)
    t.not(alone.made?.client, backup.clientId, 'it went to a new log')
    t.equal(there.isVoid || alone.isVoid, false, 'and both edits are there')
  }
})

t.test('a restored node makes no new log once it is known that none is needed', async t => {
  const { world, host } = withBackup(t, 3)
  const { writers } = host.machine!.doc.stats()
  for (let round = 0; round < 5; round++) {
    host.crash()
    world.run(300)
    world.restart(host)
    world.run(8_000)
    applyNow(world, host, version(`round ${round}`))
    rest(t, world, REST_MS)
  }
  t.equal(host.machine!.doc.stats().writers, writers, 'restarts and edits add none')
})

t.test('backups are put back while everything else goes wrong, too', async t => {
  const only = process.env['SEED']
  const seeds = only === undefined ? Number(process.env['SEEDS'] ?? 12) : 1
  for (let run = 1; run <= seeds; run++) {
    const seed = only === undefined ? run : Number(only)
    const random = createRandom(seed * 17)
    const world = settled(t, { seed, nodes: 3 + Math.floor(3 * random()) }, WEB)
    const backups = new Map(world.hosts.map(host => [host, host.disk.copy()]))
    for (let round = 0; round < 5; round++) {
      const host = pick(world.up, random)!
      const others = world.hosts.filter(one => one !== host)
      if (random() < 0.3) backups.set(host, host.disk.copy())
      applyNow(world, pick(world.up, random)!, version(`${round}`))
      if (random() < 0.4)
        world.network.split(
          [host.link],
          others.map(({ link }) => link),
        )
      // The others keep what was acknowledged: only one machine at a time goes back.
      if (random() < 0.6) world.restore(host, backups.get(host)!)
      world.run(6_000 * random())
      applyNow(world, host, appOf('/job', { env: { VERSION: `${round}` } }))
      world.network.heal()
      world.run(15_000)
    }
    rest(t, world, REST_MS)
    placesAreUnique(t, world)
    t.pass(`seed ${seed}`)
  }
})
