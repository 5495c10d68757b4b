import type { Edge, NodeState } from './state.ts'

/** Orders edges: by key, the smaller the earlier, and where keys are equal by the ids. */
export function compareEdges(one: Edge, other: Edge): number {
  if (one.tier !== other.tier) return one.tier - other.tier
  if (one.distance !== other.distance) return (one.distance >>> 0) - (other.distance >>> 0)
  if (one.slot !== other.slot) return one.slot.id < other.slot.id ? -1 : 1
  if (one.node === other.node) return 0
  return one.node.id < other.node.id ? -1 : 1
}

/** Where `edge` is, or belongs, among edges in order. */
export function positionOf(edges: readonly Edge[], edge: Edge): number {
  let from = 0
  let to = edges.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if (compareEdges(edges[middle]!, edge) < 0) from = middle + 1
    else to = middle
  }
  return from
}

/** The edge of a node with the same key, accepted or rejected. */
export function findEdge({ held, rejected }: NodeState, edge: Edge): Edge | undefined {
  return find(held, edge) ?? find(rejected, edge)
}

function find(edges: readonly Edge[], edge: Edge): Edge | undefined {
  const known = edges[positionOf(edges, edge)]
  return known !== undefined && compareEdges(known, edge) === 0 ? known : undefined
}

/** Puts an edge where it belongs. */
export function insert(edges: Edge[], edge: Edge): void {
  const at = positionOf(edges, edge)
  if (at === edges.length) edges.push(edge)
  else edges.splice(at, 0, edge)
}

/** Takes an edge out, which must be there. */
export function remove(edges: Edge[], edge: Edge): void {
  edges.splice(positionOf(edges, edge), 1)
}
