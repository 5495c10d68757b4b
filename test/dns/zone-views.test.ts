/** Other views of an app's names: `all.`, `near.` and `why.`. */

import fc from 'fast-check'
import t from 'tap'
import { TXT_BYTES_MAX } from '../../src/dns/records.ts'
import { createZone } from '../../src/dns/zone.ts'
import { ask, checkNames } from './ask.ts'
import { appId, makeApp, makeNode, makeView } from './make-view.ts'

const http = { name: 'http', hostPort: 31_080 }

/** Two nodes in zone `a`, the first of which answers, and one in zone `b`. */
const nodes = [
  makeNode('n1', '10.0.0.1', { zone: 'a' }),
  makeNode('n2', '10.0.0.2', { zone: 'a' }),
  makeNode('n3', '10.0.0.3', { zone: 'b' }),
]
const on = {
  n1: { node: 'n1', zone: 'a', address: '10.0.0.1' },
  n2: { node: 'n2', zone: 'a', address: '10.0.0.2' },
  n3: { node: 'n3', zone: 'b', address: '10.0.0.3' },
}
const down = { serving: false, running: true, note: 'unhealthy' }
const ended = { serving: false, running: false, note: 'its node is dead' }

t.test('all. shows tasks that run and are not healthy', async t => {
  const apps = [
    makeApp('/shop/web', [
      { ...on.n1, ports: [http] },
      { ...on.n2, ...down, ports: [http] },
      { ...on.n3, ...ended, ports: [http] },
    ]),
  ]
  const srv = ['SRV 0 1 31080 all.0.web-shop.shoal', 'SRV 0 1 31080 all.1.web-shop.shoal']
  checkNames(t, apps, {
    'web-shop.shoal': ['A 10.0.0.1'],
    'all.web-shop.shoal': ['A 10.0.0.1', 'A 10.0.0.2'],
    'all.web.shop.shoal': ['A 10.0.0.1', 'A 10.0.0.2'],
    'all.web.shop.svc.shoal': ['A 10.0.0.1', 'A 10.0.0.2'],
    'all.1.web-shop.shoal': ['A 10.0.0.2'],
    'all.2.web-shop.shoal': 'NODATA',
    'all._web-shop._tcp.shoal': srv,
    'all._http._web.shop._tcp.shoal': srv,
    'all._web._tcp.shop.shoal': srv,
    'all._http._tcp.web.shop.svc.shoal': srv,
    'all._smtp._web-shop._tcp.shoal': 'NXDOMAIN',
    'all.nope.shoal': 'NXDOMAIN',
    'all.shoal': 'NXDOMAIN',
    'all.shop.shoal': 'NXDOMAIN',
    'all.n1.node.shoal': 'NXDOMAIN',
    'all.web-shop.marathon.mesos': 'REFUSED',
  })
})

t.test('near. by address shows the nearest that serve, and by SRV all in order', async t => {
  const tasks = [
    { ...on.n3, ports: [http] },
    { ...on.n2, ports: [http] },
    { ...on.n1, ports: [http] },
  ]
  checkNames(
    t,
    [
      makeApp('/web', tasks),
      makeApp('/far', tasks.slice(0, 1)),
      makeApp('/zonal', tasks.slice(0, 2)),
    ],
    {
      'near.web.shoal': ['A 10.0.0.1'],
      'near.zonal.shoal': ['A 10.0.0.2'],
      'near.far.shoal': ['A 10.0.0.3'],
      'near._web._tcp.shoal': [
        'SRV 2 1 31080 0.web.shoal',
        'SRV 1 1 31080 1.web.shoal',
        'SRV 0 1 31080 2.web.shoal',
      ],
      'near.0.web.shoal': ['A 10.0.0.3'],
      'web.shoal': ['A 10.0.0.3', 'A 10.0.0.2', 'A 10.0.0.1'],
      '_web._tcp.shoal': [
        'SRV 0 1 31080 0.web.shoal',
        'SRV 0 1 31080 1.web.shoal',
        'SRV 0 1 31080 2.web.shoal',
      ],
    },
    { nodes },
  )
})

