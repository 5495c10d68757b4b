import type { Random } from '../../util/random.ts'

/** Something that can be in one rotation at a time. The rotation owns `place`. */
export interface Rotating {
  place: number
}

/**
 * Hands out its items in turn, in an order that is shuffled anew each round, with
 * O(1) for each operation. Of n items each is met within 2n − 1 turns however
 * unlucky the shuffle, which bounds how long a crash can stay unseen (SWIM,
 * section 4.3).
 */
export class Rotation<T extends Rotating> {
  readonly #items: T[] = []
  readonly #random: Random
  /** Items before this place had their turn in this round. */
  #turn = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** How many items there are. */
  get size(): number {
    return this.#items.length
  }

  /** The items, in no order that means anything. */
  get items(): readonly T[] {
    return this.#items
  }

  /** Adds an item at a random place of what is left of this round. */
  add(item: T): void {
    const last = this.#items.length
    const place = this.#turn + Math.floor(this.#random() * (last - this.#turn + 1))
    this.#items.push(item)
    item.place = last
    this.#swap(place, last)
  }

  /** Removes an item, without costing another one its turn. */
  remove(item: T): void {
    const last = this.#items.length - 1
    let hole = item.place
    if (hole < this.#turn) {
      this.#turn--
      this.#swap(hole, this.#turn)
      hole = this.#turn
    }
    this.#swap(hole, last)
    this.#items.pop()
    item.place = -1
  }

  /** Whose turn it is, or nothing when there are none. */
  next(): T | undefined {
    if (this.#turn >= this.#items.length) {
      this.#turn = 0
      for (let last = this.#items.length - 1; last > 0; last--) {
        this.#swap(Math.floor(this.#random() * (last + 1)), last)
      }
    }
    return this.#items[this.#turn++]
  }

  /** Up to `count` different random items that `fits` accepts; gives up after a few misses. */
  sample(count: number, fits: (item: T) => boolean): T[] {
    const chosen: T[] = []
    const tries = Math.min(this.#items.length * 2, count * 4)
    for (let i = 0; i < tries && chosen.length < count; i++) {
      const item = this.#items[Math.floor(this.#random() * this.#items.length)]
      if (item !== undefined && fits(item) && !chosen.includes(item)) chosen.push(item)
    }
    return chosen
  }

  #swap(one: number, other: number): void {
    const a = this.#items[one]
    const b = this.#items[other]
    if (a === undefined || b === undefined || a === b) return
    this.#items[one] = b
    this.#items[other] = a
    a.place = other
    b.place = one
  }
}
