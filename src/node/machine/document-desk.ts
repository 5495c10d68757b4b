import { createDesiredDoc, type DesiredDoc } from '../../crdt/desired-doc.ts'
import type { Desired, Edit } from '../../model/desired.ts'
import type { NodeId } from '../../model/ids.ts'
import type { Verify } from '../../util/keys.ts'
import type { Random } from '../../util/random.ts'
import type { ClusterEvent, Effect } from './events.ts'
import { PendingEdits } from './pending-edits.ts'
import type { Reach } from './reach.ts'
import { tellingsOfDesired } from './tellings.ts'

/** After a disk refused an update of another node, the whole document is offered to it again so often, in milliseconds. */
export const PERSIST_RETRY_MS = 5_000

/** Edits that wait for the one before them to be on the disk; more are refused. */
const QUEUE_MAX = 1_000

/** Options of {@link DocumentDesk}. */
export interface DocumentDeskOptions {
  readonly self: NodeId
  readonly clientId: number
  readonly sign: (bytes: Uint8Array) => Uint8Array
  readonly verify: Verify
  readonly random: Random
  /**
   * True when it is sure that nobody but this run writes to this node's log. A disk that was put back to
   * an older state, or copied to another machine, has an old end of the log: until it is known
   * that it is neither, edits go to a new one.
   */
  readonly isSureOfLog: (nowMs: number) => boolean
  /** The document as the disk has it. */
  readonly updates: readonly Uint8Array[]
}

/**
 * Where the document is kept: takes edits and updates, sees to it that each is on
 * the disk before anybody is told of it, and answers the author when it is safe.
 */
export class DocumentDesk {
  readonly #options: DocumentDeskOptions
  readonly #edits: PendingEdits
  #doc: DesiredDoc
  #clientId: number
  /** True once this run writes to a log that it drew itself. */
  #isLogFresh = false
  #isLogDoubted = false
  readonly #queue: { readonly request: number; readonly edit: Edit }[] = []
  /** Answers owed to others once the update before them is on the disk. */
  readonly #storedAcks: { readonly token: number; readonly to: NodeId; readonly id: number }[] = []
  #lastToken = 0
  /** True from an edit that the disk refused until the document is as the disk has it. */
  #isReloading = false
  #persistedToken = 0
  #persistRetryAtMs = Infinity
  /** While set, an update of another node is missing on the disk: nobody is told that anything is stored until the write with this token. */
  #repairToken: number | undefined
  #admitted: ReadonlySet<NodeId> = new Set()

  constructor(options: DocumentDeskOptions) {
    this.#options = options
    this.#clientId = options.clientId
    this.#edits = new PendingEdits(options.self)
    this.#doc = this.#open(options.updates)
    this.#admitted = new Set(this.#doc.read().nodes.keys())
  }

  get doc(): DesiredDoc {
    return this.#doc
  }

  get admitted(): ReadonlySet<NodeId> {
    return this.#admitted
  }

  /** True while an edit is in the document but not on the disk: nobody may be shown it. */
  get isPersisting(): boolean {
    return this.#edits.isPersisting || this.#isReloading
  }

