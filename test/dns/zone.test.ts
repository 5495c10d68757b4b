import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { DnsApp } from '../../src/dns/dns-view.ts'
import type { DnsRecord } from '../../src/dns/records.ts'
import { createZone, type Zone } from '../../src/dns/zone.ts'
import { appId, makeApp, makeNode, makeView } from './make-view.ts'

const http = { name: 'http', hostPort: 31_080 }
const metrics = { name: 'metrics', hostPort: 31_090 }
const dnsUdp = { name: 'dns', hostPort: 31_053, protocol: 'udp' as const }

function show(record: DnsRecord): string {
  switch (record.type) {
    case 'SRV':
      return `SRV ${record.port} ${record.target}`
    case 'A':
    case 'AAAA':
      return `${record.type} ${record.address}`
    case 'NS':
    case 'PTR':
      return `${record.type} ${record.target}`
    case 'TXT':
      return `TXT ${record.strings.join(' | ')}`
    case 'SOA':
      return `SOA ${record.primary} ${record.serial}`
  }
}

/** What the zone says of a name, in words. */
function ask(zone: Zone, name: string): string[] | 'NXDOMAIN' | 'NODATA' | 'REFUSED' {
  const finding = zone.find(name)
  if (finding === undefined) return 'REFUSED'
  if (!finding.exists) return 'NXDOMAIN'
  return finding.records.length === 0 ? 'NODATA' : finding.records.map(show)
}

function check(
  t: Pick<Test, 'strictSame'>,
  apps: readonly DnsApp[],
  cases: Readonly<Record<string, ReturnType<typeof ask>>>,
): void {
  const zone = createZone(makeView(apps))
  for (const [name, expected] of Object.entries(cases))
    t.strictSame(ask(zone, name), expected, name)
}

t.test('find() knows an app by its names', async t => {
  const apps = [makeApp('/web', 2), makeApp('/shop/web', [{ ports: [http, metrics, dnsUdp] }])]
  const srv = ['SRV 31080 0.web-shop.shoal', 'SRV 31090 0.web-shop.shoal']
  check(t, apps, {
    'web.shoal': ['A 10.0.0.1', 'A 10.0.0.2'],
    '1.web.shoal': ['A 10.0.0.2'],
    '_web._tcp.shoal': ['SRV 31000 0.web.shoal', 'SRV 31001 1.web.shoal'],
    'web.shop.shoal': ['A 10.0.0.1'],
    'web-shop.shoal': ['A 10.0.0.1'],
    '0.web.shop.shoal': ['A 10.0.0.1'],
    '0.web-shop.shoal': ['A 10.0.0.1'],
    '_web-shop._tcp.shoal': srv,
    '_web.shop._tcp.shoal': srv,
    '_web._tcp.shop.shoal': srv,
    '_web-shop._udp.shoal': ['SRV 31053 0.web-shop.shoal'],
    '_http._web-shop._tcp.shoal': srv.slice(0, 1),
    '_metrics._web.shop._tcp.shoal': srv.slice(1),
    '_metrics._web._tcp.shop.shoal': srv.slice(1),
    '_dns._web-shop._udp.shoal': ['SRV 31053 0.web-shop.shoal'],
  })
})

t.test('find() knows nodes, and the apex', async t => {
  check(t, [], {
    shoal: ['SOA n1.node.shoal 7', 'NS n1.node.shoal', 'NS n2.node.shoal'],
    'n2.node.shoal': ['A 10.0.0.2'],
    'node.shoal': 'NODATA',
    'n3.node.shoal': 'NXDOMAIN',
    'x.n1.node.shoal': 'NXDOMAIN',
  })
})

