/**
 * What placement is computed from, and what it gives. All of it is shared facts:
 * the document, the observed records, the verdicts. Nothing that a local clock decides.
 *
 * @module
 */

import type { AppSpec, Constraint } from '../model/app.ts'
import type { AppId, NodeId, RevisionId, SlotId } from '../model/ids.ts'
import type { NodeMode } from '../model/node-admin.ts'
import type { Capacity, Refusal, Runtimes } from '../model/node-record.ts'

/** What placement needs to know of an app. Treat it as immutable: the placer tells changes by identity first. */
export interface PlacementApp {
  readonly id: AppId
  /** Only refusals look at it: a refusal speaks of one revision. */
  readonly revision: RevisionId
  readonly mode: AppSpec['mode']
  /** Slots of a `replicated` app. A `global` app has one for each node that may run it. */
  readonly instances: number
  /** Held back on the node for each slot. Cpus count to a thousandth. */
  readonly resources: Capacity
  /** Ports that each slot takes of its node itself, such as `tcp 80`: one holder per node. */
  readonly fixedPorts: readonly string[]
  readonly constraints: readonly Constraint[]
  /** Most slots of this app on one node. No limit without it. */
  readonly maxPerNode?: number
  readonly runtime: 'docker' | 'process'
  /** True where a slot stays with the node that holds it, as long as that node may run it at all. */
  readonly sticky?: boolean
  /**
   * Who holds a slot now, by the nodes' own records, in the order of ids: all holders in a sticky
   * app, in others only those that are cordoned. A holder comes before every other node.
   */
  readonly held?: ReadonlyMap<SlotId, readonly NodeId[]>
}

/** What placement needs to know of a node. Treat it as immutable, as {@link PlacementApp}. */
export interface PlacementNode {
  readonly id: NodeId
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly runtimes: Runtimes
  readonly capacity: Capacity
  /** Most slots in all, if the operator declared one. Declared, so it never floats with the size of the cluster. */
  readonly maxSlots?: number
  /** One that is `cordoned` keeps the slots that it holds ({@link PlacementApp.held}); one that is `drained` or `leaving` takes none. */
  readonly mode: NodeMode | 'leaving'
  readonly refusals: readonly Refusal[]
}

/** Everything that decides where slots go. The order of both lists means nothing; ids are unique. */
export interface PlacementInput {
  readonly apps: readonly PlacementApp[]
  readonly nodes: readonly PlacementNode[]
}

/** Why a slot has no node. */
export interface Unplaced {
  /** One line for people: `no node can take it: 2 have no Docker engine, 1 has too little memory free`. */
  readonly summary: string
  /** How many nodes said no, and why, the most frequent first. */
  readonly causes: readonly { readonly cause: string; readonly nodes: number }[]
}

/** Where every slot goes. A slot is in one of the two maps. */
export interface Placement {
  readonly placed: ReadonlyMap<SlotId, NodeId>
  readonly unplaced: ReadonlyMap<SlotId, Unplaced>
}
