import { isFinal, isServing } from '../model/task.ts'
import type { AppId, SlotId } from '../model/ids.ts'
import type { NodeService, NodeView, TaskView } from '../node/service.ts'
import type {
  AppAnswer,
  AppLine,
  RevisionLine,
  StatusAnswer,
  TaskLine,
  WhyAnswer,
} from './shapes.ts'
import { brakeOf, elsewhere, seenNodes, twins } from './split-view.ts'

/** What this node sees of the cluster. */
export function statusOf(service: NodeService, nowMs: number): StatusAnswer {
  const nodes = service.nodes()
  const lines = appLines(service)
  const wanted = sum(lines.map(line => line.wanted))
  const running = sum(lines.map(line => line.running))
  return {
    cluster: service.cluster,
    node: service.self,
    name: service.name,
    version: service.version,
    uptimeMs: Math.round(nowMs - service.startedAtMs),
    dataDir: service.dataDir,
    nodes: seenNodes(service),
    elsewhere: elsewhere(service),
    twins: twins(service),
    ...brakeOf(service),
    apps: lines.length,
    slots: { wanted, running, pending: Math.max(0, wanted - running) },
    conflicts: service.conflicts().map(({ app, kept, lost, lostAuthor }) => ({
      app,
      kept,
      lost,
      lostAuthor: nodes.find(({ node }) => node === lostAuthor)?.name ?? lostAuthor,
    })),
    dns: dnsLine(service),
  }
}

function dnsLine({ dns }: NodeService): StatusAnswer['dns'] {
  const { address, port, domain, mesosDomain } = dns
  return { address, port, domain, ...(mesosDomain !== undefined && { mesosDomain }) }
}

/** The apps, in the order of their ids. */
export function appLines(service: NodeService): AppLine[] {
  const bySlot = tasksBySlot(service)
  return Array.from(service.desired().apps.values(), ({ id, spec, revision }): AppLine => {
    const slots = service.slots(id).map(({ slot }) => liveTasks(bySlot.get(slot)))
    const count = (has: (view: TaskView) => boolean): number =>
      slots.filter(tasks => tasks.some(has)).length
    return {
      id,
      work:
        spec.image ??
        (typeof spec.command === 'string' ? spec.command : (spec.command ?? []).join(' ')),
      mode: spec.mode,
      wanted: slots.length,
      running: count(({ task }) => task.state === 'running'),
      serving: count(({ task }) => isServing(task)),
      revision,
      updated: count(({ task }) => task.state === 'running' && task.revision === revision),
    }
  })
}

/** Every slot of one app or of all, with its tasks; a slot without one is pending. */
export function taskLines(service: NodeService, app?: AppId): TaskLine[] {
  const bySlot = tasksBySlot(service)
  const nodes = new Map(service.nodes().map(node => [node.node, node]))
  const waits = new Map(service.waits().map(({ slot, reason }) => [slot, reason]))
  const apps = app === undefined ? [...service.desired().apps.keys()] : [app]
  const lines: TaskLine[] = []
  const seen = new Set<SlotId>()
  for (const id of apps) {
    for (const { slot, node } of service.slots(id)) {
      seen.add(slot)
      const owner = node === undefined ? undefined : nodes.get(node)
      const views = bySlot.get(slot)
      const live = liveTasks(views).toSorted(byStart)
      lines.push(...live.map(view => taskLine(view)))
      if (live.length > 0) continue
      const wait = waits.get(slot)
      const failed = lastFailed(views)
      // What the slot waits for tells of the failure, too.
      if (wait === undefined && owner !== undefined && failed !== undefined) {
        lines.push(taskLine(failed))
        continue
      }
      const reason = wait ?? summarise(service, slot)
      lines.push({
        slot,
        app: id,
        node: owner?.name ?? '',
        state: 'pending',
        health: 'none',
        ports: [],
        message: reason,
      })
    }
  }
  for (const view of service.tasks()) {
    const isAsked = app === undefined || view.task.app === app
    if (isAsked && !seen.has(view.task.slot) && !isFinal(view.task.state))
      lines.push(taskLine(view))
  }
  return lines
}

/** All about one app; nothing when there is no such app. */
export function appAnswer(service: NodeService, id: AppId): AppAnswer | undefined {
  const app = service.desired().apps.get(id)
  if (app === undefined) return undefined
  return {
    id,
    revision: app.revision,
    instances: app.instances,
    spec: app.spec,
    names: service.dns.names(app.spec),
    tasks: taskLines(service, id),
    history: historyLines(service, id),
  }
}

/** Why each slot of an app is where it is. */
export function whyAnswer(service: NodeService, app: AppId): WhyAnswer {
  const bySlot = tasksBySlot(service)
  const waits = new Map(service.waits().map(({ slot, reason }) => [slot, reason]))
  const names = new Map(service.nodes().map(({ node, name }) => [node, name]))
  return {
    app,
    slots: service.slots(app).map(({ slot, node }) => {
      const live = liveTasks(bySlot.get(slot))
      const [first] = live
      const owner = node === undefined ? undefined : names.get(node)
      const wait = waits.get(slot)
      return {
        slot,
        state: first?.task.state ?? 'pending',
        node: owner,
        summary: summaryOf(service, slot, { live, owner, wait }),
        nodes: service.explain(slot).map(({ name, rank, verdict, reason }) => ({
          name,
          rank,
          verdict,
          reason,
        })),
      }
    }),
  }
}

