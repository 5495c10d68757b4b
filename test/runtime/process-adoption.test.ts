/** What a new daemon makes of the folders and processes that an old one left. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { TaskId } from '../../src/model/ids.ts'
import { BoundedLog } from '../../src/runtime/bounded-log.ts'
import { isAlive, readBootId } from '../../src/runtime/process-identity.ts'
import { startProcessRuntime } from '../../src/runtime/process-runtime.ts'
import { spawnWrapped } from '../../src/runtime/process-wrapper.ts'
import { makeTaskDir, taskDirOf, type TaskMeta } from '../../src/runtime/task-dir.ts'
import { abandon, readExit } from '../../src/runtime/task-pid.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import { Events, makeLaunch } from './launches.ts'

/** A folder that is gone at the end of the test. */
function tempDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-adopt-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function open(t: Test, dir: string): Promise<Runtime> {
  const runtime = await startProcessRuntime({ dir, cluster: 'c' })
  t.teardown(async () => {
    for (const { task } of await runtime.list()) {
      await runtime.stop(task, { graceMs: 0 })
      await runtime.remove(task)
    }
    await runtime.close()
  })
  return runtime
}

/** Starts a task by a daemon of its own, and kills that daemon hard. */
async function startAndKillDaemon(dir: string, command: string): Promise<TaskId> {
  const script = fileURLToPath(new URL('process-daemon.ts', import.meta.url))
  const daemon = spawn(process.execPath, [script, dir, command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = (await once(daemon.stdout, 'data', {
    signal: AbortSignal.timeout(20_000),
  })) as [Buffer]
  daemon.kill('SIGKILL')
  await once(daemon, 'exit')
  return String(said).trim() as TaskId
}

/** Makes the folder of a task as a daemon does before it starts the process. */
async function makeMeta(dir: string, more: Partial<TaskMeta> = {}): Promise<TaskMeta> {
  const { task, slot, revision } = makeLaunch({ command: 'x' })
  const startedAtMs = Date.now()
  const meta: TaskMeta = {
    version: 1,
    cluster: 'c',
    task,
    slot,
    revision,
    work: '',
    ports: [],
    cwd: '/',
    startedAtMs,
    bootId: readBootId(),
    ...more,
  }
  await makeTaskDir(taskDirOf(dir, task), meta)
  return meta
}

t.test('adoption: a daemon is killed, and its task runs on under the next', async t => {
  const dir = tempDir(t)
  const task = await startAndKillDaemon(dir, "trap 'exit 9' TERM; sleep 1000 & wait")
  const runtime = await open(t, dir)
  const events = new Events(runtime)
  t.match(await runtime.list(), [{ task, running: true }])
  t.equal(await runtime.exec(task, 'exit 6', { timeoutMs: 10_000 }), 6)
  await runtime.stop(task, { graceMs: 10_000 })
  t.equal(await events.exitOf(task), 9, 'its exit code is known to those who never were its parent')
})

t.test('adoption: a task that ends while no daemon runs ends with its own code', async t => {
  const dir = tempDir(t)
  const task = await startAndKillDaemon(dir, 'sleep 0.5; exit 5')
  const taskDir = taskDirOf(dir, task)
  const watcher = watch(taskDir)
  t.teardown(() => watcher.close())
  const signal = AbortSignal.timeout(10_000)
  for (;;) {
    const changed = once(watcher, 'change', { signal })
    if (readExit(taskDir) !== undefined) {
      changed.catch(() => undefined)
      watcher.close()
      break
    }
    await changed
  }
  const runtime = await open(t, dir)
  const events = new Events(runtime)
  t.match(await runtime.list(), [{ task, running: false, exitCode: 5 }])
  t.strictSame(events.all, [])
})

t.test('adoption: an adopted task that ends tells so', async t => {
  const dir = tempDir(t)
  const task = await startAndKillDaemon(dir, 'sleep 1; exit 8')
  const runtime = await open(t, dir)
  t.equal(await new Events(runtime).exitOf(task), 8)
})

t.test('adoption: a pid that was given to somebody else is left alone', async t => {
  const dir = tempDir(t)
  const bystander = spawn('sleep', ['1000'], { stdio: 'ignore' })
  t.teardown(() => bystander.kill('SIGKILL'))
  await once(bystander, 'spawn')
  const { task } = await makeMeta(dir)
  // The same pid, but a start that is long past.
  const fields = Array.from({ length: 49 }, (_, index) => (index === 18 ? '1' : '0'))
  writeFileSync(join(taskDirOf(dir, task), 'pid'), `${bystander.pid} (sh) S ${fields.join(' ')}\n`)
  const runtime = await open(t, dir)
  t.match(await runtime.list(), [{ task, running: false, exitCode: 137 }])
  await runtime.stop(task, { graceMs: 0 })
  await runtime.remove(task)
  t.equal(bystander.exitCode ?? bystander.signalCode, null, 'it still runs')
})

t.test('adoption: what ran before the machine was started again has ended', async t => {
  const dir = tempDir(t)
  const { task } = await makeMeta(dir, { bootId: 'another boot' })
  // Only the boot tells that this process is not meant: pid and start time fit.
  writeFileSync(join(taskDirOf(dir, task), 'pid'), readFileSync('/proc/self/stat'))
  const runtime = await open(t, dir)
  t.match(await runtime.list(), [{ running: false, exitCode: 137 }])
})

t.test(
  'adoption: a start that its daemon did not live to see is given up, for both sides',
  async t => {
    const dir = tempDir(t)
    const { task } = await makeMeta(dir)
    const taskDir = taskDirOf(dir, task)
    t.equal(await abandon(taskDir), undefined, 'no process was first')

    const proof = join(dir, 'it-ran')
    const log = new BoundedLog(join(taskDir, 'log'), { maxBytes: 1000 })
    const late = await spawnWrapped(
      { command: `echo > ${proof}`, cwd: '/', env: {} },
      { dir: taskDir, stdout: log, stderr: log },
    )
    late.ref()
    if (late.exitCode === null) await once(late, 'exit')
    t.equal(late.exitCode, 125, 'the wrapper that comes second ends')
    t.notOk(existsSync(proof), 'and runs nothing')

    const runtime = await open(t, dir)
    t.match(await runtime.list(), [{ task, running: false, exitCode: 137 }])
  },
)

t.test('adoption: a process that was first is kept, though it looked abandoned', async t => {
  const dir = tempDir(t)
  const { task } = await makeMeta(dir)
  const taskDir = taskDirOf(dir, task)
  const log = new BoundedLog(join(taskDir, 'log'), { maxBytes: 1000 })
  const { pid } = await spawnWrapped(
    { command: 'sleep 1000', cwd: '/', env: {} },
    { dir: taskDir, stdout: log, stderr: log },
  )
  const runtime = await open(t, dir)
  const [found] = await runtime.list()
  t.equal(found?.task, task)
  // Either side may have been first; what counts is that they agree.
  const identity = await abandon(taskDir)
  if (found?.running === true) t.match(identity, { pid }, 'both say that it runs')
  else t.ok(identity === undefined || !isAlive(identity), 'both say that it does not')
})

t.test('adoption: a folder without a description, or of another cluster', async t => {
  const dir = tempDir(t)
  const { task: foreign } = await makeMeta(dir, { cluster: 'other' })
  const half = taskDirOf(dir, '/half/made.0@x' as TaskId)
  await makeTaskDir(half, { ...(await makeMeta(dir)) })
  rmSync(join(half, 'meta.json'))
  const runtime = await open(t, dir)
  t.notOk(existsSync(half), 'nothing was started for it: it is removed')
  t.ok(existsSync(taskDirOf(dir, foreign)), 'the other cluster’s is left alone')
  t.equal((await runtime.list()).length, 1)
})
