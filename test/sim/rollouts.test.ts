import t, { type Test } from 'tap'
import type { AppInput, AppSpec } from '../../src/model/app.ts'
import type { Duration } from '../../src/model/duration.ts'
import type { AppId } from '../../src/model/ids.ts'
import { appOf } from './apps.ts'
import { RolloutWatch } from './rollout-watch.ts'
import { runRollouts } from './rollouts.ts'
import { applyNow, liveTasks, rest, served, watch as follow } from './scene.ts'
import { World } from './world.ts'

// Replay one failure with SEED=123; search for new ones with SEEDS=10000.
const only = process.env['SEED']
const first = Number(only ?? 1)
const count = only === undefined ? Number(process.env['SEEDS'] ?? 100) : 1
const GROUP = 20

for (let group = first; group < first + count; group += GROUP) {
  const last = Math.min(group + GROUP, first + count) - 1
  t.test(
    `a rollout keeps enough running, and not too many (seeds ${group} to ${last})`,
    async t => {
      let most = 0
      for (let seed = group; seed <= last; seed++) {
        const { problems, world, watch } = runRollouts(seed)
        most = Math.max(most, watch.most)
        if (problems.length > 0 || only !== undefined) {
          t.comment(`seed ${seed}: the story of the last events`)
          for (const line of world.story.last(only === undefined ? 80 : 4_000)) t.comment(line)
        }
        t.strictSame(problems, [], `seed ${seed}`)
      }
      t.ok(most > 0 || only !== undefined, `up to ${most} slots were seen on their way at once`)
    },
  )
}

const WEB = '/web' as AppId
const update = (
  order: 'start-first' | 'stop-first',
  parallelism = 1,
  monitor = '500ms',
): Partial<AppInput> => ({ update: { order, parallelism, monitor: monitor as Duration } })
const version = (VERSION: string, more: Partial<AppInput> = {}): AppSpec =>
  appOf(WEB, { instances: 4, env: { VERSION }, ...more })

/** A cluster at rest whose app is watched from now on. What is called `slow` takes its time, what is called `hung` for ever. */
function watched(
  t: Test,
  seed: number,
  spec: AppSpec,
  memMb = 2_048,
): { world: World; watch: RolloutWatch } {
  const capacity = { cpus: 4, memMb, diskMb: 0, gpus: 0 }
  const world = new World({ seed, nodes: 4, host: () => ({ capacity }) })
  const isRoomy = memMb > 8 * spec.resources.memMb
  const watch = new RolloutWatch({ app: WEB, hosts: world.hosts, isRoomy })
  world.rules.behaviour = (_host, launch) => {
    const name = launch.spec.env['VERSION']
    const startMs = name === 'hung' ? 1e9 : name === 'slow' ? 2_000 : 100 + 200 * world.random()
    return { startMs, stopMs: 60 }
  }
  world.rules.isHealthy = (_host, _task, { env }) => env['VERSION'] !== 'sick'
  world.run(5_000)
  world.edit(world.hosts[0]!, { kind: 'apply', specs: [spec], message: '' })
  if (spec.env['VERSION'] === '1') rest(t, world)
  else world.run(5_000)
  world.onStep = () => watch.look(world.nowMs)
  return { world, watch }
}

/** Expects the newest revision everywhere, and that all held on the way there. */
function done(
  t: Test,
  { world, watch }: { world: World; watch: RolloutWatch },
  newest: string,
): void {
  rest(t, world)
  t.strictSame(watch.violations, [])
  t.ok(liveTasks(world).every(task => task.version === newest))
}

t.test('a revision that never came up makes way for the next one at once', async t => {
  for (const bad of ['hung', 'sick']) {
    const scene = watched(
      t,
      1,
      version(bad, {
        instances: 6,
        health: [{ kind: 'command', command: 'check', grace: '60s' as Duration }],
      }),
    )
    const { world } = scene
    t.equal(liveTasks(world).length, 6)
    applyNow(world, world.hosts[1]!, version('2', { instances: 6 }))
    const tookMs = world.run(10_000, () => served(world) === 6)
    t.ok(tookMs < 500, `${bad}: all six slots are served after ${tookMs} ms`)
    done(t, scene, '2')
  }
})

