import type { AppSpec } from '../../model/app.ts'
import { toMs } from '../../model/duration.ts'
import type { RevisionId, SlotId } from '../../model/ids.ts'
import type { Refusal } from '../../model/node-record.ts'
import { backoffMs } from '../../util/backoff.ts'

/** After so many failures in a row a node refuses the slot, so that the next one tries. */
const REFUSE_AFTER_FAILURES = 5

/** A refusal stands at least so long. */
const REFUSAL_MS_MIN = 60_000

/** A task that ran so long has come up: what fails after that starts to count anew. */
const GOOD_RUN_MS = 60_000

interface Failures {
  readonly revision: RevisionId
  readonly count: number
  readonly delayMs: number
  readonly retryAtMs: number
  readonly message: string
}

/** One task that failed. */
export interface TaskFailure {
  readonly slot: SlotId
  readonly revision: RevisionId
  readonly backoff: AppSpec['backoff']
  /** How long it ran. */
  readonly ranMs: number
  /** False when no other try on this node can go better. */
  readonly temporary: boolean
  readonly message: string
}

/**
 * How the slots of this node failed here, of one revision each: when each may be tried again, by a backoff that
 * grows like Marathon's, and which ones the node refuses, so that others take them.
 */
export class SlotFailures {
  readonly #failures = new Map<SlotId, Failures>()
  readonly #refusals = new Map<SlotId, Refusal & { readonly untilMs: number }>()

  /** What the node refuses, in a fixed order. */
  refusals(): Refusal[] {
    return Array.from(this.#refusals.values(), ({ slot, revision, reason }) => ({
      slot,
      revision,
      reason,
    })).toSorted((one, other) => (one.slot < other.slot ? -1 : 1))
  }

  /** True while the node refuses the slot: at this revision, or at any. */
  isRefused(slot: SlotId, revision?: RevisionId): boolean {
    const refusal = this.#refusals.get(slot)
    return refusal !== undefined && (revision === undefined || refusal.revision === revision)
  }

  /** When a slot that failed may be tried again. */
  retryAtMs(slot: SlotId, revision: RevisionId): number | undefined {
    const failures = this.#failures.get(slot)
    return failures?.revision === revision ? failures.retryAtMs : undefined
  }

  /** What a slot's last failures were, in words; empty when there were none. */
  textOf(slot: SlotId): string {
    const failures = this.#failures.get(slot)
    if (failures === undefined) return ''
    const times = failures.count === 1 ? 'once' : `${failures.count} times in a row`
    return `it failed here ${times} (${failures.message}); the next try comes ${(failures.delayMs / 1000).toFixed(1)} s after the last`
  }

  /** Counts a failure, and refuses the slot when it is one too many. */
  count({ slot, revision, backoff, ranMs, temporary, message }: TaskFailure, nowMs: number): void {
    const before = this.#failures.get(slot)
    const isSame = before?.revision === revision
    const ranWell = ranMs >= Math.max(GOOD_RUN_MS, before?.delayMs ?? 0)
    const count = isSame && !ranWell ? before.count + 1 : 1
    const { initial, factor, max } = backoff
    const delayMs = backoffMs(count, { initialMs: toMs(initial), factor, maxMs: toMs(max) })
    this.#failures.set(slot, { revision, count, delayMs, retryAtMs: nowMs + delayMs, message })
    if (temporary && count < REFUSE_AFTER_FAILURES) return
    const times = count === 1 ? '' : ` (${count} times in a row)`
    const untilMs = nowMs + Math.max(REFUSAL_MS_MIN, delayMs)
    this.#refusals.set(slot, { slot, revision, reason: `${message}${times}`, untilMs })
  }

  /** The slot runs here at this revision after all: how it failed before says nothing any more. */
  forgive(slot: SlotId, revision: RevisionId): void {
    if (this.#failures.get(slot)?.revision === revision) this.#failures.delete(slot)
    this.#dropRefusals(one => one.slot === slot && one.revision === revision)
  }

  /** Drops the refusals that are over, and the failures of slots that are not here. Says how many refusals it dropped. */
  expire(nowMs: number, isOwn: (slot: SlotId) => boolean): number {
    const dropped = this.#dropRefusals(({ untilMs }) => untilMs <= nowMs)
    for (const slot of this.#failures.keys()) {
      if (!isOwn(slot) && !this.#refusals.has(slot)) this.#failures.delete(slot)
    }
    return dropped
  }

  /** Drops the refusals of revisions that are no longer wanted. Says how many. */
  dropStale(revisionOf: (slot: SlotId) => RevisionId | undefined): number {
    return this.#dropRefusals(({ slot, revision }) => revisionOf(slot) !== revision)
  }

  /** When the next refusal is over; `Infinity` for never. */
  wakeAtMs(): number {
    let at = Infinity
    for (const { untilMs } of this.#refusals.values()) at = Math.min(at, untilMs)
    return at
  }

  #dropRefusals(isOver: (refusal: Refusal & { readonly untilMs: number }) => boolean): number {
    let dropped = 0
    for (const [slot, refusal] of this.#refusals) {
      if (!isOver(refusal)) continue
      this.#refusals.delete(slot)
      dropped++
    }
    return dropped
  }
}
