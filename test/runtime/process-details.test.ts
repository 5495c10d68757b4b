/** What plain processes do beyond what every runtime must. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { AppInput } from '../../src/model/app.ts'
import { startProcessRuntime } from '../../src/runtime/process-runtime.ts'
import { isAlive, parseStat } from '../../src/runtime/process-identity.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import { Events, freePort, makeLaunch, readLog, unhurried } from './launches.ts'

async function open(t: Test): Promise<Runtime> {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-details-'))
  const runtime = await startProcessRuntime({ dir, cluster: 'c', address: '127.0.0.1' })
  t.teardown(async () => {
    for (const { task } of await runtime.list()) await runtime.stop(task, { graceMs: 0 })
    await runtime.close()
    rmSync(dir, { recursive: true, force: true })
  })
  return runtime
}

/** Runs an app to its end, and gives what it printed. */
async function outputOf(
  runtime: Runtime,
  app: Omit<AppInput, 'id'>,
  env: Record<string, string> = {},
): Promise<string> {
  const launch = makeLaunch(app, { env })
  await runtime.start(launch, unhurried())
  const signal = AbortSignal.timeout(20_000)
  const { stdout, stderr } = await readLog(runtime.logs(launch.task, { follow: true, signal }))
  return stdout + stderr
}

t.test('process: its environment is its own, and holds nothing of the daemon', async t => {
  const runtime = await open(t)
  process.env['SECRET_OF_THE_DAEMON'] = 'x'
  const names = (await outputOf(runtime, { command: ['env'] }, { PORT0: '31000' }))
    .split('\n')
    .map(line => line.split('=')[0] ?? '')
    .filter(name => name !== '' && name !== 'PWD')
  t.strictSame(names.toSorted(), ['HOME', 'LANG', 'PATH', 'PORT0', 'SHOAL_TASK_DIR'])
})

t.test('process: arguments arrive as they were written', async t => {
  const runtime = await open(t)
  const args = ['a b', '"', "'", '$HOME', '*', '', '\\n', 'ü']
  const command = ['printf', '<%s>', ...args]
  t.equal(await outputOf(runtime, { command }), args.map(arg => `<${arg}>`).join(''))
})

t.test('process: a list names a program, never a word of the shell', async t => {
  const runtime = await open(t)
  await t.rejects(runtime.start(makeLaunch({ command: ['exit', '0'] }), unhurried()), {
    code: 'bad-spec',
    message: /no such executable/,
  })
})

t.test('process: what cannot be a process is refused', async t => {
  const runtime = await open(t)
  const cases: [Omit<AppInput, 'id'>, Record<string, string>, RegExp][] = [
    [{ command: 'x', user: 'no-such-user' }, {}, /no such user/],
    [{ command: 'x', workdir: '/no/such/folder' }, {}, /ENOENT/],
    [{ command: 'x', workdir: 'here' }, {}, /absolute/],
    [{ command: 'x' }, { 'a.b': '1' }, /"a.b"/],
    [{ image: 'x' }, {}, /has no command/],
  ]
  for (const [app, env, message] of cases) {
    await t.rejects(runtime.start(makeLaunch(app, { env }), unhurried()), {
      code: 'bad-spec',
      temporary: false,
      message,
    })
  }
  t.strictSame(await runtime.list(), [])
})

t.test('process: another user', async t => {
  if (process.getuid?.() !== 0) {
    t.pass('only root can become another user', { skip: 'not root' })
    return
  }
  const runtime = await open(t)
  const command = 'id -u; id -G; touch here && echo may write'
  t.equal(
    await outputOf(runtime, { command, user: 'nobody' }),
    '65534\n65534\nmay write\n',
    'without the groups of root, in a folder of its own',
  )
})

t.test('process: what a task leaves behind ends with it', async t => {
  const runtime = await open(t)
  const command = 'setsid sleep 1000 & echo $!; sleep 1000 & echo $!; sleep 0.3'
  const launch = makeLaunch({ command })
  const events = new Events(runtime)
  await runtime.start(launch, unhurried())
  const signal = AbortSignal.timeout(20_000)
  const log = runtime.logs(launch.task, { follow: true, signal })
  const { stdout } = await readLog(log, seen => seen.stdout.split('\n').length === 3)
  const left = stdout
    .trim()
    .split('\n')
    .map(pid => parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))!)
  t.equal(left.length, 2)
  await events.exitOf(launch.task)
  for (const identity of left) {
    // A killed process takes a moment to go.
    for (const deadlineMs = Date.now() + 5000; isAlive(identity) && Date.now() < deadlineMs;) {
      await new Promise(resolve => setImmediate(resolve))
    }
    t.notOk(isAlive(identity))
  }
})

t.test('process: a port that a stranger has is taken', async t => {
  const runtime = await open(t)
  const port = await freePort()
  const stranger = createServer().listen(port.hostPort, '127.0.0.1')
  await once(stranger, 'listening')
  t.teardown(() => stranger.close())
  await t.rejects(runtime.start(makeLaunch({ command: 'x' }, { ports: [port] }), unhurried()), {
    code: 'port-taken',
    temporary: true,
  })
})
