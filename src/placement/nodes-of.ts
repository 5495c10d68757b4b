import { HOLDER_TIER, type AppState, type NodeState } from './state.ts'

/**
 * The node of each slot of an app, in the order of its slots.
 *
 * Where there is not room for all, it is the highest numbers that wait: a slot that
 * came away empty takes the node of the last one that did not. So scaling an app
 * beyond what the cluster holds stops nothing that runs. One that stays with its holder
 * gives its node to nobody.
 */
export function nodesOf({ app, slots }: AppState): readonly (NodeState | undefined)[] {
  const nodes = slots.map(({ held }) => held?.node)
  if (app.mode === 'global' || !nodes.includes(undefined)) return nodes
  const isGivable = (index: number): boolean =>
    nodes[index] !== undefined && slots[index]!.held?.tier !== HOLDER_TIER
  let last = nodes.length - 1
  for (const [index, held] of nodes.entries()) {
    if (held !== undefined) continue
    while (last > index && !isGivable(last)) last--
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
