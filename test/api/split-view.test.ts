import t from 'tap'
import { appSchema } from '../../src/model/app.ts'
import type { Desired } from '../../src/model/desired.ts'
import type { NodeRecord } from '../../src/model/node-record.ts'
import type { TaskState } from '../../src/model/task.ts'
import type { VerdictKind } from '../../src/model/verdict.ts'
import type { NodeService, NodeView } from '../../src/node/service.ts'
import { brakeOf, elsewhere, seenNodes, twins } from '../../src/api/split-view.ts'
import { recordOf } from '../node/machine/make-machine.ts'

/** A node as n0 sees it: what is held of it, since when it is away, and the states of its tasks by slot. */
function seen(
  index: number,
  kind: VerdictKind | undefined,
  awaySinceMs?: number,
  tasks: Readonly<Record<string, TaskState>> = {},
  fields: Partial<NodeRecord> = {},
): NodeView {
  const record = recordOf(index, {
    tasks: Object.entries(tasks).map(
      ([slot, state]) =>
        ({ id: `${slot}@${index}`, slot, app: slot.split('.')[0], state }) as never,
    ),
    ...fields,
  })
  const verdict = kind && { kind, incarnation: 1, sinceMs: 5 }
  const { node, name } = record
  return {
    node,
    name,
    isSelf: index === 0,
    verdict,
    awaySinceMs,
    record: kind === undefined ? undefined : record,
  }
}

function serviceOf(views: readonly NodeView[], more: Partial<NodeService> = {}): NodeService {
  const db = appSchema.parse({ id: '/db', command: 'x', onPartition: { isolated: 'stop' } })
  const desired = { apps: new Map([['/db', { spec: db }]]), nodes: new Map() }
  return {
    startedAtMs: 1_000,
    nodes: () => [...views],
    tasks: () => views.flatMap(node => (node.record?.tasks ?? []).map(task => ({ node, task }))),
    desired: () => desired as unknown as Desired,
    seesMajority: () => true,
    brake: () => undefined,
    ...more,
  } as NodeService
}

t.test('seenNodes() counts, and dates the oldest loss that still lasts', async t => {
  const whole = serviceOf([seen(0, 'alive'), seen(1, 'alive')])
  t.strictSame(seenNodes(whole), {
    admitted: 2,
    alive: 2,
    suspect: 0,
    missing: 0,
    majority: true,
    notAlive: [],
  })
  const views = [seen(0, 'alive'), seen(3, 'dead', 9_000), seen(1, 'suspect', 7_000.4)]
  const split = serviceOf(views, { seesMajority: () => false })
  t.strictSame(seenNodes(split), {
    admitted: 3,
    alive: 1,
    suspect: 1,
    missing: 1,
    majority: false,
    sinceMs: 7_000,
    notAlive: [
      { name: 'n1', verdict: 'suspect', sinceMs: 7_000.4 },
      { name: 'n3', verdict: 'dead', sinceMs: 9_000 },
    ],
  })
  const unseen = seenNodes(serviceOf([...views, seen(4, undefined)]))
  t.equal(unseen.sinceMs, 1_000, 'for what was never heard of, since this daemon started')
})

t.test('elsewhere() tells what missing nodes ran last, and what runs here, too', async t => {
  const views = [
    seen(0, 'alive', undefined, { '/web.0': 'running', '/web.1': 'failed' }),
    seen(1, 'suspect', 1, { '/web.2': 'running' }),
    seen(2, 'dead', 1, { '/web.2': 'running', '/web.0': 'stopping', '/job.0': 'failed' }),
    seen(3, 'left', 1, { '/web.1': 'running', '/db.0': 'running' }),
  ]
  t.strictSame(elsewhere(serviceOf(views)), [
    { app: '/db', isolated: 'stop', slots: [{ slot: '/db.0', node: 'n3', alsoSeen: false }] },
    {
      app: '/web',
      isolated: 'keep',
      slots: [
        { slot: '/web.0', node: 'n2', alsoSeen: true },
        { slot: '/web.1', node: 'n3', alsoSeen: false },
        { slot: '/web.2', node: 'n2', alsoSeen: true },
      ],
    },
  ])
  t.strictSame(elsewhere(serviceOf(views.slice(0, 2))), [])
})

t.test('twins() and brakeOf() pass on what is, and nothing else', async t => {
  const run = { id: 'r', startedAtMs: 0, atMs: 0, met: [], twin: '10.0.0.9' }
  const views = [seen(0, 'alive'), seen(1, 'alive', undefined, {}, { run })]
  t.strictSame(twins(serviceOf(views)), [{ node: 'n1', address: '10.0.0.9' }])
  t.strictSame(twins(serviceOf([seen(1, 'dead', 1, {}, { run })])), [], 'an old word is none')
  t.strictSame(brakeOf(serviceOf(views)), {})
  t.match(brakeOf(serviceOf(views, { brake: () => ({ sinceMs: 5.5, lost: 4, of: 10 }) })), {
    brake: { sinceMs: 6, lost: 4, of: 10 },
  })
})
