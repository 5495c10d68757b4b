/** The names that Mesos-DNS has for Marathon's apps. */

import fc from 'fast-check'
import t from 'tap'
import type { DnsView } from '../../src/dns/dns-view.ts'
import { instanceLabel } from '../../src/dns/instance-label.ts'
import type { TaskId } from '../../src/model/ids.ts'
import { createZone } from '../../src/dns/zone.ts'
import { ask, checkNames } from './ask.ts'
import { appId, makeApp, makeNode, makeView } from './make-view.ts'

const mesos: Partial<DnsView> = { mesos: { domain: 'mesos', rule: 'rfc1123', apiPort: 8080 } }
const http = { name: 'http', hostPort: 31_080 }
const metrics = { name: 'metrics', hostPort: 31_090 }
const udp = { name: 'dns', hostPort: 31_053, protocol: 'udp' as const }

t.test('an app has the names that its clients know', async t => {
  const task = '/product/service/web.0@k3f9x1' as TaskId
  const instance = instanceLabel('web-service-product', task, 'n1')!
  const srv = (suffix: string, ...ports: number[]): string[] =>
    ports.map(port => `SRV 0 1 ${port} ${instance}.${suffix}`)
  const apps = [
    makeApp('/product/service/web', [{ ports: [http, metrics, udp] }]),
    makeApp('/down', [{ serving: false, running: true }]),
  ]
  checkNames(
    t,
    apps,
    {
      'web-service-product.marathon.mesos': ['A 10.0.0.1'],
      'web.service.product.marathon.mesos': ['A 10.0.0.1'],
      'web-service-product.marathon.slave.mesos': ['A 10.0.0.1'],
      'web.service.product.marathon.slave.mesos': ['A 10.0.0.1'],
      [`${instance}.marathon.mesos`]: ['A 10.0.0.1'],
      [`${instance}.marathon.slave.mesos`]: ['A 10.0.0.1'],
      '_web-service-product._tcp.marathon.mesos': srv('marathon.mesos', 31_080, 31_090),
      '_web.service.product._tcp.marathon.mesos': srv('marathon.mesos', 31_080, 31_090),
      '_web-service-product._udp.marathon.mesos': srv('marathon.mesos', 31_053),
      '_http._web-service-product._tcp.marathon.mesos': srv('marathon.mesos', 31_080),
      '_web-service-product._tcp.marathon.slave.mesos': srv('marathon.slave.mesos', 31_080, 31_090),
      '_smtp._web-service-product._tcp.marathon.mesos': 'NXDOMAIN',
      'down.marathon.mesos': 'NODATA',
      '_down._tcp.marathon.mesos': 'NODATA',
      'nope.marathon.mesos': 'NXDOMAIN',
      '_nope._tcp.marathon.mesos': 'NXDOMAIN',
      'web-service-product-aaaaa-n1.marathon.mesos': 'NXDOMAIN',
      'web.mesos': 'NXDOMAIN',
      'web-service-product.chronos.mesos': 'NXDOMAIN',
      'near.down.marathon.mesos': 'NXDOMAIN',
      // Mesos-DNS passes over these labels.
      [String.raw`web-service-product.\042.marathon.mesos`]: ['A 10.0.0.1'],
      [String.raw`web-service-product.marathon.\042.mesos`]: ['A 10.0.0.1'],
      // Empty non-terminals.
      'product.marathon.mesos': 'NODATA',
      'service.product.marathon.slave.mesos': 'NODATA',
      'marathon.slave.mesos': 'NODATA',
      '_tcp.mesos': 'NODATA',
      '_tcp.marathon.mesos': 'NODATA',
      '_udp.marathon.slave.mesos': 'NODATA',
      'product._tcp.marathon.mesos': 'NODATA',
    },
    mesos,
  )
})

