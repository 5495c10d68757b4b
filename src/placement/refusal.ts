import { attributeOf, formatConstraint, staticRefusal } from './constraint.ts'
import type { Capacity } from '../model/node-record.ts'
import { mayTake, type AppState, type NodeState, type Slot } from './state.ts'

/** Why a node does not run a slot. */
export interface NodeRefusal {
  /** The same for all nodes of which the same is true, so that they can be counted. */
  readonly cause: string
  /** With the numbers and names of this node. */
  readonly reason: string
}

/**
 * Why `node` does not take `slot` besides what it holds, or nothing if it would.
 * Causes that no change of load can cure come first.
 */
export function refusalOf(slot: Slot, node: NodeState): NodeRefusal | undefined {
  const { app } = slot
  const barred = staticRefusal(app.app, node.node)
  if (barred !== undefined) return { cause: barred.replace(/: this node .*/s, ''), reason: barred }
  if (!mayTake(slot, node)) return CORDONED
  return (
    clusterRefusal(app, node) ??
    ownRefusal(slot, node) ??
    cellRefusal(slot, node) ??
    capacityRefusal(app, node) ??
    portRefusal(app, node) ??
    siblingRefusal(slot, node)
  )
}

const CORDONED: NodeRefusal = {
  cause: 'is cordoned',
  reason: 'is cordoned: it keeps what it has, and takes nothing new',
}

function clusterRefusal(app: AppState, node: NodeState): NodeRefusal | undefined {
  const open = app.app.constraints.filter(
    ({ operator, value }) => operator === 'CLUSTER' && value === undefined,
  )
  for (const [index, constraint] of open.entries()) {
    const chosen = app.group.clusters[index]
    const actual = attributeOf(node.node, constraint.field)
    if (actual === chosen) continue
    const cause = `constraint ${formatConstraint(constraint)}`
    return { cause, reason: `${cause}: all go to ${chosen}, this node has ${actual}` }
  }
  return undefined
}

/** What the node says of itself in its record. */
function ownRefusal({ id, app }: Slot, { node }: NodeState): NodeRefusal | undefined {
  const refusal = node.refusals.find(
    ({ slot, revision }) => slot === id && revision === app.app.revision,
  )
  if (refusal === undefined) return undefined
  return { cause: `refuses: ${refusal.reason}`, reason: `refuses: ${refusal.reason}` }
}

function cellRefusal(slot: Slot, node: NodeState): NodeRefusal | undefined {
  const { app } = slot
  const cell = app.cell ?? slot.cell
  const own = app.group.cellOf.get(node)
  if (cell === undefined || own === undefined || own.wide === cell.wide) {
    if (cell !== undefined || app.app.mode === 'global') return undefined
    const cause = 'constraint GROUP_BY: no value has room for one more without being uneven'
    return { cause, reason: cause }
  }
  const cause = 'constraint GROUP_BY: this slot belongs to other values'
  const [wanted, actual] = [cell.values.join(', '), own.values.join(', ')]
  return {
    cause,
    reason: `constraint GROUP_BY: this slot belongs to ${wanted}, this node has ${actual}`,
  }
}

function capacityRefusal({ need }: AppState, { room, held }: NodeState): NodeRefusal | undefined {
  const taken = (key: keyof Capacity): number =>
    held.reduce((sum, { slot }) => sum + slot.app.need[key], 0)
  const kinds = [
    ['cpus', 'too few cpus', 'cpus', 1000],
    ['memMb', 'too little memory', 'MB of memory', 1],
    ['diskMb', 'too little disk', 'MB of disk', 1],
    ['gpus', 'too few gpus', 'gpus', 1],
  ] as const
  for (const [key, lack, unit, scale] of kinds) {
    const free = room[key] - taken(key)
    if (need[key] <= free) continue
    const [wanted, left, all] = [need[key], Math.max(0, free), room[key]].map(n => n / scale)
    return {
      cause: need[key] > room[key] ? `has ${lack}` : `has ${lack} free`,
      reason: `needs ${wanted} ${unit}, ${left} of ${all} are free`,
    }
  }
  if (held.length < room.slots) return undefined
  return { cause: 'has all the slots it may', reason: `has ${held.length} of ${room.slots} slots` }
}

function portRefusal({ ports }: AppState, { held }: NodeState): NodeRefusal | undefined {
  for (const port of ports) {
    const holder = held.find(({ slot }) => slot.app.ports.includes(port))
    if (holder === undefined) continue
    const cause = `host port ${port} is taken`
    return { cause, reason: `${cause} by ${holder.slot.id}` }
  }
  return undefined
}

function siblingRefusal(slot: Slot, node: NodeState): NodeRefusal | undefined {
  const { app } = slot
  const siblings = node.held.filter(edge => edge.slot.app === app && edge.slot !== slot)
  if (siblings.length >= app.nodeMax) {
    const cause = `runs ${app.nodeMax} of ${app.app.id} already, the most it may`
    return { cause, reason: cause }
  }
  for (const { field, max } of app.valueMax) {
    const value = attributeOf(node.node, field)
    const taken = app.slots.filter(
      other =>
        other !== slot &&
        other.held !== undefined &&
        attributeOf(other.held.node.node, field) === value,
    ).length
    if (taken < max) continue
    const cause = `constraint ${max === 1 ? `${field} UNIQUE` : `${field} MAX_PER ${max}`}`
    return { cause, reason: `${cause}: ${value} has ${taken} already` }
  }
  const [sibling] = siblings
  if (sibling === undefined) return undefined
  const level = slot.held === undefined ? 0 : levelOf(slot.held.node, slot)
  if (siblings.length <= level) return undefined
  const cause = 'runs another slot of the app (slots go to different nodes first)'
  return { cause, reason: `already runs ${sibling.slot.id} (slots go to different nodes first)` }
}

/** How many other slots of its app the slot's own node has. */
function levelOf(node: NodeState, slot: Slot): number {
  return node.held.filter(edge => edge.slot.app === slot.app && edge.slot !== slot).length
}
