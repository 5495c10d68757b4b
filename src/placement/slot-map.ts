import type { NodeId, SlotId } from '../model/ids.ts'
import { hashText } from './hash.ts'

/** Slots and their new nodes; without one for slots that are gone from the map. */
export type SlotChanges = ReadonlyMap<SlotId, NodeId | undefined>

/**
 * Slot → node, never changed once made. The next version shares all that stayed
 * the same: copying a map of 100,000 slots for each node that joins would take
 * longer than placing them.
 */
export class SlotMap implements ReadonlyMap<SlotId, NodeId> {
  readonly size: number
  readonly #base: ReadonlyMap<SlotId, NodeId>
  readonly #changes: SlotChanges
  #sums: readonly [number, number] | undefined

  constructor(base: ReadonlyMap<SlotId, NodeId>, changes: SlotChanges = new Map()) {
    this.#base = base
    this.#changes = changes
    let { size } = base
    for (const [slot, node] of changes) size += Number(node !== undefined) - Number(base.has(slot))
    this.size = size
  }

  /** The next version. Costs as much as what changed since the last copy, which is made when that is an eighth of all. */
  with(changes: SlotChanges): SlotMap {
    const all = new Map([...this.#changes, ...changes])
    const sums = this.#sums === undefined ? undefined : this.#sumsWith(changes, this.#sums)
    const isLarge = all.size * 8 > this.#base.size + 64
    const next = isLarge
      ? new SlotMap(new Map(new SlotMap(this.#base, all)))
      : new SlotMap(this.#base, all)
    next.#sums = sums
    return next
  }

  /** Two sums of hashes over all pairs, whatever their order. The first call takes a look at each, later versions only at what changed. */
  sums(): readonly [number, number] {
    if (this.#sums === undefined) {
      let [low, high] = [0, 0]
      for (const [slot, node] of this) {
        low = (low + pairHash(slot, node, 1)) >>> 0
        high = (high + pairHash(slot, node, 2)) >>> 0
      }
      this.#sums = [low, high]
    }
    return this.#sums
  }

  get(slot: SlotId): NodeId | undefined {
    return this.#changes.has(slot) ? this.#changes.get(slot) : this.#base.get(slot)
  }

  has(slot: SlotId): boolean {
    return this.get(slot) !== undefined
  }

  *entries(): MapIterator<[SlotId, NodeId]> {
    if (this.#changes.size === 0) return yield* this.#base
    for (const pair of this.#base) if (!this.#changes.has(pair[0])) yield pair
    for (const [slot, node] of this.#changes) if (node !== undefined) yield [slot, node]
  }

  [Symbol.iterator](): MapIterator<[SlotId, NodeId]> {
    return this.entries()
  }

  *keys(): MapIterator<SlotId> {
    for (const [slot] of this) yield slot
  }

  *values(): MapIterator<NodeId> {
    for (const [, node] of this) yield node
  }

  forEach(callback: (node: NodeId, slot: SlotId, map: ReadonlyMap<SlotId, NodeId>) => void): void {
    for (const [slot, node] of this) callback(node, slot, this)
  }

  #sumsWith(changes: SlotChanges, [low, high]: readonly [number, number]): [number, number] {
    for (const [slot, node] of changes) {
      const before = this.get(slot)
      low += pairHash(slot, node, 1) - pairHash(slot, before, 1)
      high += pairHash(slot, node, 2) - pairHash(slot, before, 2)
    }
    return [low >>> 0, high >>> 0]
  }
}

/** 0 for a slot that is not in the map, so that it adds nothing to a sum. */
function pairHash(slot: SlotId, node: NodeId | undefined, seed: number): number {
  return node === undefined ? 0 : hashText(`${slot}=${node}`, seed)
}
