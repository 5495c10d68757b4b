import type { DnsApp, DnsTask, DnsView, MesosView } from '../dns/dns-view.ts'
import { applyChange, type ZoneChange } from '../dns/zone-change.ts'
import { createZone, type Zone } from '../dns/zone.ts'
import { runtimeOf } from '../model/app.ts'
import type { Desired, DesiredApp } from '../model/desired.ts'
import { slotSuffix, type AppId, type NodeId, type SlotId } from '../model/ids.ts'
import type { NodeRecord } from '../model/node-record.ts'
import type { Placement } from '../placement/input.ts'
import {
  changedApps,
  dnsNode,
  dnsTask,
  makeSide,
  weightOf,
  type Side,
  type SideFacts,
} from './dns-side.ts'
import type { NodeMachine } from './machine/node-machine.ts'
import { labelsOf } from './machine/placement-input.ts'
import { DOMAIN } from './options.ts'
import { wantedSlots } from './wanted-slots.ts'

/** Slots without a task that DNS can explain, for each app. */
const MISSING_MAX = 12

/** What a node's zones are called, and how long their answers last. */
export interface DnsSyncOptions {
  readonly name: string
  readonly ttlSeconds: number
  readonly mesos: MesosView | undefined
}

/**
 * Keeps the zones equal to what the node knows: desired apps, their tasks as the
 * nodes tell them, and who is alive. Only what changed is looked at: with ten
 * thousand apps a task that comes up is in DNS within milliseconds.
 */
export class DnsSync {
  /** The zones before the first update: what threads with zones of their own begin with. */
  readonly view: DnsView
  readonly zone: Zone
  readonly #machine: NodeMachine
  readonly #apps = new Map<AppId, DesiredApp>()
  readonly #sides = new Map<NodeId, Side>()
  /** Apps of which something depends on the placement: a slot with two tasks, or with none. */
  readonly #unsettled = new Set<AppId>()
  #placement: Placement | undefined
  /** The apps that the nodes' weights were made from. */
  #weighed: Desired['apps'] | undefined
  #nodes = ''

  constructor(machine: NodeMachine, { name, ttlSeconds, mesos }: DnsSyncOptions) {
    this.#machine = machine
    this.view = {
      domain: DOMAIN,
      mesos,
      ttlSeconds,
      // Seconds since 2020, so that a restarted daemon does not go back in it (RFC 1982).
      serial: Math.floor(Date.now() / 1000 - 1_577_836_800) >>> 0,
      self: { name },
      apps: [],
      nodes: [],
    }
    this.zone = createZone(this.view)
  }

