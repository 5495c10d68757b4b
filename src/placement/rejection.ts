import { mayTake, type AppState, type NodeState, type Rejection, type Slot } from './state.ts'

/** Why `node` does not accept a slot of `app` besides the first `before` edges that it accepted; nothing if it does. */
export function rejectionBy(
  node: NodeState,
  app: AppState,
  quota: number,
  before = node.held.length,
): Rejection | undefined {
  const { need, ports } = app
  const apps = node.heldApps
  let { cpus, memMb, diskMb, gpus, slots } = before === apps.length ? node.free : node.room
  let siblings = 0
  for (let at = 0; at < before; at++) {
    const holder = apps[at]!
    if (holder === app) siblings++
    if (ports.length > 0 && holder.ports.some(port => ports.includes(port))) return 'room'
    if (before === apps.length) continue
    cpus -= holder.need.cpus
    memMb -= holder.need.memMb
    diskMb -= holder.need.diskMb
    gpus -= holder.need.gpus
    slots--
  }
  const fits =
    cpus >= need.cpus &&
    memMb >= need.memMb &&
    diskMb >= need.diskMb &&
    gpus >= need.gpus &&
    slots >= 1
  if (!fits) return 'room'
  return siblings < quota ? undefined : 'sibling'
}

/** True unless the slot is too large for the empty node, or the node refuses it, or is cordoned and does not hold it. */
export function suits(slot: Slot, state: NodeState): boolean {
  const { app, id } = slot
  const { node, room } = state
  const { need } = app
  if (need.cpus > room.cpus || need.memMb > room.memMb) return false
  if (need.diskMb > room.diskMb || need.gpus > room.gpus) return false
  if (!mayTake(slot, state)) return false
  if (node.refusals.length === 0) return true
  return !node.refusals.some(
    ({ slot: refused, revision }) => refused === id && revision === app.app.revision,
  )
}