t.test('near. is as near as what serves', async t => {
  const zone = checkNames(
    t,
    [makeApp('/web', [{ ...on.n1, ...down }, on.n2, on.n3])],
    { 'near.web.shoal': ['A 10.0.0.2'] },
    { nodes },
  )
  zone.update(makeApp('/web', [{ ...on.n1, ...down }, { ...on.n2, ...down }, on.n3]))
  t.strictSame(ask(zone, 'near.web.shoal'), ['A 10.0.0.3'])
  zone.update(makeApp('/web', [{ ...on.n1, ...down }]))
  t.equal(ask(zone, 'near.web.shoal'), 'NODATA')
})

t.test('near. asks no zone of nodes that have none', async t => {
  const unzoned = [
    { node: 'n2', address: '10.0.0.2' },
    { node: 'n3', address: '10.0.0.3' },
  ]
  checkNames(t, [makeApp('/web', unzoned)], {
    'near.web.shoal': ['A 10.0.0.2', 'A 10.0.0.3'],
  })
})

t.test('why. says how each slot is', async t => {
  const app = {
    ...makeApp('/shop/web', [on.n1, { ...on.n2, ...down }, { ...on.n3, ...ended }]),
    wanted: 4,
    missing: [{ suffix: '3', reason: 'no node can take it: 3 have no Docker engine' }],
  }
  checkNames(t, [app], {
    'why.web-shop.shoal': [
      'TXT "/shop/web: 1 of 4 slots serve" "0 on n1 (zone a): serving" "1 on n2 (zone a): unhealthy" "2 on n3 (zone b): its node is dead" "3 has no task: no node can take it: 3 have no Docker engine"',
    ],
    'why.nope.shoal': 'NXDOMAIN',
    'why.n1.node.shoal': 'NXDOMAIN',
  })
})

t.test('why. fits a record, whatever it has to say', async () => {
  const text = fc.string({ unit: 'binary', maxLength: 600 })
  const task = fc.record({ note: text, zone: text, node: text })
  fc.assert(
    fc.property(fc.array(task, { maxLength: 40 }), text, (tasks, reason) => {
      const app = { ...makeApp('/web', tasks), missing: [{ suffix: 'x', reason }] }
      const [record, ...others] = createZone(makeView([app])).find('why.web.shoal')!.records
      return (
        others.length === 0 &&
        record?.type === 'TXT' &&
        record.strings.length <= 14 &&
        record.strings.every(one => /^[ -~]+$/.test(one) && one.length <= TXT_BYTES_MAX)
      )
    }),
  )
})

t.test('conflicts: a view goes before an app that is called so', async t => {
  const apps = [makeApp('/web', 1), makeApp('/web/near', [{ address: '10.9.0.1' }])]
  const zone = checkNames(t, apps, {
    'near.web.shoal': ['A 10.0.0.1'],
    'near-web.shoal': ['A 10.9.0.1'],
  })
  t.strictSame(zone.conflicts(), [
    { name: 'near.web.shoal', kept: 'the nearest tasks of /web', lost: ['/web/near'] },
  ])
  zone.remove(appId('/web'))
  t.strictSame(ask(zone, 'near.web.shoal'), ['A 10.9.0.1'])
})

t.test('a slot that is called like a view is the slot: targets of SRV must be right', async t => {
  const apps = [makeApp('/agent', [{ suffix: 'all', node: 'all', ports: [http] }])]
  checkNames(t, apps, {
    'all.agent.shoal': ['A 10.0.0.1'],
    '_agent._tcp.shoal': ['SRV 0 1 31080 all.agent.shoal'],
    'all._agent._tcp.shoal': ['SRV 0 1 31080 all.all.agent.shoal'],
    'all.all.agent.shoal': ['A 10.0.0.1'],
  })
})

t.test('SRV carries the weight of its task', async t => {
  const tasks = [
    { ports: [http], weight: 100 },
    { ports: [http], weight: 40 },
  ]
  checkNames(t, [makeApp('/web', tasks)], {
    '_web._tcp.shoal': ['SRV 0 100 31080 0.web.shoal', 'SRV 0 40 31080 1.web.shoal'],
  })
})