  /**
   * Brings the zones up to date.
   *
   * @returns What changed, for the zones of the threads that answer.
   */
  update(): ZoneChange[] {
    const changes = [...this.#changes()]
    for (const change of changes) applyChange(this.zone, change)
    return changes
  }

  *#changes(): Generator<ZoneChange> {
    const changed = this.#changedSides()
    const nodes = Array.from(this.#sides.values(), dnsNode)
    const nodesKey = JSON.stringify(nodes)
    if (nodesKey !== this.#nodes) {
      this.#nodes = nodesKey
      yield { kind: 'nodes', nodes }
    }
    const { placement } = this.#machine.placed
    if (placement !== this.#placement) {
      this.#placement = placement
      for (const app of this.#unsettled) changed.add(app)
    }
    const { apps } = this.#machine.doc.read()
    for (const [id, app] of apps) {
      if (this.#apps.get(id) === app && !changed.has(id)) continue
      this.#apps.set(id, app)
      yield { kind: 'app', app: this.#picture(app) }
    }
    if (this.#apps.size === apps.size) return
    for (const id of this.#apps.keys()) {
      if (apps.has(id)) continue
      this.#apps.delete(id)
      this.#unsettled.delete(id)
      yield { kind: 'app-removed', app: id }
    }
  }

  /** Reads the records that changed. Returns the apps that they change. */
  #changedSides(): Set<AppId> {
    const changed = new Set<AppId>()
    const records = this.#machine.book.records()
    const desired = this.#machine.doc.read()
    for (const record of records) {
      const before = this.#sides.get(record.node)
      const after = this.#side(record, before, desired)
      if (after === before) continue
      this.#sides.set(record.node, after)
      for (const app of changedApps(before, after)) changed.add(app)
    }
    this.#weighed = desired.apps
    if (this.#sides.size === records.length) return changed
    const known = new Set(records.map(({ node }) => node))
    for (const [node, side] of this.#sides) {
      if (known.has(node)) continue
      this.#sides.delete(node)
      for (const app of changedApps(side, undefined)) changed.add(app)
    }
    return changed
  }

  /** The very same as before when nothing about the node changed. */
  #side(record: NodeRecord, before: Side | undefined, { apps, nodes }: Desired): Side {
    const { members } = this.#machine
    const { node, name, address } = record
    const verdict = members.verdict(node)?.kind ?? 'unseen'
    const isWeighed = before?.record === record && apps === this.#weighed
    const facts: SideFacts = {
      name,
      addresses: [address, ...(record.addresses ?? [])],
      zone: labelsOf(record, nodes.get(node))['zone'] ?? '',
      weight: isWeighed ? before.facts.weight : weightOf(record, apps),
      verdict,
      isReliable: verdict !== 'alive' || members.reliableSinceMs(record) !== undefined,
    }
    const isSame =
      before?.record === record && JSON.stringify(before.facts) === JSON.stringify(facts)
    return isSame ? before : makeSide(record, facts)
  }

  #picture(app: DesiredApp): DnsApp {
    const { id, spec, instances } = app
    const sides = [...this.#sides.values()]
    const isContainer = runtimeOf(spec) === 'docker'
    const told = sides.flatMap(side =>
      (side.tasks.get(id) ?? []).map(task => ({
        task: dnsTask(side, task, isContainer),
        isOwners: this.#placement?.placed.get(task.slot) === side.record.node,
      })),
    )
    const slots = new Set(told.map(({ task }) => task.slot))
    const isGlobal = spec.mode === 'global'
    const wanted = isGlobal ? [...wantedSlots(this.#machine, app)].length : instances
    const missing = slots.size < wanted ? [...this.#missing(app, slots)] : []
    if (missing.length > 0 || slots.size < told.length) this.#unsettled.add(id)
    else this.#unsettled.delete(id)
    return {
      id,
      aliases: spec.aliases,
      tasks: told.toSorted(ownersFirst).map(({ task }) => task),
      wanted,
      missing,
    }
  }

  /** The first slots that have no task, and what each waits for. */
  *#missing(app: DesiredApp, slots: ReadonlySet<SlotId>): Generator<DnsApp['missing'][number]> {
    let count = 0
    for (const { slot, node } of wantedSlots(this.#machine, app)) {
      if (slots.has(slot)) continue
      if (count++ === MISSING_MAX) return
      const owner = node === undefined ? undefined : this.#sides.get(node)
      const reason =
        this.#placement?.unplaced.get(slot)?.summary ??
        owner?.waits.get(slot) ??
        `is to start${owner === undefined ? '' : ` on ${owner.facts.name}`}`
      const suffix = slotSuffix(slot)
      yield { suffix: suffix === node ? (owner?.facts.name ?? suffix) : suffix, reason }
    }
  }
}

/** A task with what decides which of a slot's tasks is answered. */
interface ToldTask {
  readonly task: DnsTask
  /** True on the node that the slot belongs to. */
  readonly isOwners: boolean
}

/**
 * While a slot moves two tasks of it serve, and the zone tells the first that does:
 * that is to be the task of the node which the slot belongs to.
 */
function ownersFirst(one: ToldTask, other: ToldTask): number {
  return Number(other.isOwners) - Number(one.isOwners) || (one.task.task < other.task.task ? -1 : 1)
}
