import { isDeepStrictEqual } from 'node:util'
import type { AppId, NodeId, SlotId } from '../model/ids.ts'
import { staticRefusal } from './constraint.ts'
import { createGroup, groupKey, updateGroup, type Group } from './group.ts'
import type { Placement, PlacementApp, PlacementInput, PlacementNode, Unplaced } from './input.ts'
import { Matching } from './matching.ts'
import { nodesOf } from './nodes-of.ts'
import { byId } from './ring.ts'
import {
  createAppState,
  createGlobalSlots,
  createNodeState,
  createSlot,
  createSlots,
  fitToGroup,
  type AppState,
  type NodeState,
  type Slot,
} from './state.ts'
import { SlotMap } from './slot-map.ts'
import { createUnplaced } from './unplaced.ts'

/** Computes placements one after another, and does only what changed. */
export interface Placer {
  /**
   * Where every slot goes: the same answer as that of `place`, whatever came before.
   *
   * Fast when little changed since the last call: pass the same objects for the
   * apps and nodes that did not change (equal ones are recognised too, but comparing
   * takes longer), and the same list of nodes where none of them did. Gives the same object again when nothing changed.
   */
  place(input: PlacementInput): Placement
}

/** What the placer knows between calls. */
export interface PlacerState {
  readonly nodes: Map<NodeId, NodeState>
  readonly apps: Map<AppId, AppState>
  /** By group key: the group, and the apps that share it. */
  readonly groups: Map<string, { group: Group<NodeState>; readonly apps: Set<AppState> }>
  readonly matching: Matching
}

interface Collected extends Placement {
  readonly placed: SlotMap
}

/** What differs between two inputs. */
interface Change {
  readonly goneNodes: NodeState[]
  readonly newNodes: PlacementNode[]
  readonly goneApps: AppState[]
  readonly newApps: PlacementApp[]
  /** Apps of which only the holders are others. */
  readonly reheld: { readonly state: AppState; readonly app: PlacementApp }[]
}

/** Makes a placer that knows nothing yet. */
export function createPlacer(): Placer {
  let state: PlacerState | undefined
  let last: Collected | undefined
  let lastNodes: readonly PlacementNode[] | undefined
  return {
    place(input) {
      const areSame = input.nodes === lastNodes
      lastNodes = input.nodes
      const change = state === undefined ? undefined : compare(state, input, areSame)
      if (state !== undefined && last !== undefined && change !== undefined) {
        if (isEmpty(change)) return last
        if (isSmall(change, state) && advance(state, change)) {
          last = updated(last, state)
          return last
        }
      }
      state = compute(input)
      last = collect(state)
      return last
    },
  }
}

/** Computes a placement from nothing. */
export function compute({ apps, nodes }: PlacementInput): PlacerState {
  const members = nodes.map(createNodeState).toSorted(byId)
  const state: PlacerState = {
    nodes: new Map(members.map(member => [member.id, member])),
    apps: new Map(),
    groups: new Map(),
    matching: new Matching(),
  }
  const slots: Slot[] = []
  for (const app of apps) for (const slot of addApp(state, app, () => members)) slots.push(slot)
  state.matching.start(slots)
  state.matching.settle()
  return state
}

/** Reads out a placement. */
export function collect(state: PlacerState): Collected {
  const placed = new Map<SlotId, NodeId>()
  const unplaced = new Map<SlotId, Unplaced>()
  for (const app of state.apps.values()) {
    const nodes = nodesOf(app)
    for (const [index, slot] of app.slots.entries()) {
      const node = nodes[index]
      if (node === undefined) unplaced.set(slot.id, createUnplaced(slot, state.nodes))
      else placed.set(slot.id, node.id)
    }
  }
  state.matching.changed.clear()
  return { placed: new SlotMap(placed), unplaced }
}