t.test('find() tells names that are not there from those with nothing to say', async t => {
  const apps = [
    makeApp('/web', [{ ports: [http] }, { serving: false }]),
    makeApp('/shop/down', [{ serving: false, ports: [http] }]),
    makeApp('/none', []),
  ]
  check(t, apps, {
    'nope.shoal': 'NXDOMAIN',
    '9.web.shoal': 'NXDOMAIN',
    'x.web.shoal': 'NXDOMAIN',
    '1.web.shoal': 'NODATA',
    'down-shop.shoal': 'NODATA',
    'none.shoal': 'NODATA',
    '_none._tcp.shoal': 'NODATA',
    '_web._udp.shoal': 'NODATA',
    '_nope._tcp.shoal': 'NXDOMAIN',
    '_smtp._web._tcp.shoal': 'NXDOMAIN',
    '_http._down-shop._tcp.shoal': 'NODATA',
    'http._web._tcp.shoal': 'NXDOMAIN',
    'web._tcp.shoal': 'NXDOMAIN',
    // Empty non-terminals: there are names below.
    'shop.shoal': 'NODATA',
    '_tcp.shoal': 'NODATA',
    '_udp.shoal': 'NODATA',
    'shop._tcp.shoal': 'NODATA',
    '_tcp.shop.shoal': 'NODATA',
    '_tcp.nope.shoal': 'NXDOMAIN',
    'example.com': 'REFUSED',
    notshoal: 'REFUSED',
    '': 'REFUSED',
  })
})

t.test('find() answers with each address once, and never with what is no address', async t => {
  const tasks = [
    { address: '10.0.0.9' },
    { address: '10.0.0.9' },
    { address: 'fd00:0::9' },
    { address: 'host' },
  ]
  check(t, [makeApp('/web', tasks)], {
    'web.shoal': ['A 10.0.0.9', 'AAAA fd00::9'],
    '_web._tcp.shoal': ['SRV 31000 0.web.shoal', 'SRV 31001 1.web.shoal', 'SRV 31002 2.web.shoal'],
  })
})

t.test('find() takes the task that serves when a slot has two', async t => {
  const tasks = [
    { suffix: '0', address: '10.0.0.8', serving: false },
    { suffix: '0', address: '10.0.0.9' },
  ]
  check(t, [makeApp('/web', tasks)], { '0.web.shoal': ['A 10.0.0.9'] })
})

t.test('find() names the slots of a global app by their node', async t => {
  check(t, [makeApp('/agent', [{ suffix: 'Node-A' }])], {
    'node-a.agent.shoal': ['A 10.0.0.1'],
    '_agent._tcp.shoal': ['SRV 31000 node-a.agent.shoal'],
  })
})

t.test('find() leaves the names of nodes to nodes', async t => {
  const apps = [makeApp('/node', 1), makeApp('/node/n1', [{ address: '10.9.9.9' }])]
  check(t, apps, {
    'node.shoal': 'NODATA',
    'n1.node.shoal': ['A 10.0.0.1'],
    'node-app.shoal': ['A 10.0.0.1'],
    '_node._tcp.shoal': ['SRV 31000 0.node-app.shoal'],
    '0.node-app.shoal': ['A 10.0.0.1'],
    'n1-node.shoal': ['A 10.9.9.9'],
    '_n1.node._tcp.shoal': ['SRV 31000 0.n1-node.shoal'],
  })
  t.strictSame(
    createZone(makeView(apps))
      .conflicts()
      .map(({ name, lost }) => [name, lost]),
    [
      ['node.shoal', ['/node']],
      ['n1.node.shoal', ['/node/n1']],
    ],
  )
})

