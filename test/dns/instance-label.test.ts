import t from 'tap'
import { appLabelsIn, instanceLabel, taskHash } from '../../src/dns/instance-label.ts'
import type { TaskId } from '../../src/model/ids.ts'

const id = (text: string): TaskId => text as TaskId

t.test('taskHash() gives the hashes of Mesos-DNS', async t => {
  t.equal(taskHash('nginx.48dccce7-90bc-11e6-ae70-70b3d5800001'), 'jhy6r')
  t.equal(taskHash('liquor-store.b8db9f73-562f-11e4-a088-c20493233aa5'), '4dfjd')
  t.equal(taskHash('liquor-store.b71166c1-562f-11e4-a088-c20493233aa5'), 'zasmd')
  t.equal(taskHash('car-store.43758382-562f-11e4-a088-c20493233aa5'), 'zinaz')
})

t.test('instanceLabel() joins app, hash and node', async t => {
  const nginx = id('nginx.48dccce7-90bc-11e6-ae70-70b3d5800001')
  t.equal(instanceLabel('nginx', nginx, 's1'), 'nginx-jhy6r-s1')
  t.equal(instanceLabel('nginx', nginx, 'Rack_4.h1'), 'nginx-jhy6r-rack-4-h1')
})

t.test('instanceLabel() cuts the node where the app leaves no room', async t => {
  const task = id('x')
  const hash = taskHash('x')
  const long = 'a'.repeat(54)
  t.equal(instanceLabel(long, task, 'node-12'), `${long}-${hash}-no`)
  t.equal(
    instanceLabel('a'.repeat(51), task, 'node-12'),
    `${'a'.repeat(51)}-${hash}-node`,
    'no "-" at the end',
  )
  t.equal(instanceLabel('a'.repeat(55), task, 'node-12'), undefined)
  t.equal(instanceLabel('a'.repeat(55), task, 'n')?.length, 63, 'a node of one letter')
})

t.test('appLabelsIn() finds the app of an instance’s label', async t => {
  const task = id('/web.0@k3f9x1')
  const label = instanceLabel('web-shop', task, 'h-1')!
  t.strictSame(
    appLabelsIn(label).filter(app => app === 'web-shop'),
    ['web-shop'],
  )
  t.strictSame(appLabelsIn('web'), [])
  t.strictSame(appLabelsIn('-abcde-h1'), [], 'no name before it')
})
