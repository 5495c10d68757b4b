import { isIP } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { formatAddress, parseAddress } from '../../src/dns/address.ts'

t.test('parseAddress() reads addresses, formatAddress() writes them one way', async t => {
  const cases: [text: string, written: string][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['FE80:0:0:0:0:0:0:1', 'fe80::1'],
    ['2001:db8::', '2001:db8::'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ]
  for (const [text, written] of cases) {
    const bytes = parseAddress(text)
    t.ok(bytes, text)
    t.equal(formatAddress(bytes!), written, text)
  }
})

t.test('parseAddress() refuses whatever is not an address', async t => {
  const cases = [
    '',
    'web',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.01',
    '1.2.3.4.5',
    '-1.0.0.0',
    ':',
    ':::',
    '1::2::3',
  ]
  cases.push(
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    'fe80::1%eth0',
    '12345::',
    '1.2.3.4::',
  )
  for (const text of cases) t.equal(parseAddress(text), undefined, text)
})

t.test('parseAddress() agrees with node:net on what is an address', async () => {
  const v4 = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 3, maxLength: 5 })
  const v6 = fc.array(fc.constantFrom('', '0', '1', 'ffff', 'a0', '10.0.0.1', 'g'), {
    maxLength: 9,
  })
  const text = fc.oneof(
    v4.map(octets => octets.join('.')),
    v6.map(groups => groups.join(':')),
    fc.ipV4(),
    fc.ipV6(),
  )
  fc.assert(
    fc.property(text, address => {
      const length = parseAddress(address)?.length
      return isIP(address) === (length === undefined ? 0 : length === 4 ? 4 : 6)
    }),
    { numRuns: 2_000 },
  )
})

t.test('formatAddress() and parseAddress() are inverse', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc
      .array(fc.constantFrom(0, 0, 1), { minLength: 16, maxLength: 16 })
      .map(all => Uint8Array.from(all)),
  )
  fc.assert(
    fc.property(bytes, address => {
      const again = parseAddress(formatAddress(address))
      return again !== undefined && Buffer.from(again).equals(address)
    }),
  )
})
