import type { AppSpec } from '../../src/model/app.ts'
import type { SlotId } from '../../src/model/ids.ts'
import { placementHash } from '../../src/placement/digest.ts'
import { pick, shuffle } from '../../src/util/random.ts'
import { appOf } from './apps.ts'
import type { SimHost } from './host.ts'
import { World } from './world.ts'

/** What a large cluster goes through. */
export interface ScaleOptions {
  readonly seed: number
  readonly nodes: number
  /** How long it is simulated, its start included, in virtual milliseconds. */
  readonly forMs: number
  /** How many slots run, in apps of twenty; half of the apps are checked every ten seconds. */
  readonly slots: number
  /** How many nodes lose their power, one after the other, and come back later. */
  readonly deaths: number
  readonly edits: number
}

/** What was measured, in virtual milliseconds. */
export interface ScaleResult {
  readonly world: World
  /** From the start of all daemons at once until each has heard of each. */
  readonly formedMs: number
  /** From the edit that asks for the apps until all their slots run. */
  readonly startedMs: number
  /** From the loss of a node's power until all others hold it for dead: one for each death. */
  readonly deadMs: readonly number[]
  /** From a death until each of its slots runs elsewhere. */
  readonly replacedMs: readonly number[]
  /** From an edit until a node has it: one for each node and edit. */
  readonly editMs: readonly number[]
  /** What was wrong, in words: empty when all held. */
  readonly problems: readonly string[]
}

/** Nothing happens in the last part, so that all is at rest in the end. */
const QUIET_MS = 25_000
const APP_SLOTS = 20
/** Longer than anything that is waited for should take. */
const WAIT_MS = 30_000

/** Runs a large cluster of real machines and real liveness over links of 1 to 5 ms: it forms, runs work, is edited, and loses nodes. */
export function runScale(options: ScaleOptions): ScaleResult {
  const { seed, nodes, forMs, slots } = options
  const world = new World({ seed, nodes, turnMs: 5, eventMs: 0.2, syncMs: 200 })
  world.network.weather = { loss: 0, duplicate: 0, delayMs: [1, 5] }
  const run = new ScaleRun(world)
  const formedMs = world.run(WAIT_MS, () => world.hosts.every(host => knowsAll(host, nodes)))
  const apps = Array.from({ length: Math.ceil(slots / APP_SLOTS) }, (_, index) => appNumber(index))
  world.edit(world.hosts[0]!, { kind: 'apply', specs: apps, message: '' })
  const startedMs = world.run(WAIT_MS, () => taskCount(world) === apps.length * APP_SLOTS)
  const eventfulMs = forMs - QUIET_MS - world.nowMs
  for (let at = 0; at < options.edits; at++) {
    world.after(((at + 0.5) * eventfulMs) / options.edits, () => run.edit(apps, APP_SLOTS + 1 + at))
  }
  const victims = shuffle(world.hosts.slice(1), world.random).slice(0, options.deaths)
  for (const [at, victim] of victims.entries()) {
    world.after(((at + 0.3) * eventfulMs) / options.deaths, () => {
      run.lose(victim)
      world.after(eventfulMs / options.deaths / 2, () => world.restart(victim))
    })
  }
  world.run(forMs - world.nowMs)
  const { deadMs, replacedMs, editMs } = run
  return { world, formedMs, startedMs, deadMs, replacedMs, editMs, problems: run.problems() }
}

/** One wait for something that each node comes to hold in its own time. */
interface Wait {
  readonly sinceMs: number
  readonly left: Set<SimHost>
  readonly holds: (host: SimHost) => boolean
  readonly held: (ms: number, isLast: boolean) => void
}

class ScaleRun {
  readonly deadMs: number[] = []
  readonly replacedMs: number[] = []
  readonly editMs: number[] = []
  readonly #world: World
  readonly #waits = new Set<Wait>()
  readonly #missing = new Set<string>()

  constructor(world: World) {
    this.#world = world
    world.onSettled = host => this.#look(host)
  }