  wakeAtMs(): number {
    return Math.min(this.#edits.wakeAtMs(), this.#persistRetryAtMs)
  }

  /** Makes an edit, or queues it behind one that is not yet on the disk. */
  edit(request: number, edit: Edit, nowMs: number): Effect[] {
    if (this.isPersisting) {
      if (this.#queue.length < QUEUE_MAX) {
        this.#queue.push({ request, edit })
        return []
      }
      const reason = `${QUEUE_MAX} edits wait for this node's disk already: try again`
      return [{ kind: 'reply', request, result: { ok: false, reason } }]
    }
    const isSure = !this.#isLogDoubted && (this.#isLogFresh || this.#options.isSureOfLog(nowMs))
    const renewed = isSure ? [] : [this.#drawClientId()]
    const before = this.#doc.read()
    const edited = this.#doc.edit(edit, { timeMs: nowMs })
    if (!edited.ok) return [...renewed, { kind: 'reply', request, result: edited }]
    const { update, revisions } = edited
    if (update === undefined) {
      const storedOn = [this.#options.self]
      const result = { ok: true, changed: false, storedOn, onlyHere: false, revisions } as const
      return [...renewed, { kind: 'reply', request, result }]
    }
    const token = ++this.#lastToken
    this.#edits.add(token, { request, update, revisions })
    return [...renewed, { kind: 'persist', token, update }, ...this.changed(before, nowMs)]
  }

  /** Somebody knows of a life of this node that this run does not: it may have written more to the log than is known here. */
  doubtLog(): void {
    this.#isLogDoubted = true
  }

  /** The disk has everything up to `token`. Edits go on to others for their disks: `reach` is asked for whom. */
  persisted(token: number, reach: () => Reach, nowMs: number): Effect[] {
    this.#persistedToken = Math.max(this.#persistedToken, token)
    if (token === this.#repairToken) this.#repairToken = undefined
    return [
      ...this.#edits.persisted(token, reach, nowMs),
      ...this.#acknowledgeStored(),
      ...this.#editNext(nowMs),
    ]
  }

  /** The disk refused. An edit is taken back whole; what others sent stays, and is offered to the disk again. */
  persistFailed(token: number, reason: string, nowMs: number): Effect[] {
    const told = telling(nowMs, 'document', 'disk', `refused an update: ${reason}`)
    const failed = this.#edits.failed(token, reason)
    if (failed !== undefined) {
      this.#isReloading = true
      return [...failed, { kind: 'reload' }, told]
    }
    this.#persistRetryAtMs = nowMs + PERSIST_RETRY_MS
    this.#repairToken = Infinity
    this.#storedAcks.length = 0
    return [told]
  }

  /** Starts again from what the disk has. */
  reloaded(updates: readonly Uint8Array[], nowMs: number): Effect[] {
    const before = this.#doc.read()
    this.#isReloading = false
    this.#doc = this.#open(updates)
    return [...this.changed(before, nowMs), ...this.#editNext(nowMs)]
  }

  stored(id: number, by: NodeId): Effect[] {
    return this.#edits.stored(id, by)
  }

  /** Takes in bytes of another node. `isWhole` is false when they are bad, or wait for earlier ones. */
  take(
    update: Uint8Array,
    nameOf: (node: NodeId) => string,
    from: NodeId,
    nowMs: number,
  ): { readonly effects: Effect[]; readonly isWhole: boolean } {
    const before = this.#doc.read()
    const applied = this.#doc.apply(update)
    if (!applied.ok) {
      const text = `sent a bad update of the document: ${applied.reason}`
      return { isWhole: false, effects: [telling(nowMs, 'refused', nameOf(from), text)] }
    }
    const effects: Effect[] = applied.logWasBehind ? this.#renewClientId(nowMs) : []
    if (!applied.changed && !applied.waiting) return { isWhole: true, effects }
    // One that waits is written, too: what it waits for may come from a node that has not got this one.
    effects.push(
      { kind: 'persist', token: ++this.#lastToken, update },
      ...this.changed(before, nowMs),
    )
    for (const { app, lost, lostAuthor } of applied.newConflicts) {
      const text = `was edited twice at once: revision ${lost} by ${nameOf(lostAuthor)} lost, and is kept in the history`
      effects.push(telling(nowMs, 'conflict', app, text))
    }
    return { isWhole: !applied.waiting, effects }
  }

  /** Owes `to` an answer when all that was taken so far is on the disk. */
  acknowledge(to: NodeId, id: number): Effect[] {
    if (this.#repairToken !== undefined) return []
    this.#storedAcks.push({ token: this.#lastToken, to, id })
    return this.#acknowledgeStored()
  }

  /** What time alone brings; `reach` is asked when an edit must be handed out again. */
  expire(reach: () => Reach, nowMs: number): Effect[] {
    const effects = this.#edits.expire(reach, nowMs)
    if (nowMs < this.#persistRetryAtMs) return effects
    this.#persistRetryAtMs = Infinity
    const token = ++this.#lastToken
    this.#repairToken = token
    return [...effects, { kind: 'persist', token, update: this.#doc.snapshot() }]
  }

  /** What follows from a change of the document: who is admitted, and what to tell. */
  changed(before: Desired, nowMs: number): Effect[] {
    const desired = this.#doc.read()
    const effects = tellingsOfDesired(before, desired, nowMs).map((event): Effect => ({
      kind: 'tell',
      event,
    }))
    if (before.nodes === desired.nodes) return effects
    const admitted = new Set(desired.nodes.keys())
    const isSame =
      admitted.size === this.#admitted.size && [...admitted].every(node => this.#admitted.has(node))
    if (isSame) return effects
    this.#admitted = admitted
    return [...effects, { kind: 'admit', nodes: admitted }]
  }

  #open(saved: readonly Uint8Array[]): DesiredDoc {
    const { self, sign, verify } = this.#options
    return createDesiredDoc({ self, clientId: this.#clientId, sign, verify, saved })
  }

  /** This node's disk was put back to an older state: it must not write the same place of its log twice. */
  #renewClientId(nowMs: number): Effect[] {
    const text = 'is older than what this node once said: it goes on under a new writer id'
    return [this.#drawClientId(), telling(nowMs, 'document', 'disk', text)]
  }

  #drawClientId(): Effect {
    this.#clientId = 1 + Math.floor(this.#options.random() * (2 ** 32 - 2))
    this.#doc.useClientId(this.#clientId)
    this.#isLogFresh = true
    this.#isLogDoubted = false
    return { kind: 'keep-client-id', clientId: this.#clientId }
  }

  #editNext(nowMs: number): Effect[] {
    const effects: Effect[] = []
    while (!this.isPersisting) {
      const next = this.#queue.shift()
      if (next === undefined) break
      effects.push(...this.edit(next.request, next.edit, nowMs))
    }
    return effects
  }

  #acknowledgeStored(): Effect[] {
    const effects: Effect[] = []
    while (this.#storedAcks[0] !== undefined && this.#storedAcks[0].token <= this.#persistedToken) {
      const { to, id } = this.#storedAcks.shift()!
      effects.push({ kind: 'send', to, message: { kind: 'stored', id } })
    }
    return effects
  }
}

/** An effect that tells people something. */
export function telling(
  timeMs: number,
  kind: ClusterEvent['kind'],
  subject: string,
  text: string,
): Effect {
  return { kind: 'tell', event: { timeMs, kind, subject, text } }
}