function updated(last: Collected, state: PlacerState): Collected {
  const changes = new Map<SlotId, NodeId | undefined>()
  const unplaced = new Map(last.unplaced)
  const note = ({ id }: Slot, node: NodeState | undefined): void => {
    changes.set(id, node?.id)
    unplaced.delete(id)
  }
  const { changed } = state.matching
  // Those that are gone first: one of the same id may be among those that came.
  for (const slot of changed) if (slot.gone) note(slot, undefined)
  for (const app of new Set([...changed].map(slot => slot.app))) {
    if (state.apps.get(app.app.id) !== app) continue // It is gone, with all its slots.
    // Where some of an app wait, or waited, others of it may have another's node.
    const isShort = app.slots.some(({ id, held }) => held === undefined || last.unplaced.has(id))
    const nodes = isShort ? nodesOf(app) : []
    for (const [at, slot] of app.slots.entries()) {
      if (!isShort && !changed.has(slot)) continue
      const node = isShort ? nodes[at] : slot.held?.node
      note(slot, node)
      if (node === undefined) unplaced.set(slot.id, createUnplaced(slot, state.nodes))
    }
  }
  changed.clear()
  return { placed: last.placed.with(changes), unplaced }
}

/** @param members All nodes in the order of {@link byId}, wanted for the first app of a group only. */
function addApp(
  state: PlacerState,
  app: PlacementApp,
  members: () => readonly NodeState[],
): Slot[] {
  const key = groupKey(app)
  let shared = state.groups.get(key)
  if (shared === undefined) {
    shared = { group: createGroup(app, members()), apps: new Set() }
    state.groups.set(key, shared)
  }
  const added = createAppState(app, shared.group)
  shared.apps.add(added)
  state.apps.set(app.id, added)
  added.slots = createSlots(added)
  fitToGroup(added)
  return added.slots
}

function compare(
  state: PlacerState,
  { apps, nodes }: PlacementInput,
  areNodesSame: boolean,
): Change {
  const isNew = (node: PlacementNode): boolean => {
    const known = state.nodes.get(node.id)?.node
    return known !== node && !isDeepStrictEqual(known, node)
  }
  const newNodes = areNodesSame ? [] : nodes.filter(isNew)
  const reheld: { state: AppState; app: PlacementApp }[] = []
  const newApps = apps.filter(app => {
    const known = state.apps.get(app.id)
    if (known?.app === app || isDeepStrictEqual(known?.app, app)) return false
    if (known === undefined || !isReheld(known, app)) return true
    reheld.push({ state: known, app })
    return false
  })
  return {
    reheld,
    newNodes,
    goneNodes: areNodesSame ? [] : findGone(state.nodes, nodes, newNodes),
    newApps,
    goneApps: findGone(state.apps, apps, newApps),
  }
}

/** What is replaced by one of `changed`, or no longer in `current`. */
function findGone<Id, State extends object>(
  known: ReadonlyMap<Id, State>,
  current: readonly { readonly id: Id }[],
  changed: readonly { readonly id: Id }[],
): State[] {
  const gone = changed.flatMap(({ id }) => known.get(id) ?? [])
  if (known.size - gone.length === current.length - changed.length) return gone
  const ids = new Set(current.map(({ id }) => id))
  for (const [id, state] of known) if (!ids.has(id)) gone.push(state)
  return gone
}

/** True when only the holders are others, and the slots can go on one by one. */
function isReheld({ app, coupled, group }: AppState, after: PlacementApp): boolean {
  if (coupled || app.mode === 'global' || group.clusters.length > 0) return false
  return isDeepStrictEqual({ ...app, held: undefined }, { ...after, held: undefined })
}

function isEmpty({ goneNodes, newNodes, goneApps, newApps, reheld }: Change): boolean {
  const count = goneNodes.length + newNodes.length + goneApps.length + newApps.length
  return count + reheld.length === 0
}

/** Beyond an eighth, starting from nothing is as fast. */
function isSmall({ goneNodes, newNodes, goneApps, newApps }: Change, state: PlacerState): boolean {
  return (
    state.matching.complete &&
    (goneNodes.length + newNodes.length) * 8 <= state.nodes.size + 8 &&
    (goneApps.length + newApps.length) * 8 <= state.apps.size + 8
  )
}

/** Brings the state up to date in place. False when the change reaches too far; the state is of no use then. */
function advance(state: PlacerState, change: Change): boolean {
  const { matching } = state
  const { goneNodes, newNodes, goneApps, newApps } = change
  for (const app of goneApps) removeApp(state, app)
  const came = newNodes.map(createNodeState).toSorted(byId)
  const fresh: Slot[] = []
  for (const { state: known, app } of change.reheld) rehold(matching, known, app, fresh)
  if (came.length + goneNodes.length > 0 && !exchange(state, goneNodes, came, fresh)) return false
  let sorted: readonly NodeState[] | undefined
  const members = (): readonly NodeState[] => (sorted ??= [...state.nodes.values()].toSorted(byId))
  for (const app of newApps) fresh.push(...addApp(state, app, members))
  for (const slot of fresh) matching.changed.add(slot)
  matching.start(fresh)
  return matching.settle() && matching.complete
}

