/**
 * The greedy matching of slots and nodes. Of all pairs (edges) the one with the
 * smallest key (tier, then distance) is decided first; it is accepted if the node still has room, and
 * then the slot is done. Both sides prefer by the same key, so this is the one
 * stable matching there is, in whatever order slots and nodes are listed.
 *
 * A decision depends on earlier keys only. So after a change it is enough to
 * decide again, in the order of keys, the edges at nodes where something before
 * them changed. A first run is a change from nothing.
 *
 * Tiers come before distances: a node that holds the slot already; then 1. a node of the slot's
 * own cell that has no slot of the app, 2. such a node of any cell, 3. and 4. the same with one
 * slot, and so on.
 *
 * @module
 */

import { compareEdges, findEdge, insert, positionOf, remove } from './edge-list.ts'
import { createEdgeQueue, type EdgeQueue } from './edge-queue.ts'
import { attributeOf } from './constraint.ts'
import { rejectionBy, suits } from './rejection.ts'
import { closest, distanceOf, memberOf, nearest, type Ring } from './ring.ts'
import {
  HOLDER_TIER,
  holdersOf,
  NO_EDGES,
  type AppState,
  type Edge,
  type NodeState,
  type Rejection,
  type Slot,
} from './state.ts'

/** Rejected edges that are remembered, about 100 bytes each. A cluster that has no room for many slots makes more; then every change is computed afresh. */
const RECORDED_MAX = 2_000_000

/** See the module's comment. */
export class Matching {
  /** Slots whose node changed since this was last cleared. */
  readonly changed = new Set<Slot>()
  /** True while the edges on record are all there are, so that {@link settle} may decide some of them again. */
  complete = true

  readonly #queue: EdgeQueue = createEdgeQueue(compareEdges)
  readonly #hopeless = new Set<string>()
  /** False on the first run, when keys only ever rise. */
  #replaying = false
  #recorded = 0

  /** Lets slots ask their first nodes. */
  start(slots: readonly Slot[]): void {
    const first: Edge[] = []
    for (const slot of slots) {
      const edge = this.#next(slot, undefined)
      if (edge !== undefined) first.push(edge)
    }
    this.#queue.pushAll(first)
  }

  /** Takes back all that a slot asked. It is gone then: to place it again takes a new one. */
  stop(slot: Slot): void {
    slot.gone = true
    this.changed.add(slot)
    for (const edge of slot.tried) remove(edge.node.rejected, edge)
    this.#recorded -= slot.tried.length
    if (slot.held !== undefined) this.#free(slot.held)
    slot.tried = NO_EDGES
  }

  /** Forgets what a node that is gone rejected. What it holds has to be stopped. */
  drop(node: NodeState): void {
    node.gone = true
    for (const { slot } of node.rejected) slot.tried = slot.tried.filter(edge => edge.node !== node)
    this.#recorded -= node.rejected.length
    node.rejected.length = 0
  }

  /** Lets a slot ask a node that is new in its app's group, if it prefers it to what it has. */
  offer(slot: Slot, node: NodeState): void {
    const { app } = slot
    const distance = distanceOf(slot, node.points)
    if (app.app.held !== undefined && isHolder(slot, node)) {
      this.#offer(createEdge(slot, node, HOLDER_TIER, distance))
    }
    if (distance > slot.reach >>> 0) return
    const own = app.group.cellOf.get(node)
    const cell = app.cell ?? slot.cell
    if (cell === undefined) return
    if (own === undefined || own === cell) this.#offer(createEdge(slot, node, 0, distance))
    if (own !== undefined && own.wide === cell.wide) {
      this.#offer(createEdge(slot, node, 1, distance))
    }
  }

  /**
   * Decides until nothing is left to decide.
   *
   * @returns False when a change reaches further than single nodes, and all must be computed afresh.
   */
  settle(): boolean {
    for (let edge = this.#queue.pop(); edge !== undefined; edge = this.#queue.pop()) {
      if (!this.#decide(edge)) return false
    }
    this.#replaying = true
    return true
  }

  #offer(edge: Edge): void {
    const { held } = edge.slot
    if (held !== undefined && compareEdges(edge, held) > 0) return
    if (suits(edge.slot, edge.node)) this.#queue.push(edge)
  }

  #decide(asked: Edge): boolean {
    const { slot, node } = asked
    if (slot.gone || node.gone) return true
    if (slot.held !== undefined && compareEdges(slot.held, asked) < 0) return true
    const known = this.#replaying ? findEdge(node, asked) : undefined
    const rejected = this.#judge(asked)
    if (known !== undefined && rejected === known.rejected) return true
    if (this.#replaying && slot.app.coupled) return false
    if (known === undefined) {
      asked.rejected = rejected
      if (rejected !== undefined) return this.#reject(asked, false)
      this.#accept(asked, false)
      return true
    }
    const wasHeld = known.rejected === undefined
    known.rejected = rejected
    if (wasHeld) return this.#reject(known, true)
    if (rejected === undefined) this.#accept(known, true)
    return true
  }

