import { fixedPortsOf, needsClaim, runtimeOf, type AppSpec } from '../../src/model/app.ts'
import { appOfSlot, type TaskId } from '../../src/model/ids.ts'
import type { NodeRecord } from '../../src/model/node-record.ts'
import type { Effect, NodeEvent } from '../../src/node/machine/events.ts'
import { staticRefusal } from '../../src/placement/constraint.ts'
import { inputsHash, placementHash } from '../../src/placement/digest.ts'
import type { Placement } from '../../src/placement/input.ts'
import { Answers } from './answers.ts'
import { Extras } from './extras.ts'
import type { SimHost } from './host.ts'
import { Moves } from './moves.ts'
import type { Network } from './network.ts'
import { SoleTasks } from './sole-tasks.ts'

/** More events than this in a second of one machine, and it goes round in circles. */
const EVENTS_PER_SECOND_MAX = 3_000

/** Checks, while a simulation runs, what must hold at every moment. Numbers are those of the design's invariants. */
export class Safety {
  /** What was wrong, in the order in which it came to light. */
  readonly violations: string[] = []
  /** Starts and stops that were asked for so far. */
  actions = 0
  readonly sole = new SoleTasks(text => this.#fail(5, text))
  readonly moves = new Moves(text => this.#fail(4, text))
  readonly #answers = new Answers(text => this.#fail(8, text))
  readonly #extras = new Extras(text => this.#fail(5, text))
  readonly #placements = new Map<string, string>()
  readonly #seen = new WeakMap<SimHost, Placement>()
  /** By the host's own clock, as tasks have their times. */
  readonly #placedAtMs = new WeakMap<SimHost, number>()
  readonly #told = new WeakMap<SimHost, NodeRecord>()
  readonly #started = new Map<SimHost, Set<TaskId>>()
  readonly #asked = new Map<string, Set<TaskId>>()
  readonly #doubted = new Set<TaskId>()
  /** Machines that found that another one has their key, and stop what they started. */
  readonly #halted = new WeakSet<SimHost>()

  handled(
    host: SimHost,
    event: NodeEvent | 'settled',
    effects: readonly Effect[],
    nowMs: number,
    hosts: readonly SimHost[],
  ): void {
    if (event !== 'settled') this.#checkRate(host, event, nowMs)
    this.sole.look(nowMs)
    // Only what is settled places, and tells.
    if (event === 'settled') this.#checkPlacement(host)
    if (event !== 'settled' && event.kind === 'probed' && !event.healthy) {
      this.#doubted.add(event.task)
    }
    const more: AppSpec[] = []
    for (const effect of effects) {
      if (effect.kind === 'start') {
        this.actions++
        this.#checkStart(host, effect, more)
        this.sole.started(host, effect, hosts, nowMs)
        this.moves.handled(host, effect, hosts, nowMs)
        more.push(effect.spec)
        setAt(this.#started, host).add(effect.task)
      } else if (effect.kind === 'stop') {
        this.actions++
        this.#checkDecision(host, effect.task, host.localMs)
        this.moves.handled(host, effect, hosts, nowMs)
      } else if (effect.kind === 'tell') {
        const { kind, text } = effect.event
        if (kind === 'twin' && text.includes('this one stops')) this.#halted.add(host)
        this.#checkTelling(host, kind, text)
      }
    }
    if (event === 'settled') this.#checkDecisions(host)
  }

  /** Looks at what no single event shows. Wanted twice a second. */
  look(hosts: readonly SimHost[], network: Network, nowMs: number): void {
    if (!network.isWhole) this.moves.isSplit(nowMs)
    this.#answers.look(hosts, nowMs)
    this.#extras.look(hosts, network, nowMs)
    this.sole.look(nowMs)
  }

  /** (1) Equal inputs, equal placement: on all nodes, at all times. */
  #checkPlacement(host: SimHost): void {
    const { input, placement } = host.machine!.placed
    if (this.#seen.get(host) === placement) return
    this.#seen.set(host, placement)
    this.#placedAtMs.set(host, host.localMs)
    const inputs = inputsHash(input)
    const placed = placementHash(placement)
    const known = this.#placements.get(inputs)
    if (known === undefined) this.#placements.set(inputs, placed)
    else if (known !== placed) this.#fail(1, `${host.name} placed otherwise from equal inputs`)
  }

  /** (3) What starts fits the node, its ports and its constraints. */
  #checkStart(
    host: SimHost,
    { task, spec }: Extract<Effect, { kind: 'start' }>,
    more: readonly AppSpec[],
  ): void {
    const { capacity, labels, hasDocker } = host.options
    const said = host.machine!.doc.read().nodes.get(host.node)
    const specs = [...Array.from(host.tasks.live.values(), launch => launch.spec), ...more, spec]
    const memMb = specs.reduce((sum, { resources }) => sum + resources.memMb, 0)
    const cpus = specs.reduce((sum, { resources }) => sum + Math.round(resources.cpus * 1000), 0)
    if (memMb > capacity.memMb || cpus > capacity.cpus * 1000) {
      this.#fail(3, `${host.name} starts ${task} above its capacity: ${memMb} MB, ${cpus} mcpu`)
    }
    const ports = specs.flatMap(fixedPortsOf)
    if (new Set(ports).size < ports.length) {
      this.#fail(3, `${host.name} starts ${task} with a port that is taken: ${ports.join()}`)
    }
    const refusal = staticRefusal(
      { constraints: spec.constraints, runtime: runtimeOf(spec) },
      {
        id: host.node,
        name: host.name,
        labels: { ...labels, ...said?.labels },
        runtimes: { docker: hasDocker, process: true },
        capacity,
        mode: said?.mode ?? 'active',
        refusals: [],
      },
    )
    if (refusal !== undefined) this.#fail(3, `${host.name} starts ${task}, but ${refusal}`)
  }

  /** A stop may come a moment after it was decided, while clients go elsewhere: the decision is what is judged. */
  #checkDecisions(host: SimHost): void {
    const record = host.machine!.book.get(host.node)
    if (record === undefined || this.#told.get(host) === record) return
    this.#told.set(host, record)
    for (const { id, state, sinceMs } of record.tasks) {
      if (state !== 'stopping') continue
      this.#checkDecision(host, id, sinceMs)
    }
  }

  /** What was decided by an earlier placement, of which there may be several in one turn, cannot be judged by this one. */
  #checkDecision(host: SimHost, task: TaskId, atMs: number): void {
    if (atMs > (this.#placedAtMs.get(host) ?? 0)) this.#checkStop(host, task)
    else setAt(this.#asked, `${host.name} ${host.life}`).add(task)
  }

  /** (6, 7) Only our own tasks are stopped, and none that is wanted as it is. */
  #checkStop(host: SimHost, task: TaskId): void {
    if (!setAt(this.#started, host).has(task)) {
      this.#fail(7, `${host.name} stops ${task}, which it never started`)
      return
    }
    const asked = setAt(this.#asked, `${host.name} ${host.life}`)
    if (asked.has(task)) return
    asked.add(task)
    const launch = host.tasks.live.get(task)
    if (launch === undefined || this.#doubted.has(task) || this.#halted.has(host)) return
    // Whether the node still had its claim is seen by what starts elsewhere.
    if (needsClaim(launch.spec)) return
    const { machine } = host
    const app = machine!.doc.read().apps.get(appOfSlot(launch.slot))
    const isWanted =
      machine!.placed.placement.placed.get(launch.slot) === host.node &&
      app?.revision === launch.revision
    const twins = [...host.tasks.live.values()].filter(
      ({ slot, revision }) => slot === launch.slot && revision === launch.revision,
    )
    if (isWanted && twins.length === 1) {
      this.#fail(6, `${host.name} stops ${task}, which is wanted there as it is`)
    }
  }

  #checkTelling(host: SimHost, kind: string, text: string): void {
    if (kind === 'placement-mismatch') this.#fail(1, `${host.name}: ${text}`)
    if (kind === 'refused') this.#fail(2, `${host.name} took an honest node for a liar: ${text}`)
    if (text.includes('is older than') && !host.disk.isRestored) {
      this.#fail(2, `${host.name}: its disk ${text}`)
    }
  }

  /** (10) Nothing goes round in circles. */
  #checkRate(host: SimHost, event: NodeEvent, nowMs: number): void {
    const second = Math.floor(nowMs / 1000)
    const { rate } = host
    if (rate.second !== second) {
      rate.second = second
      rate.events = 1
    } else if (++rate.events === EVENTS_PER_SECOND_MAX) {
      this.#fail(10, `${host.name} handles ${rate.events} events a second, the last ${event.kind}`)
    }
  }

  #fail(invariant: number, text: string): void {
    this.violations.push(`(${invariant}) ${text}`)
  }
}

function setAt<K, V>(sets: Map<K, Set<V>>, key: K): Set<V> {
  let set = sets.get(key)
  if (set === undefined) sets.set(key, (set = new Set()))
  return set
}
