import fc from 'fast-check'
import t from 'tap'
import { mangleLabel, namesOfApp, serviceNamesOf } from '../../src/dns/labels.ts'
import { appId } from './make-view.ts'

t.test('mangleLabel() follows the RFC 1123 rules of Mesos-DNS', async t => {
  const cases: [name: string, label: string][] = [
    ['web', 'web'],
    ['Web.Shop_A', 'web-shop-a'],
    ['4abc123', '4abc123'],
    ['--web--', 'web'],
    ['pod_123$abc', 'pod-123abc'],
    ['chronos with a space and mixe', 'chronoswithaspaceandmixe'],
    ['fd%gsf---gs7-f$gs--d7fddg-123', 'fdgsf---gs7-fgs--d7fddg-123'],
    ['ÄÖ', ''],
    ['---', ''],
    ['', ''],
    ['a'.repeat(64), 'a'.repeat(63)],
    // The cut leaves "-" at the end: it goes, and what comes behind the run fills the room.
    [`${'a'.repeat(60)}-----bcdef`, `${'a'.repeat(60)}bcd`],
    [`${'a'.repeat(62)}--`, 'a'.repeat(62)],
  ]
  for (const [name, label] of cases) t.equal(mangleLabel(name), label, name)
})

t.test('mangleLabel() gives what Mesos-DNS gives, by either rule', async t => {
  const long = 'fdgsf---gs7-fgs--d7fddg123456789012345678901234567890123456789'
  const cases: [name: string, rfc1123: string, rfc952: string][] = [
    ['4abc123', '4abc123', 'abc123'],
    ['-4abc123', '4abc123', 'abc123'],
    ['a.c.d_de.', 'a-c-d-de', 'a-c-d-de'],
    ['---a---b', 'a---b', 'a---b'],
    ['r29f.dev.angrypigs', 'r29f-dev-angrypigs', 'r29f-dev-angrypigs'],
    ['fd%gsf---gs7-f$gs--d7fddg-123', 'fdgsf---gs7-fgs--d7fddg-123', 'fdgsf---gs7-fgs--d7fddg1'],
    [
      '89fdgsf---gs7-fgs--d7fddg---123',
      '89fdgsf---gs7-fgs--d7fddg---123',
      'fdgsf---gs7-fgs--d7fddg1',
    ],
    ['89fdgsf---gs7-fgs--d7fddg-', '89fdgsf---gs7-fgs--d7fddg', 'fdgsf---gs7-fgs--d7fddg'],
    [`%%${long}---123`, `${long}1`, 'fdgsf---gs7-fgs--d7fddg1'],
    [
      'chronos with a space AND MIXED CASE-2.0.1',
      'chronoswithaspaceandmixedcase-2-0-1',
      'chronoswithaspaceandmixe',
    ],
    [
      'chronos with a space AND----------MIXED--',
      'chronoswithaspaceand----------mixed',
      'chronoswithaspaceandmixe',
    ],
    [`hello${'-'.repeat(56)}f`, `hello${'-'.repeat(56)}f`, 'hellof'],
    [`hello${'-'.repeat(58)}f`, 'hellof', 'hellof'],
  ]
  for (const [name, rfc1123, rfc952] of cases) {
    t.equal(mangleLabel(name), rfc1123, `${name} by RFC 1123`)
    t.equal(mangleLabel(name, 'rfc952'), rfc952, `${name} by RFC 952`)
  }
})

t.test('mangleLabel() by RFC 952 begins with a letter and ends with none too many', async () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), name =>
      /^(?:[a-z][a-z0-9-]{0,23})?$/.test(mangleLabel(name, 'rfc952')),
    ),
  )
})

t.test('mangleLabel() always gives a label or nothing', async () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), name => /^[a-z0-9-]{0,63}$/.test(mangleLabel(name))),
  )
})

t.test('mangleLabel() leaves labels as they are', async () => {
  const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
  fc.assert(fc.property(label, name => mangleLabel(name) === name))
})

t.test('namesOfApp() reverses the path', async t => {
  const cases: [id: string, dotted: string, dashed: string, exact: boolean][] = [
    ['/web', 'web', 'web', true],
    ['/shop/web', 'web.shop', 'web-shop', true],
    ['/product/service/web', 'web.service.product', 'web-service-product', true],
    ['/shop/web.v2', 'web.v2.shop', 'web-v2-shop', true],
    [`/${'a'.repeat(70)}`, 'a'.repeat(63), 'a'.repeat(63), false],
  ]
  for (const [id, dotted, dashed, exact] of cases) {
    t.strictSame(namesOfApp(appId(id)), { dotted, dashed, exact }, id)
  }
})

t.test('serviceNamesOf() turns the rule of the Kubernetes importer around', async t => {
  const cases: [id: string, service: string, namespace: string, exact: boolean][] = [
    ['/web', 'web', 'default', true],
    ['/shop/web', 'web', 'shop', true],
    ['/default/web', 'web', 'default', false],
    ['/eu/shop/web', 'web', 'shop-eu', false],
    ['/shop/web.v2', 'web-v2', 'shop', false],
  ]
  for (const [id, service, namespace, exact] of cases) {
    t.strictSame(serviceNamesOf(appId(id)), { service, namespace, exact }, id)
  }
})
