import t from 'tap'
import { LEAVE_GRACE_MS } from '../../src/node/machine/members.ts'
import type { AppSpec } from '../../src/model/app.ts'
import type { AppId } from '../../src/model/ids.ts'
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
import { World } from './world.ts'

const WEB = '/web' as AppId
const ids = (world: World): string[] => liveTasks(world).map(({ id }) => id)
const version = (
  VERSION: string,
  more: Parameters<typeof appOf>[1] = {},
): ReturnType<typeof appOf> => appOf(WEB, { instances: 4, env: { VERSION }, ...more })

/** Nearly fills a machine of 1000 MB, in one zone only. */
const on = (zone: string): Parameters<typeof appOf>[1] => ({
  resources: { memMb: 900 },
  constraints: [{ field: 'zone', operator: 'IS', value: zone }],
})

t.test('a machine that loses its power is out of answers and replaced within seconds', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const world = settled(t, { seed, nodes: 5 }, version('1'))
    const lost = hostOfSlot(world, '/web.0')
    lost.powerOff()
    const silentMs = world.run(10_000, () =>
      world.up.every(({ machine }) => !machine!.members.isAlive(lost.node)),
    )
    t.ok(silentMs <= 1_800, `out of answers after ${silentMs} ms`)
    const healedMs = silentMs + world.run(10_000, () => served(world) === 4)
    t.ok(healedMs <= 4_500, `replaced after ${healedMs} ms`)
    rest(t, world)
  }
})

t.test('a machine that comes back takes its slots over before the others give them up', async t => {
  for (const downMs of [4_000, 60_000]) {
    for (let seed = 1; seed <= 4; seed++) {
      // With so short a window, nothing but what the machine says after its start may be believed.
      const update = { monitor: '50ms' as never }
      const world = settled(t, { seed, nodes: 4 }, version('1', { instances: 8, update }))
      const lost = hostOfSlot(world, '/web.0')
      lost.powerOff()
      world.run(downMs)
      rest(t, world)
      const serving = watch(world, () => served(world))
      const doubles = watch(world, () => mostPerSlot(world))
      world.restart(lost)
      rest(t, world)
      t.equal(serving.min, 8, 'all slots were served all along')
      t.ok(doubles.max <= 2, 'no slot had more than one task too many')
      t.ok(
        liveTasks(world).some(({ host }) => host === lost),
        'it has its slots back',
      )
    }
  }
})

t.test('a restart of the daemon touches no task', async t => {
  for (const downMs of [200, 2_000, 20_000]) {
    const world = settled(t, { seed: downMs, nodes: 4 }, version('1', { instances: 6 }))
    const host = hostOfSlot(world, '/web.0')
    const before = ids(world).filter(id => host.tasks.live.has(id as never))
    host.crash()
    world.run(downMs)
    world.restart(host)
    rest(t, world)
    world.run(20_000)
    const after = ids(world).filter(id => host.tasks.live.has(id as never))
    t.strictSame(after, before, `down for ${downMs} ms: its tasks are the same`)
    t.equal(liveTasks(world).length, 6)
  }
})

t.test('a restart stops nothing while one engine is slow to say what it runs', async t => {
  const once = { instances: 6, update: { order: 'stop-first' } } as const
  for (let seed = 1; seed <= 6; seed++) {
    const world = settled(t, { seed, nodes: 3 }, version('1', once))
    const before = ids(world)
    const host = hostOfSlot(world, '/web.0')
    host.tasks.listMs = 9_000
    host.terminate()
    world.run(1_000, () => host.machine === undefined)
    world.restart(host)
    rest(t, world)
    t.strictSame(ids(world), before)
  }
})

t.test('a daemon that is restarted in order moves nothing at all', async t => {
  const world = settled(t, { seed: 3, nodes: 4 }, version('1', { instances: 6 }))
  const before = ids(world)
  const { actions } = world.safety
  for (const host of world.hosts) {
    host.terminate()
    world.run(2_000, () => host.machine === undefined)
    world.run(2_000)
    world.restart(host)
    rest(t, world)
  }
  t.strictSame(ids(world), before)
  t.equal(world.safety.actions, actions, 'nothing was started and nothing stopped')
})

