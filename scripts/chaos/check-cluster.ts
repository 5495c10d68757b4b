import { isDeepStrictEqual } from 'node:util'
import type { AppAnswer, AppLine, NodeLine, TaskLine } from '../../src/api/shapes.ts'
import { lookUp } from '../demo/client.ts'
import { listContainers, type Container } from '../testbed/containers.ts'
import { askDaemon } from '../testbed/host-daemon.ts'
import type { TestHost } from '../testbed/test-host.ts'
import type { Ledger } from './ledger.ts'

/** What one host's daemon and engine say of the whole. */
interface HostView {
  readonly host: TestHost
  readonly nodes: readonly NodeLine[]
  readonly apps: readonly AppLine[]
  readonly manifests: unknown
  readonly tasks: readonly TaskLine[]
  readonly containers: readonly Container[]
}

/**
 * What is not as it should be on a cluster that nothing is wrong with any more, in words: nodes that are missed, documents that
 * differ or lack an acknowledged edit, slots that do not run exactly once, containers that nobody knows
 * of, and DNS that says something else. Empty when all is well.
 */
export async function findProblems(hosts: readonly TestHost[], ledger: Ledger): Promise<string[]> {
  const views = await Promise.all(hosts.map(look))
  const [first] = views
  if (first === undefined) return []
  const problems = [
    ...views.flatMap(view => problemsOfMembers(view, hosts.length)),
    ...views.flatMap(view =>
      isDeepStrictEqual(view.manifests, first.manifests)
        ? []
        : [`the documents of h1 and h${view.host.number} differ`],
    ),
    ...problemsOfTasks(views, first),
    ...problemsOfContainers(views, first),
  ]
  for (const view of views) {
    // oxlint-disable-next-line eslint/no-await-in-loop -- one host after the other is enough
    problems.push(...(await problemsOfLedger(view, ledger)), ...(await problemsOfDns(view, first)))
  }
  return problems
}

async function look(host: TestHost): Promise<HostView> {
  const [nodes, apps, manifests, tasks, containers] = await Promise.all([
    askDaemon<NodeLine[]>(host, '/v1/nodes'),
    askDaemon<AppLine[]>(host, '/v1/apps'),
    askDaemon<unknown>(host, '/v1/export'),
    askDaemon<TaskLine[]>(host, '/v1/tasks'),
    listContainers(host),
  ])
  return { host, nodes, apps, manifests, tasks, containers }
}

function problemsOfMembers({ host, nodes }: HostView, count: number): string[] {
  const at = `h${host.number}`
  return [
    ...(nodes.length === count ? [] : [`${at} knows ${nodes.length} nodes, not ${count}`]),
    ...nodes.flatMap(({ name, verdict, docker }) => [
      ...(verdict === 'alive' ? [] : [`${at} takes ${name} for ${verdict}`]),
      ...(docker ? [] : [`${at} thinks that ${name} has no Docker`]),
    ]),
  ]
}

function problemsOfTasks(views: readonly HostView[], first: HostView): string[] {
  const wanted = first.apps.flatMap(({ id, wanted: count }) =>
    Array.from({ length: count }, (_, slot) => `${id}.${slot}`),
  )
  const slots = first.tasks.map(({ slot }) => String(slot))
  return [
    ...wanted.filter(slot => !slots.includes(slot)).map(slot => `${slot} is wanted and missing`),
    ...slots.filter(slot => !wanted.includes(slot)).map(slot => `${slot} is there and not wanted`),
    ...slots
      .filter((slot, at) => slots.indexOf(slot) !== at)
      .map(slot => `${slot} has more than one task`),
    ...first.tasks
      .filter(({ state, health }) => state !== 'running' || !['healthy', 'none'].includes(health))
      .map(({ slot, node, state, health, message }) =>
        `${slot} on ${node} is ${state}, health ${health}: ${message}`.trim(),
      ),
    ...views
      .filter(({ tasks }) => !isDeepStrictEqual(idsOf(tasks), idsOf(first.tasks)))
      .map(({ host }) => `h1 and h${host.number} tell of different tasks`),
  ]
}

function problemsOfContainers(views: readonly HostView[], first: HostView): string[] {
  const told = new Map(first.tasks.map(({ task = '', node }) => [String(task), node]))
  const homes = new Map(first.tasks.map(({ slot, node }) => [String(slot), node]))
  const there = views.flatMap(({ containers }) => containers)
  const running = there.filter(one => one.running)
  const ended = there.filter(one => !one.running)
  return [
    ...running
      .filter(({ task, host }) => told.get(task) !== `h${host}`)
      .map(({ task, host }) => `container of ${task} on h${host} is an orphan`),
    // The last task that failed is kept for its logs, by the node that has its slot.
    ...ended
      .filter(({ slot, host }, at) => {
        const isOne = ended.findIndex(one => one.slot === slot && one.host === host) === at
        return homes.get(slot) !== `h${host}` || !isOne
      })
      .map(({ task, host }) => `container of ${task} on h${host} has ended and is left over`),
    ...[...told]
      .filter(([task, node]) => !running.some(one => one.task === task && `h${one.host}` === node))
      .map(([task, node]) => `${task} is said to run on ${node} and has no container there`),
  ]
}

async function problemsOfLedger({ host, apps }: HostView, ledger: Ledger): Promise<string[]> {
  const there = new Set(apps.map(({ id }) => String(id)))
  const revisions = new Map<string, ReadonlySet<string>>()
  for (const app of ledger.revised()) {
    if (!there.has(app)) continue
    // oxlint-disable-next-line eslint/no-await-in-loop -- a few dozen quick answers
    const { history } = await askDaemon<AppAnswer>(host, `/v1/app?app=${encodeURIComponent(app)}`)
    revisions.set(app, new Set(history.map(({ revision }) => String(revision))))
  }
  const found = ledger.check({ apps: there, revisions })
  return found.map(problem => `h${host.number}: ${problem}`)
}

async function problemsOfDns({ host }: HostView, { apps, tasks }: HostView): Promise<string[]> {
  const problems: string[] = []
  for (const { id, wanted } of apps) {
    if (wanted === 0) continue
    const expected = tasks
      .filter(({ app }) => app === id)
      .map(({ address, ports }) => `${address}:${ports[0]?.hostPort}`)
      .toSorted()
    const server = { address: host.address, port: 53 }
    // oxlint-disable-next-line eslint/no-await-in-loop -- a few apps
    const instances = await lookUp(server, id.slice(1))
    const named = instances.map(({ address, port }) => `${address}:${port}`).toSorted()
    if (isDeepStrictEqual(named, expected)) continue
    problems.push(`DNS of h${host.number} names ${named.join(' ')} for ${id}, not ${expected.join(' ')}`) // prettier-ignore
  }
  return problems
}

function idsOf(tasks: readonly TaskLine[]): string[] {
  return tasks.map(({ task = '' }) => task).toSorted()
}
