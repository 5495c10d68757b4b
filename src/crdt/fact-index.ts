import type { AppId, NodeId, RevisionId } from '../model/ids.ts'
import type { SettingName } from '../model/settings.ts'
import type { EntryPlace, LogChange } from './entry-log.ts'
import { compareEntries, parseEntry, type Entry } from './entry.ts'

/** The live entries about one app; each list has the winner first. */
export interface AppFacts {
  readonly pointers: readonly Entry<'app'>[]
  readonly scales: readonly Entry<'scale'>[]
  /** More than one entry to an id only when a writer's log was restored from a backup. */
  readonly revisions: ReadonlyMap<RevisionId, readonly Entry<'rev'>[]>
}

/** The live entries about one node; each list has the winner first. */
export interface NodeFacts {
  readonly admissions: readonly Entry<'node'>[]
  readonly modes: readonly Entry<'mode'>[]
  readonly labels: ReadonlyMap<string, readonly Entry<'label'>[]>
}

/** What a change of the logs was about. */
export interface TouchedKeys {
  readonly apps: ReadonlySet<AppId>
  /** True when it was about a node or a setting, too. */
  readonly others: boolean
}

interface MutableAppFacts {
  readonly pointers: Entry<'app'>[]
  readonly scales: Entry<'scale'>[]
  readonly revisions: Map<RevisionId, Entry<'rev'>[]>
}

interface MutableNodeFacts {
  readonly admissions: Entry<'node'>[]
  readonly modes: Entry<'mode'>[]
  /** Made with the first label: most nodes have none, and an empty map is larger than all else that is kept of a node here. */
  labels: Map<string, Entry<'label'>[]>
}

const NO_LABELS: MutableNodeFacts['labels'] = new Map()

/**
 * Finds entries by what they are about. Kept up to date change by change: the cost
 * of a change is that of its entries, whatever the size of the document.
 */
export class FactIndex {
  readonly #places = new Map<number, Map<number, Entry | undefined>>()
  readonly #apps = new Map<AppId, MutableAppFacts>()
  readonly #nodes = new Map<NodeId, MutableNodeFacts>()
  readonly #settings = new Map<SettingName, Entry<'setting'>[]>()
  #time = 0
  #entries = 0
  #ignored = 0

  /** Every app that any entry is about, the removed ones too. */
  get apps(): ReadonlyMap<AppId, AppFacts> {
    return this.#apps
  }

  /** Every node that any entry is about, the expelled ones too. */
  get nodes(): ReadonlyMap<NodeId, NodeFacts> {
    return this.#nodes
  }

  /** Every setting that somebody set, the winner first. */
  get settings(): ReadonlyMap<SettingName, readonly Entry<'setting'>[]> {
    return this.#settings
  }

  /** The highest Lamport time seen. */
  get time(): number {
    return this.#time
  }

  /** How many live entries there are, the ignored ones too. */
  get entries(): number {
    return this.#entries
  }

  /** How many live entries say nothing that this version understands. */
  get ignored(): number {
    return this.#ignored
  }

  /** The entry at a place, when it lives and says something. */
  at({ client, clock }: EntryPlace): Entry | undefined {
    return this.#places.get(client)?.get(clock)
  }

