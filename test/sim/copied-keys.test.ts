import t, { type Test } from 'tap'
import { createRandom } from '../../src/util/random.ts'
import { appOf } from './apps.ts'
import type { SimHost } from './host.ts'
import { applyNow, hostOfSlot, liveTasks, rest, settled } from './scene.ts'
import type { World } from './world.ts'

const WEB = appOf('/web', { instances: 6 })

/** Two rounds of anti-entropy over connections that come and go, and the end of what was started. */
const REFUSED_MS = 20_000

/** How a copy counts its starts beside its original: as many, fewer (an old backup), or one more. */
const STARTS_BEHIND = [0, 1, 5]

const isRunning = ({ machine }: SimHost): boolean => machine !== undefined
const taskIds = (host: SimHost): string[] => [...host.tasks.live.keys()].toSorted()
const halts = (world: World): string[] => world.story.last(4_000, '== the daemon halts')

/** A cluster of three at rest, and the machine of it that was started a few times before. */
function withOldHand(t: Test, seed: number): { readonly world: World; readonly first: SimHost } {
  const world = settled(t, { seed, nodes: 3 }, WEB)
  const first = hostOfSlot(world, '/web.0')
  for (let start = 0; start < 6; start++) {
    first.crash()
    world.run(200)
    world.restart(first)
    world.run(200)
  }
  rest(t, world)
  return { world, first }
}

t.test('of two machines with one key the second stops before it did anything', async t => {
  for (let seed = 1; seed <= 12; seed++) {
    const { world, first } = withOldHand(t, seed)
    const before = taskIds(first)
    const second = world.copy(first)
    second.disk.starts -= STARTS_BEHIND[seed % 3]!
    const { actions } = world.safety
    second.start()
    const tookMs = world.run(REFUSED_MS, () => !isRunning(second))
    t.notOk(isRunning(second), `seed ${seed}: the second stopped after ${Math.round(tookMs)} ms`)
    t.ok(isRunning(first), 'the first goes on')
    t.equal(first.machine?.twin, second.address.address)
    t.equal(world.safety.actions, actions, 'nobody started or stopped anything')
    const [told, ...more] = halts(world)
    t.strictSame(more, [])
    t.match(told, `${first.name} at ${first.address.address}`, 'it said who was first')
    t.match(told, /remove its data folder and start it with --join/, 'and what to do')
    rest(t, world)
    t.strictSame(taskIds(first), before, 'its tasks are the same')
    world.run(35_000)
    t.equal(first.machine?.twin, undefined, 'the twin is forgotten')
    t.match(world.story.last(4_000).join('\n'), /twin n\d is the key of this machine alone again/)
  }
})

t.test('two copies that start together: one of them goes on', async t => {
  for (let seed = 1; seed <= 12; seed++) {
    const { world, first } = withOldHand(t, seed)
    const second = world.copy(first)
    first.crash()
    world.run(seed % 2 === 0 ? 300 : 8_000)
    world.restart(first)
    world.run(seed % 4)
    second.start()
    world.run(REFUSED_MS, () => !isRunning(first) || !isRunning(second))
    world.run(REFUSED_MS)
    t.equal([first, second].filter(isRunning).length, 1, `seed ${seed}: one of them`)
    // What ran on the machine that stopped is nobody's now: the tasks that it found, not those that it started.
    if (isRunning(first)) rest(t, world)
    else t.equal(liveTasks(world).filter(({ host }) => host === second).length > 0, true)
  }
})

t.test('a copy that ran alone stops what it started, and its edits are kept', async t => {
  for (let seed = 1; seed <= 12; seed++) {
    const { world, first } = withOldHand(t, seed)
    const before = taskIds(first)
    const second = world.copy(first)
    second.disk.starts -= STARTS_BEHIND[seed % 3]!
    world.network.split(
      [second.link],
      world.up.map(({ link }) => link),
    )
    second.start()
    world.run(12_000)
    t.equal(second.tasks.live.size, 6, 'alone it runs everything')
    const here = applyNow(world, first, appOf('/here'))
    const there = applyNow(world, second, appOf('/there'))
    t.match(here.result, { ok: true, onlyHere: false })
    t.match(there.result, { ok: true, onlyHere: true })
    t.not(here.made?.client, there.made?.client, 'they write to different logs')
    world.network.heal()
    world.run(REFUSED_MS, () => !isRunning(second))
    t.notOk(isRunning(second), `seed ${seed}: the second stopped`)
    t.equal(second.tasks.live.size, 0, 'and so did its tasks')
    rest(t, world)
    t.ok(
      before.every(id => taskIds(first).includes(id)),
      'those of the first run on',
    )
    t.strictSame(
      [...first.machine!.doc.read().apps.keys()],
      ['/here', '/there', '/web'],
      'both edits are everywhere',
    )
  }
})

t.test('three machines with one key: two stop', async t => {
  for (let seed = 1; seed <= 8; seed++) {
    const { world, first } = withOldHand(t, seed)
    const copies = [world.copy(first), world.copy(first)]
    for (const copy of copies) {
      copy.start()
      world.run(seed * 100)
    }
    world.run(2 * REFUSED_MS, () => !copies.some(isRunning))
    t.notOk(copies.some(isRunning), `seed ${seed}`)
    t.ok(isRunning(first))
    rest(t, world)
  }
})

t.test('the first machine is not bothered by a copy that is started again and again', async t => {
  const { world, first } = withOldHand(t, 3)
  const before = taskIds(first)
  const second = world.copy(first)
  for (let round = 0; round < 6; round++) {
    second.start()
    world.run(REFUSED_MS, () => !isRunning(second))
    t.notOk(isRunning(second), `round ${round}`)
    world.run(1_000)
  }
  rest(t, world)
  t.strictSame(taskIds(first), before)
  const twins = world.story.last(10_000, ' twin ').filter(line => line.includes('also the key'))
  t.ok(twins.length <= 6, 'and tells of it once per start')
})

t.test('in bad weather at most one machine with a key is left, and nothing runs twice', async t => {
  const only = process.env['SEED']
  const seeds = only === undefined ? Number(process.env['SEEDS'] ?? 60) : 1
  for (let run = 0; run < seeds; run++) {
    const seed = only === undefined ? run + 1 : Number(only)
    const random = createRandom(seed)
    const { world, first } = withOldHand(t, seed)
    const second = world.copy(first)
    second.disk.starts -= Math.floor(3 * random())
    world.network.weather = {
      loss: 0.15 * random(),
      duplicate: 0.1,
      delayMs: [1, 10 + 90 * random()],
    }
    if (random() < 0.3) world.after(4_000 * random(), () => first.crash())
    if (random() < 0.3)
      world.after(3_000 * random(), () => world.network.cut(second.link, first.link))
    second.start()
    if (random() < 0.5) world.after(6_000 * random(), () => editThrough(world, second))
    world.run(30_000)
    world.network.heal()
    world.network.weather = { loss: 0, duplicate: 0, delayMs: [1, 2] }
    if (!isRunning(first) && !isRunning(second)) world.restart(first)
    world.run(REFUSED_MS)
    t.equal([first, second].filter(isRunning).length, 1, `seed ${seed}: one is left`)
    if (isRunning(first)) rest(t, world)
    else t.strictSame(world.violations, [], `seed ${seed}: nothing went wrong`)
  }
})

/** An edit through a machine that may be about to stop: nobody waits for the answer. */
function editThrough(world: World, host: SimHost): void {
  if (isRunning(host)) world.edit(host, { kind: 'apply', specs: [appOf('/job')], message: '' })
}
