import type { Desired } from '../../model/desired.ts'
import type { NodeId, SlotId } from '../../model/ids.ts'
import type { NodeRecord } from '../../model/node-record.ts'
import { inputsHash, placementHash } from '../../placement/digest.ts'
import type { Placement, PlacementInput, PlacementNode } from '../../placement/input.ts'
import { createPlacer } from '../../placement/placer.ts'
import { telling } from './document-desk.ts'
import type { Effect } from './events.ts'
import { Holders } from './holders.ts'
import { changesNode, PlacementInputs, placeOrInsist } from './placement-input.ts'

/** Mismatches that are remembered, so that each is told once. */
const MISMATCHES_MAX = 1_000

/** Of a node that has placed nothing yet, and has nothing to compare. */
const NOTHING = { inputsHash: '', placementHash: '' }

/** Where every slot belongs, by this node's reckoning, and what that was computed from. */
export class Placing {
  readonly #self: NodeId
  readonly #inputs = new PlacementInputs()
  readonly #holders = new Holders()
  readonly #placers = { first: createPlacer(), insisting: createPlacer() }
  readonly #mismatches = new Set<string>()
  #input: PlacementInput = { apps: [], nodes: [] }
  /** What the last placement read of the nodes, refusals and all. */
  #nodes: readonly PlacementNode[] = []
  #admissions: Desired['nodes'] | undefined
  #placement: Placement
  #ownSlots: readonly SlotId[] = []
  /** Nothing until somebody asks after the last placement. */
  #hashes: { readonly inputsHash: string; readonly placementHash: string } | undefined = NOTHING

  constructor(self: NodeId) {
    this.#self = self
    this.#placement = this.#placers.first.place(this.#input)
  }

  get input(): PlacementInput {
    return this.#input
  }

  get placement(): Placement {
    return this.#placement
  }

  /** The slots that belong to this node, in a fixed order. */
  get ownSlots(): readonly SlotId[] {
    return this.#ownSlots
  }

  /** Digests of the inputs and of the placement, for the others to compare with theirs. */
  get hashes(): { readonly inputsHash: string; readonly placementHash: string } {
    this.#hashes ??= {
      inputsHash: inputsHash(this.#input),
      placementHash: placementHash(this.#placement),
    }
    return this.#hashes
  }

  isOwn(slot: SlotId): boolean {
    return this.#placement.placed.get(slot) === this.#self
  }

  /** True when the document says nothing else of nodes than at the last placement: then that can be done again without a look at each. */
  keepsNodes(desired: Desired): boolean {
    return desired.nodes === this.#admissions && !this.#holders.asks(desired)
  }

  /**
   * Computes everything anew from shared facts: the document, and the records of the nodes that count.
   *
   * @param records Nothing where no record or verdict is another than at the last placement, and {@link keepsNodes}.
   * @param isOfThisLife False for a record of before its node's last start.
   */
  place(
    desired: Desired,
    records: readonly NodeRecord[] | undefined,
    isOfThisLife: (record: NodeRecord) => boolean,
  ): void {
    const held = this.#holders.find(desired, records ?? [], isOfThisLife)
    if (records !== undefined) this.#nodes = this.#inputs.nodes(desired, records)
    this.#admissions = desired.nodes
    const made = { apps: this.#inputs.apps(desired, held), nodes: this.#nodes }
    const { input, placement } = placeOrInsist(this.#placers, made)
    this.#input = input
    this.#placement = placement
    const own: SlotId[] = []
    for (const [slot, node] of placement.placed) if (node === this.#self) own.push(slot)
    this.#ownSlots = own.toSorted()
    this.#hashes = undefined
  }

  /** True when the step between two versions of a record changes what placement is computed from. */
  isAffected(before: NodeRecord | undefined, after: NodeRecord): boolean {
    if (before === undefined || changesNode(before, after)) return true
    return this.#holders.isAffected(before, after)
  }

  /** Two nodes with equal inputs and unequal placements are a bug that reports itself, once. */
  compare(
    node: NodeId,
    theirs: Partial<Pick<NodeRecord, 'inputsHash' | 'placementHash'>>,
    nameOf: (node: NodeId) => string,
    nowMs: number,
  ): Effect[] {
    if (theirs.inputsHash === undefined) return []
    const { inputsHash: inputs, placementHash: placed } = this.hashes
    if (theirs.inputsHash !== inputs || theirs.placementHash === placed || inputs === '') return []
    const key = `${node} ${inputs}`
    if (this.#mismatches.has(key)) return []
    if (this.#mismatches.size > MISMATCHES_MAX) this.#mismatches.clear()
    this.#mismatches.add(key)
    const text = `placed otherwise than this node from equal inputs ${inputs}: please report this bug`
    return [telling(nowMs, 'placement-mismatch', nameOf(node), text)]
  }
}
