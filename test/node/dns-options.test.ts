/** What an operator can choose of DNS: what is taken, what is refused, and what becomes of it. */

import t from 'tap'
import { listenAddresses, nodeOptions, type NodeOptions } from '../../src/node/options.ts'
import { dnsRules, type OwnInterface } from '../../src/node/open-dns.ts'

const own: readonly OwnInterface[] = [
  { name: 'lo', address: '127.0.0.1', cidr: '127.0.0.1/8' },
  { name: 'eth0', address: '198.51.100.7', cidr: '198.51.100.7/24' },
  { name: 'docker0', address: '192.0.2.1', cidr: '192.0.2.1/25' },
  { name: 'br-0123456789ab', address: '203.0.113.1', cidr: '203.0.113.1/26' },
  { name: 'podman0', address: '2001:db8::1', cidr: null },
  { name: 'br-lan', address: '203.0.113.129', cidr: '203.0.113.129/26' },
]

function rulesOf(choices: Partial<NodeOptions> = {}): ReturnType<typeof dnsRules> {
  return dnsRules(nodeOptions({ advertise: '198.51.100.7', ...choices }), own)
}

t.test('by default the host’s resolvers are asked, for private networks and containers', t => {
  const rules = rulesOf()
  t.strictSame(rules.forward, { fallback: 'host', zones: new Map() })
  t.match(rules, { workers: 1, answersPerSecond: 200 })
  t.ok(rules.home?.includes('10.0.0.0/8'))
  t.ok(rules.home?.includes('192.0.2.1/25'), 'a bridge of Docker')
  t.ok(rules.home?.includes('203.0.113.1/26'), 'another')
  t.notOk(rules.home?.includes('198.51.100.7/24'), 'not the network that the machine is in')
  t.notOk(rules.home?.includes('203.0.113.129/26'), 'not a bridge of somebody’s own')
  t.strictSame(
    rules.local,
    own.map(({ address }) => address),
  )
  t.strictSame(
    rules.transfer,
    ['127.0.0.0/8', '::1', ...rules.local!],
    'whole zones are for this machine',
  )
  t.end()
})

t.test('each choice reaches the server', t => {
  const rules = rulesOf({
    dnsForward: ['192.0.2.53', 'corp.example=[2001:db8::53]:5353'],
    dnsAllow: ['198.51.100.0/24'],
    dnsTransfer: ['198.51.100.9'],
    dnsWorkers: 2,
    dnsRateLimit: 0,
  })
  t.strictSame(rules.forward, {
    fallback: [{ address: '192.0.2.53', port: 53 }],
    zones: new Map([['corp.example', [{ address: '2001:db8::53', port: 5353 }]]]),
  })
  t.strictSame(rules.home, ['198.51.100.0/24'], 'in place of the default')
  t.ok(rules.transfer?.includes('198.51.100.9'), 'beside the default')
  t.match(rules, { workers: 2, answersPerSecond: 0 })
  t.end()
})

t.test('"none" is nobody', t => {
  t.notOk('forward' in rulesOf({ dnsForward: ['none'] }))
  t.match(rulesOf({ dnsForward: ['none', 'corp.example=192.0.2.53'] }).forward, { fallback: [] })
  t.strictSame(rulesOf({ dnsAllow: ['none'] }).home, [])
  t.strictSame(rulesOf({ dnsTransfer: ['none'] }).transfer, rulesOf().transfer)
  t.end()
})

t.test('what cannot be is one line that says what can', t => {
  const cases: readonly [choices: Partial<NodeOptions>, message: RegExp][] = [
    [
      { dnsForward: ['dns.example'] },
      /^--dns-forward must be "none", an IP address .*, got dns\.example$/,
    ],
    [{ dnsForward: Array<string>(9).fill('192.0.2.1') }, /^--dns-forward names more than 8/],
    [
      { dnsAllow: ['10.0.0.0/33'] },
      /^--dns-allow must be IP networks such as .*, got 10\.0\.0\.0\/33$/,
    ],
    [{ dnsTransfer: ['monitor'] }, /^--dns-transfer must be IP networks .*, got monitor$/],
    [{ dnsWorkers: 0 }, /^--dns-workers must be from 1 to 16, got 0$/],
    [{ dnsWorkers: 1.5 }, /^--dns-workers must be from 1 to 16, got 1\.5$/],
    [{ dnsRateLimit: -1 }, /^--dns-rate-limit must be from 0 to 1000000, got -1$/],
    [{ dnsTtlSeconds: 61 }, /^--dns-ttl must be from 0 to 60, got 61$/],
  ]
  for (const [choices, message] of cases) {
    t.throws(() => rulesOf(choices), { name: 'OptionError', message })
  }
  t.end()
})

t.test('listenAddresses() has each address of this machine, or all of a kind', t => {
  const cases: [choices: readonly string[], expected: readonly string[]][] = [
    [['127.0.0.1'], ['127.0.0.1']],
    [
      ['127.0.0.1', '::1', '127.0.0.1'],
      ['127.0.0.1', '::1'],
    ],
    [['198.51.100.7'], ['0.0.0.0']],
    [
      ['127.0.0.1', '198.51.100.7', '::1'],
      ['0.0.0.0', '::1'],
    ],
    [
      ['127.0.0.1', '2001:db8::7', '2001:db8::8', '::1'],
      ['127.0.0.1', '::'],
    ],
  ]
  for (const [[advertise, ...advertiseAlso], expected] of cases) {
    t.strictSame(listenAddresses({ advertise: advertise!, advertiseAlso }), expected)
  }
  t.end()
})
