import type { NodeId } from '../../model/ids.ts'

/**
 * True when `nodes` are a majority of the admitted: more than half, or exactly half
 * with the tie-breaker among them, so that a cluster of two has one side that goes on.
 *
 * Any two majorities have a node in common, which is what claims rest on.
 *
 * @param nodes Those that are seen, this node included. Who is not admitted does not count.
 */
export function isMajority(nodes: ReadonlySet<NodeId>, admitted: ReadonlySet<NodeId>): boolean {
  let seen = 0
  for (const node of admitted) if (nodes.has(node)) seen++
  return isMore(seen, node => nodes.has(node), admitted)
}

/** {@link isMajority} of all admitted nodes but those that are `gone`, each of which is admitted. */
export function isMajorityWithout(
  gone: ReadonlySet<NodeId>,
  admitted: ReadonlySet<NodeId>,
): boolean {
  return isMore(admitted.size - gone.size, node => !gone.has(node), admitted)
}

function isMore(
  seen: number,
  isSeen: (node: NodeId) => boolean,
  admitted: ReadonlySet<NodeId>,
): boolean {
  if (2 * seen !== admitted.size) return 2 * seen > admitted.size
  const breaker = tieBreaker(admitted)
  return breaker !== undefined && isSeen(breaker)
}

/** The admitted node that decides between two halves: the first in the order of ids, which are hashes of keys. */
export function tieBreaker(admitted: Iterable<NodeId>): NodeId | undefined {
  let first: NodeId | undefined
  for (const node of admitted) if (first === undefined || node < first) first = node
  return first
}
