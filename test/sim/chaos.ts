import type { Edit } from '../../src/model/desired.ts'
import type { NodeId } from '../../src/model/ids.ts'
import { createRandom, pick, type Random } from '../../src/util/random.ts'
import { randomApp } from './apps.ts'
import { Faults } from './faults.ts'
import type { SimHost } from './host.ts'
import { CALM } from './network.ts'
import { RolloutWatch } from './rollout-watch.ts'
import { stirs } from './second-pass.ts'
import { World } from './world.ts'

/** What came of one random life of a cluster. */
export interface ChaosResult {
  readonly world: World
  /** What was wrong, in words: empty when all held. */
  readonly problems: readonly string[]
  /** How long after the last fault the cluster was at rest, in virtual milliseconds. */
  readonly settledMs: number
}

/** Nobody needs longer than this to come to rest once faults stop, refusals and back-off apart: a claim of the other side may have to run out first. */
const SETTLE_MS = 60_000

/** With the budget that a small cluster has by default, moves go on for so long. */
const SETTLE_SLOWLY_MS = 600_000

/** Whose daemon was told to end before the faults did is up again by then. */
const LAST_RETURN_MS = 15_000

/** No task that was started during the faults ends by itself later than this. */
const LAST_EXIT_MS = 5_500

/** A refusal stands for a minute, a node that flaps is avoided and one that came back often takes nothing over for five, and slots move after that. */
const HELD_BACK_MS = 320_000

/** A cluster at rest is watched for so long: it must not stir. */
const QUIET_MS = 20_000

/** A cluster of three to seven machines through half a minute of faults and edits, all drawn from the seed; then its repair. */
export function runChaos(seed: number): ChaosResult {
  const random = createRandom(seed * 7 + 1)
  const world = anyWorld(seed, random)
  const faults = new Faults(world, random)
  const edits = new Edits(world, random, faults)
  const isSlow = random() < 0.1
  world.run(2_000)
  if (!isSlow) {
    world.edit(world.hosts[0]!, { kind: 'settings', set: { moveBudgetPerMinute: 1_000 } })
  }
  edits.begin()
  world.run(25_000 + 20_000 * random())
  edits.end()
  faults.end()
  const own = world.up.map(host => () => host.machine?.book.get(host.node))
  const isHeldBack = (): boolean =>
    own.some(told => {
      const { flapping, steady, refusals } = told() ?? {}
      return flapping === true || steady === false || (refusals?.length ?? 0) > 0
    })
  // What a fault began may still end a task by itself.
  world.run(LAST_EXIT_MS)
  // Who stood still when the faults ended says good-bye after that, and comes back as late.
  world.run(LAST_RETURN_MS, () => world.hosts.every(({ state }) => state !== 'stopped'))
  const wasHeldBack = isHeldBack()
  const settleMs = isSlow ? SETTLE_SLOWLY_MS : SETTLE_MS
  const first = world.settle(settleMs - LAST_EXIT_MS)
  let { unrest } = first
  let settledMs = LAST_EXIT_MS + first.tookMs
  if (isHeldBack() || (unrest.length > 0 && wasHeldBack)) {
    world.run(HELD_BACK_MS, () => !isHeldBack())
    const second = world.settle(settleMs)
    unrest = second.unrest
    settledMs += second.tookMs
  }
  const before = world.safety.actions
  const problems = [...world.violations, ...unrest]
  if (unrest.length === 0) {
    world.run(QUIET_MS)
    if (world.safety.actions > before) problems.push('(9) a cluster at rest started or stopped')
    problems.push(...world.ledger.check(world.up))
    problems.push(...world.unanswered())
    problems.push(...stirs(world.up))
    problems.push(...rollOut(world, random, settleMs))
  }
  return { world, problems: [...new Set([...problems, ...world.violations])], settledMs }
}

/** What goes wrong when one of the apps, on what the life has left of the cluster, gets a revision, and another one amid that. */
function rollOut(world: World, random: Random, withinMs: number): string[] {
  const { apps } = world.up[0]!.machine!.doc.read()
  // Slots of a global app go all at once.
  const app = pick(
    [...apps.values()].filter(({ spec }) => spec.mode === 'replicated'),
    random,
  )
  if (app === undefined) return []
  const watch = new RolloutWatch({ app: app.id, hosts: world.up, isRoomy: false })
  world.onStep = () => watch.look(world.nowMs)
  for (const VERSION of ['first', 'second']) {
    const spec = { ...app.spec, env: { ...app.spec.env, VERSION } }
    world.edit(pick(world.up, random)!, { kind: 'apply', specs: [spec], message: '' })
    world.run(3_000 * random())
  }
  const { unrest } = world.settle(withinMs)
  world.onStep = undefined
  return [...watch.violations, ...unrest]
}

