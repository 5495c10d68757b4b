import type { AppId, NodeId, RevisionId } from '../../model/ids.ts'
import type { Effect, EditResult } from './events.ts'
import type { Reach } from './reach.ts'

/** How long an edit waits for another node's disk before it is acknowledged as being only here. */
export const ACK_TIMEOUT_MS = 2_000

/**
 * How long the first disk that was asked may take before the edit is handed out again, in milliseconds; each
 * further wait is twice as long. What was under way on a connection that broke is lost, and a node that lacks
 * an earlier edit fetches that one first and keeps silent about this: both have it the second time.
 */
const HAND_AGAIN_MS = 200

interface Pending {
  readonly request: number
  readonly update: Uint8Array
  readonly revisions: readonly { readonly app: AppId; readonly revision: RevisionId }[]
  deadlineMs: number
  handAtMs: number
  handAgainMs: number
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
    this.#byToken.set(token, {
      ...edit,
      deadlineMs: Infinity,
      handAtMs: Infinity,
      handAgainMs: HAND_AGAIN_MS,
      stage: 'persisting',
    })
  }

  /** The edit is on this disk: gossip it, and hand it to others for theirs. */
  persisted(token: number, reachNow: () => Reach, nowMs: number): Effect[] {
    const pending = this.#byToken.get(token)
    if (pending === undefined) return []
    const published: Effect = {
      kind: 'publish',
      message: { kind: 'desired', update: pending.update },
    }
    const reach = reachNow()
    if (reach.isAlone) return [published, this.#finish(token, pending, undefined)]
    pending.stage = 'spreading'
    pending.deadlineMs = nowMs + ACK_TIMEOUT_MS
    return [published, ...hand(token, pending, reach, nowMs)]
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

  /** Answers the edits that have waited long enough, and hands the others out again when it is time. */
  expire(reach: () => Reach, nowMs: number): Effect[] {
    return [...this.#byToken].flatMap(([token, pending]) => {
      if (pending.deadlineMs <= nowMs) return [this.#finish(token, pending, undefined)]
      return pending.handAtMs <= nowMs ? hand(token, pending, reach(), nowMs) : []
    })
  }

  wakeAtMs(): number {
    let at = Infinity
    for (const { deadlineMs, handAtMs } of this.#byToken.values()) {
      at = Math.min(at, deadlineMs, handAtMs)
    }
    return at
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

function hand(token: number, pending: Pending, { peers }: Reach, nowMs: number): Effect[] {
  pending.handAtMs = nowMs + pending.handAgainMs
  pending.handAgainMs *= 2
  const { update } = pending
  return peers.map(to => ({ kind: 'send', to, message: { kind: 'store', id: token, update } }))
}
