import type { AppId, SlotId } from '../model/ids.ts'
import { isFinal } from '../model/task.ts'
import { BRAKE_START_INTERVAL_MS } from '../node/machine/mass-loss.ts'
import type { NodeService, NodeView } from '../node/service.ts'
import type { ElsewhereLine, StatusAnswer } from './shapes.ts'

/** How many of the admitted nodes this one sees, who is missing, and since when. */
export function seenNodes(service: NodeService): StatusAnswer['nodes'] {
  const nodes = service.nodes()
  const notAlive = nodes
    .filter(({ verdict }) => verdict?.kind !== 'alive')
    .map(({ name, verdict, awaySinceMs }) => ({
      name,
      verdict: verdict?.kind ?? ('unseen' as const),
      sinceMs: awaySinceMs,
    }))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
  const suspect = notAlive.filter(({ verdict }) => verdict === 'suspect').length
  const lostAtMs = notAlive.map(({ sinceMs }) => sinceMs ?? service.startedAtMs)
  return {
    admitted: nodes.length,
    alive: nodes.length - notAlive.length,
    suspect,
    missing: notAlive.length - suspect,
    majority: service.seesMajority(),
    ...(notAlive.length > 0 && { sinceMs: Math.round(Math.min(...lostAtMs)) }),
    notAlive,
  }
}

/**
 * What may be running on nodes that this one does not see: the live tasks in the last record of each.
 * Whether they still do cannot be known from here; a node that is off runs nothing, one behind a broken link all of it.
 */
export function elsewhere(service: NodeService): ElsewhereLine[] {
  const { apps } = service.desired()
  const byApp = new Map<AppId, { slot: SlotId; node: string; alsoSeen: boolean }[]>()
  const seen = new Set<SlotId>()
  for (const { node, task } of service.tasks()) {
    if (isThere(node) && !isFinal(task.state)) seen.add(task.slot)
  }
  for (const { node, task } of service.tasks()) {
    if (isThere(node) || isFinal(task.state)) continue
    const slots = byApp.get(task.app) ?? []
    slots.push({ slot: task.slot, node: node.name, alsoSeen: seen.has(task.slot) })
    byApp.set(task.app, slots)
  }
  return Array.from(byApp, ([app, slots]): ElsewhereLine => ({
    app,
    isolated: apps.get(app)?.spec.onPartition.isolated ?? 'keep',
    slots: slots.toSorted((one, other) => (one.slot < other.slot ? -1 : 1)),
  })).toSorted((one, other) => (one.app < other.app ? -1 : 1))
}

/** The nodes whose key is used by another machine, too, as the first of the two says. */
export function twins(service: NodeService): StatusAnswer['twins'] {
  return service
    .nodes()
    .filter(({ verdict }) => verdict?.kind === 'alive')
    .flatMap(({ name, record }) => {
      const address = record?.run?.twin
      return address === undefined ? [] : [{ node: name, address }]
    })
}

/** The mass-loss brake, while it is on. */
export function brakeOf(service: NodeService): Pick<StatusAnswer, 'brake'> {
  const brake = service.brake()
  if (brake === undefined) return {}
  const { sinceMs, lost, of } = brake
  const startIntervalMs = BRAKE_START_INTERVAL_MS
  return { brake: { sinceMs: Math.round(sinceMs), lost, of, startIntervalMs } }
}

/** True for a node that is there, or is only in doubt. */
function isThere({ verdict }: NodeView): boolean {
  return verdict?.kind === 'alive' || verdict?.kind === 'suspect'
}
