/** What people say of nodes, with real daemons: labels, cordon, drain and back, while a client calls what runs there. */

import t from 'tap'
import type {
  EventLine,
  NodeAnswer,
  SettingLine,
  TaskLine,
  WhyAnswer,
} from '../../src/api/shapes.ts'
import { AnswerWatch } from './answer-watch.ts'
import {
  DEADLINE_MS,
  helloApp,
  keepCalling,
  LoopbackCluster,
  shoal,
  until,
  type Daemon,
} from './loopback-cluster.ts'

t.test('labels, cordon, drain and uncordon on three daemons', async t => {
  const cluster = await LoopbackCluster.start(t, 3)
  const [first, second, third] = cluster.daemons as [Daemon, Daemon, Daemon]
  let watch: AnswerWatch | undefined
  t.teardown(async () => void (await watch?.stop()))
  const apply = async (manifest: string): Promise<void> => {
    const args = ['--data', first.dir, 'apply', '-f', '-', '--wait', '--timeout', '30']
    t.match(await shoal(args, { input: manifest }), { status: 0 })
  }

  t.test('a label set on one daemon places slots on all', async t => {
    t.match(
      await first.must('node', 'label', 'n2', 'disk=ssd', 'zone=z2'),
      'n2 is labelled: disk=ssd, zone=z2\n',
    )
    t.match(await second.must('node', 'label', 'n3', 'disk=ssd'), 'n3 is labelled: disk=ssd\n')
    await until('the first daemon knows', DEADLINE_MS, async () => {
      const nodes = await first.nodes()
      return nodes.find(({ name }) => name === 'n3')?.labels['disk'] === 'ssd' || undefined
    })
    const constraints = [{ field: 'disk', operator: 'IS', value: 'ssd' }]
    await apply(helloApp('/shop/web', { instances: 4, constraints, update: { monitor: '250ms' } }))
    const nodes = new Set((await third.serving('shop/web', 4)).map(({ node }) => node))
    t.strictSame([...nodes].toSorted(), ['n2', 'n3'])
  })

  t.test('a cordoned node keeps what it has, and takes nothing new', async t => {
    const before = where(await third.serving('shop/web', 4))
    t.match(await third.must('node', 'cordon', 'n2'), /n2 keeps what it runs/)
    await third.api.post('/v1/scale', { app: 'shop/web', instances: 6 })
    const tasks = await second.serving('shop/web', 6)
    const after = where(tasks)
    t.ok(
      before.every(line => after.includes(line)),
      'all is where it was',
    )
    t.strictSame(
      tasks.filter(({ slot }) => /\.[45]$/.test(slot)).map(({ node }) => node),
      ['n3', 'n3'],
    )
    const { slots } = await first.api.get<WhyAnswer>('/v1/why', { app: 'shop/web' })
    t.match(slots.find(({ node }) => node === 'n2')?.summary, /it stays on n2 \(cordoned\)/)
    const refused = slots.at(-1)?.nodes.find(({ name }) => name === 'n2')
    t.match(refused, { verdict: 'refused', reason: /is cordoned/ })
  })

  t.test('a drained node hands everything over while clients call, and gets it back', async t => {
    await first.api.post('/v1/settings', { set: { moveBudgetPerMinute: 100 } })
    await until('the others know', DEADLINE_MS, async () => {
      const lines = await third.api.get<SettingLine[]>('/v1/settings')
      return lines[0]?.value === 100 || undefined
    })
    watch = new AnswerWatch(cluster.daemons, '_web-shop._tcp.shoal', 6)
    const over = new AbortController()
    const calls = keepCalling(third, '_web-shop._tcp.shoal', over.signal)
    const drained = await first.shoal('node', 'drain', 'n2', '--wait', '--timeout', '30')
    t.match(drained, {
      status: 0,
      stdout: 'n2 hands its tasks over\n',
      stderr: /nothing runs on n2 after/,
    })
    const tasks = await third.serving('shop/web', 6)
    t.strictSame([...new Set(tasks.map(({ node }) => node))], ['n3'])
    const node = await third.api.get<NodeAnswer>('/v1/node', { name: 'n2' })
    t.match(node, { mode: 'drained', runs: [], setLabels: { disk: 'ssd' }, admittedBy: 'n1' })

    t.equal(await third.must('node', 'uncordon', 'n2'), 'n2 takes work again\n')
    await until('n2 runs some of them again', DEADLINE_MS, async () => {
      const now = await first.tasks('shop/web')
      return now.some(task => task.node === 'n2' && task.state === 'running') || undefined
    })
    await first.serving('shop/web', 6)
    over.abort()
    t.ok((await calls).length > 20, 'and no call failed')
  })

  t.test('a label unset moves them off again', async t => {
    await second.api.post('/v1/node/labels', { name: 'n2', unset: ['disk'] })
    await until('only n3 runs them', DEADLINE_MS, async () => {
      const now = await first.tasks('shop/web')
      return (now.length === 6 && now.every(task => task.node === 'n3')) || undefined
    })
    await first.serving('shop/web', 6)
    const { answers, places, faults } = await watch!.stop()
    t.strictSame(
      faults,
      [],
      'no DNS server ever gave an answer that was not whole, or not good for its time',
    )
    t.comment(`${answers} answers, ${places.size} places`)
    t.ok(places.size >= 9, 'three tasks at least have moved, there and back')
    const told = await first.api.get<EventLine[]>('/v1/events')
    t.ok(told.some(({ subject, text }) => subject === 'n2' && text === 'is labelled disk no more'))
  })
})

function where(tasks: readonly TaskLine[]): string[] {
  return tasks.map(({ slot, node }) => `${slot} ${node}`).toSorted()
}
