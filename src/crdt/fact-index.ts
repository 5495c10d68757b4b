import type { AppId, NodeId, RevisionId } from '../model/ids.ts'
import type { EntryPlace, LogChange } from './entry-log.ts'
import { compareEntries, parseEntry, type Entry } from './entry.ts'

/** The live entries about one app; each list has the winner first. */
export interface AppFacts {
  readonly pointers: readonly Entry<'app'>[]
  readonly scales: readonly Entry<'scale'>[]
  /** More than one entry to an id only when a writer's log was restored from a backup. */
  readonly revisions: ReadonlyMap<RevisionId, readonly Entry<'rev'>[]>
}

/** Which keys a change of the logs was about. */
export interface TouchedKeys {
  readonly apps: ReadonlySet<AppId>
  readonly nodes: ReadonlySet<NodeId>
}

interface MutableAppFacts {
  readonly pointers: Entry<'app'>[]
  readonly scales: Entry<'scale'>[]
  readonly revisions: Map<RevisionId, Entry<'rev'>[]>
}

/**
 * Finds entries by what they are about. Kept up to date change by change: the cost
 * of a change is that of its entries, whatever the size of the document.
 */
export class FactIndex {
  readonly #places = new Map<number, Map<number, Entry | undefined>>()
  readonly #apps = new Map<AppId, MutableAppFacts>()
  readonly #nodes = new Map<NodeId, Entry<'node'>[]>()
  #time = 0
  #entries = 0
  #ignored = 0

  /** Every app that any entry is about, the removed ones too. */
  get apps(): ReadonlyMap<AppId, AppFacts> {
    return this.#apps
  }

  /** Every node that any entry is about, with its admissions, the winner first. */
  get nodes(): ReadonlyMap<NodeId, readonly Entry<'node'>[]> {
    return this.#nodes
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
    const touched = { apps: new Set<AppId>(), nodes: new Set<NodeId>() }
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
        return insertInOrder(listAt(this.#nodes, entry.node), entry)
    }
  }

  #remove(entry: Entry): void {
    if (entry.kind === 'node') {
      if (takeOut(this.#nodes.get(entry.node), entry) === 0) this.#nodes.delete(entry.node)
      return
    }
    const app = this.#app(entry.app)
    if (entry.kind === 'app') takeOut(app.pointers, entry)
    else if (entry.kind === 'scale') takeOut(app.scales, entry)
    else if (takeOut(app.revisions.get(entry.id), entry) === 0) app.revisions.delete(entry.id)
    if (app.pointers.length + app.scales.length + app.revisions.size === 0) {
      this.#apps.delete(entry.app)
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
}

function touch(touched: { apps: Set<AppId>; nodes: Set<NodeId> }, entry: Entry): void {
  if (entry.kind === 'node') touched.nodes.add(entry.node)
  else touched.apps.add(entry.app)
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
