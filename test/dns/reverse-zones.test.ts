import fc from 'fast-check'
import t from 'tap'
import { reverseName } from '../../src/dns/reverse-zones.ts'
import { createZone } from '../../src/dns/zone.ts'
import { ask, checkNames } from './ask.ts'
import { makeNode, makeView } from './make-view.ts'

const v6 = '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa'

t.test('reverseName() turns an address around', async t => {
  t.equal(reverseName('10.77.0.11'), '11.0.77.10.in-addr.arpa')
  t.equal(reverseName('2001:db8::1'), v6)
  t.equal(reverseName('host'), undefined)
})

t.test('PTR names the nodes of an address, whether they are alive or not', async t => {
  const nodes = [
    makeNode('n1', '10.0.0.1', { addresses: ['10.0.0.1', '2001:db8::1'] }),
    makeNode('n2', '10.0.0.2', { alive: false }),
    makeNode('n3', '10.0.0.1'),
    makeNode('odd', 'host'),
  ]
  checkNames(
    t,
    [],
    {
      '1.0.0.10.in-addr.arpa': [
        'SOA n1.node.shoal',
        'NS n1.node.shoal',
        'PTR n1.node.shoal',
        'PTR n3.node.shoal',
      ],
      '2.0.0.10.in-addr.arpa': ['SOA n1.node.shoal', 'NS n1.node.shoal', 'PTR n2.node.shoal'],
      [v6]: ['SOA n1.node.shoal', 'NS n1.node.shoal', 'PTR n1.node.shoal'],
      // What is around belongs to somebody else; what is below does not exist.
      '3.0.0.10.in-addr.arpa': 'REFUSED',
      '0.0.10.in-addr.arpa': 'REFUSED',
      'in-addr.arpa': 'REFUSED',
      '0.1.0.0.10.in-addr.arpa': 'NXDOMAIN',
      'x.1.0.0.10.in-addr.arpa': 'NXDOMAIN',
    },
    { nodes },
  )
})

t.test('PTR follows the nodes', async t => {
  const zone = createZone(makeView([]))
  const before = zone.find('1.0.0.10.in-addr.arpa')!
  zone.setNodes([makeNode('n9', '10.0.0.1')])
  t.ok(before.structure.stale)
  t.match(ask(zone, '1.0.0.10.in-addr.arpa'), [
    'SOA n1.node.shoal',
    'NS n1.node.shoal',
    'PTR n9.node.shoal',
  ])
  t.equal(ask(zone, '2.0.0.10.in-addr.arpa'), 'REFUSED')
  t.equal(zone.find('1.0.0.10.in-addr.arpa')!.authority, before.authority, 'the same zone')
})

t.test('every address that is given out has a name that leads back to it', async () => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter(text => reverseName(text) !== undefined),
  )
  fc.assert(
    fc.property(fc.uniqueArray(address, { minLength: 1, maxLength: 5 }), addresses => {
      const nodes = addresses.map((one, index) => makeNode(`h${index}`, one))
      const zone = createZone(makeView([], { nodes }))
      return addresses.every((one, index) =>
        ask(zone, reverseName(one)!).includes(`PTR h${index}.node.shoal`),
      )
    }),
  )
})
