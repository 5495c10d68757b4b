import type { Unplaced } from './input.ts'
import { refusalOf } from './refusal.ts'
import type { NodeState, Slot } from './state.ts'

/**
 * Says why a slot has no node. Counted when it is first read, because a full
 * cluster has many such slots that nobody asks about; it speaks of the time of reading.
 */
export function createUnplaced(slot: Slot, nodes: ReadonlyMap<string, NodeState>): Unplaced {
  let known: Unplaced | undefined
  const read = (): Unplaced => (known ??= count(slot, nodes))
  return {
    get summary() {
      return read().summary
    },
    get causes() {
      return read().causes
    },
  }
}

function count(slot: Slot, nodes: ReadonlyMap<string, NodeState>): Unplaced {
  if (nodes.size === 0) return { summary: 'there is no node', causes: [] }
  const counts = new Map<string, number>()
  for (const node of nodes.values()) {
    if (slot.only !== undefined && slot.only !== node) continue
    const { cause } = refusalOf(slot, node) ?? OUTRANKED
    counts.set(cause, (counts.get(cause) ?? 0) + 1)
  }
  const causes = [...counts]
    .map(([cause, number]) => ({ cause, nodes: number }))
    .toSorted((one, other) => other.nodes - one.nodes || (one.cause < other.cause ? -1 : 1))
  const list = causes.map(({ cause, nodes: number }) => `${number} × ${cause}`).join('; ')
  return { summary: `no node can take it: ${list}`, causes }
}

/** A node that has room now had none when it was this slot's turn, before a larger one found that it does not fit. */
const OUTRANKED = { cause: 'gave its room to slots that come first' }