t.test('conflicts: one app gets the name, whatever order they come in', async t => {
  const apps = [
    makeApp('/web-shop', [{ address: '10.1.0.1' }]),
    makeApp('/shop/web', [{ address: '10.2.0.1' }]),
    makeApp('/other', [{ address: '10.3.0.1' }], ['web-shop']),
  ]
  for (const order of [apps, apps.toReversed()]) {
    const zone = createZone(makeView(order))
    t.strictSame(ask(zone, 'web-shop.shoal'), ['A 10.1.0.1'])
    t.strictSame(ask(zone, 'web.shop.shoal'), ['A 10.2.0.1'])
    // The loser's targets are names that it did get.
    t.strictSame(ask(zone, '_web.shop._tcp.shoal'), ['SRV 31000 0.web.shop.shoal'])
    t.strictSame(zone.conflicts(), [
      { name: 'web-shop.shoal', kept: '/web-shop', lost: ['/shop/web', '/other'] },
      { name: 'web-shop.default.svc.shoal', kept: '/web-shop', lost: ['/other'] },
    ])
    zone.remove(appId('/web-shop'))
    t.strictSame(ask(zone, 'web-shop.shoal'), ['A 10.2.0.1'], 'the next in line gets it')
  }
})

t.test('conflicts: a number before an app is its slot, not another app', async t => {
  const zone = createZone(
    makeView([makeApp('/web', 1), makeApp('/web/0', [{ address: '10.9.0.1' }])]),
  )
  t.strictSame(ask(zone, '0.web.shoal'), ['A 10.0.0.1'])
  t.strictSame(ask(zone, '0-web.shoal'), ['A 10.9.0.1'])
  t.strictSame(zone.conflicts(), [
    { name: '0.web.shoal', kept: 'slot 0 of /web', lost: ['/web/0'] },
  ])
})

t.test(
  'conflicts: a number before an app is a slot even when there is no such slot now',
  async t => {
    const zone = createZone(makeView([makeApp('/web', 1), makeApp('/web/7', 1)]))
    t.equal(
      ask(zone, '7.web.shoal'),
      'NXDOMAIN',
      'what a name means does not change with the scale',
    )
    t.strictSame(zone.conflicts(), [
      { name: '7.web.shoal', kept: 'slot 7 of /web', lost: ['/web/7'] },
    ])
    t.strictSame(ask(zone, '_7-web._tcp.shoal'), ['SRV 31000 0.7-web.shoal'])
  },
)

t.test('conflicts: two nodes of one name', async t => {
  const nodes = [makeNode('a.b', '10.0.0.2', { alive: false }), makeNode('a-b', '10.0.0.3')]
  const zone = createZone(makeView([], { nodes }))
  t.strictSame(ask(zone, 'a-b.node.shoal'), ['A 10.0.0.3'])
  t.strictSame(zone.conflicts(), [
    { name: 'a-b.node.shoal', kept: 'node a-b at 10.0.0.3', lost: ['node a.b at 10.0.0.2'] },
  ])
  zone.setNodes([makeNode('a-b', '10.0.0.3', { alive: false })])
  t.equal(ask(zone, 'a-b.node.shoal'), 'NODATA', 'a node that is not alive')
})

t.test('find() serves names as long as labels may be', async t => {
  const long = 'x'.repeat(63)
  check(t, [makeApp(`/${long}`, [{ ports: [{ name: long, hostPort: 1 }] }])], {
    [`${long}.shoal`]: ['A 10.0.0.1'],
    [`_${long.slice(1)}._tcp.shoal`]: [`SRV 1 0.${long}.shoal`],
    [`_${long.slice(1)}._${long.slice(1)}._tcp.shoal`]: [`SRV 1 0.${long}.shoal`],
  })
})

t.test('update() changes what is found, the serial, and what is stale', async t => {
  const zone = createZone(
    makeView([makeApp('/web', 1), makeApp('/api', 1)], { serial: 0xffff_ffff }),
  )
  const [web, api, apex] = ['web.shoal', 'api.shoal', 'shoal'].map(name => zone.find(name)!)
  zone.update(makeApp('/web', [{ address: '10.7.7.7' }]))
  t.strictSame(ask(zone, 'web.shoal'), ['A 10.7.7.7'])
  t.equal(zone.soa().serial, 0, 'wraps around')
  t.ok(web!.source.stale, 'the app that changed')
  t.notOk(api!.source.stale || api!.structure.stale, 'another app')
  t.ok(apex!.source.stale, 'the apex')

  zone.update(makeApp('/new', 1))
  t.ok(api!.structure.stale, 'names came')
  t.strictSame(ask(zone, 'new.shoal'), ['A 10.0.0.1'])
  zone.remove(appId('/new'))
  t.equal(ask(zone, 'new.shoal'), 'NXDOMAIN')
  zone.update(makeApp('/web', 1, ['shop']))
  t.strictSame(ask(zone, 'shop.shoal'), ['A 10.0.0.1'], 'an alias came')
})

