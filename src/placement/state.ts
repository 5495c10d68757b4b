import type { NodeId, SlotId } from '../model/ids.ts'
import type { Capacity } from '../model/node-record.ts'
import { slotIdOf } from '../model/ids.ts'
import { isHostname } from './constraint.ts'
import { groupKey, isGrouped, type Cell, type Group, type GroupMember } from './group.ts'
import { hashText, mix32 } from './hash.ts'
import type { PlacementApp, PlacementNode } from './input.ts'
import { pointsOf, probesOf, type Probes, type Ranked, type Ring } from './ring.ts'
import { spread } from './spread.ts'

/** Why an edge was not accepted: no room on the node, or too many slots of the same app on it, or on nodes of its kind. */
export type Rejection = 'room' | 'sibling' | 'value'

/** A slot that asked a node, and what became of it. */
export interface Edge {
  /** The smaller, the earlier it is decided. */
  readonly tier: number
  /** Settles it within a tier. Compared as unsigned, kept as signed, which V8 stores without a box. */
  readonly distance: number
  readonly slot: Slot
  readonly node: NodeState
  /** Nothing: accepted. */
  rejected: Rejection | undefined
}

type Room = Capacity & { readonly slots: number }

/** A node as the matching sees it. */
export interface NodeState extends GroupMember {
  readonly id: NodeId
  readonly node: PlacementNode
  /** Capacity in whole units: cpus in thousandths. */
  readonly room: Room
  /** What is left of it. */
  readonly free: { -readonly [Key in keyof Room]: Room[Key] }
  /** Accepted edges, by key. */
  readonly held: Edge[]
  /** The app of each of `held`: looking through these alone is several times as fast. */
  readonly heldApps: AppState[]
  /** Rejected edges, by key. */
  readonly rejected: Edge[]
  /** True once it is no longer, or was replaced by a newer state of the same node. */
  gone: boolean
}

/** An app as the matching sees it. */
export interface AppState {
  app: PlacementApp
  readonly hash: number
  readonly groupKey: string
  group: Group<NodeState>
  slots: Slot[]
  /** Resources of one slot in whole units: cpus in thousandths. */
  readonly need: Capacity
  readonly ports: readonly string[]
  /** Most slots on one node. */
  readonly nodeMax: number
  /** Most slots on nodes that have the same value of a field (UNIQUE, MAX_PER). */
  readonly valueMax: readonly { readonly field: string; readonly max: number }[]
  /** Apps with equal shapes fit the same nodes. */
  readonly shape: string
  /** The cell of all its slots, if its group has only one. */
  cell: Cell<NodeState> | undefined
  /** How many of its slots a node may have in the first tier. */
  firstQuota: number
  /** More slots than half its nodes: worth knowing when each node has its share. */
  dense: boolean
  /** An edge of it depends on more than its node: it is never decided again, but all is computed afresh. */
  coupled: boolean
  /** Nodes that have no room for it (the cordoned have none for new slots), or have their share at `closedQuota`. */
  readonly full: Set<NodeState>
  readonly closed: Set<NodeState>
  closedQuota: number
  /** Accepted slots per field and value of `valueMax`. */
  readonly perValue: Map<string, number>
}

/** One slot as the matching sees it. */
export interface Slot extends Probes {
  readonly id: SlotId
  /** Where it is in its app's list of slots. */
  readonly index: number
  readonly hash: number
  readonly app: AppState
  /** True once it is no longer, or was started afresh under the same id. */
  gone: boolean
  /** The only node of a `global` app's slot. */
  readonly only: NodeState | undefined
  /** Its own cell, where the app has no common one. */
  cell: Cell<NodeState> | undefined
  /** Distance of the node it holds if that is in the first tier, as a signed number; −1 (the largest there is) if not. */
  reach: number
  held: Edge | undefined
  /** Rejected edges, by key. */
  tried: Edge[]
  /** Largest quota at which only slots of its own app were in the way. */
  crowdedAt: number
  /** True while nodes rejected it for want of room only. */
  onlyRoom: boolean
  /** The nearest nodes of a ring, as far as they were needed. */
  ranked: readonly Ranked<NodeState>[]
  rankedRing: Ring<NodeState> | undefined
}

const NO_LIMIT = 2 ** 31

/** The tier of a slot and a node that holds it already: before all others, also those of global apps (−1). */
export const HOLDER_TIER = -2

/** An app with so many slots for each of its nodes starts with the whole share at once, to save going up one by one. */
const EVEN_FROM = 8

/** What slots without rejected edges share; never written to. */
export const NO_EDGES: Edge[] = []
const NO_RANKED: readonly Ranked<NodeState>[] = []
const NO_HOLDERS: readonly NodeId[] = []

const given = new WeakMap<PlacementNode, Pick<NodeState, 'points' | 'room'>>()