function summaryOf(
  service: NodeService,
  slot: SlotId,
  {
    live,
    owner,
    wait,
  }: {
    readonly live: readonly TaskView[]
    readonly owner?: string | undefined
    readonly wait?: string | undefined
  },
): string {
  const running = live.find(({ task }) => task.state === 'running')
  const end = wait === undefined ? '' : `; ${wait}`
  if (running === undefined) {
    if (owner === undefined) return `pending: ${summarise(service, slot)}`
    const [first] = live
    const detail = wait ?? (first === undefined ? 'it is about to start' : describe(first))
    return `${first?.task.state ?? 'pending'} on ${owner}: ${detail}`
  }
  const { node, task } = running
  const health = task.health === 'none' ? '' : `, ${task.health}`
  const detail = task.health === 'unhealthy' && task.message !== '' ? ` (${task.message})` : ''
  const where = `runs on ${node.name}${health}${detail}`
  if (owner === undefined) return `${where}; ${summarise(service, slot)}${end}`
  const reason = service.explain(slot).find(({ verdict }) => verdict === 'chosen')
  const stays = reason?.stays === undefined ? undefined : `it stays on ${owner} (${reason.stays})`
  if (node.name !== owner) {
    return stays === undefined
      ? `${where}; it moves to ${owner}, which ranks higher${end}`
      : `${where}; ${stays}${end}`
  }
  return `${where}: ${stays ?? `of the nodes that can run it, ${owner} ranks highest`}${end}`
}

/** Why a slot has no place, in one line made of what each node said. */
export function summarise(service: NodeService, slot: SlotId): string {
  const explained = service.explain(slot)
  const refusals = explained.filter(({ verdict }) => verdict === 'refused')
  if (refusals.length === 0) return 'it is about to start'
  if (refusals.length < explained.length) return 'it is about to start'
  const byReason = new Map<string, string[]>()
  for (const { reason, name } of refusals)
    byReason.set(reason, [...(byReason.get(reason) ?? []), name])
  const reasons = Array.from(
    byReason,
    ([reason, names]) => `${reason} (${names.toSorted().join(', ')})`,
  )
  return `no node can run it: ${reasons.join('; ')}`
}

function historyLines(service: NodeService, app: AppId): RevisionLine[] {
  const names = new Map(service.nodes().map(({ node, name }) => [node, name]))
  const { line, lost } = service.history(app)
  return [
    ...line.map(revision => ({ revision, lost: false })),
    ...lost.map(revision => ({ revision, lost: true })),
  ].map(({ revision: { id, generation, author, timeMs, message }, lost: isLost }) => ({
    revision: id,
    generation,
    author: names.get(author) ?? author,
    timeMs,
    message,
    lost: isLost,
  }))
}

function tasksBySlot(service: NodeService): Map<SlotId, TaskView[]> {
  const bySlot = new Map<SlotId, TaskView[]>()
  for (const view of service.tasks()) {
    const list = bySlot.get(view.task.slot)
    if (list === undefined) bySlot.set(view.task.slot, [view])
    else list.push(view)
  }
  return bySlot
}

/** Tasks that may still be there: not ended, and on a node that is not gone. The running come first. */
function liveTasks(views: readonly TaskView[] | undefined): TaskView[] {
  return (views ?? [])
    .filter(
      ({ task, node }) => !isFinal(task.state) && ['alive', 'suspect'].includes(verdictOf(node)),
    )
    .toSorted((one, other) => urgency(one) - urgency(other))
}

/** The latest task of a slot that failed. */
function lastFailed(views: readonly TaskView[] | undefined): TaskView | undefined {
  return (views ?? [])
    .filter(({ task }) => task.state === 'failed')
    .toSorted(byStart)
    .at(-1)
}

function byStart({ task: one }: TaskView, { task: other }: TaskView): number {
  return one.sinceMs - other.sinceMs || (one.id < other.id ? -1 : 1)
}

function urgency({ task }: TaskView): number {
  return isServing(task) ? 0 : task.state === 'running' ? 1 : 2
}

/** A task as the listings have it. */
export function taskLine({ node, task }: TaskView): TaskLine {
  const { id, slot, app, state, health, revision, ports, sinceMs, message, exitCode } = task
  return {
    slot,
    app,
    task: id,
    node: node.name,
    nodeVerdict: verdictOf(node),
    ...(verdictOf(node) !== 'alive' && { lastKnown: true }),
    state,
    health,
    revision,
    ports,
    sinceMs: Math.round(sinceMs),
    message,
    ...(node.record && { address: node.record.address }),
    ...(exitCode !== undefined && { exitCode }),
  }
}

function describe({ task }: TaskView): string {
  return task.message === '' ? task.state : task.message
}

/** What this node thinks of another: `unseen` until it hears of it. */
export function verdictOf({ verdict }: NodeView): NonNullable<TaskLine['nodeVerdict']> {
  return verdict?.kind ?? 'unseen'
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