t.test('a zone that was updated says what one made anew says', async () => {
  const ids = ['/web', '/web/0', '/shop/web', '/web-shop', '/node', '/web.shop', '/0']
  const app = fc
    .record({
      id: fc.constantFrom(...ids),
      slots: fc.integer({ min: 0, max: 2 }),
      alias: fc.constantFrom('web', 'shop', 'front'),
    })
    .map(({ id, slots, alias }) => makeApp(id, slots, [alias]))
  const edit = fc.oneof(app, fc.constantFrom(...ids))
  const names = [
    '',
    'web.',
    '0.web.',
    'web-shop.',
    'web.shop.',
    'shop.',
    '_web._tcp.',
    '_web.shop._tcp.',
  ]
  names.push('front.', '_tcp.shop.', 'node-app.', '0.node-app.', '_web._tcp.shop.', '0-web.', '0.')
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 12 }), edits => {
      const zone = createZone(makeView([]))
      const apps = new Map<string, DnsApp>()
      for (const one of edits) {
        if (typeof one === 'string') {
          zone.remove(appId(one))
          apps.delete(one)
        } else {
          zone.update(one)
          apps.set(one.id, one)
        }
      }
      const serial = zone.soa().serial
      const anew = createZone(makeView([...apps.values()], { serial }))
      return names.every(
        name =>
          JSON.stringify(ask(zone, `${name}shoal`)) === JSON.stringify(ask(anew, `${name}shoal`)),
      )
    }),
    { numRuns: 500 },
  )
})

t.test('every target of SRV and NS is a name of the zone with the right address', async () => {
  const id = fc.constantFrom(
    '/web',
    '/web/0',
    '/shop/web',
    '/web-shop',
    '/node',
    '/node/n1',
    '/web.shop',
    '/0',
  )
  fc.assert(
    fc.property(fc.uniqueArray(id), ids => {
      const apps = ids.map((one, index) =>
        makeApp(one, [
          { address: `10.5.0.${index}`, node: index % 2 === 0 ? 'n1' : 'n2' },
          { address: `10.6.0.${index}`, serving: false, running: true },
        ]),
      )
      const mesos = { domain: 'mesos', rule: 'rfc1123', apiPort: 8080 } as const
      const zone = createZone(makeView(apps, { mesos }))
      const shown = [
        '_web._tcp',
        '_web-shop._tcp',
        '_web.shop._tcp',
        '_node._tcp',
        '_n1.node._tcp',
        '_0.web._tcp',
        '_0._tcp',
        'all._web._tcp',
        'near._web-shop._tcp',
      ].map(name => `${name}.shoal`)
      const inMesos = ['_web._tcp', '_web-shop._tcp', '_web.shop._tcp', '_0.web._tcp', '_node._tcp']
      shown.push('mesos', '_leader._tcp.mesos', '_slave._tcp.mesos')
      shown.push(
        ...inMesos.flatMap(name => [`${name}.marathon.mesos`, `${name}.marathon.slave.mesos`]),
      )
      return shown
        .map(name => zone.find(name)!)
        .every(({ records, glue }) => {
          const targets = new Set(
            records.flatMap(record => ('target' in record ? [record.target] : [])),
          )
          return (
            [...targets].every(target => glue.some(({ name }) => name === target)) &&
            glue.every(({ name, address }) => ask(zone, name).includes(`A ${address}`)) &&
            glue.every(({ name }) => ask(zone, name).length === 1)
          )
        })
    }),
    { numRuns: 300 },
  )
})
