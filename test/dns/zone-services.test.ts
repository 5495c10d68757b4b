/** The names that Kubernetes would give an app. */

import t from 'tap'
import { createZone } from '../../src/dns/zone.ts'
import { checkNames } from './ask.ts'
import { makeApp, makeView } from './make-view.ts'

const http = { name: 'http', hostPort: 31_080 }
const dns = { name: 'dns', hostPort: 31_053, protocol: 'udp' as const }

t.test('an app is a service of its namespace', async t => {
  const apps = [
    makeApp('/web', [{ ports: [http, dns] }], ['front']),
    makeApp('/shop/web', [{ address: '10.2.0.1', ports: [http] }], ['front']),
    makeApp('/eu/shop/web', [{ address: '10.3.0.1' }]),
  ]
  checkNames(t, apps, {
    'web.default.svc.shoal': ['A 10.0.0.1'],
    'front.default.svc.shoal': ['A 10.0.0.1'],
    'web.shop.svc.shoal': ['A 10.2.0.1'],
    'front.shop.svc.shoal': ['A 10.2.0.1'],
    'web.shop-eu.svc.shoal': ['A 10.3.0.1'],
    '0.web.shop.svc.shoal': ['A 10.2.0.1'],
    '_http._tcp.web.default.svc.shoal': ['SRV 0 1 31080 0.web.shoal'],
    '_http._tcp.front.shop.svc.shoal': ['SRV 0 1 31080 0.web-shop.shoal'],
    '_dns._udp.web.default.svc.shoal': ['SRV 0 1 31053 0.web.shoal'],
    '_dns._tcp.web.default.svc.shoal': 'NODATA',
    '_smtp._tcp.web.default.svc.shoal': 'NXDOMAIN',
    '_http._http._tcp.web.default.svc.shoal': 'NXDOMAIN',
    'nope.default.svc.shoal': 'NXDOMAIN',
    'web.nope.svc.shoal': 'NXDOMAIN',
    '_http._tcp.nope.default.svc.shoal': 'NXDOMAIN',
    // Empty non-terminals.
    'svc.shoal': 'NODATA',
    'shop.svc.shoal': 'NODATA',
    '_tcp.web.shop.svc.shoal': 'NODATA',
    '_tcp.nope.shop.svc.shoal': 'NXDOMAIN',
  })
})

t.test('what the importer made is the service, and another way to its name is not', async t => {
  const apps = [
    makeApp('/default/web', [{ address: '10.9.0.1' }]),
    makeApp('/other', [{ address: '10.8.0.1' }], ['web']),
    makeApp('/web', 1),
  ]
  const zone = checkNames(t, apps, { 'web.default.svc.shoal': ['A 10.0.0.1'] })
  t.match(
    zone.conflicts().find(({ name }) => name === 'web.default.svc.shoal'),
    { kept: '/web', lost: ['/default/web', '/other'] },
  )
})

t.test('ids do not lead into the names of services', async t => {
  const apps = [
    makeApp('/svc', [{ ports: [http] }]),
    makeApp('/svc/shop/web', [{ address: '10.9.0.1' }]),
    makeApp('/shop/web', [{ address: '10.2.0.1' }]),
  ]
  checkNames(t, apps, {
    'svc.shoal': 'NODATA',
    'svc-app.shoal': ['A 10.0.0.1'],
    '_svc._tcp.shoal': ['SRV 0 1 31080 0.svc-app.shoal'],
    'web.shop.svc.shoal': ['A 10.2.0.1'],
    'web-shop-svc.shoal': ['A 10.9.0.1'],
    '_web-shop-svc._tcp.shoal': ['SRV 0 1 31000 0.web-shop-svc.shoal'],
  })
  // Without the app that the name is of, it is still not the other's.
  checkNames(t, apps.slice(0, 2), { 'web.shop.svc.shoal': 'NXDOMAIN' })
  t.strictSame(createZone(makeView(apps.slice(0, 2))).conflicts(), [
    { name: 'svc.shoal', kept: 'the names of services', lost: ['/svc'] },
    { name: 'web.shop.svc.shoal', kept: 'the names of services', lost: ['/svc/shop/web'] },
  ])
})
