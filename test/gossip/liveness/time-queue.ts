/** Children of a place in the heap: four lie side by side in memory, and the heap is half as deep as with two. */
const CHILDREN = 4

/**
 * Items in order of time, and of arrival where times are equal: a heap. Times are kept apart from the items, in plain numbers:
 * a simulation of a thousand nodes has tens of millions of items, and looking at each object costs more than moving it.
 */
export class TimeQueue<T> {
  #times = new Float64Array(1024)
  #orders = new Float64Array(1024)
  readonly #items: T[] = []
  #order = 0

  /** When the first item is due; Infinity when there is none. */
  get nextMs(): number {
    return this.#items.length === 0 ? Infinity : this.#times[0]!
  }

  add(atMs: number, item: T): void {
    const size = this.#items.length
    if (size === this.#times.length) this.#grow()
    this.#items.push(item)
    const times = this.#times
    let place = size
    while (place > 0) {
      const parent = Math.floor((place - 1) / CHILDREN)
      if (times[parent]! <= atMs) break
      this.#move(parent, place)
      place = parent
    }
    this.#put(place, atMs, this.#order++, item)
  }

  /** Takes the first item. */
  take(): T | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    const size = items.length
    if (first === undefined || last === undefined || size === 0) return first
    const atMs = this.#times[size]!
    const order = this.#orders[size]!
    let place = 0
    for (let child = 1; child < size; child = CHILDREN * place + 1) {
      const next = this.#earliest(child, Math.min(child + CHILDREN, size))
      if (!this.#isBefore(next, atMs, order)) break
      this.#move(next, place)
      place = next
    }
    this.#put(place, atMs, order, last)
    return first
  }

  #earliest(from: number, to: number): number {
    let first = from
    for (let at = from + 1; at < to; at++) {
      if (this.#isBefore(at, this.#times[first]!, this.#orders[first]!)) first = at
    }
    return first
  }

  #isBefore(place: number, atMs: number, order: number): boolean {
    const other = this.#times[place]!
    return other < atMs || (other === atMs && this.#orders[place]! < order)
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from]!, this.#orders[from]!, this.#items[from]!)
  }

  #put(place: number, atMs: number, order: number, item: T): void {
    this.#times[place] = atMs
    this.#orders[place] = order
    this.#items[place] = item
  }

  #grow(): void {
    const [times, orders] = [this.#times, this.#orders]
    this.#times = new Float64Array(2 * times.length)
    this.#orders = new Float64Array(2 * orders.length)
    this.#times.set(times)
    this.#orders.set(orders)
  }
}
