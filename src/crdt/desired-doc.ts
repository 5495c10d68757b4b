import type { Admission, Conflict, Desired, DesiredApp, Edit, Revision } from '../model/desired.ts'
import type { AppId, NodeId, RevisionId } from '../model/ids.ts'
import type { ClusterSettings, SettingName } from '../model/settings.ts'
import type { Verify } from '../util/keys.ts'
import { conflictsOf, inForce, lineOf, type InForce } from './app-history.ts'
import { TOMBSTONES_MAX, type EditedRevision } from './edit-plan.ts'
import { createEntryLog, UPDATE_BYTES_MAX, type LogChange } from './entry-log.ts'
import { printEntry, TIME_MAX, type Entry } from './entry.ts'
import { FactIndex, type NodeFacts } from './fact-index.ts'
import { planEdit } from './plan-edit.ts'
import { parseRevision } from './revision-codec.ts'
import { parseSaved, printSnapshot } from './snapshot.ts'

/** Options for {@link createDesiredDoc}. */
export interface DesiredDocOptions {
  /** The node that edits are made on, and that signs them. */
  readonly self: NodeId
  /**
   * Names this node's log in the document: a whole number from 1 to 2³² − 1. Two
   * writers must never share one, and one writer must never write the same place of
   * its log twice; so keep it beside the saved document, write no edit before the
   * last one is saved, and take a new one after a restore from a backup.
   */
  readonly clientId: number
  /** Signs with this node's key. */
  readonly sign: (bytes: Uint8Array) => Uint8Array
  readonly verify: Verify
  /**
   * What the store kept: snapshots and updates, in any order. Signatures that a
   * snapshot says were checked are not checked again, so it must come from this
   * node's own disk and nowhere else.
   *
   * @default [] The document starts empty.
   */
  readonly saved?: readonly Uint8Array[]
  /** How many removed apps and expelled nodes are remembered. @default 10,000 */
  readonly tombstonesMax?: number
}

/** What became of an edit. */
export type EditResult =
  | {
      readonly ok: true
      /** What to save and to send, in this order. Nothing when the document already said so. */
      readonly update: Uint8Array | undefined
      /** For `apply` and `scale`: the revision that each app has now, in the order given. */
      readonly revisions: readonly EditedRevision[]
    }
  /** One line that says what to do. Nothing was changed. */
  | { readonly ok: false; readonly reason: string }

/** What became of an update from another node. */
export type ApplyResult =
  | {
      readonly ok: true
      /** False when everything in it was known. */
      readonly changed: boolean
      /** True when it waits for an earlier update that has not come: ask a peer, and do not acknowledge it. */
      readonly waiting: boolean
      /** Conflicts that came to light with it. */
      readonly newConflicts: readonly Conflict[]
      /**
       * True when others had entries of this node's own log that it did not have: its
       * disk is older than what it once said. Take a new client id before the next edit.
       */
      readonly logWasBehind: boolean
    }
  /** It is no update, or none that an honest node makes. The document is as it was. */
  | { readonly ok: false; readonly reason: string }

/** The revisions of an app that are kept. */
export interface AppHistory {
  /** The one in force and its ancestors, newest first. Of a removed app: the one that was removed. */
  readonly line: readonly Revision[]
  /** Those that lost against another made at the same time, newest generation first. */
  readonly lost: readonly Revision[]
}

/** How large the document is, for metrics. */
export interface DesiredDocStats {
  readonly sizeBytes: number
  readonly entries: number
  readonly writers: number
  /** Bytes of updates that wait for earlier ones. */
  readonly waitingBytes: number
  /** Live entries that are malformed, of a later version, or wrongly signed: never read, but kept. */
  readonly ignoredEntries: number
}

/**
 * The desired state that all nodes share. Any node edits at any time; once two have
 * exchanged what they know, in whatever order and however often, they read the same.
 */
export interface DesiredDoc {
  /** The desired state; the same object until something changed. Apps and nodes are in the order of their ids. */
  read(): Desired
  /** A kept revision, whether in force or not. */
  revision(app: AppId, id: RevisionId): Revision | undefined
  /** The kept revisions of an app: at most 10 after its last edit. */
  history(app: AppId): AppHistory
  /** Every revision that lost and is still kept, in the order of app and revision. */
  conflicts(): readonly Conflict[]
  /** Makes an edit, whole or not at all. `timeMs` is for people to see. */
  edit(edit: Edit, context: { readonly timeMs: number }): EditResult
  /** Takes in bytes from another node. Never throws. */
  apply(update: Uint8Array): ApplyResult
  /** What this document knows, for {@link DesiredDoc.since} of another. */
  vector(): Uint8Array
  /**
   * What is new to a document with `vector`, as an update; nothing when nothing is. A
   * malformed vector gets everything. At most about `bytesMax` bytes, by default half of
   * what `apply` takes: when more is new, the other asks again with its next vector.
   */
  since(vector: Uint8Array, bytesMax?: number): Uint8Array | undefined
  /** The whole document, for this node's own store. */
  snapshot(): Uint8Array
  /** Writes from now on to another log ({@link DesiredDocOptions.clientId}). */
  useClientId(clientId: number): void
  /** Why entries were ignored, one line each: the latest 100. */
  problems(): readonly string[]
  stats(): DesiredDocStats
}

