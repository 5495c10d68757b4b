/** All the names that DNS has for an app, asked of real daemons by real clients. */

import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { promisify } from 'node:util'
import t from 'tap'
import type {
  ApplyAnswer,
  NameConflictLine,
  ResolveAnswer,
  VerifyAnswer,
} from '../../src/api/shapes.ts'
import { taskHash } from '../../src/dns/instance-label.ts'
import {
  DEADLINE_MS,
  helloApp,
  LoopbackCluster,
  shoal,
  until,
  type Daemon,
} from './loopback-cluster.ts'

/** Why dig is not asked, if so. */
const NO_DIG =
  spawnSync('dig', ['-v']).error === undefined ? false : 'dig is not installed (bind9-dnsutils)'

/** Not every container has it. */
const HAS_V6 = Object.values(networkInterfaces()).some(
  list => list?.some(({ address }) => address === '::1') === true,
)

t.test('names on three daemons, two of them in one zone', { skip: NO_DIG }, async t => {
  const cluster = LoopbackCluster.prepare(t, 3)
  const [first, second, third] = cluster.daemons as [Daemon, Daemon, Daemon]
  const discoveryPort = await freePort(first.address)
  await first.start('--label', 'zone=a', '--discovery-port', String(discoveryPort))
  const token = (await first.must('token', 'create')).trim()
  await Promise.all([
    second.start('--join', token, '--label', 'zone=a'),
    third.start('--join', token, '--label', 'zone=b', ...(HAS_V6 ? ['--advertise', '::1'] : [])),
  ])
  await cluster.whole()
  const applied = await shoal(['--data', first.dir, 'apply', '-f', '-', '--wait'], {
    input: helloApp('/shop/web', { aliases: ['front'], labels: { team: 'shop' } }),
  })
  t.equal(applied.status, 0, applied.stderr)
  const tasks = await second.serving('shop/web', 3)
  t.equal(new Set(tasks.map(({ node }) => node)).size, 3, 'one on each')
  const everywhere = ['127.0.0.1', '127.0.0.2', '127.0.0.3']

  t.test('every server has all the names', async t => {
    for (const daemon of cluster.daemons) {
      await until(`${daemon.name} answers with three`, DEADLINE_MS, async () => {
        return (await dig(daemon, 'web-shop.shoal')).length === 3 || undefined
      })
      for (const name of [
        'web.shop.shoal',
        'front.shoal',
        'web.shop.svc.shoal',
        'front.shop.svc.shoal',
        'web-shop.marathon.mesos',
        'web.shop.marathon.mesos',
        'web-shop.marathon.slave.mesos',
        'slave.mesos',
        'all.web-shop.shoal',
      ]) {
        t.strictSame((await dig(daemon, name)).toSorted(), everywhere, `${daemon.name}: ${name}`)
      }
      for (const name of ['leader.mesos', 'marathon.mesos', 'near.web-shop.shoal']) {
        t.strictSame(await dig(daemon, name), [daemon.address], `${daemon.name}: ${name}`)
      }
      for (const name of [
        '_web-shop._tcp.shoal',
        '_http._web._tcp.shop.shoal',
        '_http._tcp.web.shop.svc.shoal',
        '_web-shop._tcp.marathon.mesos',
        '_http._web-shop._tcp.marathon.mesos',
        '_web.shop._tcp.marathon.slave.mesos',
      ]) {
        const lines = await dig(daemon, name, 'SRV')
        const found = lines.map(line => /^0 \d+ (\d+) \S+\.$/.exec(line)?.[1] ?? line)
        const ports = tasks.map(task => String(task.ports[0]!.hostPort))
        t.strictSame(sorted(found), sorted(ports), `${daemon.name}: ${name}`)
      }
    }
  })

  t.test('each task has its name of Mesos-DNS', async t => {
    for (const { task, node, address, ports } of tasks) {
      const name = `web-shop-${taskHash(task!)}-${node}.marathon.mesos`
      t.strictSame(await dig(third, name), [address], name)
      const lines = await dig(third, '_web-shop._tcp.marathon.mesos', 'SRV')
      t.ok(
        lines.some(line => line.endsWith(` ${ports[0]!.hostPort} ${name}.`)),
        name,
      )
    }
  })

  t.test('near. tells this node, then the zone, then the rest', async t => {
    for (const [daemon, priorities] of [
      [first, ['0', '1', '2']],
      [third, ['0', '2', '2']],
    ] as const) {
      const lines = await dig(daemon, 'near._web-shop._tcp.shoal', 'SRV')
      t.strictSame(sorted(lines.map(line => line.split(' ')[0]!)), priorities, daemon.name)
    }
  })

  t.test('addresses have names, and zones have their beginnings', async t => {
    t.strictSame(await dig(first, '-x', '127.0.0.2'), ['n2.node.shoal.'])
    t.strictSame(await dig(third, '3.0.0.127.in-addr.arpa', 'SOA').then(lines => lines.length), 1)
    for (const zone of ['shoal', 'mesos']) {
      t.equal((await dig(second, zone, 'SOA')).length, 1, zone)
      t.not((await dig(second, zone, 'NS')).length, 0, zone)
    }
  })

  t.test(
    'a second address is told, and listened on',
    { skip: HAS_V6 ? false : 'this machine has no ::1' },
    async t => {
      t.strictSame(await dig(first, 'n3.node.shoal', 'AAAA'), ['::1'])
      t.strictSame(await dig(second, '-x', '::1'), ['n3.node.shoal.'])
      t.strictSame(await dig({ address: '::1', ports: third.ports }, 'n3.node.shoal'), [
        '127.0.0.3',
      ])
      t.strictSame(await dig(first, 'web-shop.shoal', 'AAAA'), [], 'a process listens on the first')
    },
  )

  t.test('TXT why. explains', async t => {
    const [line = ''] = await dig(second, 'why.web-shop.shoal', 'TXT')
    t.match(line, /^"\/shop\/web: 3 of 3 slots serve" "0 on n\d \(zone [ab]\): serving" "1 on/)
    await first.must('run', '--name', 'huge', '--mem', '9999999', '--', 'sleep', '1000')
    const why = await until('the reason is in DNS', DEADLINE_MS, async () => {
      const [found = ''] = await dig(third, 'why.huge.shoal', 'TXT')
      return found.includes('no task: no node') ? found : undefined
    })
    t.match(why, /^"\/huge: 0 of 1 slots serve" "0 has no task: no node [^"]*memory/)
    await first.must('rm', 'huge')
  })

  t.test('all. shows what runs and is not healthy', async t => {
    const never = { kind: 'http', port: 'http', path: '/', scheme: 'https', grace: '10m' }
    const input = helloApp('/sick', { instances: 1, health: [{ ...never, interval: '500ms' }] })
    t.equal((await shoal(['--data', first.dir, 'apply', '-f', '-'], { input })).status, 0)
    const [address] = await until('it runs', DEADLINE_MS, async () => {
      const found = await dig(second, 'all.sick.shoal')
      return found.length > 0 ? found : undefined
    })
    const [task] = await second.tasks('sick')
    t.equal(task?.address, address)
    t.strictSame(await dig(second, 'sick.shoal'), [], 'it is in no other answer')
    t.equal((await dig(second, 'all._sick._tcp.shoal', 'SRV')).length, 1)
    const [why] = await dig(second, 'why.sick.shoal', 'TXT')
    t.match(why, /on n\d \(zone [ab]\): (?:not healthy yet|unhealthy)"/)
    await first.must('rm', 'sick')
  })

  t.test('resolve says where records come from', async t => {
    const ask = async (...args: string[]): Promise<ResolveAnswer> =>
      JSON.parse(await second.must('resolve', ...args, '--json')) as ResolveAnswer
    const srv = await ask('_web-shop._tcp')
    const answers = srv.records.filter(({ section }) => section === 'answer')
    t.strictSame(
      answers.map(({ from }) => from).toSorted(),
      tasks.map(({ task, node }) => `task ${task} on ${node}, serving`).toSorted(),
    )
    t.match(await ask('127.0.0.3'), { type: 'PTR', records: [{ data: 'n3.node.shoal' }] })
    t.match(await ask('why.web.shop'), { type: 'TXT', records: [{ from: 'the zone shoal' }] })
    t.match(await ask('n1.node'), { records: [{ data: '127.0.0.1', from: 'node n1, alive' }] })
    t.match(await ask('web-shop.marathon.mesos'), {
      status: 'NOERROR',
      name: 'web-shop.marathon.mesos',
    })
    const text = await second.must('resolve', 'near.web-shop')
    t.match(
      text,
      /^near\.web-shop\.shoal\. 1 A 127\.0\.0\.2 ; task \/shop\/web\.\d@\S+ on n2, serving$/m,
    )
  })

  t.test('dns verify finds every server to say the same', async t => {
    const verified = await second.shoal('dns', 'verify')
    t.match(verified, {
      status: 0,
      stderr: '',
      stdout: /^3 servers answered \d+ questions by UDP and TCP as this node would\n$/,
    })
    const answer = JSON.parse(
      await third.must('dns', 'verify', 'shop/web', '--json'),
    ) as VerifyAnswer
    t.strictSame(answer.differences, [])
    t.strictSame(answer.servers.map(({ node }) => node).toSorted(), ['n1', 'n2', 'n3'])
    t.ok(answer.servers.every(({ answers }) => answers === 2 * answer.questions))
    t.match(await third.shoal('dns', 'verify', 'nope'), { status: 1, stderr: /no app \/nope/ })
  })

  t.test('a name that two apps claim is told at apply', async t => {
    const input = helloApp('/web-shop', { instances: 0 })
    const told =
      /warning: the name web-shop\.shoal in DNS is that of \/web-shop: \/shop\/web must be asked for by another name/
    const dry = await shoal(['--data', first.dir, 'apply', '-f', '-', '--dry-run'], { input })
    t.match(dry, { status: 0, stderr: told })
    t.strictSame(JSON.parse(await first.must('dns', 'conflicts', '--json')), [], 'not yet')
    const real = await shoal(['--data', first.dir, 'apply', '-f', '-', '--json'], { input })
    t.match(real, { status: 0, stderr: told })
    t.match((JSON.parse(real.stdout) as ApplyAnswer).problems, [{ severity: 'warning' }])
    const conflicts = await until('the conflict is listed elsewhere', DEADLINE_MS, async () => {
      const text = await third.must('dns', 'conflicts', '--json')
      const found = JSON.parse(text) as NameConflictLine[]
      return found.length > 0 ? found : undefined
    })
    t.strictSame(conflicts, [{ name: 'web-shop.shoal', kept: '/web-shop', lost: ['/shop/web'] }])
    t.equal((await dig(first, 'web.shop.shoal')).length, 3, 'the other name stays')
    await first.must('rm', 'web-shop')
    await until('the name is back', DEADLINE_MS, async () => {
      return (await dig(second, 'web-shop.shoal')).length === 3 || undefined
    })
  })

  t.test('HTTP discovery speaks as Mesos-DNS does', async t => {
    const get = async (path: string): Promise<unknown> => {
      const response = await fetch(`http://${first.address}:${discoveryPort}${path}`)
      return response.ok ? await response.json() : response.status
    }
    t.match(await get('/v1/version'), { Service: 'Shoal', Version: /^\d/ })
    t.match(await get('/v1/config'), {
      Domain: 'mesos',
      TTL: 1,
      Port: first.ports.dns,
      HttpPort: discoveryPort,
    })
    const hosts = (await get('/v1/hosts/web-shop.marathon.mesos')) as { ip: string }[]
    t.strictSame(hosts.map(({ ip }) => ip).toSorted(), everywhere)
    t.strictSame(await get('/v1/hosts/nope.mesos'), [{ host: '', ip: '' }])
    t.equal(await get('/v1/hosts/nope.mesos/ports'), 501)
    const services = await get('/v1/services/_http._web-shop._tcp.marathon.mesos.')
    t.strictSame(
      new Set((services as unknown[]).map(service => JSON.stringify(service))),
      new Set(
        tasks.map(({ task, node, address, ports }) =>
          JSON.stringify({
            service: '_http._web-shop._tcp.marathon.mesos.',
            host: `web-shop-${taskHash(task!)}-${node}.marathon.mesos.`,
            ip: address,
            port: String(ports[0]!.hostPort),
          }),
        ),
      ),
    )
    const { frameworks } = (await get('/v1/enumerate')) as {
      frameworks: { tasks: { id: string }[] }[]
    }
    t.strictSame(
      frameworks[0]!.tasks.map(({ id }) => id).toSorted(),
      tasks.map(({ task }) => task!).toSorted(),
    )
    t.match(await get('/v1/axfr'), {
      Domain: 'mesos',
      Mname: 'ns1.mesos.',
      Records: {
        As: { 'ns1.mesos.': ['127.0.0.1'] },
        AAAAs: {},
        SRVs: { '_slave._tcp.mesos.': [/^n1\.node\.shoal\.:\d+$/] },
      },
    })
    t.equal(await get('/v1/apps'), 404, 'nothing of the API')
    for (const odd of ['*.*', '%00', 'a'.repeat(250), '_._.shoal', 'web-shop', 'ü.mesos']) {
      t.strictSame(await get(`/v1/hosts/${encodeURIComponent(odd)}`), [{ host: '', ip: '' }], odd)
    }
    t.equal(await get('/v1/hosts/%ff'), 400)
    t.equal(await get(`/v1/hosts/${'a'.repeat(300)}`), 414)
    for (const [host, expected] of [
      ['localhost:8123', 200],
      ['n1.node.shoal', 200],
      ['leader.mesos.:8123', 200],
      ['[::1]:8123', 200],
      ['rebound.example', 403],
      ['mesos.example:8123', 403],
    ] as const) {
      const asked = request({
        host: first.address,
        port: discoveryPort,
        path: '/v1/version',
        headers: { host },
      }).end()
      const [response] = (await once(asked, 'response')) as [IncomingMessage]
      response.resume()
      t.equal(response.statusCode, expected, host)
    }
  })

  t.test(
    'Prometheus finds every task, on the port of discovery and on that of the API',
    async t => {
      const urls = [
        `http://${first.address}:${discoveryPort}/sd/prometheus`,
        `http://127.0.0.1:${first.ports.api}/sd/prometheus`,
      ]
      for (const url of urls) {
        const response = await fetch(url)
        t.match(response.headers.get('content-type'), /^application\/json/)
        const targets = (await response.json()) as {
          targets: string[]
          labels: Record<string, string>
        }[]
        t.strictSame(
          sorted(targets.map(target => target.targets[0]!)),
          tasks.map(({ address, ports }) => `${address}:${ports[0]!.hostPort}`).toSorted(),
        )
        for (const { labels } of targets) {
          t.match(labels, {
            __meta_shoal_app: '/shop/web',
            __meta_shoal_slot: /^\/shop\/web\.\d$/,
            __meta_shoal_node: /^n[123]$/,
            __meta_shoal_zone: labels['__meta_shoal_node'] === 'n3' ? 'b' : 'a',
            __meta_shoal_port_name: 'http',
            __meta_shoal_serving: 'true',
            __meta_shoal_app_label_team: 'shop',
          })
        }
      }
    },
  )
})

/** What dig prints with `+short`, a line for each record. */
async function dig(
  { address, ports }: Pick<Daemon, 'address' | 'ports'>,
  ...asked: string[]
): Promise<string[]> {
  const to = [`@${address}`, '-p', String(ports.dns), '+short', '+tries=2', '+time=5']
  const { stdout } = await promisify(execFile)('dig', [...to, ...asked])
  return stdout.split('\n').filter(line => line !== '')
}

function sorted(texts: readonly string[]): string[] {
  return texts.toSorted()
}

async function freePort(host: string): Promise<number> {
  const server = createServer().listen({ host, port: 0 })
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
