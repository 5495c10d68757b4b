import type { AppState, NodeState } from './state.ts'

/**
 * The node of each slot of an app, in the order of its slots.
 *
 * Where there is not room for all, it is the highest numbers that wait: a slot that
 * came away empty takes the node of the last one that did not. So scaling an app
 * beyond what the cluster holds stops nothing that runs.
 */
export function nodesOf({ app, slots }: AppState): readonly (NodeState | undefined)[] {
  const nodes = slots.map(({ held }) => held?.node)
  if (app.mode === 'global' || !nodes.includes(undefined)) return nodes
  let last = nodes.length - 1
  for (const [index, held] of nodes.entries()) {
    if (held !== undefined) continue
    while (last > index && nodes[last] === undefined) last--
    if (last <= index) break
    const taken = nodes[last]!
    const { id } = slots[index]!
    const refuses = taken.node.refusals.some(
      ({ slot, revision }) => slot === id && revision === app.revision,
    )
    if (refuses) continue
    nodes[index] = taken
    nodes[last] = undefined
  }
  return nodes
}
