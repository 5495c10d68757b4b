import Docker from 'dockerode'
import t from 'tap'
import { startDockerRuntime } from '../../src/runtime/docker-runtime.ts'
import type { TaskId } from '../../src/model/ids.ts'
import { testRuntime, type Role } from './conformance.ts'
import { importBusybox } from './busybox-image.ts'
import { startEngine } from './docker-engine.ts'
import { Events, makeLaunch, readLog, unhurried } from './launches.ts'

const IMAGE = 'shoal-test:latest'
const COMMANDS: Readonly<Record<Role, string>> = {
  obeys: "trap 'exit 7' TERM; echo ready; sleep 1000 & wait",
  ignores: "trap '' TERM; echo ready; while :; do sleep 1000; done",
  ends: 'exit 3',
  prints: 'echo one; echo oops >&2; echo two; echo three',
  'goes on': 'echo early; sleep 0.3; echo late',
}

// An engine's start and a dozen containers take 15 s, and far longer beside other tests.
t.setTimeout(180_000)
const engine = await startEngine()
if ('skip' in engine) {
  t.pass('Docker tests are skipped', { skip: engine.skip })
} else {
  t.teardown(() => engine.close())
  await importBusybox(engine.socketPath, IMAGE)
  const { socketPath } = engine

  const open = (cluster: string): ReturnType<typeof startDockerRuntime> =>
    startDockerRuntime({ socketPath, cluster, node: 'n' })
  const app = (role: Role): { image: string; command: string } => ({
    image: IMAGE,
    command: COMMANDS[role],
  })

  t.test('docker runtime: conformance', async t => {
    testRuntime(t, {
      open,
      app,
      impossible: { app: { image: 'shoal-test-no-such-image:1' }, code: 'image-missing' },
      commands: { exits4: ['sh', '-c', 'exit 4'], hangs: 'sleep 1000' },
    })
  })

  t.test('docker runtime: a container has the limits and labels that were asked for', async t => {
    const runtime = await open('labels')
    t.teardown(() => runtime.close())
    const launch = makeLaunch(
      {
        ...app('obeys'),
        labels: { team: 'sea', 'shoal.cluster': 'forged' },
        resources: { cpus: 0.5 },
        limits: { cpus: 1, memMb: 64 },
      },
      { env: { GREETING: 'hello world' } },
    )
    await runtime.start(launch, unhurried())
    const docker = new Docker({ socketPath })
    const label = [`shoal.task=${launch.task}`]
    const [listed] = await docker.listContainers({ filters: { label } })
    const { Config: config, HostConfig: host } = await docker.getContainer(listed!.Id).inspect()
    t.match(config.Labels, { team: 'sea', 'shoal.cluster': 'labels', 'shoal.slot': launch.slot })
    t.match(host, { CpuShares: 512, NanoCpus: 1e9, Memory: 64 * 1024 * 1024 })
    t.match(host.RestartPolicy, { Name: 'no' })
    t.match(host.LogConfig, { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } })
    const inside = ['sh', '-c', '[ "$GREETING" = "hello world" ]']
    t.equal(await runtime.exec(launch.task, inside, { timeoutMs: 20_000 }), 0)
    await runtime.stop(launch.task, { graceMs: 0 })
    await runtime.remove(launch.task)
  })

  t.test('docker runtime: a command that is not in the image is no temporary error', async t => {
    const runtime = await open('missing-command')
    t.teardown(() => runtime.close())
    const launch = makeLaunch({ image: IMAGE, command: ['no-such-program'] })
    await t.rejects(runtime.start(launch, unhurried()), { code: 'bad-spec', temporary: false })
    t.strictSame(await runtime.list(), [])
  })

  t.test('docker runtime: a pull tells that it is under way, and why it fails', async t => {
    const runtime = await open('pull')
    t.teardown(() => runtime.close())
    const told: string[] = []
    const options = { ...unhurried(), onProgress: (message: string) => told.push(message) }
    const forced = makeLaunch({ image: 'localhost:1/web:7', command: 'x', forcePull: true })
    await t.rejects(runtime.start(forced, options), {
      code: 'image-missing',
      message: /localhost:1/,
    })
    t.strictSame(told, ['pulling localhost:1/web:7'])
  })

  t.test('docker runtime: two paths that read the same get names of their own', async t => {
    const runtime = await open('names')
    t.teardown(() => runtime.close())
    const twins = ['/a/b.0@same', '/a-b.0@same'].map(task =>
      makeLaunch(app('obeys'), { task: task as TaskId }),
    )
    for (const launch of twins) await runtime.start(launch, unhurried())
    t.equal((await runtime.list()).length, 2)
    await Promise.all(twins.map(({ task }) => runtime.stop(task, { graceMs: 0 })))
    await Promise.all(twins.map(({ task }) => runtime.remove(task)))
  })

  t.test('docker runtime: a terminal has no frames', async t => {
    const runtime = await open('tty')
    t.teardown(() => runtime.close())
    const launch = makeLaunch({ image: IMAGE, command: 'echo one; echo two >&2', tty: true })
    const events = new Events(runtime)
    await runtime.start(launch, unhurried())
    t.equal(await events.exitOf(launch.task), 0)
    const signal = AbortSignal.timeout(20_000)
    const log = await readLog(runtime.logs(launch.task, { follow: false, signal }))
    t.strictSame(log, { stdout: 'one\r\ntwo\r\n', stderr: '' })
    await runtime.remove(launch.task)
  })

  t.test('docker runtime: the engine is killed and comes back', async t => {
    if (!engine.isOurs) {
      t.pass('an engine of others is not ours to kill', { skip: 'not ours to kill' })
      return
    }
    const runtime = await open('outage')
    t.teardown(() => runtime.close())
    const events = new Events(runtime)
    const launch = makeLaunch(app('obeys'))
    await runtime.start(launch, unhurried())

    await engine.kill()
    await events.find(({ kind }) => kind === 'unreachable')
    await t.rejects(runtime.list(), { code: 'unreachable', temporary: true })
    await t.rejects(runtime.start(makeLaunch(app('obeys')), unhurried()), { code: 'unreachable' })
    const later = await open('outage')
    t.teardown(() => later.close())
    const early = new Events(later)
    await early.find(({ kind }) => kind === 'unreachable')

    await engine.restart()
    await Promise.all([events, early].map(one => one.find(({ kind }) => kind === 'reachable')))
    t.match(
      await runtime.list(),
      [{ task: launch.task, running: false, exitCode: Number }],
      'without live-restore the engine ends what its predecessor ran, and the list says so',
    )
    await runtime.remove(launch.task)
    const next = makeLaunch(app('ends'))
    await runtime.start(next, unhurried())
    t.equal(await events.exitOf(next.task), 3, 'events are heard again')
    await runtime.remove(next.task)
  })
}

t.test('docker runtime: a node without an engine says so', async t => {
  const runtime = await startDockerRuntime({
    socketPath: '/nonexistent/docker.sock',
    cluster: 'c',
    node: 'n',
  })
  t.teardown(() => runtime.close())
  const events = new Events(runtime)
  t.match(await events.find(({ kind }) => kind === 'unreachable'), {
    message: /no Docker engine at \/nonexistent\/docker.sock/,
  })
  await t.rejects(runtime.list(), { code: 'unreachable', temporary: true, message: /^[^\n]+$/ })
})
