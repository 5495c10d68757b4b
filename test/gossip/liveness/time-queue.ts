/** Items in order of time, and of arrival where times are equal: a binary heap. */
export class TimeQueue<T> {
  readonly #heap: { readonly atMs: number; readonly order: number; readonly item: T }[] = []
  #order = 0

  /** When the first item is due; Infinity when there is none. */
  get nextMs(): number {
    return this.#heap[0]?.atMs ?? Infinity
  }

  add(atMs: number, item: T): void {
    const heap = this.#heap
    const entry = { atMs, order: this.#order++, item }
    let place = heap.length
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (heap[parent]!.atMs <= atMs) break
      heap[place] = heap[parent]!
      place = parent
    }
    heap[place] = entry
  }

  /** Takes the first item. */
  take(): T | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || first === last) return first?.item
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = last
    return first.item
  }
}

interface Timed {
  readonly atMs: number
  readonly order: number
}

function isBefore(one: Timed, other: Timed): boolean {
  return one.atMs === other.atMs ? one.order < other.order : one.atMs < other.atMs
}
