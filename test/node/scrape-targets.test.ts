import t from 'tap'
import type { AppId, NodeId, SlotId, TaskId } from '../../src/model/ids.ts'
import type { Task } from '../../src/model/task.ts'
import { scrapeTargets, type ScrapeTarget } from '../../src/node/scrape-targets.ts'
import type { NodeView, TaskView } from '../../src/node/service.ts'

const port = { protocol: 'tcp' as const, containerPort: 80, hostPort: 31_080, name: 'http' }

function view(
  changes: Partial<Task> = {},
  kind: 'alive' | 'suspect' | 'dead' = 'alive',
  address = '10.0.0.1',
): TaskView {
  const node = {
    node: 'id1' as NodeId,
    name: 'n1',
    isSelf: false,
    verdict: { kind, incarnation: 1, sinceMs: 0 },
    record: { address },
  } as unknown as NodeView
  const task: Task = {
    id: '/web.0@x' as TaskId,
    app: '/web' as AppId,
    slot: '/web.0' as SlotId,
    revision: 'r1' as Task['revision'],
    state: 'running',
    health: 'healthy',
    ports: [port],
    sinceMs: 0,
    message: '',
    ...changes,
  }
  return { node, task }
}

const targets = (...views: TaskView[]): ScrapeTarget[] => [
  ...scrapeTargets(
    views,
    () => ({ 'prometheus.io/scrape': 'true', Team: 'web' }),
    () => 'a',
  ),
]

t.test('each TCP port of a task that runs is a target', async t => {
  const ports = [
    port,
    { ...port, name: '', hostPort: 31_090 },
    { ...port, protocol: 'udp' as const },
    { ...port, hostPort: 0 },
  ]
  t.strictSame(
    targets(view({ ports })).map(one => one.targets),
    [['10.0.0.1:31080'], ['10.0.0.1:31090']],
  )
  t.strictSame(targets(view({}, 'alive', 'fd00::1'))[0]?.targets, ['[fd00::1]:31080'])
})

t.test('a target says whose it is, and how it is', async t => {
  t.strictSame(targets(view())[0]?.labels, {
    __meta_shoal_app: '/web',
    __meta_shoal_slot: '/web.0',
    __meta_shoal_task: '/web.0@x',
    __meta_shoal_revision: 'r1',
    __meta_shoal_node: 'n1',
    __meta_shoal_zone: 'a',
    __meta_shoal_port_name: 'http',
    __meta_shoal_container_port: '80',
    __meta_shoal_health: 'healthy',
    __meta_shoal_serving: 'true',
    __meta_shoal_app_label_prometheus_io_scrape: 'true',
    __meta_shoal_app_label_Team: 'web',
  })
})

t.test('what is ill is a target, and what is gone is none', async t => {
  t.match(targets(view({ health: 'unhealthy' })), [{ labels: { __meta_shoal_serving: 'false' } }])
  t.match(targets(view({}, 'suspect')), [{ labels: { __meta_shoal_serving: 'false' } }])
  t.strictSame(targets(view({}, 'dead')), [])
  t.strictSame(targets(view({ state: 'stopping' })), [])
  t.strictSame(targets(), [], 'an empty list, as Prometheus wants it')
})
