import t from 'tap'
import { availabilityOf, type Probe } from '../../scripts/chaos/clients.ts'
import type { DnsAnswer } from '../../scripts/chaos/dns-watch.ts'
import { Ledger } from '../../scripts/chaos/ledger.ts'
import { measureReaction } from '../../scripts/chaos/measure.ts'
import { pairsOf } from '../../scripts/chaos/once-watch.ts'
import { quantile } from '../../scripts/chaos/report.ts'

const answer = (atMs: number, ...places: string[]): DnsAnswer => ({ atMs, places })
const struck = { beganMs: 1_000, healedMs: 9_000, addresses: ['10.0.0.1'] }
const before = answer(0, '10.0.0.1:1', '10.0.0.2:1')
const out = (atMs: number): DnsAnswer => answer(atMs, '10.0.0.2:1')
const whole = (atMs: number): DnsAnswer => answer(atMs, '10.0.0.2:1', '10.0.0.2:2')

t.test('measureReaction() reads what the last of the others said', async t => {
  const others = [
    [before, out(1_400), whole(4_000)],
    [before, out(1_900), whole(3_000)],
  ]
  t.strictSame(measureReaction(struck, others, 2), { outOfDnsMs: 900, replacedMs: 3_000 })
})

t.test('measureReaction() takes nothing for out that comes back for a while', async t => {
  const others = [[before, out(1_400), answer(2_000, ...before.places!), out(2_600), whole(4_000)]]
  t.strictSame(measureReaction(struck, others, 2), { outOfDnsMs: 1_600, replacedMs: 3_000 })
})

t.test('measureReaction() says nothing of what never came, or came after the end', async t => {
  t.strictSame(measureReaction(struck, [[before]], 2), {})
  t.strictSame(measureReaction(struck, [[before, out(9_500)]], 2), {})
  t.strictSame(measureReaction(struck, [[before, out(1_500), whole(9_500)]], 2), {
    outOfDnsMs: 500,
  })
  t.strictSame(measureReaction(struck, [[whole(0)]], 2), {}, 'no instance was there')
  t.strictSame(
    measureReaction(
      struck,
      [
        [before, out(1_500)],
        [before, { atMs: 2_000, places: undefined }],
      ],
      2,
    ),
    { outOfDnsMs: 1_000 },
    'who does not answer names nothing, and is not whole',
  )
})

const probe = (host: number, atMs: number, more: Partial<Probe> = {}): Probe => ({
  host,
  atMs,
  tookMs: 10,
  ...more,
})

t.test('availabilityOf() counts the clients of hosts that are not away', async t => {
  const probes = [
    ...[0, 100, 200, 300].map(atMs => probe(1, atMs)),
    probe(1, 400, { error: 'refused', secondError: null }),
    probe(1, 500, { error: 'refused', secondError: 'refused' }),
    probe(1, 1_000),
    // Away from 100: the one at 95 lasted into it, those within do not count, nor does the gap over it.
    probe(2, 0),
    probe(2, 95, { error: 'timeout', secondError: 'timeout' }),
    probe(2, 500, { error: 'timeout', secondError: 'timeout' }),
    probe(2, 5_000),
  ]
  t.strictSame(availabilityOf(probes, [{ host: 2, fromMs: 100, toMs: 4_000 }]), {
    requests: 9,
    failed: 2,
    failedTwice: 1,
    percent: (100 * 7) / 9,
    percentWithRetry: (100 * 8) / 9,
    longestGapMs: 700,
  })
  t.match(availabilityOf([], []), { requests: 0, percent: 0 })
})

t.test('Ledger asks for what was acknowledged, and for nothing else', async t => {
  const ledger = new Ledger()
  for (const app of ['/made', '/asked', '/gone', '/going', '/revised']) ledger.ask(app)
  ledger.acknowledge('/made', { onlyHere: true })
  ledger.acknowledge('/gone', { onlyHere: false })
  ledger.acknowledge('/going', { onlyHere: false })
  ledger.acknowledge('/revised', { onlyHere: false, revision: 'a' })
  ledger.acknowledge('/revised', { onlyHere: false, revision: 'b' })
  ledger.askRemoval('/gone')
  ledger.acknowledgeRemoval('/gone', { onlyHere: false })
  ledger.askRemoval('/going')
  t.strictSame(ledger.stats, { asked: 7, acknowledged: 6, onlyHere: 1 })
  t.strictSame(ledger.removable(), ['/made', '/revised'])
  t.strictSame(ledger.revised(), ['/revised'])

  const revisions = new Map([['/revised', new Set(['a', 'b', 'c'])]])
  const well = ['/made', '/revised']
  for (const more of [[], ['/asked'], ['/going'], ['/asked', '/going', '/of-others']]) {
    t.strictSame(ledger.check({ apps: new Set([...well, ...more]), revisions }), [])
  }
  t.strictSame(ledger.check({ apps: new Set(['/revised', '/gone']), revisions }), [
    '/made is not there, and was acknowledged',
    '/gone is there, and its removal was acknowledged',
  ])
  const lacking = new Map([['/revised', new Set(['a'])]])
  t.strictSame(ledger.check({ apps: new Set(well), revisions: lacking }), [
    '/revised lacks revision b, which was acknowledged',
  ])
})

t.test('quantile() gives a value that was measured', async t => {
  t.equal(quantile([3, 1, 2], 0.5), 2)
  t.equal(quantile([4, 3, 2, 1], 0.5), 2)
  t.equal(quantile([1, 2, 3, 4, 5], 0.99), 5)
  t.equal(quantile([7], 0), 7)
  t.equal(quantile([], 0.5), undefined)
})

const on = (host: number, task: string): Parameters<typeof pairsOf>[0][number] => ({
  id: task,
  host,
  task,
  slot: task.slice(0, task.indexOf('@')),
  running: true,
})

t.test('pairsOf() names two tasks of one slot, wherever they run', async t => {
  t.strictSame(pairsOf([on(1, '/a.0@x'), on(2, '/a.1@y'), on(3, '/b.0@z')]), new Set())
  t.strictSame(
    pairsOf([on(3, '/a.0@x'), on(1, '/a.0@y'), on(2, '/b.0@z')]),
    new Set(['/a.0@x on h3 and /a.0@y on h1']),
  )
})
