import type { Placement, PlacementInput } from './input.ts'
import { collect, compute } from './placer.ts'

/**
 * Decides which node runs each slot. Pure: equal inputs give equal answers on
 * every machine and in whatever order they are listed, which is why nodes need
 * not ask one another.
 *
 * Rendezvous hashing with multi-probe scores, settled by a stable matching: declared
 * capacity, ports, constraints and refusals are never broken; what these allow, slots
 * of one app go to different nodes and evenly over zones.
 */
export function place(input: PlacementInput): Placement {
  return collect(compute(input))
}
