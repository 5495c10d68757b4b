import type { AppInput, AppSpec } from '../../src/model/app.ts'
import type { Duration } from '../../src/model/duration.ts'
import type { Edit } from '../../src/model/desired.ts'
import { slotSuffix, type AppId, type SlotId, type TaskId } from '../../src/model/ids.ts'
import { isServing } from '../../src/model/task.ts'
import { createRandom, pick, type Random } from '../../src/util/random.ts'
import type { FakeBehaviour } from '../../src/runtime/fake-engine.ts'
import { appOf } from './apps.ts'
import { RolloutWatch } from './rollout-watch.ts'
import { World } from './world.ts'

/** What came of one random life of an app. */
export interface RolloutResult {
  readonly world: World
  /** What was wrong, in words: empty when all held. */
  readonly problems: readonly string[]
  readonly watch: RolloutWatch
}

const WEB = '/web' as AppId

/** Most slots of the app, and most memory of each. */
const INSTANCES_MAX = 7
const MEM_MB_MAX = 160

/** A refusal stands for a minute; then its slot moves, and what backs off has had its turn. */
const SETTLE_MS = 150_000

/** All nodes have heard of an edit, and of what came of it, after so long. */
const HEARD_MS = 100

/** A bad revision is left alone for so long: it must stay where it stopped. */
const STUCK_MS = 45_000

const no = (temporary: boolean): FakeBehaviour => ({
  failure: { code: 'failed', message: 'the engine said no', temporary },
})

/** How a revision fares: what its tasks do, by the kind that it says in its environment. */
const FATES = {
  good: () => ({}),
  slow: random => ({ startMs: 1_000 + 3_000 * random() }),
  /** Its checks pass after a while only. */
  warm: () => ({}),
  broken: () => no(true),
  refused: () => no(false),
  crashing: random => ({ exitAfterMs: 500 + 200 * random(), exitCode: 1 }),
  dying: random => ({ exitAfterMs: 500 + 4_000 * random(), exitCode: 1 }),
  /** Its checks never pass. */
  sick: () => ({}),
  /** Its checks pass for a while. */
  fading: () => ({}),
  hung: () => ({ startMs: 1e9 }),
  /** No node may run it. */
  homeless: () => ({}),
} satisfies Record<string, (random: Random) => FakeBehaviour>
type Kind = keyof typeof FATES
const KINDS = Object.keys(FATES) as readonly Kind[]

/** Between which ages the checks of a task pass. */
const WELL_MS: Partial<Record<Kind, readonly [from: number, until: number]>> = {
  warm: [1_500, Infinity],
  sick: [Infinity, Infinity],
  fading: [0, 3_000],
}

/** They come up and stay. */
const SOUND: readonly Kind[] = ['good', 'good', 'slow', 'warm']

/** They never serve anybody. */
const HOPELESS: readonly Kind[] = ['broken', 'refused', 'sick', 'hung', 'homeless']

/** Three to six machines, one app, and a dozen edits of it, all drawn from the seed; no fault but those of the revisions themselves. */
export function runRollouts(seed: number): RolloutResult {
  const random = createRandom(seed * 11 + 5)
  const isRoomy = random() < 0.7
  const nodes = 3 + Math.floor(4 * random() * random())
  // Just enough for all slots, be it without the nodes of one zone.
  const tightMb = MEM_MB_MAX * Math.ceil(INSTANCES_MAX / (nodes - Math.ceil(nodes / 3))) + 20
  const world = new World({
    seed,
    nodes,
    host: () => ({
      clockMs: (random() - 0.5) * 2 * 3_600_000,
      drift: (random() - 0.5) * 2e-4,
      capacity: { cpus: 64, memMb: isRoomy ? 64_000 : tightMb, diskMb: 0, gpus: 0 },
    }),
  })
  const app = new RandomApp(random, world)
  const watch = new RolloutWatch({ app: WEB, hosts: world.hosts, isRoomy })
  world.run(12_000)
  world.onStep = () => watch.look(world.nowMs)
  if (random() < 0.8) {
    world.edit(world.hosts[0]!, { kind: 'settings', set: { moveBudgetPerMinute: 1_000 } })
  }
  app.apply(pick(SOUND, random)!)
  world.run(random() < 0.8 ? 15_000 : 3_000 * random())
  const edits = 2 + Math.floor(7 * random())
  for (let count = 0; count < edits; count++) {
    app.edit()
    world.run(random() < 0.5 ? 2_500 * random() : 12_000 * random())
  }
  // Of two edits at once either may be the one that counts.
  world.run(1_000)
  const lost: string[] = []
  if (random() < 0.4) {
    const { update, instances } = app.apply(pick(HOPELESS, random)!)
    // Who has not heard of it yet may hand a slot over at that very moment, to one who has.
    world.run(HEARD_MS)
    const before = soundSlots(world)
    world.run(STUCK_MS)
    const after = servedSlots(world)
    const mayTake = isRoomy && update.order === 'start-first' ? 0 : update.parallelism
    const taken = [...before].filter(
      slot => !after.has(slot) && Number(slotSuffix(slot)) < instances,
    )
    if (taken.length > mayTake) lost.push(`a hopeless revision took ${taken.join(', ')} away`)
  }
  app.apply(pick(SOUND, random)!)
  const { unrest } = world.settle(SETTLE_MS)
  const problems = [...watch.violations, ...world.violations, ...lost, ...unrest]
  problems.push(...world.ledger.check(world.up), ...world.unanswered())
  return { world, problems: [...new Set(problems)], watch }
}

