import type { DesiredApp } from '../model/desired.ts'
import { slotIdOf, type NodeId, type SlotId } from '../model/ids.ts'
import type { NodeMachine } from './machine/node-machine.ts'

/** The slots that an app should have now, in order, and where each belongs; a global app's are those that have a place. */
export function* wantedSlots(
  { placed: { placement, input } }: Pick<NodeMachine, 'placed'>,
  { id, spec, instances }: Pick<DesiredApp, 'id' | 'spec' | 'instances'>,
): Generator<{ readonly slot: SlotId; readonly node: NodeId | undefined }> {
  if (spec.mode === 'global') {
    for (const { id: own } of input.nodes) {
      const slot = slotIdOf(id, own)
      const node = placement.placed.get(slot)
      if (node !== undefined) yield { slot, node }
    }
    return
  }
  for (let index = 0; index < instances; index++) {
    const slot = slotIdOf(id, index)
    yield { slot, node: placement.placed.get(slot) }
  }
}
