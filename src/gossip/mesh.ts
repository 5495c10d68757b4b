import type { NodeId } from '../model/ids.ts'
import { digest } from '../util/keys.ts'

/** Up to this many admitted nodes, everybody keeps a connection to everybody. */
export const FULL_MESH_NODES_MAX = 32

/** Above it, each node dials this many, and on average as many others dial it. */
export const DIALS_PER_NODE = 12

/**
 * The nodes that `self` keeps a connection to by dialling them.
 *
 * In small clusters that is everybody, so gossip takes one hop. In larger ones it is the
 * {@link DIALS_PER_NODE} with the highest hash of (self, node), so that each node has about twice that
 * many connections and the whole is a random graph: it stays in one piece with near certainty even when
 * half of the nodes vanish (Bollobás, Random Graphs, 7.3). Each node that does not answer
 * is made up for by the next in the order, and goes on being tried.
 *
 * @param unreachable Nodes that could not be reached lately.
 */
export function dialTargets(
  self: NodeId,
  nodes: Iterable<NodeId>,
  unreachable: ReadonlySet<NodeId>,
): Set<NodeId> {
  const others = [...nodes].filter(node => node !== self)
  if (others.length < FULL_MESH_NODES_MAX) return new Set(others)
  const ranked = others
    .map(node => ({ node, score: digest(`${self} ${node}`) }))
    .toSorted((a, b) => (a.score < b.score ? 1 : -1))
  const targets = new Set<NodeId>()
  let reachable = 0
  for (const { node } of ranked) {
    if (reachable === DIALS_PER_NODE || targets.size === 2 * DIALS_PER_NODE) break
    targets.add(node)
    if (!unreachable.has(node)) reachable++
  }
  return targets
}