t.test('an app that both sides of a split edit ends as one of the two, and says so', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const world = settled(t, { seed, nodes: 4 }, version('1'))
    const [a, b, c, d] = world.hosts
    world.network.split([a!.node, b!.node], [c!.node, d!.node])
    world.run(12_000)
    const left = applyNow(world, a!, version('left', { instances: 2 }))
    const right = applyNow(world, d!, version('right', { instances: 3 }))
    world.run(8_000)
    t.equal(liveTasks(world).filter(task => task.version === 'left').length, 2)
    t.equal(liveTasks(world).filter(task => task.version === 'right').length, 3)
    world.network.heal()
    rest(t, world)
    const versions = new Set(liveTasks(world).map(task => task.version))
    t.equal(versions.size, 1, 'one of them runs, whole')
    const made = [left, right].map(asked => asked.made?.saw.get(WEB)?.revision)
    for (const { machine, name } of world.up) {
      const [conflict, ...others] = machine!.doc.conflicts()
      t.strictSame(new Set([conflict?.kept, conflict?.lost]), new Set(made), name)
      t.equal(others.length, 0)
    }
    t.match(world.story.last(4_000).join('\n'), /conflict \/web was edited twice at once/)
  }
})

t.test('a rolling update goes slot by slot and never serves fewer', async t => {
  const world = settled(t, { seed: 4, nodes: 3 }, version('1'))
  const serving = watch(world, () => served(world))
  const doubles = watch(world, () => liveTasks(world).length)
  const started = new Map<string, number>()
  const healthy = new Map<string, number>()
  const look = world.onStep
  world.onStep = () => {
    look?.()
    for (const { slot, version: at, serves } of liveTasks(world)) {
      if (at !== '2') continue
      if (!started.has(slot)) started.set(slot, world.nowMs)
      if (serves && !healthy.has(slot)) healthy.set(slot, world.nowMs)
    }
  }
  applyNow(world, world.hosts[1]!, version('2', { update: { monitor: '1s' as never } }))
  rest(t, world)
  t.equal(serving.min, 4, 'four slots were served all along')
  t.ok(doubles.max <= 6, 'one new task at a time, beside one that is on its way out')
  t.strictSame([...started.keys()], ['/web.0', '/web.1', '/web.2', '/web.3'], 'in order')
  for (const [lower, next] of [
    [0, 1],
    [1, 2],
    [2, 3],
  ]) {
    const waited = started.get(`/web.${next}`)! - healthy.get(`/web.${lower}`)!
    t.ok(waited >= 990, `slot ${next} waited ${waited} ms for the one before it`)
  }
})

t.test('a bad revision stops at its first slot, and the old one goes on', async t => {
  const world = settled(t, { seed: 5, nodes: 3 }, version('1'))
  world.rules.isHealthy = (_host, _task, spec) => spec.env['VERSION'] !== 'bad'
  const serving = watch(world, () => served(world))
  const bad = new Set<string>()
  const look = world.onStep
  world.onStep = () => {
    look?.()
    for (const task of liveTasks(world)) if (task.version === 'bad') bad.add(task.slot)
  }
  applyNow(world, world.hosts[0]!, version('bad'))
  world.run(60_000)
  t.equal(serving.min, 4, 'four slots were served all along')
  t.strictSame([...bad], ['/web.0'], 'no second slot went')
  applyNow(world, world.hosts[2]!, version('3'))
  rest(t, world)
  t.ok(liveTasks(world).every(task => task.version === '3'))
})

/** The app of {@link version}, with a health check that only a revision's word tells from another. */
const checkedBy = (command: string, order: 'start-first' | 'stop-first'): AppSpec =>
  version('1', {
    health: [{ kind: 'command', command, interval: '1s' as never, grace: '5s' as never }],
    update: { order },
  })

/** Thirty small tasks, of revisions that differ in nothing that a task or its checks could notice. */
const watchedFor = (monitor: string): AppSpec =>
  version('1', {
    instances: 30,
    resources: { memMb: 16, cpus: 0.01 },
    update: { monitor: monitor as never },
  })

/** The command of an app's only health check. */
const commandOf = ({ health: [check] }: AppSpec): unknown =>
  check?.kind === 'command' ? check.command : undefined

