import { isFinal } from '../model/task.ts'
import type { NodeId, SlotId } from '../model/ids.ts'
import type { Capacity } from '../model/node-record.ts'
import type { AppSpec } from '../model/app.ts'
import { labelsOf } from '../node/machine/placement-input.ts'
import type { NodeService, NodeView } from '../node/service.ts'
import type { NodeAnswer, NodeLine } from './shapes.ts'
import { summarise, taskLine, verdictOf } from './views.ts'

/** The admitted nodes, in the order of their names. */
export function nodeLines(service: NodeService): NodeLine[] {
  return service
    .nodes()
    .map(view => nodeLine(service, view))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** All about one node: who let it in, what people say of it and it of itself, and where its tasks go. */
export function nodeAnswer(service: NodeService, view: NodeView): NodeAnswer {
  const { node, record } = view
  const names = new Map(service.nodes().map(other => [other.node, other.name]))
  const admission = service.desired().nodes.get(node)
  const waits = new Map(service.waits().map(({ slot, reason }) => [slot, reason]))
  const by = admission?.by ?? node
  return {
    ...nodeLine(service, view),
    admittedBy: names.get(by) ?? by,
    admittedAtMs: admission?.timeMs ?? 0,
    ownLabels: record?.labels ?? {},
    setLabels: admission?.labels ?? {},
    refusals: (record?.refusals ?? []).map(({ slot, reason }) => ({ slot, reason })),
    waits: (record?.waits ?? []).map(({ slot, reason }) => ({ slot, reason })),
    runs: (record?.tasks ?? [])
      .filter(({ state }) => !isFinal(state))
      .map(task => ({
        ...taskLine({ node: view, task }),
        ...handOver(service, task.slot, { node, names, wait: waits.get(task.slot) }),
      })),
  }
}

/** Where a task's slot belongs now, if that is not where it runs, and what the move waits for. */
function handOver(
  service: NodeService,
  slot: SlotId,
  {
    node,
    names,
    wait,
  }: {
    readonly node: NodeId
    readonly names: ReadonlyMap<NodeId, string>
    readonly wait: string | undefined
  },
): { readonly movesTo?: string; readonly waitsFor?: string } {
  const owner = service.placedOn(slot)
  if (owner === node) return {}
  if (owner === undefined) return { waitsFor: summarise(service, slot) }
  const movesTo = names.get(owner) ?? owner
  return wait === undefined ? { movesTo } : { movesTo, waitsFor: wait }
}

function nodeLine(service: NodeService, view: NodeView): NodeLine {
  const { node, name, isSelf, record, verdict } = view
  const { apps, nodes } = service.desired()
  const admission = nodes.get(node)
  const tasks = (record?.tasks ?? []).filter(({ state }) => !isFinal(state))
  const specs = tasks.flatMap(({ app }) => {
    const spec = apps.get(app)?.spec
    return spec === undefined ? [] : [spec]
  })
  return {
    node,
    name,
    isSelf,
    verdict: verdictOf(view),
    mode: admission?.mode ?? 'active',
    labels: labelsOf(record, admission),
    docker: record?.runtimes.docker ?? false,
    used: usedBy(specs),
    tasks: tasks.length,
    leaving: record?.leaving ?? false,
    ...(verdict && { sinceMs: verdict.sinceMs }),
    ...(record && {
      address: record.address,
      capacity: record.capacity,
      version: record.version,
    }),
  }
}

function usedBy(specs: readonly AppSpec[]): Capacity {
  const sum = (of: (spec: AppSpec) => number): number =>
    specs.reduce((total, spec) => total + of(spec), 0)
  return {
    cpus: Math.round(sum(({ resources }) => resources.cpus) * 1000) / 1000,
    memMb: sum(({ resources }) => resources.memMb),
    diskMb: sum(({ resources }) => resources.diskMb),
    gpus: sum(({ resources }) => resources.gpus),
  }
}
