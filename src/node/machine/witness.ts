import type { NodeId, SlotId } from '../../model/ids.ts'

/** Slots that a witness remembers. Beyond it the oldest that nobody holds any more are forgotten. */
const ENTRIES_MAX = 65_536

/** What a node asks of each witness: to be the only one that may run a slot. */
export interface Claim {
  readonly slot: SlotId
  /** Above every token that was granted for the slot before, unless it is the asker's own. */
  readonly token: number
  /** How long after the grant the asker's task may still be there, at most, in milliseconds. */
  readonly termMs: number
  /** True while the asker may still run the slot by an earlier grant of a majority. */
  readonly renews: boolean
}

/** A witness's answer to one claim. */
export interface Grant {
  readonly slot: SlotId
  readonly ok: boolean
  /** The highest token that the witness knows of the slot. */
  readonly token: number
  /** Who holds the slot, where somebody else does, and for how long at most. */
  readonly holder?: NodeId
  readonly leftMs?: number
}

interface Entry {
  holder: NodeId | undefined
  token: number
  untilMs: number
  /** What was promised to the same holder under an earlier token that it never released: its task may be there still. */
  olderUntilMs: number
}

/**
 * What this node has promised to whom: for each slot, that until a time by this node's
 * clock nobody but the holder gets its grant. A slot runs where a majority granted it;
 * two majorities share a witness, and so no slot has two holders.
 *
 * These are leases (Gray and Cheriton, 1989) kept by a majority without a disk, as in
 * PaxosLease (Trencséni, Gazsó and Reinhardt, 2012): a witness that restarted has
 * forgotten what it promised, and vouches for nothing until every promise of its
 * earlier life is over. Clocks need not agree, they only have to run at about one rate.
 */
export class Witness {
  readonly #entries = new Map<SlotId, Entry>()
  readonly #knowsSinceMs: number
  #tokenMax = 0

  /** @param isNew True at a node's very first start: it has promised nothing before. */
  constructor({ isNew, nowMs }: { readonly isNew: boolean; readonly nowMs: number }) {
    this.#knowsSinceMs = isNew ? -Infinity : nowMs
  }

  /** The highest token that was ever granted here. */
  get tokenMax(): number {
    return this.#tokenMax
  }

  /** Decides on a claim, and remembers what it grants. */
  judge(from: NodeId, { slot, token, termMs, renews }: Claim, nowMs: number): Grant {
    const entry = this.#entries.get(slot)
    const known = entry?.token ?? 0
    const isOther = entry?.holder !== from
    if (entry?.holder !== undefined && isOther && nowMs < entry.untilMs) {
      const { holder, untilMs } = entry
      return { slot, ok: false, token: known, holder, leftMs: Math.ceil(untilMs - nowMs) }
    }
    const hasForgotten = entry === undefined && nowMs - this.#knowsSinceMs < termMs
    if (hasForgotten && !renews) {
      const leftMs = Math.ceil(this.#knowsSinceMs + termMs - nowMs)
      return { slot, ok: false, token: known, leftMs }
    }
    if (token < known || (token === known && isOther)) return { slot, ok: false, token: known }
    this.#tokenMax = Math.max(this.#tokenMax, token)
    this.#entries.delete(slot)
    const isAnew = !isOther && token !== known
    const before = isOther ? -Infinity : entry.olderUntilMs
    const olderUntilMs = isAnew ? Math.max(before, entry.untilMs) : before
    this.#entries.set(slot, { holder: from, token, untilMs: nowMs + termMs, olderUntilMs })
    this.#bound(nowMs)
    return { slot, ok: true, token }
  }

  /** The holder gives a slot up: nothing that it started under this token runs any more. */
  release(from: NodeId, slot: SlotId, token: number, nowMs: number): void {
    const entry = this.#entries.get(slot)
    if (entry?.holder !== from || entry.token !== token) return
    if (entry.olderUntilMs > nowMs) entry.untilMs = entry.olderUntilMs
    else entry.holder = undefined
  }

  /** The highest token that was granted here for a slot; 0 when none is known. */
  tokenOf(slot: SlotId): number {
    return this.#entries.get(slot)?.token ?? 0
  }

  #bound(nowMs: number): void {
    if (this.#entries.size <= ENTRIES_MAX) return
    for (const [slot, { holder, untilMs }] of this.#entries) {
      if (holder !== undefined && nowMs < untilMs) continue
      this.#entries.delete(slot)
      if (this.#entries.size <= ENTRIES_MAX) return
    }
  }
}