/** Four slots whose check only takes them out of answers. */
const readyBy = (command: string): AppSpec =>
  version('1', {
    health: [
      { kind: 'command', command, interval: '1s' as never, grace: '1s' as never, maxFailures: 0 },
    ],
  })

/** One slot, replaced when its check fails. */
const oneBy = (command: string): AppSpec =>
  version('1', {
    instances: 1,
    health: [{ kind: 'command', command, interval: '1s' as never, grace: '1s' as never }],
  })

t.test('that all old checks fail for a moment does not make wrong new ones right', async t => {
  const world = settled(t, { seed: 5, nodes: 3 }, readyBy('check'))
  const before = ids(world)
  let isDown = false
  world.rules.isHealthy = (_host, _task, spec) => !isDown && commandOf(spec) !== 'wrong'
  applyNow(world, world.hosts[1]!, readyBy('wrong'))
  world.run(20_000)
  isDown = true
  world.run(5_000)
  t.equal(served(world), 0)
  isDown = false
  world.run(5_000)
  t.equal(served(world), 4, 'all serve again')
  t.ok(
    before.every(id => ids(world).includes(id)),
    'by the tasks of before',
  )
})

t.test('a trial that passes late keeps its task, though later tries were refused', async t => {
  const world = settled(t, { seed: 5, nodes: 1 }, oneBy('check'))
  const host = hostOfSlot(world, '/web.0')
  const before = ids(world)
  let isUp = false
  world.rules.isHealthy = (_host, _task, spec) => isUp || commandOf(spec) !== 'late'
  applyNow(world, world.hosts[0]!, oneBy('late'))
  const tookMs = world.run(
    120_000,
    () => (host.machine!.book.get(host.node)?.refusals.length ?? 0) > 0,
  )
  t.ok(tookMs < 120_000, 'its node refuses what it could not start')
  const serving = watch(world, () => served(world))
  isUp = true
  world.run(20_000)
  t.equal(serving.min, 1, 'it serves all along')
  t.strictSame(ids(world), before, 'by the task of before')
  rest(t, world)
})

t.test('probes that are on their way while the revision changes count', async t => {
  const world = settled(t, { seed: 6, nodes: 3 }, watchedFor('500ms'))
  for (let edit = 0; edit < 40; edit++) {
    applyNow(world, world.hosts[0]!, watchedFor(`${600 + edit}ms`))
    world.run(37)
  }
  world.run(2_000)
  world.rules.isHealthy = () => false
  t.equal(served(world), 30)
  world.run(5_000, () => served(world) === 0)
  t.equal(served(world), 0, 'every task is still probed')
})

for (const order of ['start-first', 'stop-first'] as const) {
  t.test(`other health checks go over to tasks that pass them: ${order}`, async t => {
    const world = settled(t, { seed: 5, nodes: 3 }, checkedBy('check', order))
    const before = liveTasks(world).map(({ id }) => id)
    const serving = watch(world, () => served(world))
    applyNow(world, world.hosts[1]!, checkedBy('another', order))
    rest(t, world)
    t.equal(serving.min, 4, 'four slots were served all along')
    t.strictSame(
      liveTasks(world).map(({ id }) => id),
      before,
      'by the very same tasks',
    )
    const wanted = world.hosts[0]!.machine!.doc.read().apps.get('/web' as AppId)!.revision
    const tasks = world.hosts.flatMap(({ machine, node }) => machine!.book.get(node)?.tasks ?? [])
    t.ok(
      tasks.every(({ revision }) => revision === wanted),
      'which are of the new revision',
    )
  })

  t.test(`health checks that are wrong stop at their first slot: ${order}`, async t => {
    const world = settled(t, { seed: 5, nodes: 3 }, checkedBy('check', order))
    const spared = order === 'start-first' ? 4 : 3
    world.rules.isHealthy = (_host, _task, { health: [check] }) =>
      check?.kind !== 'command' || check.command !== 'wrong'
    const serving = watch(world, () => served(world))
    applyNow(world, world.hosts[1]!, checkedBy('wrong', order))
    world.run(40_000)
    t.ok(serving.min >= spared, `${serving.min} of four slots were served all along`)
    const told = world.hosts.flatMap(({ machine, node }) => machine!.book.get(node)!.tasks)
    t.ok(
      told.some(({ message }) => message.includes("the new revision's health checks fail")),
      'the tasks say so',
    )
    for (const host of world.hosts) {
      host.crash()
      world.restart(host)
    }
    world.run(40_000)
    t.ok(served(world) >= spared, 'and after new starts of all daemons')
    applyNow(world, world.hosts[2]!, checkedBy('check', order))
    rest(t, world)
    const after = world.hosts.flatMap(({ machine, node }) => machine!.book.get(node)!.tasks)
    t.ok(
      after.every(({ state, message }) => state !== 'running' || message === ''),
      'and with the old checks again they have nothing to say',
    )
  })
}

