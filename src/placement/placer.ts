import { isDeepStrictEqual } from 'node:util'
import type { AppId, NodeId, SlotId } from '../model/ids.ts'
import { staticRefusal } from './constraint.ts'
import { createGroup, groupKey, updateGroup, type Group } from './group.ts'
import type { Placement, PlacementApp, PlacementInput, PlacementNode, Unplaced } from './input.ts'
import { Matching } from './matching.ts'
import { byPoint } from './ring.ts'
import {
  createAppState,
  createNodeState,
  createSlot,
  createSlots,
  fitToGroup,
  type AppState,
  type NodeState,
  type Slot,
} from './state.ts'
import { createUnplaced } from './unplaced.ts'

/** Computes placements one after another, and does only what changed. */
export interface Placer {
  /**
   * Where every slot goes: the same answer as that of `place`, whatever came before.
   *
   * Fast when little changed since the last call: pass the same objects for the
   * apps and nodes that did not change (equal ones are recognised too, but comparing
   * takes longer). Gives the same object again when nothing changed.
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

/** What differs between two inputs. */
interface Change {
  readonly goneNodes: NodeState[]
  readonly newNodes: PlacementNode[]
  readonly goneApps: AppState[]
  readonly newApps: PlacementApp[]
}

/** Makes a placer that knows nothing yet. */
export function createPlacer(): Placer {
  let state: PlacerState | undefined
  let last: Placement | undefined
  return {
    place(input) {
      const change = state === undefined ? undefined : compare(state, input)
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
  const members = nodes.map(createNodeState).toSorted(byPoint)
  const state: PlacerState = {
    nodes: new Map(members.map(member => [member.id, member])),
    apps: new Map(),
    groups: new Map(),
    matching: new Matching(),
  }
  const slots: Slot[] = []
  for (const app of apps) for (const slot of addApp(state, app, members)) slots.push(slot)
  state.matching.start(slots)
  state.matching.settle()
  return state
}

/** Reads out a placement. */
export function collect(state: PlacerState): Placement {
  const placed = new Map<SlotId, NodeId>()
  const unplaced = new Map<SlotId, Unplaced>()
  for (const { slots } of state.apps.values()) {
    for (const slot of slots) {
      if (slot.held === undefined) unplaced.set(slot.id, createUnplaced(slot, state.nodes))
      else placed.set(slot.id, slot.held.node.id)
    }
  }
  state.matching.changed.clear()
  return { placed, unplaced }
}

function updated(last: Placement, state: PlacerState): Placement {
  const placed = new Map(last.placed)
  const unplaced = new Map(last.unplaced)
  const now: Slot[] = []
  for (const slot of state.matching.changed) {
    if (!slot.gone) now.push(slot)
    else {
      placed.delete(slot.id)
      unplaced.delete(slot.id)
    }
  }
  // Those that are gone come first: one of the same id may be among those that are now.
  for (const slot of now) {
    placed.delete(slot.id)
    unplaced.delete(slot.id)
    if (slot.held === undefined) unplaced.set(slot.id, createUnplaced(slot, state.nodes))
    else placed.set(slot.id, slot.held.node.id)
  }
  state.matching.changed.clear()
  return { placed, unplaced }
}

function addApp(state: PlacerState, app: PlacementApp, members: readonly NodeState[]): Slot[] {
  const key = groupKey(app)
  let shared = state.groups.get(key)
  if (shared === undefined) {
    shared = { group: createGroup(app, members), apps: new Set() }
    state.groups.set(key, shared)
  }
  const added = createAppState(app, shared.group)
  shared.apps.add(added)
  state.apps.set(app.id, added)
  added.slots = createSlots(added)
  fitToGroup(added)
  return added.slots
}

function compare(state: PlacerState, { apps, nodes }: PlacementInput): Change {
  const newNodes = nodes.filter(node => {
    const known = state.nodes.get(node.id)?.node
    return known !== node && !isDeepStrictEqual(known, node)
  })
  const newApps = apps.filter(app => {
    const known = state.apps.get(app.id)?.app
    return known !== app && !isDeepStrictEqual(known, app)
  })
  return {
    newNodes,
    goneNodes: findGone(state.nodes, nodes, newNodes),
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

function isEmpty({ goneNodes, newNodes, goneApps, newApps }: Change): boolean {
  return goneNodes.length + newNodes.length + goneApps.length + newApps.length === 0
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
  const fresh: Slot[] = []
  for (const app of change.goneApps) removeApp(state, app)
  const came = change.newNodes.map(createNodeState).toSorted(byPoint)
  if (came.length > 0 || change.goneNodes.length > 0) {
    for (const node of change.goneNodes) {
      node.gone = true
      state.nodes.delete(node.id)
    }
    for (const node of came) state.nodes.set(node.id, node)
    const gone = new Set(change.goneNodes)
    for (const shared of state.groups.values()) {
      const [sample] = shared.apps
      if (sample === undefined) continue
      const group = updateGroup(sample.app, shared.group, gone, came)
      if (group === shared.group) continue
      if (group.clusters.length > 0) return false
      shared.group = group
      const joined = came.filter(node => staticRefusal(sample.app, node.node) === undefined)
      for (const app of shared.apps) {
        if (app.coupled || !regroup(matching, app, group, gone, joined, fresh)) return false
      }
    }
  }
  const members = change.newApps.length > 0 ? [...state.nodes.values()].toSorted(byPoint) : []
  for (const app of change.newApps) fresh.push(...addApp(state, app, members))
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

/** Fits an app to its changed group: some slots start afresh, the others may prefer a node that came. */
function regroup(
  matching: Matching,
  app: AppState,
  group: Group<NodeState>,
  gone: ReadonlySet<NodeState>,
  joined: readonly NodeState[],
  fresh: Slot[],
): boolean {
  const before = app.slots.map(({ cell }) => cell?.hash)
  const { firstQuota } = app
  app.group = group
  if (app.app.mode === 'global') {
    const kept = app.slots.filter(({ only }) => only !== undefined && !gone.has(only))
    for (const slot of app.slots)
      if (slot.only !== undefined && gone.has(slot.only)) matching.stop(slot)
    const added = joined.map(node => createSlot(app, node))
    fresh.push(...added)
    app.slots = [...kept, ...added]
    return true
  }
  fitToGroup(app)
  if (app.firstQuota !== firstQuota) return false
  for (const [index, slot] of app.slots.entries()) {
    const isMoved = slot.cell?.hash !== before[index]
    if (isMoved || (slot.held !== undefined && gone.has(slot.held.node))) {
      matching.stop(slot)
      const again = createSlot(app, index)
      again.cell = slot.cell
      app.slots[index] = again
      fresh.push(again)
      continue
    }
    if (slot.tried.length > 0) slot.tried = slot.tried.filter(({ node }) => !gone.has(node))
    for (const node of joined) if (!matching.offer(slot, node)) return false
  }
  return true
}