/** The slots that are served by what comes up and stays, and by nothing else. */
function soundSlots({ hosts }: World): Set<SlotId> {
  const sound = new Set<SlotId>()
  const other = new Set<SlotId>()
  for (const { machine, node, tasks } of hosts) {
    for (const task of machine!.book.get(node)?.tasks ?? []) {
      const spec = tasks.live.get(task.id)?.spec
      if (spec === undefined || !isServing(task)) continue
      if (SOUND.includes(kindOf(spec))) sound.add(task.slot)
      else other.add(task.slot)
    }
  }
  for (const slot of other) sound.delete(slot)
  return sound
}

function servedSlots({ hosts }: World): Set<SlotId> {
  const tasks = hosts.flatMap(({ machine, node }) => machine!.book.get(node)?.tasks ?? [])
  return new Set(tasks.filter(isServing).map(({ slot }) => slot))
}

/** One app and its random revisions. */
class RandomApp {
  readonly #random: Random
  readonly #world: World
  readonly #made: AppSpec[] = []
  readonly #startedAtMs = new Map<TaskId, number>()
  #version = 0

  constructor(random: Random, world: World) {
    this.#random = random
    this.#world = world
    world.rules.behaviour = (_host, { task, spec }) => {
      this.#startedAtMs.set(task, world.nowMs)
      return {
        startMs: 20 + 400 * random(),
        stopMs: random() < 0.1 ? 3_000 : 50 + 100 * random(),
        ...FATES[kindOf(spec)](random),
      }
    }
    world.rules.isHealthy = (_host, task, spec) => {
      const [check] = spec.health
      if (check?.kind === 'command' && check.command === 'wrong') return false
      const ageMs = world.nowMs - this.#startedAtMs.get(task)!
      const [fromMs, untilMs] = WELL_MS[kindOf(spec)] ?? [0, Infinity]
      return ageMs >= fromMs && ageMs < untilMs
    }
  }

  /** A new revision, the one of before, the same work in other words or with other checks, or another number of instances; now and then two at once. */
  edit(): void {
    const random = this.#random
    const dice = random()
    if (dice < 0.15) {
      this.#edit({ kind: 'scale', app: WEB, instances: 1 + Math.floor(INSTANCES_MAX * random()) })
    } else if (dice < 0.3) {
      this.#applySpec(pick(this.#made, random)!)
    } else if (dice < 0.4) {
      const last = this.#made.at(-1)!
      this.#applySpec({
        ...last,
        instances: 1 + Math.floor(INSTANCES_MAX * random()),
        update: this.#update(),
      })
    } else if (dice < 0.48) {
      const last = this.#made.at(-1)!
      const command = pick(['check', 'another', 'wrong'], random)!
      this.#applySpec({
        ...last,
        health: random() < 0.2 ? [] : [checkOf(command)],
        update: this.#update(),
      })
    } else {
      this.apply(random() < 0.4 ? pick(SOUND, random)! : pick(KINDS, random)!)
      if (random() < 0.1) this.apply(pick(KINDS, random)!)
    }
  }

  apply(kind: Kind): AppSpec {
    const random = this.#random
    const hasChecks = random() < 0.7 || kind === 'warm' || kind === 'sick' || kind === 'fading'
    const before = this.#made.at(-1)
    const spec = appOf(WEB, {
      env: { VERSION: String(++this.#version), KIND: kind },
      instances:
        before === undefined || random() < 0.2
          ? 1 + Math.floor(INSTANCES_MAX * random())
          : before.instances,
      resources: { memMb: MEM_MB_MAX - 32 * Math.floor(4 * random()), cpus: 0.1 },
      ports: random() < 0.5 ? [{ port: 0 }] : [],
      health: hasChecks ? [checkOf('check')] : [],
      constraints: random() < 0.15 ? [{ field: 'zone', operator: 'UNLIKE', value: 'z0' }] : [],
      ...(kind === 'homeless' && { constraints: [{ field: 'zone', operator: 'IS', value: 'z9' }] }),
      placement: random() < 0.2 ? 'sticky' : 'hash',
      update: this.#update(),
    })
    this.#applySpec(spec)
    return spec
  }

  #update(): AppInput['update'] & AppSpec['update'] {
    const random = this.#random
    return {
      order: random() < 0.7 ? 'start-first' : 'stop-first',
      parallelism: 1 + Math.floor(3 * random() * random()),
      monitor: pick(['100ms', '500ms', '2s'], random)! as Duration,
    }
  }

  #applySpec(spec: AppSpec): void {
    this.#made.push(spec)
    const { story, nowMs } = this.#world
    story.add(
      nowMs,
      'world',
      `== ${spec.env['KIND']} ${spec.update.order} by ${spec.update.parallelism}, ${spec.health.length} checks, monitor ${spec.update.monitor}`,
    )
    this.#edit({ kind: 'apply', specs: [spec], message: '' })
  }

  #edit(edit: Edit): void {
    this.#world.edit(pick(this.#world.hosts, this.#random)!, edit)
    // Its node acts at once, and the next edit may come before any other step.
    this.#world.onStep?.()
  }
}

function checkOf(command: string): AppSpec['health'][number] {
  const [check] = appOf(WEB, {
    health: [{ kind: 'command', command, interval: '500ms' as Duration, grace: '2s' as Duration }],
  }).health
  return check!
}

function kindOf(spec: AppSpec): Kind {
  return spec.env['KIND'] as Kind
}