t.test(
  'what keeps failing on one machine waits longer each time, and then goes elsewhere',
  async t => {
    const world = settled(t, { seed: 6, nodes: 3 }, appOf('/job', { instances: 1 }))
    const host = hostOfSlot(world, '/job.0')
    const startsMs: number[] = []
    world.rules.behaviour = where => {
      if (where !== host) return { startMs: 100 }
      startsMs.push(world.nowMs)
      return { startMs: 50, exitAfterMs: 150, exitCode: 1 }
    }
    for (const task of host.tasks.live.keys()) host.tasks.crash(task, 1)
    world.run(30_000, () => served(world) === 1 && hostOfSlot(world, '/job.0') !== host)
    t.not(hostOfSlot(world, '/job.0'), host, 'another node runs it')
    t.equal(startsMs.length, 4, 'it was tried four times more before the node refused it')
    const pauses = startsMs.slice(1).map((atMs, index) => atMs - startsMs[index]!)
    t.ok(
      pauses.every((pause, index) => index === 0 || pause > pauses[index - 1]!),
      `each pause is longer: ${pauses.join(', ')}`,
    )
    rest(t, world)
  },
)

t.test('what every machine refuses is still tried, and runs once it can', async t => {
  const world = settled(t, { seed: 7, nodes: 3 }, appOf('/other'))
  let tries = 0
  let isBroken = true
  world.rules.behaviour = () => {
    tries++
    const failure = { code: 'failed', message: 'no', temporary: true } as const
    return { startMs: 50, ...(isBroken && { failure }) }
  }
  applyNow(world, world.hosts[0]!, appOf('/job', { instances: 1 }))
  world.run(60_000)
  const soFar = tries
  world.run(30_000)
  t.ok(tries > soFar, `after ${soFar} tries it is still tried`)
  isBroken = false
  rest(t, world)
  t.equal(served(world), 2)
})

t.test('a stop-first app never runs twice, whatever moves it', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const once = { update: { order: 'stop-first' } } as const
    const world = settled(t, { seed, nodes: 4 }, version('1', once))
    const doubles = watch(world, () => mostPerSlot(world))
    applyNow(world, world.hosts[0]!, version('2', once))
    rest(t, world)
    const lost = hostOfSlot(world, '/web.1')
    lost.powerOff()
    world.run(8_000)
    rest(t, world)
    world.restart(lost)
    rest(t, world)
    const daemon = hostOfSlot(world, '/web.2')
    daemon.terminate()
    world.run(3_000)
    world.restart(daemon)
    rest(t, world)
    world.join(world.hosts[0]!)
    world.run(1_000)
    rest(t, world)
    t.equal(doubles.max, 1)
  }
})

t.test('two full machines that swap their tasks do not wait for each other for ever', async t => {
  const full = { cpus: 4, memMb: 1000, diskMb: 0, gpus: 0 }
  const options = { seed: 8, nodes: 2, host: () => ({ capacity: full }) }
  const world = settled(t, options, appOf('/a', on('z0')), appOf('/b', on('z1')))
  applyNow(world, world.hosts[0]!, appOf('/a', on('z1')), appOf('/b', on('z0')))
  rest(t, world, 20_000)
  t.equal(hostOfSlot(world, '/a.0'), world.hosts[1])
  t.equal(hostOfSlot(world, '/b.0'), world.hosts[0])
})

