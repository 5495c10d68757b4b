import type { Edge } from './state.ts'

/** Gives edges back in order. */
export interface EdgeQueue {
  push(edge: Edge): void
  /** The same as pushing each, but faster for many. */
  pushAll(edges: readonly Edge[]): void
  /** Takes the first one; nothing when empty. */
  pop(): Edge | undefined
}

/** Above this many edges, an index no longer fits beside a 32-bit distance in a number. */
const SORTED_MAX = 2 ** 20

/** Makes an empty queue: a run that was sorted at once, beside a heap for what comes later. */
export function createEdgeQueue(compare: (one: Edge, other: Edge) => number): EdgeQueue {
  const heap: Edge[] = []
  let sorted: Edge[] = []
  let cursor = 0

  function push(edge: Edge): void {
    let at = heap.length
    heap.push(edge)
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (compare(heap[parent]!, edge) <= 0) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = edge
  }

  function popHeap(): Edge | undefined {
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && compare(heap[child + 1]!, heap[child]!) < 0) child++
      if (compare(heap[child]!, last) >= 0) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return top
  }

  return {
    push,
    pushAll(edges) {
      if (cursor < sorted.length || edges.length > SORTED_MAX) for (const edge of edges) push(edge)
      else {
        sorted = sortEdges(edges, compare)
        cursor = 0
      }
    },
    pop() {
      const next = sorted[cursor]
      if (next === undefined || (heap.length > 0 && compare(heap[0]!, next) <= 0)) return popHeap()
      cursor++
      return next
    },
  }
}

/** Sorts tier by tier; nearly always there is only one. */
function sortEdges(edges: readonly Edge[], compare: (one: Edge, other: Edge) => number): Edge[] {
  const first = edges[0]?.tier
  if (edges.every(({ tier }) => tier === first)) return sortTier(edges, compare)
  const byTier = new Map<number, Edge[]>()
  for (const edge of edges) {
    const tier = byTier.get(edge.tier)
    if (tier === undefined) byTier.set(edge.tier, [edge])
    else tier.push(edge)
  }
  return [...byTier]
    .toSorted(([one], [other]) => one - other)
    .flatMap(([, tier]) => sortTier(tier, compare))
}

/** Sorts by packing distance and index into one exact integer (sorting plain numbers is ten times as fast), then puts right what has equal distances. */
function sortTier(edges: readonly Edge[], compare: (one: Edge, other: Edge) => number): Edge[] {
  const packed = new Float64Array(edges.length)
  for (let index = 0; index < edges.length; index++) {
    packed[index] = (edges[index]!.distance >>> 0) * SORTED_MAX + index
  }
  packed.sort() // oxlint-disable-line unicorn/no-array-sort -- its own copy, and large
  const sorted: Edge[] = []
  for (let index = 0; index < edges.length; index++) {
    sorted.push(edges[packed[index]! % SORTED_MAX]!)
  }
  for (let at = 1; at < sorted.length; at++) {
    for (let back = at; back > 0 && compare(sorted[back - 1]!, sorted[back]!) > 0; back--) {
      ;[sorted[back - 1], sorted[back]] = [sorted[back]!, sorted[back - 1]!]
    }
  }
  return sorted
}
