import t from 'tap'
import type { EventLine } from '../../src/api/shapes.ts'
import {
  DEADLINE_MS,
  helloApp,
  LoopbackCluster,
  pidsOf,
  until,
  type Daemon,
} from './loopback-cluster.ts'

/** Long enough to tell it from the times that things take. */
const FROZEN_MS = 6_000

t.test('a daemon that freezes and thaws: what may run twice is said, and what did', async t => {
  const cluster = await LoopbackCluster.start(t, 3)
  const [first, , frozen] = cluster.daemons as [Daemon, Daemon, Daemon]
  await first.api.post('/v1/apply', { files: [{ name: 'web', text: helloApp('/web') }] })
  const before = await first.serving('web', 3)
  const there = before.filter(({ node }) => node === 'n3').map(({ slot }) => slot)
  t.ok(there.length > 0, 'it runs some of it')
  const pids = await pidsOf(before)

  process.kill(frozen.pid, 'SIGSTOP')
  const frozenMs = Date.now()
  const status = await until('the others run its slots, too', DEADLINE_MS, async () => {
    const seen = await first.status()
    const [web] = seen.elsewhere
    return web?.slots.every(({ alsoSeen }) => alsoSeen) === true ? seen : undefined
  })
  t.match(status.nodes, { admitted: 3, alive: 2, majority: true, notAlive: [{ name: 'n3' }] })
  t.ok(Math.abs((status.nodes.sinceMs ?? 0) - frozenMs) < 5_000, 'since when it is so')
  t.strictSame(
    status.elsewhere.map(({ app, slots }) => [app, slots.map(({ slot }) => slot)]),
    [['/web', there]],
  )
  t.match(
    await first.must('status'),
    /I see 2 of 3 admitted nodes, since .*\n +n3: dead, no answer for \d+s\n +this side is a majority\nunseen +may still run on n3, .*:\n +\/web: slots? .*; this side runs .*, too\n/,
  )
  t.match(await first.must('ps'), /\/web\.0[^]*unseen +may still run on n3/)

  await until('it was away for long enough', DEADLINE_MS, () =>
    Date.now() - frozenMs > FROZEN_MS ? true : undefined,
  )
  process.kill(frozen.pid, 'SIGCONT')
  const thawedMs = Date.now()
  const healed = await until('the report is there', DEADLINE_MS, async () => {
    const events = await first.api.get<EventLine[]>('/v1/events')
    return events.find(({ kind }) => kind === 'healed')
  })
  t.match(healed, {
    subject: 'n3',
    text: /^is back after .* s: \d slots? ran twice: \/web\.\d on n\d and n3 for /,
  })
  t.strictSame(healed.report?.ranTwice.map(({ slot }) => slot).toSorted(), there)
  for (const { slot, forMs } of healed.report?.ranTwice ?? []) {
    const most = Date.now() - frozenMs
    t.ok(forMs > 500 && forMs < most, `${slot} for ${forMs} of ${most} ms`)
  }
  t.comment(`told ${Date.now() - thawedMs} ms after it thawed: ${healed.text}`)
  const after = await until('every slot is down to one task', DEADLINE_MS, async () => {
    const tasks = await first.serving('web', 3)
    const { elsewhere } = await first.status()
    return elsewhere.length === 0 ? tasks : undefined
  })
  const same = Object.entries(await pidsOf(after)).filter(([slot, pid]) => pids[slot] === pid)
  t.ok(same.length >= 3 - there.length, 'what ran on the others was not touched')
})