t.test('a rollout gets the room that its own older tasks hold', async t => {
  const full = { cpus: 4, memMb: 1000, diskMb: 0, gpus: 0 }
  const options = { seed: 9, nodes: 2, host: () => ({ capacity: full }) }
  const two = { instances: 2 } as const
  const world = settled(t, options, version('1', { ...two, resources: { memMb: 600 } }))
  // Both slots go to the machine of the second, where the first has no room beside the old second.
  const zone = hostOfSlot(world, '/web.1').options.labels['zone']!
  const constraints = [{ field: 'zone', operator: 'IS', value: zone } as const]
  applyNow(world, world.hosts[0]!, version('2', { ...two, resources: { memMb: 450 }, constraints }))
  rest(t, world, 25_000)
  t.strictSame(
    liveTasks(world).map(task => task.version),
    ['2', '2'],
  )
})

t.test('scaling starts and stops only what is asked', async t => {
  const world = settled(t, { seed: 10, nodes: 3 }, version('1'))
  const four = ids(world)
  editNow(world, world.hosts[1]!, { kind: 'scale', app: WEB, instances: 7 })
  rest(t, world)
  const seven = ids(world)
  t.equal(seven.length, 7)
  t.ok(
    four.every(id => seven.includes(id)),
    'what ran runs on',
  )
  editNow(world, world.hosts[2]!, { kind: 'scale', app: WEB, instances: 2 })
  rest(t, world)
  t.strictSame(ids(world), seven.slice(0, 2), 'the highest numbers went')
  editNow(world, world.hosts[0]!, { kind: 'remove', app: WEB })
  rest(t, world)
  t.strictSame(ids(world), [])
})

t.test('a stop that an engine refuses is asked for again', async t => {
  const world = settled(t, { seed: 10, nodes: 3 }, version('1'))
  for (const host of world.hosts) host.tasks.stopFailure = 1
  editNow(world, world.hosts[1]!, { kind: 'scale', app: WEB, instances: 1 })
  world.run(3_000)
  t.equal(liveTasks(world).length, 4, 'none has ended')
  for (const host of world.hosts) host.tasks.stopFailure = 0
  rest(t, world)
  t.equal(liveTasks(world).length, 1)
})

t.test('losing the editing machine for good right after its answer loses nothing', async t => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = settled(t, { seed, nodes: 3 }, version('1'))
    world.network.weather = { loss: 0, duplicate: 0.1, delayMs: [1, 200] }
    const editor = world.hosts[seed % 3]!
    const asked = world.edit(editor, { kind: 'apply', specs: [version('2')], message: '' })
    // Looked at after every step, so that the machine is gone before it does anything more.
    world.onStep = () => {
      if (asked.result !== undefined && editor.state !== 'gone') editor.powerOff(true)
    }
    world.run(5_000, () => asked.result !== undefined)
    world.onStep = undefined
    t.match(asked.result, { ok: true, onlyHere: false })
    world.run(8_000)
    world.network.weather = { loss: 0, duplicate: 0, delayMs: [1, 2] }
    rest(t, world)
    t.ok(liveTasks(world).every(task => task.version === '2'))
  }
})

t.test('a node without company says that an edit is only there, and keeps it', async t => {
  const world = settled(t, { seed: 11, nodes: 3 }, version('1'))
  const [lone, ...others] = world.hosts
  for (const host of others) host.powerOff()
  world.run(6_000)
  const asked = applyNow(world, lone!, version('2'))
  t.match(asked.result, { ok: true, onlyHere: true, storedOn: [lone!.node] })
  lone!.powerOff()
  world.run(1_000)
  for (const host of world.hosts) world.restart(host)
  rest(t, world)
  t.ok(liveTasks(world).every(task => task.version === '2'))
})

t.test('a full disk refuses an edit, and takes it back everywhere', async t => {
  const world = settled(t, { seed: 12, nodes: 3 }, version('1'))
  const [host, other] = world.hosts
  const before = ids(world)
  host!.disk.isFull = true
  const asked = applyNow(world, host!, version('2'))
  t.match(asked.result, { ok: false, reason: /no space left/ })
  world.run(10_000)
  t.strictSame(ids(world), before, 'nothing moved')
  const elsewhere = applyNow(world, other!, version('3'))
  t.match(elsewhere.result, { ok: true, onlyHere: false }, 'another node still takes edits')
  host!.disk.isFull = false
  rest(t, world)
  t.ok(liveTasks(world).every(task => task.version === '3'))
  host!.crash()
  world.restart(host!)
  rest(t, world)
})

