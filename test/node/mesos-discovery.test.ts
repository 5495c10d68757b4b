import t from 'tap'
import { taskHash } from '../../src/dns/instance-label.ts'
import { createZone } from '../../src/dns/zone.ts'
import {
  mesosHosts,
  mesosServices,
  printEnumeration,
  printTransfer,
  type MesosEnumeration,
} from '../../src/node/mesos-discovery.ts'
import { makeApp, makeNode, makeView } from '../dns/make-view.ts'

const zone = createZone(
  makeView(
    [
      makeApp('/nginx', [
        { addresses: ['10.10.0.93', 'fd00::93'], ports: [{ name: 'http', hostPort: 7_564 }] },
      ]),
    ],
    {
      mesos: { domain: 'mesos', rule: 'rfc1123', apiPort: 0 },
      nodes: [makeNode('n1', '10.10.0.93')],
    },
  ),
)
const read = (parts: Iterable<string>): unknown => JSON.parse([...parts].join('')) as unknown
const instance = `nginx-${taskHash('/nginx.0@k3f9x1')}-n1`

t.test(
  'hosts are told with a dot at their end, and one empty record where there are none',
  async t => {
    t.strictSame(mesosHosts(zone, 'Nginx.marathon.mesos'), [
      { host: 'nginx.marathon.mesos.', ip: '10.10.0.93' },
      { host: 'nginx.marathon.mesos.', ip: 'fd00::93' },
    ])
    t.strictSame(
      mesosHosts(zone, 'nginx.*.marathon.mesos.'),
      mesosHosts(zone, 'nginx.marathon.mesos'),
    )
    for (const none of ['nope.marathon.mesos', 'example.org', '', '.']) {
      t.strictSame(mesosHosts(zone, none), [{ host: '', ip: '' }], none)
    }
  },
)

t.test('services have their ports as text, and each kind of address once', async t => {
  const service = '_nginx._tcp.marathon.mesos.'
  const host = `${instance}.marathon.mesos.`
  t.strictSame(mesosServices(zone, service), [
    { service, host, ip: '10.10.0.93', port: '7564' },
    { service, host, ip: 'fd00::93', port: '7564' },
  ])
  t.strictSame(mesosServices(zone, '_nope._tcp.marathon.mesos'), [
    { service: '', host: '', ip: '', port: '' },
  ])
  t.strictSame(mesosServices(zone, 'nginx.marathon.mesos'), [
    { service: '', host: '', ip: '', port: '' },
  ])
})

t.test('an enumeration has every record of a task', async t => {
  const { frameworks } = read(printEnumeration(zone)) as MesosEnumeration
  t.match(frameworks, [{ name: 'marathon', tasks: [{ name: 'nginx', id: '/nginx.0@k3f9x1' }] }])
  const { records } = frameworks[0]!.tasks[0]!
  const told = new Set(records.map(({ name, host, rtype }) => `${name} ${rtype} ${host}`))
  for (const one of [
    'nginx.marathon.mesos. A 10.10.0.93',
    `${instance}.marathon.mesos. A 10.10.0.93`,
    'nginx.marathon.slave.mesos. AAAA fd00::93',
    `_nginx._tcp.marathon.mesos. SRV ${instance}.marathon.mesos.:7564`,
    `_http._nginx._tcp.marathon.mesos. SRV ${instance}.marathon.mesos.:7564`,
    `_nginx._tcp.marathon.slave.mesos. SRV ${instance}.marathon.slave.mesos.:7564`,
  ]) {
    t.ok(told.has(one), one)
  }
})

t.test('a transfer has the zone by type and name', async t => {
  t.match(read(printTransfer(zone, 'mesos')), {
    TTL: 5,
    Serial: 7,
    Mname: 'ns1.mesos.',
    Rname: 'hostmaster.mesos.',
    Domain: 'mesos',
    Records: {
      As: { 'nginx.marathon.mesos.': ['10.10.0.93'], 'slave.mesos.': ['10.10.0.93'] },
      AAAAs: { 'nginx.marathon.mesos.': ['fd00::93'] },
      SRVs: { '_nginx._tcp.marathon.mesos.': [`${instance}.marathon.mesos.:7564`] },
    },
  })
  t.strictSame([...printTransfer(zone, 'example.org')], [])
  const empty = createZone(
    makeView([], { mesos: { domain: 'mesos', rule: 'rfc1123', apiPort: 0 }, nodes: [] }),
  )
  t.strictSame(read(printEnumeration(empty)), { frameworks: [{ name: 'marathon', tasks: [] }] })
  t.match(read(printTransfer(empty, 'mesos')), { Records: { As: {}, AAAAs: {}, SRVs: {} } })
})
