import { appOfSlot, type NodeId, type SlotId } from '../model/ids.ts'
import type { PlacementInput } from './input.ts'
import { nodesOf } from './nodes-of.ts'
import { compute, type PlacerState } from './placer.ts'
import { refusalOf } from './refusal.ts'
import { distanceOf } from './ring.ts'
import { HOLDER_TIER, type NodeState, type Slot } from './state.ts'

/** What one node is to a slot. */
export interface Explanation {
  readonly node: NodeId
  readonly name: string
  /** The node's place in the slot's order of preference, from 1, whether or not it may run it. */
  readonly rank: number
  readonly verdict: 'chosen' | 'eligible' | 'refused'
  /** Plain words for people: `needs 4096 MB of memory, 1200 of 8000 are free`. */
  readonly reason: string
  /** Why the chosen node was, where it is not by its rank: it holds the slot already. */
  readonly stays?: 'sticky' | 'cordoned'
}

/** Explains slots of one input, which is computed once, when the first is asked for. */
export type Explain = (slot: SlotId) => Explanation[]

/**
 * Says of every node why it runs a slot or not: the chosen one first, then those
 * that would take it over in the order in which they would, then those that refuse it.
 *
 * @returns An empty list when the input has no such slot, or no node.
 */
export function explain(input: PlacementInput, slotId: SlotId): Explanation[] {
  return createExplain(input)(slotId)
}

/** {@link explain} for many slots of one input. */
export function createExplain(input: PlacementInput): Explain {
  let state: PlacerState | undefined
  return slot => explainSlot((state ??= compute(input)), slot)
}

function explainSlot(state: PlacerState, slotId: SlotId): Explanation[] {
  const app = state.apps.get(appOfSlot(slotId))
  const slot = app?.slots.find(({ id }) => id === slotId)
  if (app === undefined || slot === undefined) return []
  const chosen = nodesOf(app)[app.slots.indexOf(slot)]
  const order = { chosen: 0, eligible: 1, refused: 2 }
  return [...state.nodes.values()]
    .map(node => ({ node, score: distanceOf(slot, node.points) }))
    .toSorted((one, other) => one.score - other.score || (one.node.id < other.node.id ? -1 : 1))
    .map(({ node }, index): Explanation => {
      const named = { node: node.id, name: node.node.name, rank: index + 1 }
      if (chosen === node) {
        return { ...named, verdict: 'chosen', ...choiceOf(slot, node) }
      }
      if (slot.only !== undefined && slot.only !== node) {
        return { ...named, verdict: 'refused', reason: 'has a slot of its own (mode global)' }
      }
      const refusal = refusalOf(slot, node)
      if (refusal !== undefined) return { ...named, verdict: 'refused', reason: refusal.reason }
      const isBeaten = chosen === undefined
      const reason = isBeaten ? 'gave its room to slots that come first' : 'can take over'
      return { ...named, verdict: isBeaten ? 'refused' : 'eligible', reason }
    })
    .toSorted((one, other) => order[one.verdict] - order[other.verdict] || one.rank - other.rank)
}

function choiceOf({ held }: Slot, node: NodeState): Pick<Explanation, 'reason' | 'stays'> {
  if (held?.tier !== HOLDER_TIER || held.node !== node) {
    return { reason: 'the best claim of the nodes that can' }
  }
  return node.node.mode === 'cordoned'
    ? { reason: 'stays here (the node is cordoned, and keeps what it has)', stays: 'cordoned' }
    : { reason: 'stays here (placement: sticky)', stays: 'sticky' }
}
