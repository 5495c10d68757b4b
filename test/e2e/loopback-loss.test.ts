import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AppLine, ApplyAnswer, EditAnswer } from '../../src/api/shapes.ts'
import {
  DEADLINE_MS,
  helloApp,
  keepCalling,
  LoopbackCluster,
  until,
  type Daemon,
} from './loopback-cluster.ts'

t.test('losing the editing machine right after the acknowledgement loses nothing', async t => {
  const cluster = await LoopbackCluster.start(t, 3)
  const [first, second, third] = cluster.daemons as [Daemon, Daemon, Daemon]

  for (const [index, lost] of [third, second].entries()) {
    const text = JSON.stringify({ id: `/app-${index}`, command: 'true', instances: 0 })
    await lost.api.post('/v1/apply', { files: [{ name: 'app.json', text }] })
    const files = [{ name: 'app.json', text: text.replace('"true"', '"false"') }]
    const applied = await lost.api.post<ApplyAnswer>('/v1/apply', { files })
    const scaled = await lost.api.post<EditAnswer>('/v1/scale', {
      app: `app-${index}`,
      instances: 1,
    })
    await lost.end('SIGKILL')
    rmSync(lost.dir, { recursive: true })

    t.strictSame([applied.stored?.onlyHere, scaled.stored.onlyHere], [false, false])
    t.equal(scaled.stored.on.length, 2, `it is on ${scaled.stored.on.join(' and ')}`)
    await until('the survivors have it', DEADLINE_MS, async () => {
      const lines = await first.api.get<AppLine[]>('/v1/apps')
      const found = lines.find(({ id }) => id === `/app-${index}`)
      return (found?.work === 'false' && found.wanted === 1) || undefined
    })
  }

  const alone = await until('the last knows that it is alone', DEADLINE_MS, async () => {
    const { nodes } = await first.status()
    return nodes.alive === 1 ? nodes : undefined
  })
  t.strictSame(alone.notAlive.map(({ name }) => name).toSorted(), ['n2', 'n3'])
  const scaled = await first.shoal('scale', 'app-0=0')
  t.match(scaled, { status: 0, stderr: /^only on this node \(n1\)/ })
  t.match(
    await first.must('status'),
    /I see 1 of 3 admitted nodes, since \S+Z \(\d+s ago\)\n.*\n.*\n.*not a majority/,
  )
})

t.test('leave hands everything over, and the node is gone', async t => {
  const cluster = await LoopbackCluster.start(t, 3)
  const [first, second, third] = cluster.daemons as [Daemon, Daemon, Daemon]
  const files = [{ name: 'web', text: helloApp('/web') }]
  await first.api.post('/v1/apply', { files })
  await first.serving('web', 3)
  t.ok(
    (await first.tasks('web')).some(({ node }) => node === 'n3'),
    'n3 runs some of it',
  )

  const over = new AbortController()
  const client = keepCalling(first, '_web._tcp.shoal', over.signal)
  const left = third.shoal('leave')
  await Promise.race([left, client])
  t.strictSame(await left, {
    status: 0,
    stdout: 'left the cluster\n',
    stderr: 'leaving: waiting for others to take the tasks over\n',
  })
  t.equal(await third.exited(), 0, 'the daemon ends')
  over.abort()
  t.ok((await client).length > 10, 'no request failed')

  for (const daemon of [first, second]) {
    await until(`${daemon.name} has two nodes`, DEADLINE_MS, async () => {
      const names = (await daemon.nodes()).map(({ name }) => name)
      return names.join() === 'n1,n2' || undefined
    })
    const tasks = await daemon.serving('web', 3)
    t.notOk(tasks.some(({ node }) => node === 'n3'))
    t.notMatch(await daemon.must('node', 'ls'), 'n3')
  }
  t.notOk(existsSync(join(third.dir, 'cluster.json')), 'it forgot the cluster')
  t.notOk(readdirSync(third.dir).some(file => file.startsWith('shoal.db')))

  const token = (await second.must('token', 'create')).trim()
  await third.start('--join', token)
  await cluster.whole()
  t.equal(third.cluster, first.cluster, 'and may come back')
})
