import type { DnsApp, DnsNode, DnsTask, DnsView } from '../../src/dns/dns-view.ts'
import { parseAppId, slotIdOf, type AppId } from '../../src/model/ids.ts'
import type { TaskPort } from '../../src/model/task.ts'

/** What a task of a test need not say. */
export type TaskInput = Partial<Omit<DnsTask, 'slot' | 'ports'>> & {
  readonly ports?: readonly (Partial<TaskPort> & { readonly hostPort: number })[]
}

/** An app whose slots are numbered as they come, each on its own 10.0.0.x with port 31000 + slot. */
export function makeApp(
  id: string,
  tasks: number | readonly TaskInput[] = 1,
  aliases: readonly string[] = [],
): DnsApp {
  const inputs: readonly TaskInput[] =
    typeof tasks === 'number' ? Array.from({ length: tasks }, () => ({})) : tasks
  return { id: appId(id), aliases, tasks: inputs.map((task, index) => makeTask(id, index, task)) }
}

/** A view of the zone `shoal` as node `n1` sees it, with nodes n1 (10.0.0.1) and n2 (10.0.0.2). */
export function makeView(apps: readonly DnsApp[], more: Partial<DnsView> = {}): DnsView {
  const nodes: DnsNode[] = [
    { name: 'n1', address: '10.0.0.1', alive: true },
    { name: 'n2', address: '10.0.0.2', alive: true },
  ]
  return { domain: 'shoal', ttlSeconds: 5, serial: 7, self: { name: 'n1' }, apps, nodes, ...more }
}

/** An app's id; fails the test for text that is none. */
export function appId(text: string): AppId {
  const id = parseAppId(text)
  if (id === undefined) throw new RangeError(`Not an app id: ${text}`)
  return id
}

function makeTask(app: string, index: number, { ports, ...rest }: TaskInput): DnsTask {
  return {
    slot: slotIdOf(appId(app), index),
    suffix: String(index),
    address: `10.0.${Math.floor(index / 250)}.${(index % 250) + 1}`,
    serving: true,
    node: 'n1',
    ports: (ports ?? [{ hostPort: 31_000 + index }]).map(port => ({
      name: '',
      protocol: 'tcp',
      containerPort: port.hostPort,
      ...port,
    })),
    ...rest,
  }
}
