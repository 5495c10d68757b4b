import type { AppId, NodeId, RevisionId } from '../../model/ids.ts'
import type { Effect, EditResult } from './events.ts'

/** How long an edit waits for another node's disk before it is acknowledged as being only here. */
export const ACK_TIMEOUT_MS = 2_000

/** How many nodes an edit is handed to at once: the first to store it acknowledges it. */
export const ACK_PEERS = 3

interface Pending {
  readonly request: number
  readonly update: Uint8Array
  readonly revisions: readonly { readonly app: AppId; readonly revision: RevisionId }[]
  deadlineMs: number
  stage: 'persisting' | 'spreading'
}

/**
 * Edits made through this node that are not acknowledged yet. An edit counts when
 * it is on this node's disk and on one more, so that losing a machine right after
 * the answer loses nothing; without another node in reach the answer says so.
 */
export class PendingEdits {
  readonly #self: NodeId
  readonly #byToken = new Map<number, Pending>()

  constructor(self: NodeId) {
    this.#self = self
  }

  /** True while an edit is in the document but not yet on the disk: nobody may be shown it. */
  get isPersisting(): boolean {
    return [...this.#byToken.values()].some(({ stage }) => stage === 'persisting')
  }

  add(
    token: number,
    edit: {
      readonly request: number
      readonly update: Uint8Array
      readonly revisions: readonly { readonly app: AppId; readonly revision: RevisionId }[]
    },
  ): void {
    this.#byToken.set(token, { ...edit, deadlineMs: Infinity, stage: 'persisting' })
  }

  /** The edit is on this disk: gossip it, and hand it to `peers` for theirs. */
  persisted(token: number, peers: readonly NodeId[], nowMs: number): Effect[] {
    const pending = this.#byToken.get(token)
    if (pending === undefined) return []
    const { update } = pending
    const published: Effect = { kind: 'publish', message: { kind: 'desired', update } }
    if (peers.length === 0) return [published, this.#finish(token, pending, undefined)]
    pending.stage = 'spreading'
    pending.deadlineMs = nowMs + ACK_TIMEOUT_MS
    const handed = peers.map((to): Effect => ({
      kind: 'send',
      to,
      message: { kind: 'store', id: token, update },
    }))
    return [published, ...handed]
  }

  /** Another node has the edit on its disk. */
  stored(token: number, by: NodeId): Effect[] {
    const pending = this.#byToken.get(token)
    if (pending?.stage !== 'spreading') return []
    return [this.#finish(token, pending, by)]
  }

  /** The disk refused: nothing of the edit stands. True when the token was an edit's. */
  failed(token: number, reason: string): Effect[] | undefined {
    const pending = this.#byToken.get(token)
    if (pending === undefined) return undefined
    this.#byToken.delete(token)
    const text = `the edit could not be stored on this node's disk and was not made: ${reason}`
    return [{ kind: 'reply', request: pending.request, result: { ok: false, reason: text } }]
  }

  /** Answers the edits that have waited long enough. */
  expire(nowMs: number): Effect[] {
    return [...this.#byToken]
      .filter(([, { deadlineMs }]) => deadlineMs <= nowMs)
      .map(([token, pending]) => this.#finish(token, pending, undefined))
  }

  wakeAtMs(): number {
    return Math.min(Infinity, ...Array.from(this.#byToken.values(), ({ deadlineMs }) => deadlineMs))
  }

  #finish(token: number, { request, revisions }: Pending, by: NodeId | undefined): Effect {
    this.#byToken.delete(token)
    const result: EditResult = {
      ok: true,
      changed: true,
      storedOn: by === undefined ? [this.#self] : [this.#self, by],
      onlyHere: by === undefined,
      revisions,
    }
    return { kind: 'reply', request, result }
  }
}
