import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import t from 'tap'
import type { TaskLine, WhyAnswer } from '../../src/api/shapes.ts'
import {
  DEADLINE_MS,
  hello,
  helloApp,
  keepCalling,
  LoopbackCluster,
  shoal,
  until,
  type Daemon,
} from './loopback-cluster.ts'

const SHOAL = join(import.meta.dirname, '../../bin/shoal')

/** Why dig is not asked, if so. */
const NO_DIG =
  spawnSync('dig', ['-v']).error === undefined ? false : 'dig is not installed (bind9-dnsutils)'

t.test('apps on three daemons', async t => {
  const cluster = await LoopbackCluster.start(t, 3)
  const { daemons } = cluster
  const [first, second, third] = daemons as [Daemon, Daemon, Daemon]

  t.test('apply, and every daemon answers DNS with what then serves over HTTP', async t => {
    const args = ['--data', first.dir, 'apply', '-f', '-', '--wait', '--timeout', '30']
    const applied = await shoal(args, { input: helloApp('/shop/web') })
    t.match(applied, { status: 0, stdout: /^\/shop\/web created\n$/, stderr: /all serve after/ })
    for (const daemon of daemons) {
      const resolver = daemon.resolver()
      const found = await until(`${daemon.name} answers with three`, DEADLINE_MS, async () => {
        const answer = await resolver.resolveSrv('_web-shop._tcp.shoal').catch(() => [])
        return answer.length === 3 ? answer : undefined
      })
      const named = await resolver.resolveSrv('_http._web-shop._tcp.shoal')
      t.strictSame(ports(named), ports(found), 'the named port is the same')
      const slots: string[] = []
      for (const { name, port } of found) {
        const [address = ''] = await resolver.resolve4(name)
        slots.push((await hello(address, port)).slot)
      }
      t.strictSame(slots.toSorted(), ['/shop/web.0', '/shop/web.1', '/shop/web.2'])
      t.equal((await resolver.resolve4('web.shop.shoal')).length, 3)
      t.equal((await resolver.resolve4('0.web.shop.shoal')).length, 1)
      t.strictSame(await resolver.resolve4('n2.node.shoal'), ['127.0.0.2'])
      await t.rejects(resolver.resolve4('nobody.shoal'), { code: 'ENOTFOUND' })
      await t.rejects(resolver.resolve4('example.org'), { code: 'EREFUSED' })
      await t.rejects(resolver.resolve6('web.shop.shoal'), { code: 'ENODATA' })
    }
  })

  t.test('dig reads the same, with the addresses along with it', { skip: NO_DIG }, async t => {
    const { address, ports: own } = second
    const asked = ['+noall', '+answer', '+additional', '_web-shop._tcp.shoal', 'SRV']
    const { stdout } = spawnSync('dig', [`@${address}`, '-p', String(own.dns), ...asked], {
      encoding: 'utf8',
    })
    t.equal(stdout.match(/\sSRV\s/g)?.length, 3)
    t.equal(stdout.match(/\sA\s+127\.0\.0\.[123]/g)?.length, 3)
  })

  t.test('scale and rm, each through another daemon', async t => {
    t.equal(await third.must('scale', 'shop/web=5'), 'shop/web is to have 5 slots\n')
    await second.serving('shop/web', 5)
    t.equal(await second.must('scale', 'shop/web=5'), 'shop/web has 5 slots already\n')
    await first.must('scale', 'shop/web=1')
    const [left] = await third.serving('shop/web', 1)
    t.equal(left?.slot, '/shop/web.0')
    await until('DNS has one', DEADLINE_MS, async () => {
      const answer = await second.resolver().resolve4('web.shop.shoal')
      return answer.length === 1 || undefined
    })
    const { address = '', ports: own } = left!
    await second.must('rm', 'shop/web')
    await until('DNS has none', DEADLINE_MS, async () => {
      const [answer] = await Promise.allSettled([first.resolver().resolve4('web.shop.shoal')])
      return answer.status === 'rejected' || undefined
    })
    await until('its process is gone', DEADLINE_MS, async () => {
      const [answer] = await Promise.allSettled([hello(address, own[0]!.hostPort)])
      return answer.status === 'rejected' || undefined
    })
    await until('nothing is left', DEADLINE_MS, async () => {
      return (await third.tasks()).length === 0 || undefined
    })
  })

  t.test('why explains what runs, what lacks memory and what a constraint keeps away', async t => {
    await first.must('run', '--name', 'runs', '--', 'sleep', '1000')
    await first.must('run', '--name', 'big', '--mem', '9999999', '--', 'sleep', '1000')
    const constraints = [{ field: 'zone', operator: 'IS', value: 'mars' }]
    const far = JSON.stringify({ id: 'far', command: 'sleep 1000', constraints })
    await shoal(['--data', first.dir, 'apply', '-f', '-'], { input: far })
    const [task] = await second.serving('runs', 1)

    t.match(await second.must('why', 'runs'), new RegExp(`^/runs\\.0: runs on ${task!.node}[,:]`))
    t.match(
      await second.must('why', 'big'),
      /^\/big\.0: pending: no node can run it: needs 9999999 MB/m,
    )
    t.match(await third.must('why', 'far'), /^\/far\.0: pending: no node can run it: .*zone/m)
    t.match(await third.must('ps', 'far'), /pending .*zone/)

    const { slots } = JSON.parse(await third.must('why', 'big', '--json')) as WhyAnswer
    t.match(slots, [{ slot: '/big.0', state: 'pending' }])
    t.strictSame(
      slots[0]?.nodes.map(({ verdict }) => verdict),
      ['refused', 'refused', 'refused'],
    )
    for (const app of ['runs', 'big', 'far']) await first.must('rm', app)
  })

  t.test('a crash loop shows with its backoff, and a missing command with its reason', async t => {
    await first.must('run', '--name', 'crash', '--', 'sh', '-c', 'echo bye; exit 3')
    await first.must('run', '--name', 'none', '--', '/no/such/command')
    const line = await until('the backoff shows', DEADLINE_MS, async () => {
      const lines = await second.tasks('crash')
      return lines.find(({ message }) => /times in a row .*code 3.* next try/.test(message))
    })
    t.equal(line.state, 'pending')
    t.equal((await second.tasks('crash')).length, 1, 'one line for one slot')
    t.match(await second.must('why', 'crash'), /exited with code 3.* next try/)
    t.match(await third.must('logs', 'crash'), /^\/crash\.0@\S+ bye\n$/, 'the last that failed')
    await until('the reason shows', DEADLINE_MS, async () => {
      const lines = await third.tasks('none')
      return lines.find(({ message }) => message.includes('no such executable')) && true
    })
    t.match(await second.shoal('logs', 'none'), { status: 0, stderr: /no such executable/ })
    for (const app of ['crash', 'none']) await first.must('rm', app)
  })

  t.test('logs -f shows through any daemon what a task prints, as it prints it', async t => {
    const script = 'i=0; while sleep 0.2; do i=$((i+1)); echo "line $i"; echo "oops $i" >&2; done'
    await first.must('run', '--name', 'talk', '--', 'sh', '-c', script)
    const [task] = await first.serving('talk', 1)
    const reader = daemons.find(({ name }) => name !== task!.node)!
    const child = spawn(SHOAL, ['--data', reader.dir, 'logs', '-f', 'talk'])
    const seen = { stdout: [] as string[], stderr: [] as string[] }
    createInterface({ input: child.stdout }).on('line', one => void seen.stdout.push(one))
    createInterface({ input: child.stderr }).on('line', one => void seen.stderr.push(one))
    const exited = once(child, 'exit')
    try {
      const before = await until('lines come', DEADLINE_MS, () => seen.stdout.length || undefined)
      await until(
        'more lines come',
        DEADLINE_MS,
        () => seen.stdout.length > before + 3 || undefined,
      )
    } finally {
      child.kill()
      await exited
    }
    t.match(seen.stdout[0], /^\/talk\.0@\S+ line \d+$/)
    t.match(seen.stderr[0], /^\/talk\.0@\S+ oops \d+$/, 'standard error stays what it is')
    const tail = await reader.must('logs', '--tail', '2', 'talk.0')
    t.equal(tail.trim().split('\n').length, 2)
    await first.must('rm', 'talk')
  })

  t.test('an update goes slot by slot, and clients never notice', async t => {
    await apply(first, saying('old'))
    await first.serving('web', 3)

    const over = new AbortController()
    const client = keepCalling(third, '_web._tcp.shoal', over.signal)
    const atOnce: number[] = []
    await apply(second, saying('new'))
    const updated = until('all slots have the new word', DEADLINE_MS, async () => {
      const tasks = await third.tasks('web')
      atOnce.push(inHandOver(tasks))
      const { length } = new Set(tasks.map(({ slot }) => slot)).values().toArray()
      const all = await Promise.allSettled(
        tasks.map(async ({ address = '', ports: own }) => await hello(address, own[0]!.hostPort)),
      )
      const isNew = all.every(one => one.status === 'fulfilled' && one.value.word === 'new')
      return (tasks.length === 3 && length === 3 && isNew) || undefined
    })
    await Promise.race([updated, client])
    await updated
    over.abort()
    const words = (await client).map(({ word }) => word)
    t.strictSame([...new Set(words)].toSorted(), ['new', 'old'], 'no request failed')
    t.ok(Math.max(...atOnce) <= 1, 'one slot at a time')
    t.match(await first.must('inspect', 'web'), /REVISION .*\n\S+ +2 .*\n\S+ +1 /)
  })

  t.test('export gives files that apply takes as they are', async t => {
    const exported = await first.must('export')
    const again = await shoal(['--data', second.dir, 'apply', '-f', '-'], { input: exported })
    t.match(again, { status: 0, stdout: '/web unchanged\n' })
  })

  t.test('scaling down refuses no client that knows of a slot for less than a second', async t => {
    const over = new AbortController()
    const client = keepCalling(third, '_web._tcp.shoal', over.signal)
    await first.must('scale', 'web=1')
    await Promise.race([second.serving('web', 1), client])
    over.abort()
    t.ok((await client).length > 0, 'no request failed')
  })
})

/** The hello app with another word in its environment. */
function saying(word: string): string {
  const { env } = JSON.parse(helloApp('/web')) as { env: object }
  return helloApp('/web', { env: { ...env, WORD: word } })
}

async function apply(daemon: Daemon, text: string): Promise<void> {
  await daemon.api.post('/v1/apply', { files: [{ name: 'app.json', text }] })
}

function ports(records: readonly { readonly port: number }[]): number[] {
  return records.map(({ port }) => port).toSorted((one, other) => one - other)
}

/** Slots that have two tasks at the moment. */
function inHandOver(tasks: readonly TaskLine[]): number {
  const slots = tasks.filter(({ state }) => state !== 'stopping').map(({ slot }) => slot)
  return slots.length - new Set(slots).size
}
