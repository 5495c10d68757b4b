import type { DnsApp, DnsNode, DnsTask, DnsView } from '../../src/dns/dns-view.ts'
import { parseAppId, slotIdOf, taskIdOf, type AppId } from '../../src/model/ids.ts'
import type { TaskPort } from '../../src/model/task.ts'

/** What a task of a test need not say. */
export type TaskInput = Partial<Omit<DnsTask, 'slot' | 'ports'>> & {
  /** In place of `addresses`, where there is one. */
  readonly address?: string
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
  return {
    id: appId(id),
    aliases,
    tasks: inputs.map((task, index) => makeTask(id, index, task)),
    wanted: inputs.length,
    missing: [],
  }
}

/** A node that is alive at `address`. */
export function makeNode(name: string, address: string, more: Partial<DnsNode> = {}): DnsNode {
  return { name, addresses: [address], alive: true, zone: '', port: 7440, ...more }
}

/** A view of the zone `shoal` as node `n1` sees it, with nodes n1 (10.0.0.1) and n2 (10.0.0.2). */
export function makeView(apps: readonly DnsApp[], more: Partial<DnsView> = {}): DnsView {
  const nodes = [makeNode('n1', '10.0.0.1'), makeNode('n2', '10.0.0.2')]
  return { domain: 'shoal', ttlSeconds: 5, serial: 7, self: { name: 'n1' }, apps, nodes, ...more }
}

/** An app's id; fails the test for text that is none. */
export function appId(text: string): AppId {
  const id = parseAppId(text)
  if (id === undefined) throw new RangeError(`Not an app id: ${text}`)
  return id
}

function makeTask(app: string, index: number, input: TaskInput): DnsTask {
  const { ports, address, ...rest } = input
  const slot = slotIdOf(appId(app), index)
  const serving = input.serving ?? true
  return {
    task: taskIdOf(slot, 'k3f9x1'),
    slot,
    suffix: String(index),
    addresses: [address ?? `10.0.${Math.floor(index / 250)}.${(index % 250) + 1}`],
    serving,
    running: serving,
    node: 'n1',
    zone: '',
    weight: 1,
    note: serving ? 'serving' : 'unhealthy',
    ports: (ports ?? [{ hostPort: 31_000 + index }]).map(port => ({
      name: '',
      protocol: 'tcp',
      containerPort: port.hostPort,
      ...port,
    })),
    ...rest,
  }
}
