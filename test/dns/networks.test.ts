import t from 'tap'
import { parseAddress } from '../../src/dns/address.ts'
import { createClients } from '../../src/dns/clients.ts'
import {
  createNetworks,
  isNetwork,
  LOOPBACK_NETWORKS,
  PRIVATE_NETWORKS,
} from '../../src/dns/networks.ts'

t.test('a network has the addresses that begin like it', async t => {
  const cases: [network: string, inside: string[], outside: string[]][] = [
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255'], ['11.0.0.0', '9.255.255.255', '::a00:0']],
    ['172.16.0.0/12', ['172.16.0.1', '172.31.255.255'], ['172.15.255.255', '172.32.0.0']],
    ['192.0.2.7', ['192.0.2.7'], ['192.0.2.6', '192.0.2.8']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::']],
    ['fe80::/10', ['fe80::1', 'febf::'], ['fec0::', 'fe7f::']],
    ['2001:db8::/61', ['2001:db8:0:7::1'], ['2001:db8:0:8::']],
    ['::1', ['::1'], ['::', '::2', '0.0.0.1']],
  ]
  for (const [network, inside, outside] of cases) {
    const networks = createNetworks([network])
    for (const address of inside)
      t.ok(networks.has(parseAddress(address)!), `${network} ${address}`)
    for (const address of outside) {
      t.notOk(networks.has(parseAddress(address)!), `${network} ${address}`)
    }
  }
  t.notOk(createNetworks([]).has(parseAddress('10.0.0.1')!))
  t.notOk(createNetworks(PRIVATE_NETWORKS).has(new Uint8Array(0)), 'what is no address is nowhere')
})

t.test('what is no network is said to be none', async t => {
  for (const text of [
    '10.0.0.0/33',
    '10.0.0/8',
    'fc00::/129',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'lan',
  ]) {
    t.notOk(isNetwork(text), text)
    t.throws(() => createNetworks([text]), RangeError)
  }
})

t.test('a client is known by its address', async t => {
  const clientOf = createClients({
    local: createNetworks([...LOOPBACK_NETWORKS, '203.0.113.5']),
    home: createNetworks(PRIVATE_NETWORKS),
    transfer: createNetworks(['10.0.0.9']),
    seed: 1,
  })
  const cases: [address: string, isLocal: boolean, isHome: boolean, mayTransfer: boolean][] = [
    ['127.0.0.1', true, true, false],
    ['203.0.113.5', true, true, false],
    ['10.0.0.9', false, true, true],
    ['::ffff:10.0.0.9', false, true, true],
    ['fe80::1%eth0', false, true, false],
    ['203.0.113.6', false, false, false],
    ['nonsense', false, false, false],
  ]
  for (let round = 0; round < 2; round++) {
    for (const [address, isLocal, isHome, mayTransfer] of cases) {
      t.match(clientOf(address), { isLocal, isHome, mayTransfer }, address)
    }
  }
  t.equal(clientOf('10.0.0.9'), clientOf('10.0.0.9'), 'looked at once')
  const network = (address: string): number => clientOf(address).network
  t.equal(network('10.1.2.3'), network('10.1.2.200'), 'a /24 is one network')
  t.not(network('10.1.2.3'), network('10.1.3.3'))
  t.equal(network('2001:db8:1:200::1'), network('2001:db8:1:2ff:5::9'), 'a /56 is one network')
  t.not(network('2001:db8:1:200::1'), network('2001:db8:1:300::1'))
  const many = Array.from({ length: 10_000 }, (_, index) => `10.${index >> 8}.${index & 255}.1`)
  t.equal(new Set(many.map(network)).size, many.length, 'far apart')
})