/** Three to seven machines, fewer more often, because the cost goes with the square; and what their links and clocks are like. */
function anyWorld(seed: number, random: Random): World {
  const driftMax = random() < 0.5 ? 0.005 : 1e-4
  const world = new World({
    seed,
    nodes: 3 + Math.floor(5 * random() * random()),
    isRelayed: random() < 0.8,
    isEncoded: random() < 0.2,
    host: index => ({
      clockMs: (random() - 0.5) * 2 * 3_600_000,
      drift: (random() - 0.5) * 2 * driftMax,
      hasDocker: index === 0 || random() < 0.7,
      capacity: { cpus: 4, memMb: pick([512, 1024, 2048], random)!, diskMb: 0, gpus: 0 },
    }),
  })
  if (random() < 0.3) spreadOut(world, random)
  return world
}

/** Puts the machines in different places: each link takes its own time, and a few lose something now and then. */
function spreadOut({ hosts, network }: World, random: Random): void {
  for (const one of hosts) {
    for (const other of hosts) {
      if (one === other) continue
      const ms = 30 * random() * random()
      const loss = random() < 0.2 ? 0.05 * random() : 0
      network.setLink(one.link, other.link, { loss, delayMs: [ms, 1.5 * ms + CALM.delayMs[1]] })
    }
  }
}

/** Draws edits and has faults strike, until it is told to end. */
class Edits {
  readonly #world: World
  readonly #random: Random
  readonly #faults: Faults
  #isOver = false
  #version = 0

  constructor(world: World, random: Random, faults: Faults) {
    this.#world = world
    this.#random = random
    this.#faults = faults
    world.rules.behaviour = (_host, { spec }) => ({
      startMs: random() < 0.1 ? 2_000 * random() : 20 + 300 * random(),
      stopMs: random() < 0.1 ? 3_000 : 100 * random(),
      ...(random() < faults.startFailure && {
        failure: {
          code: 'failed',
          message: 'the engine said no',
          temporary: random() < 0.8,
        },
      }),
      ...(!this.#isOver && spec.env['VERSION']?.endsWith('7') && { exitAfterMs: 3_000 * random() }),
    })
    world.rules.isHealthy = host => !faults.isSick(host)
  }

  begin(): void {
    this.#soon(0, () => this.#edit(), 2_500)
    this.#soon(500, () => this.#faults.strike(), 3_000)
  }

  end(): void {
    this.#isOver = true
  }

  #edit(): void {
    const { up } = this.#world
    const host = pick(up, this.#random)
    if (host === undefined) return
    this.#world.edit(host, this.#anyEdit(host))
    // Now and then somebody else edits at the same moment, or the same one twice.
    if (this.#random() < 0.3) {
      const other = pick(up, this.#random)!
      this.#world.edit(other, this.#anyEdit(other))
    }
  }

  #anyEdit({ machine }: SimHost): Edit {
    const { apps, nodes } = machine!.doc.read()
    if (this.#random() < 0.12) return this.#nodeEdit(pick([...nodes.keys()], this.#random)!)
    const app = pick([...apps.keys()], this.#random)
    const dice = this.#random()
    if (app !== undefined && dice < 0.3) {
      return { kind: 'scale', app, instances: Math.floor(this.#random() * 7) }
    }
    if (app !== undefined && dice < 0.4) return { kind: 'remove', app }
    const specs = [randomApp(this.#random, this.#version++)]
    const more = randomApp(this.#random, this.#version++)
    if (dice > 0.9 && more.id !== specs[0]!.id) specs.push(more)
    return { kind: 'apply', specs, message: '' }
  }

  #nodeEdit(node: NodeId): Edit {
    const dice = this.#random()
    if (dice < 0.3)
      return { kind: 'label', node, set: { zone: `z${dice < 0.15 ? 0 : 1}` }, unset: [] }
    if (dice < 0.4) return { kind: 'label', node, set: {}, unset: ['zone'] }
    const mode = dice < 0.6 ? 'cordoned' : dice < 0.75 ? 'drained' : 'active'
    return { kind: 'mode', node, mode }
  }

  #soon(ms: number, act: () => void, meanMs: number): void {
    this.#world.after(ms, () => {
      if (this.#isOver) return
      act()
      this.#soon(meanMs * (0.2 + 1.6 * this.#random()), act, meanMs)
    })
  }
}
