import type { DnsNode, DnsTask } from '../dns/dns-view.ts'
import { appOfSlot, slotSuffix, type AppId, type SlotId } from '../model/ids.ts'
import type { DesiredApp } from '../model/desired.ts'
import type { NodeRecord } from '../model/node-record.ts'
import { isFinal, isServing, type Task } from '../model/task.ts'
import type { VerdictKind } from '../model/verdict.ts'

/** What DNS knows of one node and the tasks that it tells of. */
export interface Side {
  readonly record: NodeRecord
  readonly facts: SideFacts
  /** The tasks that have not ended, by their app. */
  readonly tasks: ReadonlyMap<AppId, readonly Task[]>
  /** What slots that belong to the node wait for. */
  readonly waits: ReadonlyMap<SlotId, string>
}

/** What of a node shows in the answers about its tasks. */
export interface SideFacts {
  readonly name: string
  readonly addresses: readonly string[]
  readonly zone: string
  readonly weight: number
  readonly verdict: VerdictKind | 'unseen'
  /** False for a node whose record is from before its last start: what it says may be gone. */
  readonly isReliable: boolean
}

/** The weights of SRV records, by how full a node is: see {@link weightOf}. */
const WEIGHTS = [40, 60, 80, 100] as const

/** Reads a record for DNS. */
export function makeSide(record: NodeRecord, facts: SideFacts): Side {
  const live = record.tasks.filter(({ state }) => !isFinal(state))
  return {
    record,
    facts,
    tasks: Map.groupBy(live, ({ app }) => app),
    waits: new Map(record.waits.map(({ slot, reason }) => [slot, reason])),
  }
}

/** The apps that DNS says something else of when `after` takes the place of `before`. */
export function changedApps(before: Side | undefined, after: Side | undefined): Set<AppId> {
  const all = new Set([...(before?.tasks.keys() ?? []), ...(after?.tasks.keys() ?? [])])
  const waits = new Set(
    [before, after]
      .flatMap(side => [...(side?.waits.keys() ?? [])])
      .filter(slot => before?.waits.get(slot) !== after?.waits.get(slot)),
  )
  const waiting = [...waits].map(slot => appOfSlot(slot))
  if (before === undefined || after === undefined || !sameFacts(before.facts, after.facts)) {
    return all.union(new Set(waiting))
  }
  const changed = [...all].filter(app => !sameTasks(before.tasks.get(app), after.tasks.get(app)))
  return new Set([...changed, ...waiting])
}

/** A node as DNS answers for it. */
export function dnsNode({ record, facts }: Side): DnsNode {
  const [, port] = /\/tcp\/(\d+)/.exec(record.multiaddrs[0] ?? '') ?? []
  const { name, addresses, zone, verdict } = facts
  return { name, addresses, zone, alive: verdict === 'alive', port: Number(port ?? 0) }
}

/**
 * A task as DNS answers for it.
 *
 * @param isContainer Docker opens a container's ports on all addresses; a process is told the first.
 */
export function dnsTask({ record, facts }: Side, task: Task, isContainer: boolean): DnsTask {
  const suffix = slotSuffix(task.slot)
  const { name, addresses, zone, weight, verdict, isReliable } = facts
  const isThere = verdict === 'alive' || verdict === 'suspect'
  return {
    task: task.id,
    slot: task.slot,
    suffix: suffix === record.node ? name : suffix,
    addresses: isContainer ? addresses : addresses.slice(0, 1),
    ports: task.ports,
    serving: verdict === 'alive' && isReliable && isServing(task),
    running: isThere && isReliable && task.state === 'running',
    node: name,
    zone,
    weight,
    note: noteOf(task, facts),
  }
}

/**
 * How much room a node has, in quarters of its declared capacity: the weight of its tasks' SRV records.
 *
 * It counts what tasks declare, never live load, so it changes only when tasks come or go. It is never
 * small, because a task on a full node has what it declared all the same: the rest of the
 * machine is only what it may use beside. A client that draws by weight (RFC 2782) sends such a task
 * two fifths of what it sends to one on an empty node.
 */
export function weightOf(
  { capacity, tasks }: Pick<NodeRecord, 'capacity' | 'tasks'>,
  apps: ReadonlyMap<AppId, Pick<DesiredApp, 'spec'>>,
): number {
  let [cpus, memMb] = [0, 0]
  for (const { app, state } of tasks) {
    const resources = isFinal(state) ? undefined : apps.get(app)?.spec.resources
    cpus += resources?.cpus ?? 0
    memMb += resources?.memMb ?? 0
  }
  const free = Math.min(1 - cpus / capacity.cpus, 1 - memMb / capacity.memMb)
  // A machine that declares nothing has no room; a thousandth, for sums that are a hair off.
  const quarter = Number.isFinite(free) ? Math.floor(free * 4 + 0.001) : 0
  return WEIGHTS[Math.min(Math.max(quarter, 0), WEIGHTS.length - 1)]!
}

function noteOf({ state, health }: Task, { verdict, isReliable }: SideFacts): string {
  if (verdict !== 'alive') return `its node is ${verdict}`
  if (!isReliable) return 'its node has just started'
  if (state !== 'running') return state
  if (health === 'unknown') return 'not healthy yet'
  return health === 'unhealthy' ? 'unhealthy' : 'serving'
}

function sameFacts(one: SideFacts, other: SideFacts): boolean {
  return (
    one.name === other.name &&
    one.zone === other.zone &&
    one.weight === other.weight &&
    one.verdict === other.verdict &&
    one.isReliable === other.isReliable &&
    sameItems(one.addresses, other.addresses)
  )
}

/** Records keep the tasks that did not change, so most are the same objects. */
function sameTasks(one: readonly Task[] = [], other: readonly Task[] = []): boolean {
  return one.length === other.length && one.every((task, at) => sameTask(task, other[at]!))
}

function sameTask(one: Task, other: Task): boolean {
  if (one === other) return true
  return (
    one.id === other.id &&
    one.state === other.state &&
    one.health === other.health &&
    JSON.stringify(one.ports) === JSON.stringify(other.ports)
  )
}

function sameItems(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, at) => item === other[at])
}