  /** Takes in what a transaction did. */
  update({ added, removed }: LogChange): TouchedKeys {
    const touched = { apps: new Set<AppId>(), others: false }
    const isKnown = (app: string): app is AppId => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- asks whether it is one
      return this.#apps.has(app as AppId)
    }
    for (const raw of added) {
      const entry = parseEntry(raw, isKnown)
      this.#entries++
      if (entry === undefined) this.#ignored++
      else {
        this.#insert(entry)
        this.#time = Math.max(this.#time, entry.time)
        touch(touched, entry)
      }
      const log = this.#places.get(raw.client) ?? new Map<number, Entry | undefined>()
      this.#places.set(raw.client, log.set(raw.clock, entry))
    }
    for (const { client, clock } of removed) {
      const log = this.#places.get(client)
      if (log === undefined || !log.has(clock)) continue
      const entry = log.get(clock)
      log.delete(clock)
      this.#entries--
      if (entry === undefined) this.#ignored--
      else {
        this.#remove(entry)
        touch(touched, entry)
      }
    }
    return touched
  }

  #insert(entry: Entry): void {
    switch (entry.kind) {
      case 'app':
        return insertInOrder(this.#app(entry.app).pointers, entry)
      case 'scale':
        return insertInOrder(this.#app(entry.app).scales, entry)
      case 'rev':
        return insertInOrder(listAt(this.#app(entry.app).revisions, entry.id), entry)
      case 'node':
        return insertInOrder(this.#node(entry.node).admissions, entry)
      case 'mode':
        return insertInOrder(this.#node(entry.node).modes, entry)
      case 'label':
        return insertInOrder(listAt(this.#labelsOf(entry.node), entry.key), entry)
      case 'setting':
        return insertInOrder(listAt(this.#settings, entry.name), entry)
    }
  }

  #remove(entry: Entry): void {
    switch (entry.kind) {
      case 'app':
      case 'scale':
      case 'rev':
        return this.#removeOfApp(entry)
      case 'node':
      case 'mode':
      case 'label':
        return this.#removeOfNode(entry)
      case 'setting':
        if (takeOut(this.#settings.get(entry.name), entry) === 0) this.#settings.delete(entry.name)
    }
  }

  #removeOfApp(entry: Entry<'app' | 'scale' | 'rev'>): void {
    const app = this.#app(entry.app)
    if (entry.kind === 'app') takeOut(app.pointers, entry)
    else if (entry.kind === 'scale') takeOut(app.scales, entry)
    else if (takeOut(app.revisions.get(entry.id), entry) === 0) app.revisions.delete(entry.id)
    if (app.pointers.length + app.scales.length + app.revisions.size === 0) {
      this.#apps.delete(entry.app)
    }
  }

  #removeOfNode(entry: Entry<'node' | 'mode' | 'label'>): void {
    const node = this.#node(entry.node)
    if (entry.kind === 'node') takeOut(node.admissions, entry)
    else if (entry.kind === 'mode') takeOut(node.modes, entry)
    else if (takeOut(node.labels.get(entry.key), entry) === 0) node.labels.delete(entry.key)
    if (node.admissions.length + node.modes.length + node.labels.size === 0) {
      this.#nodes.delete(entry.node)
    }
  }

  #app(id: AppId): MutableAppFacts {
    let app = this.#apps.get(id)
    if (app === undefined) {
      app = { pointers: [], scales: [], revisions: new Map() }
      this.#apps.set(id, app)
    }
    return app
  }

  #node(id: NodeId): MutableNodeFacts {
    let node = this.#nodes.get(id)
    if (node === undefined) {
      node = { admissions: [], modes: [], labels: NO_LABELS }
      this.#nodes.set(id, node)
    }
    return node
  }

  #labelsOf(id: NodeId): MutableNodeFacts['labels'] {
    const node = this.#node(id)
    if (node.labels === NO_LABELS) node.labels = new Map()
    return node.labels
  }
}

function touch(touched: { readonly apps: Set<AppId>; others: boolean }, entry: Entry): void {
  if ('app' in entry) touched.apps.add(entry.app)
  else touched.others = true
}

function listAt<K, E>(lists: Map<K, E[]>, key: K): E[] {
  let list = lists.get(key)
  if (list === undefined) {
    list = []
    lists.set(key, list)
  }
  return list
}

function insertInOrder<E extends Entry>(list: E[], entry: E): void {
  // Nearly every list has one entry, and a start makes tens of thousands of them.
  if (list.length === 0) {
    list.push(entry)
    return
  }
  const before = list.findIndex(other => compareEntries(entry, other) < 0)
  list.splice(before === -1 ? list.length : before, 0, entry)
}

/** Takes the entry out of the list, and returns how many are left. */
function takeOut<E>(list: E[] | undefined, entry: E): number {
  if (list === undefined) return 0
  const at = list.indexOf(entry)
  if (at !== -1) list.splice(at, 1)
  return list.length
}
