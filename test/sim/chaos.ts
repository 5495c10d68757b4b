import type { Edit } from '../../src/model/desired.ts'
import type { NodeId } from '../../src/model/ids.ts'
import { pick, shuffle } from '../../src/util/random.ts'
import { createRandom, type Random } from '../../src/util/random.ts'
import { randomApp } from './apps.ts'
import type { SimHost } from './host.ts'
import { CALM } from './network.ts'
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

/** No task that was started during the faults ends by itself later than this. */
const LAST_EXIT_MS = 5_500

/** A refusal stands for a minute, a node that flaps is avoided for five, and slots move back after that. */
const AVOIDED_MS = 320_000

/** A cluster at rest is watched for so long: it must not stir. */
const QUIET_MS = 20_000

/** A cluster of three to seven machines through half a minute of faults and edits, all drawn from the seed; then its repair. */
export function runChaos(seed: number): ChaosResult {
  const random = createRandom(seed * 7 + 1)
  const world = new World({
    seed,
    // Three to seven; fewer more often, because the cost goes with the square.
    nodes: 3 + Math.floor(5 * random() * random()),
    host: index => ({
      clockMs: (random() - 0.5) * 2 * 3_600_000,
      drift: (random() - 0.5) * 2e-4,
      hasDocker: index === 0 || random() < 0.7,
      capacity: { cpus: 4, memMb: pick([512, 1024, 2048], random)!, diskMb: 0, gpus: 0 },
    }),
  })
  const chaos = new Chaos(world, random)
  const isSlow = random() < 0.1
  world.run(2_000)
  if (!isSlow) {
    world.edit(world.hosts[0]!, { kind: 'settings', set: { moveBudgetPerMinute: 1_000 } })
  }
  chaos.begin()
  world.run(25_000 + 20_000 * random())
  chaos.end()
  const own = world.up.map(host => () => host.machine?.book.get(host.node))
  const isAvoided = (): boolean =>
    own.some(record => record()?.flapping === true || (record()?.refusals.length ?? 0) > 0)
  // What a fault began may still end a task by itself.
  world.run(LAST_EXIT_MS)
  const settleMs = isSlow ? SETTLE_SLOWLY_MS : SETTLE_MS
  const first = world.settle(settleMs - LAST_EXIT_MS)
  let { unrest } = first
  let settledMs = LAST_EXIT_MS + first.tookMs
  if (isAvoided()) {
    world.run(AVOIDED_MS, () => !isAvoided())
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
  }
  return { world, problems: [...new Set([...problems, ...world.violations])], settledMs }
}