  #judge(edge: Edge): Rejection | undefined {
    const { slot, node, tier } = edge
    const { app } = slot
    const quota = tier === HOLDER_TIER ? app.nodeMax : Math.min(quotaOf(tier), app.nodeMax)
    const rejected = rejectionBy(
      node,
      app,
      quota,
      this.#replaying ? positionOf(node.held, edge) : undefined,
    )
    if (rejected !== undefined || app.valueMax.length === 0) return rejected
    const isTaken = app.valueMax.some(
      ({ field, max }) => (app.perValue.get(valueKey(field, node)) ?? 0) >= max,
    )
    return isTaken ? 'value' : undefined
  }

  #accept(edge: Edge, wasRejected: boolean): void {
    const { slot, node } = edge
    const { app } = slot
    if (slot.held !== undefined) this.#free(slot.held)
    if (wasRejected) remove(node.rejected, edge)
    if (slot.tried.length > 0 && this.#replaying) this.#forget(slot, edge)
    slot.held = edge
    slot.reach = edge.tier === 0 ? edge.distance : edge.tier === HOLDER_TIER ? 0 : -1
    hold(node, edge)
    if (app.valueMax.length > 0) countValues(app, node)
    if (!this.#replaying) {
      if (app.dense) this.#close(edge)
      return
    }
    this.changed.add(slot)
    this.#askAgain(node.held, edge)
  }

  /** Takes back the edges of a slot that come after `edge`, and `edge` itself, from what was rejected. */
  #forget(slot: Slot, edge: Edge): void {
    const kept: Edge[] = []
    for (const other of slot.tried) {
      if (compareEdges(other, edge) < 0) kept.push(other)
      else if (other !== edge) remove(other.node.rejected, other)
    }
    this.#recorded -= slot.tried.length - kept.length
    slot.tried = kept
  }

  #reject(edge: Edge, wasHeld: boolean): boolean {
    const { slot, node } = edge
    const { app } = slot
    if (wasHeld) this.#free(edge)
    this.#record(edge)
    if (edge.rejected === 'sibling' && edge.tier !== HOLDER_TIER) {
      slot.crowdedAt = Math.max(slot.crowdedAt, quotaOf(edge.tier))
    }
    if (edge.rejected !== 'value' && app.dense && !this.#replaying) {
      if (edge.rejected === 'room') app.full.add(node)
      this.#close(edge)
    }
    if (edge.rejected !== 'room') slot.onlyRoom = false
    const next = this.#next(slot, edge)
    if (next !== undefined) {
      this.#queue.push(next)
      return !this.#replaying || quotaOf(next.tier) === 1
    }
    if (slot.only !== undefined) return true
    if (isHopeless(slot)) this.#hopeless.add(app.shape)
    app.coupled = true
    return !this.#replaying
  }

  /** Remembers a rejected edge, so that it can be decided again when room is freed. */
  #record(edge: Edge): void {
    if (this.#recorded >= RECORDED_MAX) {
      this.complete = false
      return
    }
    this.#recorded++
    const { slot } = edge
    if (slot.tried.length === 0) slot.tried = [edge]
    else slot.tried.push(edge)
    insert(edge.node.rejected, edge)
  }

  /** Notes when a node has its share of an app. */
  #close({ slot: { app }, node, tier }: Edge): void {
    const quota = quotaOf(tier)
    if (app.closedQuota !== quota) {
      app.closedQuota = quota
      app.closed.clear()
      for (const other of app.full) app.closed.add(other)
    }
    if (app.closed.has(node)) return
    if (rejectionBy(node, app, quota) !== undefined) app.closed.add(node)
  }

  /** Gives back what an accepted edge held. */
  #free(edge: Edge): void {
    release(edge.node, edge)
    edge.slot.held = undefined
    this.changed.add(edge.slot)
    this.#askAgain(edge.node.rejected, edge)
  }

  /** Has the edges after `edge` decided again: the rejected ones where it freed room, the held ones where it took some. */
  #askAgain(edges: readonly Edge[], edge: Edge): void {
    for (let at = positionOf(edges, edge); at < edges.length; at++) {
      if (edges[at] !== edge) this.#queue.push(edges[at]!)
    }
  }

  /** The next node that a slot asks, or nothing when it has asked all that could help. */
  #next(slot: Slot, last: Edge | undefined): Edge | undefined {
    const { app, only } = slot
    let before = last
    if (app.app.held !== undefined && (before === undefined || before.tier === HOLDER_TIER)) {
      const edge = nextHolder(slot, before)
      if (edge !== undefined) return edge
      before = undefined
    }
    if (only !== undefined) {
      const asks = before === undefined && suits(slot, only)
      return asks ? createEdge(slot, only, -1, slot.hash) : undefined
    }
    const cell = app.cell ?? slot.cell
    if (cell === undefined) return undefined
    if (this.#hopeless.has(app.shape)) {
      this.complete = false
      return undefined
    }
    const { ring: near, wide } = cell
    let tier = before === undefined ? 2 * (app.firstQuota - 1) : before.tier
    for (let after = before; ; tier++, after = undefined) {
      const quota = quotaOf(tier)
      if (quota > app.nodeMax || quota > app.app.instances) return undefined
      if (quota > app.firstQuota && slot.crowdedAt < quota - 1) return undefined
      if (
        app.dense &&
        !this.#replaying &&
        app.closedQuota === quota &&
        app.closed.size >= app.group.ring.members.length
      ) {
        slot.crowdedAt = Math.max(slot.crowdedAt, quota)
        continue
      }
      if (tier % 2 === 1 && near === wide) continue
      if (quota > 1) app.coupled = true
      const ring = tier % 2 === 0 ? near : wide
      const found = nextIn(slot, ring, after, tier)
      if (found !== undefined) return found
    }
  }
}

