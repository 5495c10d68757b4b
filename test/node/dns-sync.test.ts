import t from 'tap'
import { appSchema } from '../../src/model/app.ts'
import type { AppId, NodeId, SlotId, TaskId } from '../../src/model/ids.ts'
import type { Task } from '../../src/model/task.ts'
import { DnsSync } from '../../src/node/dns-sync.ts'
import type { NodeMachine } from '../../src/node/machine/node-machine.ts'

const web = '/web' as AppId
const slot = '/web.0' as SlotId

function task(nonce: string, hostPort: number, over: Partial<Task> = {}): Task {
  return {
    id: `${slot}@${nonce}` as TaskId,
    app: web,
    slot,
    revision: 'r' as Task['revision'],
    state: 'running',
    health: 'none',
    ports: [{ name: '', protocol: 'tcp', containerPort: hostPort, hostPort }],
    sinceMs: 0,
    message: '',
    ...over,
  }
}

interface Side {
  readonly name: string
  readonly tasks: readonly Task[]
  readonly isReliable?: boolean
}

/** What DNS answers for `_web._tcp` when these nodes say this of themselves, and the slot belongs to `owner`. */
function answers(owner: string, sides: readonly Side[]): string[] {
  const spec = appSchema.parse({ id: web, command: 'serve', ports: [{}] })
  const records = sides.map(({ name, tasks }, index) => ({
    node: name as NodeId,
    name,
    address: `127.0.0.${index + 1}`,
    multiaddrs: [],
    labels: {},
    capacity: { cpus: 4, memMb: 1000 },
    waits: [],
    tasks,
  }))
  const unreliable = new Set(
    sides.filter(side => side.isReliable === false).map(({ name }) => name),
  )
  const app = { id: web, spec, instances: 1 }
  const desired = { apps: new Map([[web, app]]), nodes: new Map() }
  const machine = {
    doc: { read: () => desired },
    book: { records: () => records },
    members: {
      verdict: () => ({ kind: 'alive' }),
      reliableSinceMs: ({ node }: { node: string }) => (unreliable.has(node) ? undefined : 0),
    },
    placed: {
      placement: { placed: new Map([[slot, owner]]), unplaced: new Map() },
      input: { nodes: [] },
    },
  } as unknown as NodeMachine
  const sync = new DnsSync(machine, { name: 'a', ttlSeconds: 1, mesos: undefined })
  sync.update()
  const found = sync.zone.find('_web._tcp.shoal')
  const addresses = new Map(found?.glue.map(({ name, address }) => [name, address]))
  return (found?.records ?? []).map(record =>
    record.type === 'SRV' ? `${addresses.get(record.target)}:${record.port}` : record.type,
  )
}

t.test('DnsSync tells one task of a slot that moves, with its own address', async t => {
  const moving = [
    { name: 'a', tasks: [task('old', 31_001)] },
    { name: 'b', tasks: [task('new', 31_002)] },
  ]
  t.strictSame(answers('b', moving), ['127.0.0.2:31002'])
  t.strictSame(answers('a', moving), ['127.0.0.1:31001'])
})

t.test('DnsSync tells the old task while the new one does not serve', async t => {
  const moving = [
    { name: 'a', tasks: [task('old', 31_001)] },
    { name: 'b', tasks: [task('new', 31_002, { health: 'unknown' })] },
  ]
  t.strictSame(answers('b', moving), ['127.0.0.1:31001'])
})

t.test('DnsSync does not believe a node by the record of its life before', async t => {
  t.strictSame(answers('a', [{ name: 'a', tasks: [task('old', 31_001)], isReliable: false }]), [])
})