  edit(apps: readonly AppSpec[], instances: number): void {
    const { up, random } = this.#world
    const { id: app } = pick(apps, random)!
    this.#world.edit(pick(up, random)!, { kind: 'scale', app, instances })
    this.#wait({
      holds: ({ machine }) => machine!.doc.read().apps.get(app)?.instances === instances,
      held: ms => this.editMs.push(ms),
    })
  }

  lose(victim: SimHost): void {
    const slots = Array.from(victim.tasks.live.values(), ({ slot }) => slot)
    victim.powerOff()
    this.#wait({
      holds: ({ machine }) => machine!.members.verdict(victim.node)?.kind === 'dead',
      held: (ms, isLast) => {
        if (isLast) this.deadMs.push(ms)
      },
    })
    for (const slot of slots) this.#awaitReplacement(slot, this.#world.nowMs)
  }

  /** What was wrong, in words. */
  problems(): string[] {
    const world = this.#world
    const waits = [...this.#waits].map(
      ({ left, sinceMs }) => `${left.size} nodes never heard what happened at ${sinceMs} ms`,
    )
    const missing = [...this.#missing].map(slot => `${slot} did not run again within ${WAIT_MS} ms`)
    return [...world.violations, ...waits, ...missing, ...differences(world)]
  }

  #wait({ holds, held }: Pick<Wait, 'holds' | 'held'>): void {
    this.#waits.add({ sinceMs: this.#world.nowMs, left: new Set(this.#world.up), holds, held })
  }

  #look(host: SimHost): void {
    for (const wait of this.#waits) {
      if (!wait.left.has(host) || !wait.holds(host)) continue
      wait.left.delete(host)
      if (wait.left.size === 0) this.#waits.delete(wait)
      wait.held(this.#world.nowMs - wait.sinceMs, wait.left.size === 0)
    }
  }

  #awaitReplacement(slot: SlotId, lostAtMs: number): void {
    this.#world.after(50, () => {
      const runs = this.#world.hosts.some(({ tasks }) =>
        [...tasks.live.values()].some(launch => launch.slot === slot),
      )
      const ms = this.#world.nowMs - lostAtMs
      if (runs) this.replacedMs.push(ms)
      else if (ms > WAIT_MS) this.#missing.add(slot)
      else this.#awaitReplacement(slot, lostAtMs)
    })
  }
}

function appNumber(index: number): AppSpec {
  const checked = [{ kind: 'command', command: 'check', interval: '10s' as never } as const]
  return appOf(`/app-${index}`, {
    instances: APP_SLOTS,
    resources: { memMb: 64 },
    health: index % 2 === 0 ? checked : [],
  })
}

function knowsAll({ machine, node }: SimHost, nodes: number): boolean {
  const { book, members } = machine!
  const records = book.records()
  return (
    records.length === nodes &&
    records.every(record => record.node === node || members.isAlive(record.node))
  )
}

function taskCount({ hosts }: World): number {
  return hosts.reduce((sum, { tasks }) => sum + tasks.live.size, 0)
}

/** What the nodes of a cluster at rest do not agree on, and what does not run as it should. */
function differences({ up, hosts }: World): string[] {
  const found: string[] = []
  const [first] = up
  const { doc, book, placed } = first!.machine!
  const hash = placementHash(placed.placement)
  for (const { name, machine } of up) {
    if (Buffer.compare(machine!.doc.vector(), doc.vector()) !== 0) {
      found.push(`the documents of ${name} and ${first!.name} differ`)
    }
    if (machine!.book.digest() !== book.digest()) {
      found.push(`${name} and ${first!.name} have different records`)
    }
    if (placementHash(machine!.placed.placement) !== hash) {
      found.push(`${name} and ${first!.name} place differently`)
    }
  }
  const running = new Map<SlotId, string>()
  for (const { name, tasks, node } of hosts) {
    for (const { slot } of tasks.live.values()) {
      if (running.has(slot)) found.push(`${slot} runs on ${running.get(slot)} and on ${name}`)
      if (placed.placement.placed.get(slot) !== node) found.push(`${slot} runs on ${name}`)
      running.set(slot, name)
    }
  }
  for (const slot of placed.placement.placed.keys()) {
    if (!running.has(slot)) found.push(`${slot} does not run`)
  }
  return found
}