t.test('machines have the names of masters and agents', async t => {
  const nodes = [
    makeNode('n1', '10.0.0.1', { port: 7440 }),
    makeNode('n2', '10.0.0.2', { port: 7441 }),
    makeNode('n3', '10.0.0.3', { alive: false }),
    makeNode('a0', 'fd00::a0'),
  ]
  checkNames(
    t,
    [],
    {
      mesos: ['SOA ns1.mesos', 'NS ns1.mesos'],
      'ns1.mesos': ['A 10.0.0.1'],
      'leader.mesos': ['A 10.0.0.1'],
      'marathon.mesos': ['A 10.0.0.1'],
      'master.mesos': ['A 10.0.0.1', 'AAAA fd00::a0', 'A 10.0.0.2'],
      'master0.mesos': ['AAAA fd00::a0'],
      'master1.mesos': ['A 10.0.0.1'],
      'master2.mesos': ['A 10.0.0.2'],
      'master3.mesos': 'NXDOMAIN',
      'master00.mesos': 'NXDOMAIN',
      'slave.mesos': ['A 10.0.0.1', 'AAAA fd00::a0', 'A 10.0.0.2'],
      '_leader._tcp.mesos': ['SRV 0 1 8080 leader.mesos'],
      '_leader._udp.mesos': ['SRV 0 1 8080 leader.mesos'],
      '_framework._tcp.marathon.mesos': ['SRV 0 1 8080 marathon.mesos'],
      '_slave._tcp.mesos': [
        'SRV 0 1 7440 n1.node.shoal',
        'SRV 0 1 7440 a0.node.shoal',
        'SRV 0 1 7441 n2.node.shoal',
      ],
    },
    { ...mesos, nodes },
  )
})

t.test('a number before a name is no slot there', async t => {
  const apps = [makeApp('/web', 2), makeApp('/web/1', [{ address: '10.9.0.1' }])]
  checkNames(
    t,
    apps,
    { '1.web.marathon.mesos': ['A 10.9.0.1'], '0.web.marathon.mesos': 'NXDOMAIN' },
    mesos,
  )
})

t.test('both tasks of a slot that moves have names', async t => {
  const tasks = [
    { task: '/web.0@new' as TaskId, suffix: '0', node: 'n2', address: '10.0.0.2' },
    { task: '/web.0@old' as TaskId, suffix: '0', node: 'n1', address: '10.0.0.1' },
  ]
  const [next, old] = tasks.map(({ task, node }) => instanceLabel('web', task, node)!)
  checkNames(
    t,
    [makeApp('/web', tasks)],
    {
      [`${next}.marathon.mesos`]: ['A 10.0.0.2'],
      [`${old}.marathon.mesos`]: ['A 10.0.0.1'],
      'web.marathon.mesos': ['A 10.0.0.2'],
    },
    mesos,
  )
})

t.test('an app whose name leaves no room for its tasks has its slots in our own zone', async t => {
  const long = 'x'.repeat(60)
  checkNames(
    t,
    [makeApp(`/${long}`, [{ ports: [http] }])],
    { [`_${long}._tcp.marathon.mesos`]: [`SRV 0 1 31080 0.${long}.shoal`] },
    mesos,
  )
})

t.test('apps that lost a name are known by the other', async t => {
  const apps = [
    makeApp('/web-shop', [{ address: '10.1.0.1', ports: [http] }]),
    makeApp('/shop/web', [{ address: '10.2.0.1', ports: [http] }]),
  ]
  const zone = createZone(makeView(apps, mesos))
  t.strictSame(ask(zone, 'web-shop.marathon.mesos'), ['A 10.1.0.1'])
  t.strictSame(ask(zone, '_web.shop._tcp.marathon.mesos'), ['SRV 0 1 31080 0.web.shop.shoal'])
})

t.test('labels of RFC 952', async t => {
  const view: Partial<DnsView> = { mesos: { domain: 'mesos.example', rule: 'rfc952', apiPort: 0 } }
  const apps = [
    makeApp('/89fdgsf---gs7-fgs--d7fddg-123', [{ ports: [http] }]),
    makeApp('/89fdgsf---gs7-fgs--d7fddg---123', [{ address: '10.9.0.1' }]),
  ]
  const zone = checkNames(
    t,
    apps,
    {
      // Of two apps cut to one label, that whose id sorts first.
      'fdgsf---gs7-fgs--d7fddg1.marathon.mesos.example': ['A 10.9.0.1'],
      '89fdgsf---gs7-fgs--d7fddg-123.marathon.mesos.example': ['A 10.0.0.1'],
      '89fdgsf---gs7-fgs--d7fddg-123.shoal': ['A 10.0.0.1'],
      'fdgsf---gs7-fgs--d7fddg1.shoal': 'NXDOMAIN',
      '_leader._tcp.mesos.example': 'NODATA',
    },
    view,
  )
  t.strictSame(zone.conflicts(), [
    {
      name: 'fdgsf---gs7-fgs--d7fddg1.marathon.mesos.example',
      kept: '/89fdgsf---gs7-fgs--d7fddg---123',
      lost: ['/89fdgsf---gs7-fgs--d7fddg-123'],
    },
  ])
})

