import type { DnsApp, DnsTask, DnsView } from '../dns/dns-view.ts'
import { applyChange, type ZoneChange } from '../dns/zone-change.ts'
import { createZone, type Zone } from '../dns/zone.ts'
import { slotSuffix, type AppId, type TaskId } from '../model/ids.ts'
import { isFinal, isServing } from '../model/task.ts'
import type { NodeMachine } from './machine/node-machine.ts'

/** The zone's name. */
export const DOMAIN = 'shoal'

/** How long clients may keep an answer, in seconds: what is out of date for so long at most. */
export const TTL_SECONDS = 1

/**
 * Keeps the zone equal to what the node knows: desired apps, their tasks as the
 * nodes tell them, and who is alive. Only what changed is put in anew.
 */
export class DnsSync {
  /** The zones before the first update: what threads with zones of their own begin with. */
  readonly view: DnsView
  readonly zone: Zone
  readonly #machine: NodeMachine
  readonly #apps = new Map<AppId, string>()
  #nodes = ''

  constructor(machine: NodeMachine, name: string) {
    this.#machine = machine
    this.view = {
      domain: DOMAIN,
      ttlSeconds: TTL_SECONDS,
      // Seconds since 2020, so that a restarted daemon does not go back in it (RFC 1982).
      serial: Math.floor(Date.now() / 1000 - 1_577_836_800) >>> 0,
      self: { name },
      apps: [],
      nodes: [],
    }
    this.zone = createZone(this.view)
  }

  /**
   * Brings the zone up to date.
   *
   * @returns What changed, for the zones of the threads that answer.
   */
  update(): ZoneChange[] {
    const changes = this.#changes()
    for (const change of changes) applyChange(this.zone, change)
    return changes
  }

  #changes(): ZoneChange[] {
    const changes: ZoneChange[] = []
    const { book, members, doc } = this.#machine
    const desired = doc.read()
    const nodes = book.records().map(({ node, name, address }) => ({
      name,
      address,
      alive: members.isAlive(node),
    }))
    const nodesKey = JSON.stringify(nodes)
    if (nodesKey !== this.#nodes) {
      this.#nodes = nodesKey
      changes.push({ kind: 'nodes', nodes })
    }
    const tasks = this.#tasksByApp()
    for (const [id, { spec }] of desired.apps) {
      const app: DnsApp = { id, aliases: spec.aliases, tasks: tasks.get(id) ?? [] }
      const key = JSON.stringify(app)
      if (this.#apps.get(id) === key) continue
      this.#apps.set(id, key)
      changes.push({ kind: 'app', app })
    }
    for (const id of this.#apps.keys()) {
      if (desired.apps.has(id)) continue
      this.#apps.delete(id)
      changes.push({ kind: 'app-removed', app: id })
    }
    return changes
  }

  #tasksByApp(): Map<AppId, OrderedTask[]> {
    const { book, members, placed } = this.#machine
    const byApp = new Map<AppId, OrderedTask[]>()
    for (const record of book.records()) {
      const { node, name, address, tasks } = record
      // A node that is back is not believed by the record of its life before.
      const isAlive = members.reliableSinceMs(record) !== undefined
      for (const task of tasks) {
        if (isFinal(task.state)) continue
        const suffix = slotSuffix(task.slot)
        const entry = {
          slot: task.slot,
          suffix: suffix === node ? name : suffix,
          address,
          ports: task.ports,
          serving: isAlive && isServing(task),
          node: name,
          task: task.id,
          isOwners: placed.placement.placed.get(task.slot) === node,
        }
        const list = byApp.get(task.app)
        if (list === undefined) byApp.set(task.app, [entry])
        else list.push(entry)
      }
    }
    for (const [app, tasks] of byApp) byApp.set(app, ownersFirst(tasks))
    return byApp
  }
}

/** A task with what decides which of a slot's tasks is answered. */
interface OrderedTask extends DnsTask {
  readonly task: TaskId
  /** True on the node that the slot belongs to. */
  readonly isOwners: boolean
}

/**
 * While a slot moves two tasks of it serve, and the zone tells the first that does:
 * that is to be the task of the node which the slot belongs to.
 */
function ownersFirst(tasks: readonly OrderedTask[]): OrderedTask[] {
  return tasks.toSorted(
    (one, other) =>
      Number(other.isOwners) - Number(one.isOwners) || (one.task < other.task ? -1 : 1),
  )
}
