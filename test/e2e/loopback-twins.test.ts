import { cpSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import {
  DEADLINE_MS,
  Daemon,
  helloApp,
  LoopbackCluster,
  pidsOf,
  until,
} from './loopback-cluster.ts'

const OF_THE_MACHINE = new Set(['processes', 'shoal.sock'])

t.test('of two daemons with one key the second ends, and says what to do', async t => {
  const cluster = await LoopbackCluster.start(t, 2)
  const [witness, first] = cluster.daemons as [Daemon, Daemon]
  const files = [{ name: 'web', text: helloApp('/web') }]
  await witness.api.post('/v1/apply', { files })
  const before = await pidsOf(await witness.serving('web', 3))

  const dir = join(cluster.root, 'copy')
  // What it runs is not on the other machine.
  cpSync(first.dir, dir, { recursive: true, filter: path => !OF_THE_MACHINE.has(basename(path)) })
  const second = new Daemon('copy', '127.0.0.3', dir)
  t.teardown(() => second.killNow())
  const startedMs = performance.now()
  await second.begin()
  const exitCode = await until('the second ends', DEADLINE_MS, () =>
    second.isRunning ? undefined : second.exited(),
  )
  t.comment(`it ended ${Math.round(performance.now() - startedMs)} ms after it was started`)
  t.equal(exitCode, 1)
  const said = second.log.filter(line => line.includes('was running with this node'))
  t.ok(said.length >= 2, 'it is in the log, and on standard error for a person')
  t.match(
    said.at(-1),
    /^shoal: another machine, n2 at 127\.0\.0\.2, .* start it with --join TOKEN$/,
  )

  t.ok(first.isRunning, 'the first goes on')
  const after = await pidsOf(await witness.serving('web', 3))
  t.strictSame(after, before, 'and so do its tasks')
  await cluster.whole()
})
