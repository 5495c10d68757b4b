import t from 'tap'
import type { AppId, NodeId, SlotId, TaskId } from '../../src/model/ids.ts'
import type { NodeRecord } from '../../src/model/node-record.ts'
import type { Task } from '../../src/model/task.ts'
import {
  changedApps,
  dnsTask,
  makeSide,
  weightOf,
  type SideFacts,
} from '../../src/node/dns-side.ts'

const facts: SideFacts = {
  name: 'n1',
  addresses: ['10.0.0.1'],
  zone: 'a',
  weight: 100,
  verdict: 'alive',
  isReliable: true,
}

function task(app: string, changes: Partial<Task> = {}): Task {
  return {
    id: `${app}.0@x` as TaskId,
    app: app as AppId,
    slot: `${app}.0` as SlotId,
    revision: 'r' as Task['revision'],
    state: 'running',
    health: 'none',
    ports: [],
    sinceMs: 0,
    message: '',
    ...changes,
  }
}

function record(tasks: readonly Task[], changes: Partial<NodeRecord> = {}): NodeRecord {
  const capacity = { cpus: 4, memMb: 1_000, diskMb: 0, gpus: 0 }
  return { node: 'id1' as NodeId, tasks, waits: [], capacity, ...changes } as unknown as NodeRecord
}

t.test('dnsTask() says who may be sent there, and why not', async t => {
  const cases: [
    changes: Partial<Task>,
    facts: Partial<SideFacts>,
    serving: boolean,
    running: boolean,
    note: string,
  ][] = [
    [{}, {}, true, true, 'serving'],
    [{ health: 'healthy' }, {}, true, true, 'serving'],
    [{ health: 'unhealthy' }, {}, false, true, 'unhealthy'],
    [{ health: 'unknown' }, {}, false, true, 'not healthy yet'],
    [{ state: 'starting' }, {}, false, false, 'starting'],
    [{ state: 'stopping' }, {}, false, false, 'stopping'],
    [{}, { verdict: 'suspect' }, false, true, 'its node is suspect'],
    [{}, { verdict: 'dead' }, false, false, 'its node is dead'],
    [{}, { verdict: 'unseen' }, false, false, 'its node is unseen'],
    [{}, { isReliable: false }, false, false, 'its node has just started'],
  ]
  for (const [changes, ofNode, serving, running, note] of cases) {
    const one = task('/web', changes)
    t.match(
      dnsTask(makeSide(record([one]), { ...facts, ...ofNode }), one, true),
      { serving, running, note },
      note,
    )
  }
  const both = makeSide(record([]), { ...facts, addresses: ['10.0.0.1', 'fd00::1'] })
  t.strictSame(dnsTask(both, task('/web'), true).addresses, ['10.0.0.1', 'fd00::1'])
  t.strictSame(
    dnsTask(both, task('/web'), false).addresses,
    ['10.0.0.1'],
    'a process listens where it is told',
  )
  const global = task('/agent', { slot: '/agent.id1' as SlotId })
  t.equal(
    dnsTask(makeSide(record([global]), facts), global, true).suffix,
    'n1',
    'a slot of a global app is called as its node',
  )
})

t.test('weightOf() counts what tasks declare, in quarters, and never little', async t => {
  const apps = new Map([
    ['/web' as AppId, { spec: { resources: { cpus: 1, memMb: 100 } } }],
  ]) as unknown as Parameters<typeof weightOf>[1]
  const weights = Array.from({ length: 6 }, (_, count) =>
    weightOf(record(Array.from({ length: count }, () => task('/web'))), apps),
  )
  t.strictSame(weights, [100, 100, 80, 60, 40, 40])
  t.equal(weightOf(record([task('/web', { state: 'stopped' }), task('/gone')]), apps), 100)
  const scarce = { capacity: { cpus: 100, memMb: 150, diskMb: 0, gpus: 0 } }
  t.equal(weightOf(record([task('/web')], scarce), apps), 60, 'what is scarcest counts')
  const nothing = { capacity: { cpus: 0, memMb: 0, diskMb: 0, gpus: 0 } }
  t.equal(weightOf(record([], nothing), apps), 40)
})

t.test('changedApps() names the apps that DNS says something else of', async t => {
  const [web, api] = [task('/web'), task('/api')]
  const before = makeSide(record([web, api]), facts)
  const after = (tasks: readonly Task[], more: Partial<SideFacts> = {}, changes = {}): string[] =>
    [...changedApps(before, makeSide(record(tasks, changes), { ...facts, ...more }))].toSorted()
  t.strictSame(after([web, api]), [])
  t.strictSame(after([{ ...web, message: 'pulled', sinceMs: 9 }, api]), [], 'what DNS does not say')
  t.strictSame(after([{ ...web, health: 'unhealthy' }, api]), ['/web'])
  t.strictSame(
    after([web, { ...api, ports: [{ name: '', protocol: 'tcp', containerPort: 1, hostPort: 2 }] }]),
    ['/api'],
  )
  t.strictSame(after([web]), ['/api'])
  t.strictSame(after([web, api, task('/new')]), ['/new'])
  t.strictSame(after([web, { ...api, state: 'failed' }]), ['/api'])
  for (const more of [
    { verdict: 'suspect' },
    { weight: 40 },
    { zone: 'b' },
    { addresses: ['10.0.0.1', 'fd00::1'] },
  ] as const) {
    t.strictSame(after([web, api], more), ['/api', '/web'], JSON.stringify(more))
  }
  const waits = [{ slot: '/late.3' as SlotId, reason: 'for room' }]
  t.strictSame(after([web, api], {}, { waits }), ['/late'])
  t.strictSame([...changedApps(undefined, before)].toSorted(), ['/api', '/web'])
  t.strictSame([...changedApps(before, undefined)].toSorted(), ['/api', '/web'])
})