const PROBLEMS_MAX = 100

/** Makes a document, empty or from what was saved. */
export function createDesiredDoc(options: DesiredDocOptions): DesiredDoc {
  return new YjsDesiredDoc(options)
}

interface AppView {
  readonly force: InForce | undefined
  readonly app: DesiredApp | undefined
  readonly conflicts: readonly Conflict[]
}

const NOTHING: AppView = { force: undefined, app: undefined, conflicts: [] }

class YjsDesiredDoc implements DesiredDoc {
  readonly #options: DesiredDocOptions
  readonly #log = createEntryLog()
  readonly #index = new FactIndex()
  readonly #views = new Map<AppId, AppView>()
  readonly #dirtyApps = new Set<AppId>()
  readonly #checked = new Set<Entry>()
  readonly #refused = new Map<Entry, string>()
  readonly #unloadable: string[] = []
  #clientId: number
  #desired: Desired | undefined
  /** What it says of others than apps: kept through edits of apps, which are most, so that who follows it sees that it is the same. */
  #others: Pick<Desired, 'nodes' | 'settings'> | undefined
  #conflicts: readonly Conflict[] | undefined
  #sizeBytes: number | undefined

  constructor(options: DesiredDocOptions) {
    this.#options = options
    this.#clientId = options.clientId
    this.#load(options.saved ?? [])
  }

  read(): Desired {
    this.#settle()
    this.#others ??= { nodes: this.#readNodes(), settings: this.#readSettings() }
    this.#desired ??= { apps: this.#readApps(), ...this.#others }
    return this.#desired
  }

  revision(app: AppId, id: RevisionId): Revision | undefined {
    const current = this.#view(app).force?.revision
    if (current?.id === id) return current
    for (const entry of this.#index.apps.get(app)?.revisions.get(id) ?? []) {
      const revision = this.#parse(entry)
      if (revision !== undefined) return revision
    }
    return undefined
  }

  history(app: AppId): AppHistory {
    const facts = this.#index.apps.get(app)
    const { force, conflicts } = this.#view(app)
    if (facts === undefined || force === undefined) return { line: [], lost: [] }
    return {
      line: lineOf(facts, force, this.#parse),
      lost: conflicts
        .map(({ lost }) => this.revision(app, lost))
        .filter(revision => revision !== undefined)
        .toSorted((one, other) => other.generation - one.generation),
    }
  }

  conflicts(): readonly Conflict[] {
    this.#settle()
    this.#conflicts ??= inOrder([...this.#views.keys()]).flatMap(
      app => this.#views.get(app)?.conflicts ?? [],
    )
    return this.#conflicts
  }

