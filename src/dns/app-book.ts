import type { AppId } from '../model/ids.ts'
import type { DnsApp, DnsNode, DnsTask, DnsView } from './dns-view.ts'
import type { Authority, Freshness } from './finding.ts'
import { mangleLabel } from './labels.ts'
import type { SoaRecord } from './records.ts'

/** An app, and when what was made from it goes stale. */
export interface AppEntry {
  readonly app: DnsApp
  /** The task that answers for each slot, by the slot's label. */
  readonly slots: ReadonlyMap<string, DnsTask>
  readonly source: Freshness
}

/** Secondaries are not expected, so their times are any that tools do not complain of (RFC 1912, section 2.2). */
const [REFRESH_SECONDS, RETRY_SECONDS, EXPIRE_SECONDS] = [3_600, 600, 1_209_600]

/**
 * What all zones of a node answer from: apps and nodes as they are now, and what
 * goes stale when they change. It knows no names of apps.
 */
export class AppBook {
  readonly ttlSeconds: number
  /** The label of the node that answers. */
  readonly self: string
  readonly #selfName: string
  readonly #apps = new Map<AppId, AppEntry & { readonly source: { stale: boolean } }>()
  #nodes: ReadonlyMap<string, readonly DnsNode[]>
  #zone = ''
  #serial: number
  #structure = { stale: false }
  #apex = { stale: false }

  constructor({ ttlSeconds, serial, self, nodes }: DnsView) {
    this.ttlSeconds = ttlSeconds
    this.self = mangleLabel(self.name)
    this.#selfName = self.name
    this.#serial = serial >>> 0
    this.#nodes = nodesByLabel(nodes)
    this.#zone = this.#ownZone(nodes)
  }

  get apps(): ReadonlyMap<AppId, AppEntry> {
    return this.#apps
  }

  /** Nodes by the label of their name, those that answer to it first. */
  get nodes(): ReadonlyMap<string, readonly DnsNode[]> {
    return this.#nodes
  }

  /** Stale when names come or go, or nodes change. */
  get structure(): Freshness {
    return this.#structure
  }

  /** Stale after every change. */
  get apex(): Freshness {
    return this.#apex
  }

  /** Puts an app in. What was made from it before is stale. */
  put(app: DnsApp): void {
    const before = this.#apps.get(app.id)
    if (before !== undefined) before.source.stale = true
    this.#apps.set(app.id, { app, slots: tasksByLabel(app.tasks), source: { stale: false } })
  }

  /** Takes an app out. False when it was not in. */
  remove(id: AppId): boolean {
    const before = this.#apps.get(id)
    if (before === undefined) return false
    before.source.stale = true
    return this.#apps.delete(id)
  }

  setNodes(nodes: readonly DnsNode[]): void {
    this.#nodes = nodesByLabel(nodes)
    this.#zone = this.#ownZone(nodes)
  }

  /** Counts a change, when it is whole. */
  changed({ structure }: { readonly structure: boolean }): void {
    this.#serial = (this.#serial + 1) >>> 0
    this.#apex.stale = true
    this.#apex = { stale: false }
    if (!structure) return
    this.#structure.stale = true
    this.#structure = { stale: false }
  }

  /** How far a task is from the node that answers: 0 on the same node, 1 in the same zone, 2 elsewhere. */
  distanceOf({ node, zone }: Pick<DnsTask, 'node' | 'zone'>): 0 | 1 | 2 {
    if (node === this.#selfName) return 0
    return zone !== '' && zone === this.#zone ? 1 : 2
  }

  /** The alive nodes by label, this one first even when it is not heard of yet. */
  aliveLabels(): string[] {
    const others = [...this.#nodes.keys()].filter(
      label => label !== this.self && this.#nodes.get(label)![0]!.alive,
    )
    return [this.self, ...others.toSorted()]
  }

  /** Makes what a zone called `domain`, served by `primary`, signs its answers with. */
  authority(domain: string, primary: string): Authority {
    let soa: SoaRecord | undefined
    return {
      domain,
      soa: () => {
        if (soa?.serial !== this.#serial) soa = this.#soa(domain, primary)
        return soa
      },
    }
  }

  #soa(domain: string, primary: string): SoaRecord {
    return {
      name: domain,
      ttlSeconds: this.ttlSeconds,
      type: 'SOA',
      primary,
      mailbox: `hostmaster.${domain}`,
      serial: this.#serial,
      refresh: REFRESH_SECONDS,
      retry: RETRY_SECONDS,
      expire: EXPIRE_SECONDS,
      minimum: this.ttlSeconds,
    }
  }

  #ownZone(nodes: readonly DnsNode[]): string {
    return nodes.find(({ name }) => name === this.#selfName)?.zone ?? ''
  }
}

/** By the slot's label. Of two tasks of one slot, during a move, the first that serves is the slot's, else the first that runs. */
function tasksByLabel(tasks: readonly DnsTask[]): Map<string, DnsTask> {
  const byLabel = new Map<string, DnsTask>()
  for (const task of tasks) {
    const label = mangleLabel(task.suffix)
    const before = byLabel.get(label)
    if (label !== '' && (before === undefined || worth(task) > worth(before))) {
      byLabel.set(label, task)
    }
  }
  return byLabel
}

function worth({ serving, running }: DnsTask): number {
  return serving ? 2 : Number(running)
}

/** Nodes by the label of their name, those that answer to it first: alive ones, then by address. */
function nodesByLabel(nodes: readonly DnsNode[]): Map<string, DnsNode[]> {
  const byLabel = Map.groupBy(nodes, ({ name }) => mangleLabel(name))
  byLabel.delete('')
  for (const [label, same] of byLabel) {
    const sorted = same.toSorted(
      (a, b) =>
        Number(b.alive) - Number(a.alive) || (String(a.addresses) < String(b.addresses) ? -1 : 1),
    )
    byLabel.set(label, sorted)
  }
  return byLabel
}
