import t from 'tap'
import type { AppId } from '../../src/model/ids.ts'
import { createContainerDns, type ContainerDnsOptions } from '../../src/node/container-dns.ts'

const self = { name: 'n2', address: '10.0.0.2', port: 53 }
const options: ContainerDnsOptions = {
  self,
  bound: '10.0.0.2',
  forwards: true,
  domain: 'shoal',
  others: () => [],
  resolvConf: () => '',
}
const RESOLV_CONF =
  'domain old.example\nsearch corp.example  lab.example . a.example b.example\nnameserver 10.9.9.9\n'
const resolvConf = (): string => RESOLV_CONF
const app = (id: string): AppId => id as AppId

t.test('a container asks its node, and looks beside its app first', async t => {
  t.strictSame(createContainerDns(options)(app('/shop/web')), {
    servers: ['10.0.0.2'],
    search: ['shop.svc.shoal', 'svc.shoal', 'shoal'],
  })
  t.strictSame(createContainerDns(options)(app('/web'))?.search[0], 'default.svc.shoal')
})

t.test('a container asks two others when its node is silent', async t => {
  const others = ['n1', 'n3', 'n4', 'n5'].map((name, index) => ({
    name,
    address: `10.0.1.${index + 1}`,
    port: name === 'n3' ? 7_453 : 53,
  }))
  let alive = others
  const dnsOf = createContainerDns({ ...options, others: () => alive })
  t.strictSame(
    dnsOf(app('/web'))?.servers,
    ['10.0.0.2', '10.0.1.3', '10.0.1.4'],
    'not on another port',
  )
  alive = others.slice(0, 3)
  t.strictSame(
    dnsOf(app('/web'))?.servers,
    ['10.0.0.2', '10.0.1.3', '10.0.1.1'],
    'around, as it is now',
  )
})

t.test('a container looks where its node looks, last', async t => {
  t.strictSame(createContainerDns({ ...options, resolvConf })(app('/web'))?.search, [
    'default.svc.shoal',
    'svc.shoal',
    'shoal',
    'corp.example',
    'lab.example',
    'a.example',
  ])
})

t.test('a container is left to its engine where it could not ask us', async t => {
  const cases: [why: string, changes: Partial<ContainerDnsOptions>][] = [
    ['does not forward', { forwards: false }],
    ['another port', { self: { ...self, port: 7_453 } }],
    ['the address of a router', { bound: '0.0.0.0' }],
    ['loopback', { self: { ...self, address: '127.0.0.2' }, bound: '127.0.0.2' }],
    ['IPv6', { self: { ...self, address: 'fd00::2' }, bound: 'fd00::2' }],
  ]
  for (const [why, changes] of cases) {
    t.equal(createContainerDns({ ...options, ...changes })(app('/web')), undefined, why)
  }
})