/** Draws faults and edits, one after another, until it is told to end. */
class Chaos {
  readonly #world: World
  readonly #random: Random
  #isOver = false
  #version = 0
  /** Chance that a start fails, while there are faults. */
  #startFailure = 0
  readonly #sick = new Set<SimHost>()

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
    world.rules.behaviour = (_host, { spec }) => ({
      startMs: random() < 0.1 ? 2_000 * random() : 20 + 300 * random(),
      stopMs: random() < 0.1 ? 3_000 : 100 * random(),
      ...(random() < this.#startFailure && {
        failure: {
          code: 'failed',
          message: 'the engine said no',
          temporary: random() < 0.8,
        },
      }),
      ...(!this.#isOver && spec.env['VERSION']?.endsWith('7') && { exitAfterMs: 3_000 * random() }),
    })
    world.rules.isHealthy = host => !this.#sick.has(host)
  }

  begin(): void {
    this.#soon(0, () => this.#edit(), 2_500)
    this.#soon(500, () => this.#fault(), 3_000)
  }

  /** Takes back every fault; only what was destroyed stays so. */
  end(): void {
    const world = this.#world
    this.#isOver = true
    this.#startFailure = 0
    this.#sick.clear()
    world.story.add(world.nowMs, 'world', '== all faults end')
    world.network.heal()
    world.network.weather = CALM
    for (const host of world.hosts) {
      host.disk.isFull = false
      host.tasks.stopFailure = 0
      if (host.state === 'stopped' || host.state === 'off') world.restart(host)
    }
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

  #fault(): void {
    const world = this.#world
    const random = this.#random
    const victim = pick(world.up, random)
    const dice = random()
    if (victim === undefined) return
    if (dice < 0.16) {
      victim.crash()
      this.#restartAfter(victim, pick([200, 2_000, 12_000], random)!)
    } else if (dice < 0.26) {
      victim.powerOff()
      this.#restartAfter(victim, 1_000 + 15_000 * random())
    } else if (dice < 0.32) {
      victim.terminate()
      this.#restartAfter(victim, 1_000 + 12_000 * random())
    } else if (dice < 0.48) this.#split()
    else if (dice < 0.56) this.#oneWay(victim)
    else if (dice < 0.68) this.#storm()
    else if (dice < 0.74) {
      victim.disk.isFull = true
      this.#note(victim, 'the disk is full')
      world.after(6_000 * random(), () => (victim.disk.isFull = false))
    } else if (dice < 0.8) {
      this.#startFailure = 0.5
      world.after(8_000 * random(), () => (this.#startFailure = 0))
    } else if (dice < 0.87) {
      this.#sick.add(victim)
      this.#note(victim, 'its tasks answer no checks')
      world.after(8_000 * random(), () => void this.#sick.delete(victim))
    } else if (dice < 0.91) {
      victim.tasks.stopFailure = 0.5
      world.after(8_000 * random(), () => (victim.tasks.stopFailure = 0))
    } else if (dice < 0.96) {
      const task = pick([...victim.tasks.live.keys()], random)
      if (task !== undefined) victim.tasks.crash(task, 1)
    } else if (world.hosts.filter(({ state }) => state === 'gone').length === 0) {
      victim.powerOff(true)
    } else if (world.hosts.length < 9) world.join(victim)
  }

  #split(): void {
    const nodes = shuffle(
      this.#world.hosts.map(({ node }) => node),
      this.#random,
    )
    const at = 1 + Math.floor(this.#random() * (nodes.length - 1))
    this.#world.network.split(nodes.slice(0, at), nodes.slice(at))
    const names = nodes.map(node => this.#world.hostOf(node)?.name)
    this.#world.story.add(
      this.#world.nowMs,
      'world',
      `== split: ${names.slice(0, at).join()} from ${names.slice(at).join()}`,
    )
    this.#healAfter(12_000)
  }

  #oneWay(from: SimHost): void {
    const to = pick(this.#world.hosts, this.#random)!
    if (to === from) return
    this.#world.network.cut(from.node, to.node)
    this.#note(from, `nothing passes from here to ${to.name}`)
    this.#healAfter(10_000)
  }

  #storm(): void {
    const slow = this.#random() < 0.3
    this.#world.network.weather = {
      loss: 0.3 * this.#random(),
      duplicate: 0.2 * this.#random(),
      delayMs: slow ? [20, 400] : [0.5, 40],
    }
    this.#world.story.add(this.#world.nowMs, 'world', '== a storm begins')
    this.#world.after(8_000 * this.#random(), () => (this.#world.network.weather = CALM))
  }

  #healAfter(mostMs: number): void {
    this.#world.after(mostMs * this.#random(), () => {
      this.#world.network.heal()
      this.#world.story.add(this.#world.nowMs, 'world', '== links heal')
    })
  }

  #restartAfter(host: SimHost, ms: number): void {
    this.#world.after(ms, () => {
      if (host.state === 'stopped' || host.state === 'off') this.#world.restart(host)
    })
  }

  #note({ name }: SimHost, text: string): void {
    this.#world.story.add(this.#world.nowMs, name, `== ${text}`)
  }

  #soon(ms: number, act: () => void, meanMs: number): void {
    this.#world.after(ms, () => {
      if (this.#isOver) return
      act()
      this.#soon(meanMs * (0.2 + 1.6 * this.#random()), act, meanMs)
    })
  }
}