t.test('a second zone may be below the first', async t => {
  const view: Partial<DnsView> = { mesos: { domain: 'mesos.shoal', rule: 'rfc1123', apiPort: 0 } }
  const zone = checkNames(
    t,
    [makeApp('/web', 1)],
    { 'web.marathon.mesos.shoal': ['A 10.0.0.1'], 'web.shoal': ['A 10.0.0.1'] },
    view,
  )
  t.equal(zone.find('nope.marathon.mesos.shoal')!.authority.domain, 'mesos.shoal')
  t.equal(zone.find('nope.shoal')!.authority.domain, 'shoal')
})

t.test('findings there go stale with what they were made from', async t => {
  const zone = createZone(makeView([makeApp('/web', 1), makeApp('/api', 1)], mesos))
  const [web, api, slave] = ['web.marathon.mesos', 'api.marathon.mesos', 'slave.mesos'].map(name =>
    zone.find(name)!,
  )
  zone.update(makeApp('/web', 2))
  t.ok(web!.source.stale)
  t.notOk(api!.source.stale || slave!.source.stale || slave!.structure.stale)
  zone.setNodes([])
  t.ok(slave!.structure.stale)
})

t.test('mesosTasks() tells each record of a task once, and only its own', async t => {
  const apps = [
    makeApp('/shop/web', [
      { ports: [http] },
      { ports: [http], address: '10.0.0.2', node: 'n2' },
      { serving: false },
    ]),
  ]
  const tasks = [...createZone(makeView(apps, mesos)).mesosTasks()]
  t.strictSame(
    tasks.map(({ name, task }) => [name, task.suffix]),
    [
      ['web-shop', '0'],
      ['web-shop', '1'],
    ],
  )
  for (const { task, records } of tasks) {
    const label = instanceLabel('web-shop', task.task, task.node)!
    const names = records.map(({ type, name }) => `${type} ${name}`)
    t.strictSame(
      new Set(names),
      new Set([
        'A web-shop.marathon.mesos',
        'A web.shop.marathon.mesos',
        `A ${label}.marathon.mesos`,
        'A web-shop.marathon.slave.mesos',
        'A web.shop.marathon.slave.mesos',
        `A ${label}.marathon.slave.mesos`,
        'SRV _web-shop._tcp.marathon.mesos',
        'SRV _web.shop._tcp.marathon.mesos',
        'SRV _web-shop._tcp.marathon.slave.mesos',
        'SRV _web.shop._tcp.marathon.slave.mesos',
        'SRV _http._web-shop._tcp.marathon.mesos',
        'SRV _http._web.shop._tcp.marathon.mesos',
      ]),
    )
    t.equal(names.length, new Set(names).size, 'once')
  }
  t.strictSame([...createZone(makeView(apps)).mesosTasks()], [], 'without the zone')
})

t.test('what is transferred is what is found', async t => {
  const ids = ['/web', '/web/0', '/shop/web', '/web-shop', '/node', '/svc', `/${'x'.repeat(63)}`]
  fc.assert(
    fc.property(fc.uniqueArray(fc.constantFrom(...ids)), chosen => {
      const apps = chosen.map(one => makeApp(one, [{ ports: [http, udp] }, { serving: false }]))
      const zone = createZone(makeView(apps, mesos))
      for (const domain of ['shoal', 'mesos', '1.0.0.10.in-addr.arpa']) {
        const records = [...zone.transfer(domain)!]
        t.equal(records[0]!.type, 'SOA')
        const byName = Map.groupBy(records, ({ name }) => name)
        for (const [name, same] of byName) {
          t.strictSame(zone.find(name)!.records, same, name)
          t.equal(zone.find(name)!.authority.domain, domain)
        }
      }
      return true
    }),
    { numRuns: 50 },
  )
  const zone = createZone(makeView([makeApp('/web', [{ ports: [http] }])], mesos))
  const names = new Set(Array.from(zone.transfer('shoal')!, ({ name }) => name))
  for (const name of [
    'web',
    '0.web',
    '_web._tcp',
    '_http._web._tcp',
    'n2.node',
    'web.default.svc',
    '_http._tcp.web.default.svc',
  ]) {
    t.ok(names.has(`${name}.shoal`), name)
  }
  t.equal(zone.transfer('web.shoal'), undefined, 'no zone')
  t.equal(zone.transfer('10.in-addr.arpa'), undefined, 'not ours')
  t.equal(zone.find(appId('/web')), undefined)
})