/** What follows from a node alone, whatever is placed on it: read once, and shared by all states of it. */
function givenBy(node: PlacementNode): Pick<NodeState, 'points' | 'room'> {
  let read = given.get(node)
  if (read === undefined) {
    const room = { ...inUnits(node.capacity), slots: node.maxSlots ?? NO_LIMIT }
    read = { points: pointsOf(node.id), room }
    given.set(node, read)
  }
  return read
}

/** Reads a node. */
export function createNodeState(node: PlacementNode): NodeState {
  const { points, room } = givenBy(node)
  return {
    id: node.id,
    node,
    points,
    room,
    free: { ...room },
    held: [],
    heldApps: [],
    rejected: [],
    gone: false,
  }
}

/** Reads an app. */
export function createAppState(app: PlacementApp, group: Group<NodeState>): AppState {
  const perNode = app.constraints.flatMap(({ field, operator, value }) =>
    !isHostname(field)
      ? []
      : operator === 'UNIQUE'
        ? [1]
        : operator === 'MAX_PER'
          ? [Number(value)]
          : operator === 'GROUP_BY' && Number(value ?? 0) > group.ring.members.length
            ? [1]
            : [],
  )
  const valueMax = app.constraints.flatMap(({ field, operator, value }) =>
    isHostname(field) || (operator !== 'UNIQUE' && operator !== 'MAX_PER')
      ? []
      : [{ field, max: operator === 'UNIQUE' ? 1 : Number(value) }],
  )
  const key = groupKey(app)
  const need = inUnits(app.resources)
  return {
    app,
    hash: hashText(app.id),
    groupKey: key,
    group,
    slots: [],
    need,
    ports: app.fixedPorts,
    nodeMax: Math.min(app.maxPerNode ?? NO_LIMIT, ...perNode),
    valueMax,
    shape: JSON.stringify([key, need, app.fixedPorts]),
    cell: undefined,
    firstQuota: 1,
    dense: false,
    coupled: valueMax.length > 0 || perNode.length > 0,
    full: new Set(group.shut),
    closed: new Set(),
    closedQuota: 0,
    perValue: new Map(),
  }
}

/** Sets what follows from the nodes that the app's group has. */
export function fitToGroup(state: AppState): void {
  const { app, group, slots } = state
  const { length } = group.ring.members
  const share = Math.floor(app.instances / Math.max(1, length))
  state.firstQuota = share >= EVEN_FROM ? Math.min(share, state.nodeMax) : 1
  state.dense = app.instances * 2 > length
  state.cell = group.cells.length === 1 && !isGrouped(app) ? group.cells[0] : undefined
  if (state.cell !== undefined || app.mode === 'global') return
  const cells = spread(app, group, slots)
  for (const slot of slots) slot.cell = cells[slot.index]
}

/** Makes the slots of an app: one per instance, or one per node of its group that takes one. */
export function createSlots(state: AppState): Slot[] {
  const { app, group } = state
  if (app.mode === 'global') return createGlobalSlots(state, group.ring.members)
  const slots: Slot[] = []
  for (let index = 0; index < app.instances; index++) slots.push(createSlot(state, index))
  return slots
}

/** Makes a global app's slots of these nodes. A cordoned node has none, unless it holds it already. */
export function createGlobalSlots(state: AppState, nodes: readonly NodeState[]): Slot[] {
  return nodes
    .map((only, at) => createSlot(state, at, only))
    .filter(slot => mayTake(slot, slot.only!))
}

/** The nodes that hold the slot by their own records, and come first. Few, and mostly none. */
export function holdersOf({ app, id }: Pick<Slot, 'app' | 'id'>): readonly NodeId[] {
  return app.app.held?.get(id) ?? NO_HOLDERS
}

/** True unless the node is cordoned and does not hold the slot. */
export function mayTake(slot: Slot, { id, node }: NodeState): boolean {
  return node.mode !== 'cordoned' || holdersOf(slot).includes(id)
}

/** Makes the slot that is number `index` of its app, or, if the app is `global`, that of the node `only`. */
export function createSlot(app: AppState, index: number, only?: NodeState): Slot {
  const hash = mix32(app.hash ^ mix32(only === undefined ? index + 1 : only.points[0]!)) | 0
  const { start, stride } = probesOf(hash)
  return {
    id: slotIdOf(app.app.id, only === undefined ? index : only.id),
    index,
    start,
    stride,
    hash,
    app,
    only,
    gone: false,
    cell: undefined,
    reach: -1,
    held: undefined,
    tried: NO_EDGES,
    crowdedAt: 0,
    onlyRoom: true,
    ranked: NO_RANKED,
    rankedRing: undefined,
  }
}

/** Sums of thousandths are exact; sums of 0.1 are not, and depend on their order. */
function inUnits({ cpus, memMb, diskMb, gpus }: Capacity): Capacity {
  return { cpus: Math.round(cpus * 1000), memMb, diskMb, gpus }
}
