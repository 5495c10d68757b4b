import type { NodeId } from '../../model/ids.ts'
import { updateBytes, type SwimUpdate } from './swim-message.ts'

/**
 * News waiting to be passed on: at most one update per node (a newer one replaces
 * it), each a limited number of times, the least told first (SWIM, section 4.1).
 * Bounded by the number of members.
 */
export class News {
  /** By how often it was told. */
  readonly #shelves: Map<NodeId, SwimUpdate>[] = [new Map<NodeId, SwimUpdate>()]
  #size = 0

  /** How many pieces of news still want telling. */
  get size(): number {
    return this.#size
  }

  /** Adds news of a node, in place of older news of it. */
  add(update: SwimUpdate): void {
    this.drop(update.node)
    this.#shelves[0]!.set(update.node, update)
    this.#size++
  }

  /** Forgets what there was to tell of a node. */
  drop(node: NodeId): void {
    for (const shelf of this.#shelves) {
      if (shelf.delete(node)) this.#size--
    }
  }

  /** Takes what fits into `bytes` for one message, after `first`, and forgets what was then told `limit` times. */
  take(bytes: number, limit: number, first: readonly SwimUpdate[]): readonly SwimUpdate[] {
    if (this.#size === 0) return first
    const taken: SwimUpdate[] = []
    const told: number[] = []
    let room = bytes
    for (const update of first) room -= updateBytes(update)
    for (const [times, shelf] of this.#shelves.entries()) {
      for (const update of shelf.values()) {
        if (room < updateBytes(update)) break
        if (first.some(({ node }) => node === update.node)) continue
        room -= updateBytes(update)
        taken.push(update)
        told.push(times)
      }
    }
    for (const [index, update] of taken.entries()) {
      const times = told[index]!
      this.#shelves[times]!.delete(update.node)
      if (times + 1 >= limit) this.#size--
      else (this.#shelves[times + 1] ??= new Map<NodeId, SwimUpdate>()).set(update.node, update)
    }
    return first.length === 0 ? taken : [...first, ...taken]
  }
}
