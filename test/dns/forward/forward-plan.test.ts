import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  asksNobody,
  parseForwardPlan,
  upstreamsFor,
} from '../../../src/dns/forward/forward-plan.ts'
import { followResolvConf } from '../../../src/dns/forward/host-resolvers.ts'
import {
  formatUpstream,
  parseResolvConf,
  parseUpstream,
} from '../../../src/dns/forward/upstream.ts'

t.test('a resolver is an address, and a port where it is not 53', async t => {
  const cases: [text: string, formatted: string][] = [
    ['10.0.0.1', '10.0.0.1:53'],
    ['10.0.0.1:5353', '10.0.0.1:5353'],
    ['::1', '[::1]:53'],
    ['[fd00::1]:54', '[fd00::1]:54'],
    ['fe80::1%eth0', '[fe80::1%eth0]:53'],
  ]
  for (const [text, formatted] of cases) {
    t.equal(formatUpstream(parseUpstream(text)!), formatted)
    t.strictSame(parseUpstream(formatted), parseUpstream(text))
  }
  const bad = [
    '',
    'ns.example',
    '10.0.0.1:0',
    '10.0.0.1:65536',
    '10.0.0.256',
    '10.0.0.1%eth0',
    '[::1]',
  ]
  for (const text of [...bad, '::1:', 'fe80::1%', 'fe80::1%a/b', '[10.0.0.1:53']) {
    t.equal(parseUpstream(text), undefined, text)
  }
})

t.test('of resolv.conf the resolvers count', async t => {
  const text = [
    '# Generated',
    'search example.com',
    'nameserver 10.0.0.1',
    '  nameserver\t2001:db8::53 ',
    ';nameserver 10.0.0.9',
    'nameserver nonsense',
    'options edns0 ndots:5',
    'nameserver fe80::1%eth0',
  ].join('\n')
  t.strictSame(parseResolvConf(text).map(formatUpstream), [
    '10.0.0.1:53',
    '[2001:db8::53]:53',
    '[fe80::1%eth0]:53',
  ])
  t.strictSame(parseResolvConf(''), [])
  t.equal(parseResolvConf('nameserver 10.0.0.1\n'.repeat(100)).length, 8)
})

t.test('the innermost domain decides whom to ask', async t => {
  const plan = parseForwardPlan([
    'Corp.Example.=10.0.0.1',
    'corp.example=10.0.0.2:5353',
    'secret.corp.example=none',
    '1.1.1.1',
  ])
  const askedOf = (name: string): string[] => {
    const upstreams = upstreamsFor(plan, name)
    return upstreams === 'host' ? ['host'] : upstreams.map(formatUpstream)
  }
  t.strictSame(askedOf('www.corp.example'), ['10.0.0.1:53', '10.0.0.2:5353'])
  t.strictSame(askedOf('corp.example'), ['10.0.0.1:53', '10.0.0.2:5353'])
  t.strictSame(askedOf('a.secret.corp.example'), [])
  t.strictSame(askedOf('example'), ['1.1.1.1:53'])
  t.strictSame(askedOf(''), ['1.1.1.1:53'])
  t.equal(upstreamsFor(parseForwardPlan([]), 'example.com'), 'host')
  t.notOk(asksNobody(plan))
  t.notOk(asksNobody(parseForwardPlan([])))
  t.notOk(asksNobody(parseForwardPlan(['none', 'corp=10.0.0.1'])))
  t.ok(asksNobody(parseForwardPlan(['none', 'corp=none'])))
})

t.test('what says nothing is an error that says what it may be', async t => {
  for (const text of [
    '',
    'nobody',
    '=10.0.0.1',
    'a b=10.0.0.1',
    'corp=',
    'corp=host',
    'a=b=10.0.0.1',
  ]) {
    t.throws(() => parseForwardPlan([text]), { message: /^must be "none", an IP address/ }, text)
  }
  t.throws(() => parseForwardPlan(Array.from({ length: 9 }, (_, index) => `10.0.0.${index}`)), {
    message: /more than 8/,
  })
})

t.test(
  'a changed resolv.conf counts within a second, also one that was put in its place',
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-resolv-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'resolv.conf')
    let nowMs = 0
    let changes = 0
    const current = followResolvConf(
      file,
      () => nowMs,
      () => changes++,
    )
    const now = (): string[] => current().map(formatUpstream)
    t.strictSame(now(), [], 'none, without a file')
    writeFileSync(file, 'nameserver 10.0.0.1\n')
    t.strictSame(now(), [], 'not looked at yet')
    nowMs += 1_000
    t.strictSame(now(), ['10.0.0.1:53'])
    writeFileSync(`${file}.new`, 'nameserver 10.0.0.2\n')
    renameSync(`${file}.new`, file)
    nowMs += 1_000
    t.strictSame(now(), ['10.0.0.2:53'])
    writeFileSync(file, 'nameserver 10.0.0.2\n# the same\n')
    nowMs += 1_000
    t.strictSame(now(), ['10.0.0.2:53'])
    t.equal(changes, 2, 'what names the same is no change')
    rmSync(file)
    nowMs += 1_000
    t.strictSame(now(), [], 'none, when it is gone')
  },
)