t.test('edits that come at once through one node are all made, in order', async t => {
  const world = settled(t, { seed: 13, nodes: 3 }, version('0', { instances: 1 }))
  const asked = ['1', '2', '3', '4'].map(at =>
    world.edit(world.hosts[1]!, {
      kind: 'apply',
      specs: [version(at, { instances: 1 })],
      message: '',
    }),
  )
  world.run(5_000, () => asked.every(({ result }) => result !== undefined))
  for (const { result } of asked) t.match(result, { ok: true, onlyHere: false })
  rest(t, world)
  t.strictSame(
    liveTasks(world).map(task => task.version),
    ['4'],
  )
})

t.test('a machine that is to leave hands its tasks over before it answers', async t => {
  const world = settled(t, { seed: 14, nodes: 4 }, version('1', { instances: 8 }))
  const leaver = hostOfSlot(world, '/web.0')
  const serving = watch(world, () => served(world))
  const asked = world.ledger.ask(leaver, { kind: 'expel', node: leaver.node })
  leaver.take({ kind: 'leave-asked', request: asked.request })
  world.run(30_000, () => asked.result !== undefined)
  t.match(asked.result, { ok: true })
  t.equal(leaver.tasks.live.size, 0, 'nothing runs there any more')
  t.equal(serving.min, 8, 'all slots were served all along')
  leaver.terminate()
  world.run(10_000)
  rest(t, world)
  t.equal(liveTasks(world).length, 8)
})

t.test('a daemon that starts counts what every engine runs before it starts anything', async t => {
  const full = { cpus: 4, memMb: 1000, diskMb: 0, gpus: 0 }
  for (let seed = 1; seed <= 12; seed++) {
    const image = appOf('/image', { command: undefined, image: 'i:1', resources: { memMb: 700 } })
    const options = { seed, nodes: 2, host: () => ({ capacity: full }) }
    const world = settled(t, options, image)
    const host = hostOfSlot(world, '/image.0')
    host.crash()
    world.run(300)
    const other = world.up[0]!
    editNow(world, other, { kind: 'remove', app: image.id })
    applyNow(world, other, appOf('/plain', { instances: 2, resources: { memMb: 600 } }))
    world.restart(host)
    rest(t, world)
  }
})

t.test('a found task of a forgotten revision goes before anything starts beside it', async t => {
  const full = { cpus: 4, memMb: 1000, diskMb: 0, gpus: 0 }
  for (let seed = 1; seed <= 6; seed++) {
    const large = appOf('/job', { instances: 2, resources: { memMb: 700 } })
    const world = settled(t, { seed, nodes: 2, host: () => ({ capacity: full }) }, large)
    const host = hostOfSlot(world, '/job.0')
    host.crash()
    const other = world.hosts.find(one => one !== host)!
    // So many revisions, small ones of the other engine, that the one that runs is remembered no more.
    for (let at = 0; at < 12; at++) {
      const fields = { command: undefined, image: 'i:1', resources: { memMb: 64 } }
      applyNow(world, other, appOf('/job', { ...fields, env: { VERSION: String(at) } }))
    }
    applyNow(world, other, appOf('/plain', { instances: 2, resources: { memMb: 600 } }))
    world.restart(host)
    rest(t, world)
  }
})

t.test(
  'the slots of a machine that is shut down for good start elsewhere, however late timers fire',
  async t => {
    for (let seed = 41; seed <= 45; seed++) {
      const world = settled(t, { seed, nodes: 3 }, version('1'))
      const gone = hostOfSlot(world, '/web.0')
      gone.terminate()
      world.run(3_000, () => gone.state !== 'up')
      gone.powerOff(true)
      world.run(LEAVE_GRACE_MS + 5_000, () => served(world) === 4)
      t.equal(served(world), 4, `seed ${seed}: every slot is served by those that stay`)
    }
  },
)
