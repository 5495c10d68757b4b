import type { AppId, NodeId, RevisionId } from '../model/ids.ts'
import type { EntryPlace, LogChange } from './entry-log.ts'
import { compareEntries, parseEntry, type Entry, type FactOf } from './entry.ts'

/** The live entries about one app; each list has the winner first. */
export interface AppFacts {
  readonly pointers: readonly Entry<FactOf<'app'>>[]
  readonly scales: readonly Entry<FactOf<'scale'>>[]
  /** More than one entry to an id only when a writer's log was restored from a backup. */
  readonly revisions: ReadonlyMap<RevisionId, readonly Entry<FactOf<'rev'>>[]>
}

/** Which keys a change of the logs was about. */
export interface TouchedKeys {
  readonly apps: ReadonlySet<AppId>
  readonly nodes: ReadonlySet<NodeId>
}

interface MutableAppFacts {
  readonly pointers: Entry<FactOf<'app'>>[]
  readonly scales: Entry<FactOf<'scale'>>[]
  readonly revisions: Map<RevisionId, Entry<FactOf<'rev'>>[]>
}

/**
 * Finds entries by what they are about. Kept up to date change by change: the cost
 * of a change is that of its entries, whatever the size of the document.
 */
export class FactIndex {
  readonly #places = new Map<number, Map<number, Entry | undefined>>()
  readonly #apps = new Map<AppId, MutableAppFacts>()
  readonly #nodes = new Map<NodeId, Entry<FactOf<'node'>>[]>()
  #time = 0
  #entries = 0
  #ignored = 0

  /** Every app that any entry is about, the removed ones too. */
  get apps(): ReadonlyMap<AppId, AppFacts> {
    return this.#apps
  }

  /** Every node that any entry is about, with its admissions, the winner first. */
  get nodes(): ReadonlyMap<NodeId, readonly Entry<FactOf<'node'>>[]> {
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
    for (const raw of added) {
      const entry = parseEntry(raw)
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
    switch (entry.fact.kind) {
      case 'node': {
        const list = this.#nodes.get(entry.fact.node) ?? []
        this.#nodes.set(entry.fact.node, list)
        insertInOrder(list, { ...entry, fact: entry.fact })
        return
      }
      case 'app':
        insertInOrder(this.#app(entry.fact.app).pointers, { ...entry, fact: entry.fact })
        return
      case 'scale':
        insertInOrder(this.#app(entry.fact.app).scales, { ...entry, fact: entry.fact })
        return
      case 'rev': {
        const { revisions } = this.#app(entry.fact.app)
        const list = revisions.get(entry.fact.id) ?? []
        revisions.set(entry.fact.id, list)
        insertInOrder(list, { ...entry, fact: entry.fact })
      }
    }
  }

  #remove(entry: Entry): void {
    const { fact } = entry
    if (fact.kind === 'node') {
      if (takeOut(this.#nodes.get(fact.node), entry) === 0) this.#nodes.delete(fact.node)
      return
    }
    const app = this.#app(fact.app)
    if (fact.kind === 'app') takeOut(app.pointers, entry)
    else if (fact.kind === 'scale') takeOut(app.scales, entry)
    else if (takeOut(app.revisions.get(fact.id), entry) === 0) app.revisions.delete(fact.id)
    if (app.pointers.length + app.scales.length + app.revisions.size === 0) {
      this.#apps.delete(fact.app)
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

function touch(touched: { apps: Set<AppId>; nodes: Set<NodeId> }, { fact }: Entry): void {
  if (fact.kind === 'node') touched.nodes.add(fact.node)
  else touched.apps.add(fact.app)
}

function insertInOrder<E extends Entry>(list: E[], entry: E): void {
  const before = list.findIndex(other => compareEntries(entry, other) < 0)
  list.splice(before === -1 ? list.length : before, 0, entry)
}

/** Takes the entry out of the list, and returns how many are left. */
function takeOut(list: EntryPlace[] | undefined, { client, clock }: EntryPlace): number {
  if (list === undefined) return 0
  const at = list.findIndex(other => other.client === client && other.clock === clock)
  if (at !== -1) list.splice(at, 1)
  return list.length
}