  edit(edit: Edit, { timeMs }: { readonly timeMs: number }): EditResult {
    const { self, sign, tombstonesMax = TOMBSTONES_MAX } = this.#options
    const plan = planEdit(edit, {
      index: this.#index,
      inForce: app => this.#view(app).force,
      self,
      sign,
      timeMs,
      tombstonesMax,
    })
    if (!plan.ok) return plan
    const { facts, drops, revisions } = plan
    if (facts.length + drops.length === 0) return { ok: true, update: undefined, revisions }
    // One time for the whole edit, so that its pointer and its scale win or lose together.
    const time = Math.min(this.#index.time + 1, TIME_MAX)
    const values = facts.map(fact => printEntry(fact, time))
    const { update, change } = this.#log.write(this.#clientId, values, drops)
    this.#take(change)
    for (const place of change.added) {
      const entry = this.#index.at(place)
      if (entry?.kind === 'rev') this.#checked.add(entry)
    }
    return { ok: true, update, revisions }
  }

  apply(update: Uint8Array): ApplyResult {
    this.#settle()
    const ownClock = this.#log.clock(this.#clientId)
    const applied = this.#log.apply(update)
    if (!applied.ok) return applied
    const { change, waiting } = applied
    const logWasBehind = this.#log.clock(this.#clientId) > ownClock
    const changed = change.added.length + change.removed.length > 0
    const before = new Map<AppId, readonly Conflict[]>()
    for (const app of this.#take(change)) before.set(app, this.#views.get(app)?.conflicts ?? [])
    this.#settle()
    const newConflicts = inOrder([...before.keys()]).flatMap(app => {
      const known = new Set(before.get(app)?.map(({ lost }) => lost))
      return this.#view(app).conflicts.filter(({ lost }) => !known.has(lost))
    })
    return { ok: true, changed, waiting, newConflicts, logWasBehind }
  }

  vector(): Uint8Array {
    return this.#log.vector()
  }

  since(vector: Uint8Array, bytesMax = UPDATE_BYTES_MAX / 2): Uint8Array | undefined {
    return this.#log.since(vector, bytesMax)
  }

  snapshot(): Uint8Array {
    const update = this.#log.encode()
    this.#sizeBytes = update.length
    return printSnapshot(update, this.#checked)
  }

  useClientId(clientId: number): void {
    this.#clientId = clientId
  }

  problems(): readonly string[] {
    return [...this.#unloadable, ...this.#refused.values()].slice(-PROBLEMS_MAX)
  }

  stats(): DesiredDocStats {
    this.#sizeBytes ??= this.#log.encode().length
    return {
      sizeBytes: this.#sizeBytes,
      entries: this.#index.entries,
      writers: this.#log.writers,
      waitingBytes: this.#log.waitingBytes,
      ignoredEntries: this.#index.ignored + this.#refused.size,
    }
  }

  #load(saved: readonly Uint8Array[]): void {
    const pieces = saved.map(parseSaved)
    for (const { update } of pieces) {
      const applied = this.#log.load(update)
      if (applied.ok) this.#take(applied.change)
      else this.#unloadable.push(`Cannot load a saved update: ${applied.reason}`)
    }
    for (const { checked } of pieces) {
      for (const place of checked) {
        const entry = this.#index.at(place)
        if (entry?.kind === 'rev') this.#checked.add(entry)
      }
    }
  }

  /** Takes in a change of the log, and returns the apps it was about. */
  #take(change: LogChange): ReadonlySet<AppId> {
    for (const place of change.removed) {
      const entry = this.#index.at(place)
      if (entry === undefined) continue
      this.#checked.delete(entry)
      this.#refused.delete(entry)
    }
    if (change.added.length + change.removed.length > 0) this.#sizeBytes = undefined
    const { apps, others } = this.#index.update(change)
    for (const app of apps) this.#dirtyApps.add(app)
    if (others) this.#desired = this.#others = undefined
    return apps
  }

  /** Brings the views of changed apps up to date. */
  #settle(): void {
    if (this.#dirtyApps.size === 0) return
    for (const id of this.#dirtyApps) {
      const view = this.#look(id)
      this.#desired = undefined
      if (view === NOTHING) this.#views.delete(id)
      else this.#views.set(id, view)
      this.#conflicts = undefined
    }
    this.#dirtyApps.clear()
  }

  #view(app: AppId): AppView {
    this.#settle()
    return this.#views.get(app) ?? NOTHING
  }

  #look(id: AppId): AppView {
    const facts = this.#index.apps.get(id)
    const force = facts && inForce(facts, this.#parse)
    if (facts === undefined || force === undefined) return NOTHING
    const conflicts = conflictsOf(facts, force, this.#parse)
    const { revision } = force
    if (revision === undefined) return { force, app: undefined, conflicts }
    const { spec, generation } = revision
    const instances = facts.scales[0]?.value ?? spec.instances
    const app = { id, spec, revision: revision.id, instances, generation }
    return { force, app, conflicts }
  }

  readonly #parse = (entry: Entry<'rev'>): Revision | undefined => {
    if (this.#refused.has(entry)) return undefined
    const parsed = parseRevision(entry, this.#options.verify, this.#checked.has(entry))
    if (!parsed.ok) {
      this.#refused.set(entry, parsed.reason)
      return undefined
    }
    this.#checked.add(entry)
    return parsed.revision
  }

  #readApps(): ReadonlyMap<AppId, DesiredApp> {
    const apps = new Map<AppId, DesiredApp>()
    for (const id of inOrder([...this.#views.keys()])) {
      const app = this.#views.get(id)?.app
      if (app !== undefined) apps.set(id, app)
    }
    return apps
  }

  #readNodes(): ReadonlyMap<NodeId, Admission> {
    const nodes = new Map<NodeId, Admission>()
    for (const node of inOrder([...this.#index.nodes.keys()])) {
      const facts = this.#index.nodes.get(node)
      const admission = facts?.admissions[0]?.value ?? null
      if (facts === undefined || admission === null) continue
      const mode = facts.modes[0]?.value ?? 'active'
      nodes.set(node, { node, ...admission, labels: readLabels(facts), mode })
    }
    return nodes
  }

  #readSettings(): ClusterSettings {
    const settings: { -readonly [Name in SettingName]?: number } = {}
    for (const [name, [winner]] of this.#index.settings) {
      if (winner !== undefined) settings[name] = winner.value
    }
    return settings
  }
}

/** Most nodes have none. */
const NO_LABELS: Admission['labels'] = {}

function readLabels({ labels }: NodeFacts): Admission['labels'] {
  if (labels.size === 0) return NO_LABELS
  const pairs = inOrder([...labels.keys()]).flatMap(key => {
    const winner = labels.get(key)?.[0]
    return winner === undefined ? [] : [[key, winner.value] as const]
  })
  return Object.fromEntries(pairs)
}

function inOrder<T extends string>(ids: readonly T[]): T[] {
  return ids.toSorted((one, other) => (one < other ? -1 : 1))
}