function removeApp(state: PlacerState, app: AppState): void {
  for (const slot of app.slots) state.matching.stop(slot)
  state.apps.delete(app.app.id)
  const shared = state.groups.get(app.groupKey)
  shared?.apps.delete(app)
  if (shared?.apps.size === 0) state.groups.delete(app.groupKey)
}

/** Takes nodes out and puts nodes in. Slots that have to start afresh are added to `fresh`. */
function exchange(
  state: PlacerState,
  goneNodes: readonly NodeState[],
  came: readonly NodeState[],
  fresh: Slot[],
): boolean {
  const { matching, nodes, groups } = state
  for (const node of goneNodes) {
    matching.drop(node)
    nodes.delete(node.id)
  }
  for (const node of came) nodes.set(node.id, node)
  const gone = new Set(goneNodes)
  const joined = new Map<AppState, readonly NodeState[]>()
  for (const shared of groups.values()) {
    const [sample] = shared.apps
    if (sample === undefined) continue
    const group = updateGroup(sample.app, shared.group, gone, came)
    if (group === shared.group) continue
    if (group.clusters.length > 0) return false
    shared.group = group
    const eligible = came.filter(({ node }) => staticRefusal(sample.app, node) === undefined)
    for (const app of shared.apps) {
      if (!regroup(matching, app, group, fresh)) return false
      joined.set(app, eligible)
    }
  }
  for (const node of goneNodes) {
    for (const { slot } of node.held.slice()) {
      if (slot.only === undefined) restart(matching, slot, fresh)
    }
  }
  for (const [app, eligible] of joined) {
    if (app.app.mode === 'global') {
      const [over, kept] = [[] as Slot[], [] as Slot[]]
      for (const slot of app.slots) (slot.only && gone.has(slot.only) ? over : kept).push(slot)
      for (const slot of over) matching.stop(slot)
      app.slots = kept
      const added = createGlobalSlots(app, eligible)
      app.slots.push(...added)
      fresh.push(...added)
      continue
    }
    for (const node of eligible) {
      for (const slot of app.slots) matching.offer(slot, node)
    }
  }
  return true
}

/** Tells an app who holds its slots now. Those with other holders, and those that these push to another cell, start afresh. */
function rehold(matching: Matching, state: AppState, app: PlacementApp, fresh: Slot[]): void {
  const before = state.app.held
  const cells = state.slots.map(({ cell }) => cell)
  state.app = app
  for (const slot of state.slots.slice()) {
    const holders = app.held?.get(slot.id)
    if (!isDeepStrictEqual(before?.get(slot.id), holders)) restart(matching, slot, fresh)
  }
  fitToGroup(state)
  for (const slot of state.slots.slice()) {
    if (slot.cell !== cells[slot.index]) restart(matching, slot, fresh)
  }
}

/** Fits an app to its changed group. Slots that now belong to another cell start afresh. */
function regroup(
  matching: Matching,
  app: AppState,
  group: Group<NodeState>,
  fresh: Slot[],
): boolean {
  if (app.coupled) return false
  const { firstQuota, cell } = app
  const cells = cell === undefined ? app.slots.map(slot => slot.cell?.hash) : []
  app.group = group
  fitToGroup(app)
  if (app.firstQuota !== firstQuota) return false
  if (app.app.mode === 'global' || (cell !== undefined && app.cell !== undefined)) return true
  for (const slot of app.slots.slice()) {
    const before = cell === undefined ? cells[slot.index] : cell.hash
    if ((app.cell ?? slot.cell)?.hash !== before) restart(matching, slot, fresh)
  }
  return true
}

function restart(matching: Matching, slot: Slot, fresh: Slot[]): void {
  const { app, index, cell } = slot
  matching.stop(slot)
  const again = createSlot(app, index)
  again.cell = cell
  app.slots[index] = again
  fresh.push(again)
}
