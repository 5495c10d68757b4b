import t from 'tap'
import { FakeEngine, type FakeBehaviour } from '../../src/runtime/fake-engine.ts'
import { createFakeRuntime, type FakeTimers } from '../../src/runtime/fake-runtime.ts'
import { testRuntime, type Role } from './conformance.ts'
import { Events, makeLaunch, unhurried } from './launches.ts'

const realTimers: FakeTimers = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, then) {
    const timer = setTimeout(then, delayMs)
    return () => clearTimeout(timer)
  },
}

/** What a fake task does when its command is the name of a role. */
const ROLES: Readonly<Record<Role | 'impossible', FakeBehaviour>> = {
  obeys: { stopCode: 7, output: [{ atMs: 0, stream: 'stdout', text: 'ready\n' }] },
  ignores: { stopMs: Infinity, output: [{ atMs: 0, stream: 'stdout', text: 'ready\n' }] },
  ends: { exitAfterMs: 0, exitCode: 3 },
  prints: {
    exitAfterMs: 5,
    output: [
      { atMs: 0, stream: 'stdout', text: 'one\n' },
      { atMs: 1, stream: 'stderr', text: 'oops\n' },
      { atMs: 2, stream: 'stdout', text: 'two\n' },
      { atMs: 3, stream: 'stdout', text: 'three\n' },
    ],
  },
  'goes on': {
    exitAfterMs: 200,
    output: [
      { atMs: 0, stream: 'stdout', text: 'early\n' },
      { atMs: 100, stream: 'stdout', text: 'late\n' },
    ],
  },
  impossible: {
    startMs: 5,
    failure: { code: 'image-missing', message: 'nosuch:1 is not found', temporary: false },
  },
}

const script = ({ spec }: { spec: { command?: unknown } }): FakeBehaviour => ({
  ...ROLES[spec.command as Role],
  exec: command =>
    command === 'hang' ? { exitCode: 0, takesMs: 60_000 } : { exitCode: 4, takesMs: 0 },
})

t.test('fake runtime: conformance', async t => {
  const engine = new FakeEngine({ script })
  testRuntime(t, {
    open: async cluster => createFakeRuntime({ engine, cluster, timers: realTimers }),
    app: role => ({ command: role }),
    impossible: { app: { command: 'impossible' }, code: 'image-missing' },
    commands: { exits4: ['exit', '4'], hangs: 'hang' },
  })
})

t.test('fake engine: time passes only when it is told to', async t => {
  const engine = new FakeEngine({ script: () => ({ startMs: 10, exitAfterMs: 30, exitCode: 1 }) })
  const launch = makeLaunch({ command: 'x' })
  t.equal(engine.start('c', launch, 0), undefined)
  t.equal(engine.nextAtMs, 10)
  t.strictSame(engine.list('c'), [], 'a task that is on its way does not run')
  t.strictSame(engine.advance(9), [])
  t.strictSame(
    engine.advance(1000).map(({ kind }) => kind),
    ['started', 'exited'],
    'all that was due, in its order',
  )
  t.equal(engine.nextAtMs, Infinity)
  t.match(engine.list('c'), [{ running: false, exitCode: 1, startedAtMs: 0 }])
})

t.test('fake engine: a crash and a stranger on a port', async t => {
  const engine = new FakeEngine()
  const ports = [{ name: '', protocol: 'tcp', containerPort: 80, hostPort: 80 }] as const
  const launch = makeLaunch({ command: 'x' }, { ports })
  engine.occupied.add('tcp 80')
  t.match(engine.start('c', launch, 0), { code: 'port-taken' })
  engine.occupied.clear()
  t.equal(engine.start('c', launch, 0), undefined)
  engine.advance(0)
  engine.crash('c', launch.task, 139, 5)
  t.match(engine.advance(5), [{ kind: 'exited', exitCode: 139 }])
})

t.test('fake runtime: an outage hides exits, and the list after it shows them', async t => {
  const engine = new FakeEngine()
  const runtime = createFakeRuntime({ engine, cluster: 'c', timers: realTimers })
  t.teardown(() => runtime.close())
  const events = new Events(runtime)
  const launch = makeLaunch({ command: 'x' })
  await runtime.start(launch, unhurried())

  runtime.setReachable(false)
  await events.find(({ kind }) => kind === 'unreachable')
  await t.rejects(runtime.list(), { code: 'unreachable', temporary: true })
  engine.crash('c', launch.task, 1, realTimers.nowMs())
  runtime.setReachable(true)
  await events.find(({ kind }) => kind === 'reachable')
  t.match(await runtime.list(), [{ task: launch.task, running: false, exitCode: 1 }])
})