/** The next node that holds the slot, and may go on to. */
function nextHolder(slot: Slot, after: Edge | undefined): Edge | undefined {
  let next: Edge | undefined
  for (const id of holdersOf(slot)) {
    const node = memberOf(slot.app.group.ring, id)
    if (node === undefined || !isHolder(slot, node) || !suits(slot, node)) continue
    const edge = createEdge(slot, node, HOLDER_TIER, distanceOf(slot, node.points))
    if (after !== undefined && compareEdges(edge, after) <= 0) continue
    if (next === undefined || compareEdges(edge, next) < 0) next = edge
  }
  return next
}

/** True when the node holds the slot, and is where GROUP_BY wants it: always, unless two hold it in different cells. */
function isHolder(slot: Slot, node: NodeState): boolean {
  if (!holdersOf(slot).includes(node.id)) return false
  const { app, only, cell } = slot
  const own = app.group.cellOf.get(node)
  return only !== undefined || own === undefined || own.wide === (app.cell ?? cell)?.wide
}

function nextIn(
  slot: Slot,
  ring: Ring<NodeState>,
  after: Edge | undefined,
  tier: number,
): Edge | undefined {
  const size = ring.members.length
  if (after === undefined && size > 0) {
    const member = closest(ring, slot)
    if (suits(slot, member)) return createEdge(slot, member, tier, distanceOf(slot, member.points))
  }
  if (slot.rankedRing !== ring) {
    slot.rankedRing = ring
    slot.ranked = nearest(ring, slot, 8)
  }
  for (;;) {
    for (const { member, distance } of slot.ranked) {
      const edge = createEdge(slot, member, tier, distance)
      if (after !== undefined && compareEdges(edge, after) <= 0) continue
      if (suits(slot, member)) return edge
    }
    if (slot.ranked.length >= size) return undefined
    slot.ranked = nearest(ring, slot, Math.min(size, slot.ranked.length * 8))
  }
}

function createEdge(slot: Slot, node: NodeState, tier: number, distance: number): Edge {
  return { tier, distance: distance | 0, slot, node, rejected: undefined }
}

/** How many slots of an app a node may have in a tier. */
function quotaOf(tier: number): number {
  return (Math.max(0, tier) >> 1) + 1
}

function valueKey(field: string, { node }: NodeState): string {
  return `${field}\0${attributeOf(node, field)}`
}

/** True when no slot of the same shape can find room after this one did not: room only shrinks as keys rise. */
function isHopeless({ app, cell, onlyRoom, id }: Slot): boolean {
  const { ring } = app.group
  if (!onlyRoom || (app.cell ?? cell)?.wide !== ring) return false
  return !ring.members.some(({ node }) => node.refusals.some(({ slot }) => slot === id))
}

function countValues(app: AppState, node: NodeState): void {
  for (const { field } of app.valueMax) {
    const key = valueKey(field, node)
    app.perValue.set(key, (app.perValue.get(key) ?? 0) + 1)
  }
}

function hold(node: NodeState, edge: Edge): void {
  const { app } = edge.slot
  const { held, heldApps } = node
  const at = positionOf(held, edge)
  if (at === held.length) {
    held.push(edge)
    heldApps.push(app)
  } else {
    held.splice(at, 0, edge)
    heldApps.splice(at, 0, app)
  }
  count(node, app, -1)
}

function release(node: NodeState, edge: Edge): void {
  const { app } = edge.slot
  const at = positionOf(node.held, edge)
  node.held.splice(at, 1)
  node.heldApps.splice(at, 1)
  count(node, app, 1)
}

function count({ free }: NodeState, { need }: AppState, sign: 1 | -1): void {
  free.cpus += sign * need.cpus
  free.memMb += sign * need.memMb
  free.diskMb += sign * need.diskMb
  free.gpus += sign * need.gpus
  free.slots += sign
}