t.test('a rollout that is superseded leaves no task behind', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const scene = watched(t, seed, version('1'))
    const { world } = scene
    const tasks = follow(world, () => liveTasks(world).filter(({ serves }) => !serves).length)
    for (const name of ['hung', 'slow', 'hung', 'slow', 'hung', '3']) {
      applyNow(world, world.hosts[seed % 4]!, version(name, update('start-first', 2)))
      world.run(1_000)
    }
    done(t, scene, '3')
    t.ok(
      tasks.max <= 6,
      `${tasks.max} tasks were on their way in or out: two, those before them, and two old ones that end`,
    )
  }
})

t.test('of two old tasks that both serve one goes when a third revision comes', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const scene = watched(t, seed, version('1'))
    const { world } = scene
    applyNow(world, world.hosts[0]!, version('2', update('start-first', 4, '20s')))
    world.run(4_000)
    t.equal(liveTasks(world).length, 8, 'all four slots are in their monitor window')
    // Other nodes, so that what serves is nowhere where it belongs.
    const constraints = [{ field: 'zone', operator: 'IS', value: 'z1' } as const]
    applyNow(world, world.hosts[1]!, version('3', { constraints, ...update('start-first') }))
    done(t, scene, '3')
  }
})

const ENDS_FIRST = [
  ['a stop-first rollout', update('stop-first'), undefined],
  ['a rollout without room for two', { resources: { memMb: 300 }, ...update('start-first') }, 500],
] as const
for (const [what, more, memMb] of ENDS_FIRST) {
  t.test(`${what} that is superseded ends no more tasks than may be missing`, async t => {
    for (let seed = 1; seed <= 5; seed++) {
      const scene = watched(t, seed, version('1', more), memMb)
      const { world } = scene
      applyNow(world, world.hosts[0]!, version('2', more))
      // The first slots are done, and one in the middle has just gone.
      world.run(10_000, () => served(world) === 4 && hasBoth(world, '1', '2'))
      world.run(10_000, () => served(world) === 3)
      applyNow(world, world.hosts[1]!, version('3', more))
      const serving = follow(world, () => served(world))
      done(t, scene, '3')
      t.ok(serving.min >= 3, `${serving.min} of four were served`)
    }
  })
}

t.test('a stop-first rollout to other nodes goes slot by slot', async t => {
  for (let seed = 1; seed <= 5; seed++) {
    const scene = watched(t, seed, version('1', update('stop-first')))
    const { world } = scene
    const serving = follow(world, () => served(world))
    const constraints = [{ field: 'zone', operator: 'IS', value: 'z1' } as const]
    applyNow(world, world.hosts[0]!, version('2', { constraints, ...update('stop-first') }))
    done(t, scene, '2')
    t.equal(serving.min, 3)
  }
})

t.test('a daemon that restarts amid a bad rollout leaves the old tasks alone', async t => {
  for (const order of ['start-first', 'stop-first'] as const) {
    for (let seed = 1; seed <= 5; seed++) {
      const { world } = watched(t, seed, version('1', update(order)))
      applyNow(world, world.hosts[0]!, version('hung', update(order)))
      world.run(5_000)
      const old = liveTasks(world).filter(task => task.version === '1')
      world.onStep = undefined
      const host = old.at(-1)!.host
      // Its checks take a while to answer, as they may on a machine that has just started.
      let isSilent = true
      const isHealthy = world.rules.isHealthy
      world.rules.isHealthy = (...about) => !(isSilent && about[0] === host) && isHealthy(...about)
      host.crash()
      world.run(300)
      world.restart(host)
      world.run(4_000)
      isSilent = false
      world.run(20_000)
      const ids = new Set(liveTasks(world).map(({ id }) => id))
      t.ok(
        old.every(({ id }) => ids.has(id)),
        `${order}: all that served still runs`,
      )
    }
  }
})

function hasBoth(world: World, one: string, other: string): boolean {
  const versions = new Set(liveTasks(world).map(task => task.version))
  return versions.has(one) && versions.has(other)
}
