/** The watchdog with real processes: its own, the daemons that die, and the tasks that must end. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { TaskId } from '../../src/model/ids.ts'
import {
  findByEnvironment,
  isAlive,
  readBootId,
  signalProcess,
} from '../../src/runtime/process-identity.ts'
import { MARK } from '../../src/runtime/process-program.ts'
import { taskDirOf } from '../../src/runtime/task-dir.ts'
import { readPid } from '../../src/runtime/task-pid.ts'
import { readOrders } from '../../src/runtime/watchdog.ts'
import type { Launch } from '../../src/runtime/runtime.ts'
import { SheetWriter } from '../../src/runtime/watchdog-sheet.ts'
import { Events, makeLaunch, unhurried } from './launches.ts'
import {
  dataDir,
  gone,
  holderIn,
  logIn,
  monotonicMs,
  openProcesses,
  openWatchdog,
  orderOf,
  passUntil,
  startDaemon,
  until,
} from './watchdog-rig.ts'

t.setTimeout(180_000)

/** A task may end so long after its time on a machine that runs other tests, too. Alone, it is 5 ms. */
const LATE_MS = 1_500

const MAIN = fileURLToPath(new URL('../../src/runtime/watchdog-main.ts', import.meta.url))

/** When a task's first process was gone. The runtime tells of one that was killed only at its next poll. */
async function endOf(dir: string, task: TaskId): Promise<number> {
  const leader = readPid(taskDirOf(join(dir, 'processes'), task))!
  return (await until(`${task} ends`, () => (isAlive(leader) ? undefined : true))).atMs
}

/** Starts a watchdog by hand, as a test's own. */
async function startMain(dir: string): Promise<{ word: string; code: number | null }> {
  const child = spawn(process.execPath, [MAIN, join(dir, 'watchdog')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  if (child.exitCode === null) await once(child, 'exit')
  return { word: String(said).trim(), code: child.exitCode }
}

t.test('watchdog: a killed daemon’s task ends at its time, and not before', async t => {
  const dir = dataDir(t)
  const daemon = await startDaemon(t, {
    dir,
    app: { command: 'sleep 1000' },
    runMs: 3_000,
    graceMs: 2_000,
  })
  await daemon.kill()
  const watchdog = holderIn(dir)
  t.ok(watchdog !== undefined, 'the watchdog outlives its daemon')
  const runtime = await openProcesses(t, dir)
  const events = new Events(runtime)
  t.match(await runtime.list(), [{ task: daemon.task, running: true }])
  t.equal(await events.exitOf(daemon.task), 143, 'it was asked, and ended')
  const lateMs = monotonicMs() - daemon.stopAtMs
  t.ok(lateMs >= 0 && lateMs < LATE_MS, `it ended ${lateMs} ms after its time`)
  await gone(watchdog!)
  t.match(logIn(dir), /is to end.*\n.*has ended\n.*nobody needs it\n$/, 'and then it ends itself')
})

t.test('watchdog: each renewal puts the end off', async t => {
  const dir = dataDir(t)
  const [watchdog, runtime] = [await openWatchdog(t, dir), await openProcesses(t, dir)]
  const events = new Events(runtime)
  const launch = makeLaunch({ command: 'sleep 1000' })
  let order = orderOf(launch, 3_000)
  await watchdog.keep([order])
  await runtime.start(launch, unhurried())
  const pid = holderIn(dir)?.pid
  for (let renewal = 0; renewal < 15; renewal++) {
    await passUntil(monotonicMs() + 400)
    order = orderOf(launch, 3_000)
    await watchdog.keep([order])
  }
  t.equal(events.countExits(launch.task), 0, 'twice its first time has passed')
  t.equal(holderIn(dir)?.pid, pid, 'and one process did it all')
  await events.exitOf(launch.task)
  const lateMs = monotonicMs() - order.stopAtMs
  t.ok(lateMs >= 0 && lateMs < LATE_MS, `it ended ${lateMs} ms after the last`)
})

t.test('watchdog: an order that is left out is no more', async t => {
  const dir = dataDir(t)
  const [watchdog, runtime] = [await openWatchdog(t, dir), await openProcesses(t, dir)]
  const [kept, freed] = [
    makeLaunch({ command: 'sleep 1000' }),
    makeLaunch({ command: 'sleep 1000' }),
  ]
  const orders = [orderOf(kept, 4_000), orderOf(freed, 4_000)]
  await watchdog.keep(orders)
  await runtime.start(kept, unhurried())
  await runtime.start(freed, unhurried())
  await watchdog.keep(orders.slice(0, 1))
  await new Events(runtime).exitOf(kept.task)
  const running = (await runtime.list()).filter(found => found.running)
  t.strictSame(
    running.map(({ task }) => task),
    [freed.task],
  )
})

t.test('watchdog: who does not end is killed after the grace, and all that it left', async t => {
  const dir = dataDir(t)
  const [watchdog, runtime] = [await openWatchdog(t, dir), await openProcesses(t, dir)]
  const stray = "setsid sh -c 'trap : TERM; while :; do sleep 1; done'"
  const launch = makeLaunch({ command: `trap '' TERM; ${stray} & while :; do sleep 1; done` })
  const order = orderOf(launch, 500, { graceMs: 700 })
  await watchdog.keep([order])
  await runtime.start(launch, unhurried())
  const taskDir = taskDirOf(join(dir, 'processes'), launch.task)
  await until('the stray runs', () =>
    findByEnvironment(MARK, taskDir).length > 2 ? true : undefined,
  )
  const lateMs = (await endOf(dir, launch.task)) - order.stopAtMs - order.graceMs
  t.ok(lateMs >= 0 && lateMs < LATE_MS, `it was killed ${lateMs} ms after its grace`)
  await until('it said so', () => (logIn(dir).includes('has ended') ? true : undefined))
  t.strictSame(findByEnvironment(MARK, taskDir), [])
})

t.test('watchdog: one that was frozen acts within half a second of its thaw', async t => {
  const dir = dataDir(t)
  const told = {
    dir,
    app: { command: "trap '' TERM; while :; do sleep 1; done" },
    runMs: 1_500,
    graceMs: 0,
  }
  const daemon = await startDaemon(t, told)
  await daemon.kill()
  const runtime = await openProcesses(t, dir)
  process.kill(holderIn(dir)!.pid, 'SIGSTOP')
  await passUntil(daemon.stopAtMs + 500)
  t.match(await runtime.list(), [{ running: true }], 'a frozen one does nothing')
  const thawedMs = monotonicMs()
  process.kill(holderIn(dir)!.pid, 'SIGCONT')
  const lateMs = (await endOf(dir, daemon.task)) - thawedMs
  t.ok(lateMs < LATE_MS, `the task was gone ${lateMs} ms after the thaw`)
})

t.test('watchdog: one that was killed comes back, and does its work', async t => {
  const dir = dataDir(t)
  const told: string[] = []
  const watchdog = await openWatchdog(t, dir, { log: message => told.push(message) })
  const runtime = await openProcesses(t, dir)
  const events = new Events(runtime)
  const launch = makeLaunch({ command: 'sleep 1000' })
  const order = orderOf(launch, 3_000)
  await watchdog.keep([order])
  await runtime.start(launch, unhurried())
  const first = holderIn(dir)!
  process.kill(first.pid, 'SIGKILL')
  await gone(first)
  await until('another is there', () => (holderIn(dir) === undefined ? undefined : true))
  t.strictSame(told, ['the watchdog is gone: it is started again'])
  await events.exitOf(launch.task)
  const lateMs = monotonicMs() - order.stopAtMs
  t.ok(lateMs >= 0 && lateMs < LATE_MS, `it ended ${lateMs} ms after its time`)
})

t.test('watchdog: a new daemon takes over the watchdog and the orders of the old one', async t => {
  const dir = dataDir(t)
  const app = { command: 'sleep 1000' }
  const daemon = await startDaemon(t, { dir, app, runMs: 4_000, graceMs: 2_000 })
  const before = holderIn(dir)
  await daemon.kill()
  const nowMs = monotonicMs()
  const orders = readOrders(dir, { cluster: 'c', nowMs })
  t.match(orders, [{ task: daemon.task, token: 1, runtime: 'process', graceMs: 2_000 }])
  // By another clock, too, the time that is left is the same.
  const [shifted] = readOrders(dir, { cluster: 'c', nowMs: 1_000_000 })
  const leftMs = daemon.stopAtMs - nowMs
  t.ok(Math.abs(orders[0]!.stopAtMs - daemon.stopAtMs) < 50)
  t.ok(Math.abs(shifted!.stopAtMs - 1_000_000 - leftMs) < 50)
  t.strictSame(readOrders(dir, { cluster: 'other', nowMs }), [], 'another cluster’s are not')
  const [watchdog, runtime] = [await openWatchdog(t, dir), await openProcesses(t, dir)]
  const events = new Events(runtime)
  await watchdog.keep([{ ...orders[0]!, stopAtMs: daemon.stopAtMs + 1_000 }])
  t.strictSame(holderIn(dir), before, 'there is still the one')
  await events.exitOf(daemon.task)
  t.ok(monotonicMs() >= daemon.stopAtMs + 1_000, 'and it follows the new daemon')
})

t.test('watchdog: a new daemon brings back one that died with the old', async t => {
  const dir = dataDir(t)
  const app = { command: 'sleep 1000' }
  const daemon = await startDaemon(t, { dir, app, runMs: 3_000, graceMs: 2_000 })
  await daemon.kill()
  process.kill(holderIn(dir)!.pid, 'SIGKILL')
  await gone(holderIn(dir) ?? { pid: 0, startTicks: '', version: 1 })
  await openWatchdog(t, dir)
  const events = new Events(await openProcesses(t, dir))
  await events.exitOf(daemon.task)
  t.ok(monotonicMs() >= daemon.stopAtMs)
})

t.test('watchdog: there is one, however many are started', async t => {
  const dir = dataDir(t)
  const watchdog = await openWatchdog(t, dir)
  // Orders that are in the file, and a process that is not there.
  await watchdog.keep([orderOf(makeLaunch({ command: 'x' }), 60_000)])
  const first = holderIn(dir)!
  process.kill(first.pid, 'SIGKILL')
  await gone(first)
  const racers = Array.from({ length: 6 }, () =>
    spawn(process.execPath, [MAIN, join(dir, 'watchdog')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
  t.teardown(() => racers.forEach(racer => racer.kill('SIGKILL')))
  const words = await Promise.all(
    racers.map(async racer => String(((await once(racer.stdout, 'data')) as [Buffer])[0]).trim()),
  )
  // The daemon's own side may have been quicker than all of them.
  t.ok(words.filter(word => word === 'ready').length <= 1, words.join(' '))
  t.ok(words.filter(word => word === 'held').length >= 5, words.join(' '))
  const holder = holderIn(dir)
  t.ok(holder !== undefined && isAlive(holder))
})

t.test('watchdog: a copied folder gets a watchdog of its own', async t => {
  const [dir, copy] = [dataDir(t), dataDir(t)]
  const order = orderOf(makeLaunch({ command: 'x' }), 60_000)
  await (await openWatchdog(t, dir)).keep([order])
  cpSync(join(dir, 'watchdog'), join(copy, 'watchdog'), { recursive: true })
  t.equal(holderIn(copy), undefined)
  await (await openWatchdog(t, copy)).keep([order])
  t.not(holderIn(copy)?.pid, undefined)
  t.not(holderIn(copy)?.pid, holderIn(dir)?.pid)
})

t.test('watchdog: without orders it ends, and comes back with the next', async t => {
  const dir = dataDir(t)
  const app = { command: 'sleep 1000' }
  const daemon = await startDaemon(t, { dir, app, runMs: 60_000, graceMs: 0 })
  await daemon.kill()
  const watchdog = await openWatchdog(t, dir)
  const first = holderIn(dir)!
  await watchdog.keep([])
  await gone(first)
  t.match(logIn(dir), /nobody needs it\n$/)
  const launch = makeLaunch(app)
  const runtime = await openProcesses(t, dir)
  await watchdog.keep([orderOf(launch, 500)])
  await runtime.start(launch, unhurried())
  await new Events(runtime).exitOf(launch.task)
})

t.test('watchdog: what starts after its time is ended, too', async t => {
  const dir = dataDir(t)
  const [watchdog, runtime] = [await openWatchdog(t, dir), await openProcesses(t, dir)]
  const launch = makeLaunch({ command: 'sleep 1000' })
  // As a daemon does that stood still between the claim and the start.
  const order = orderOf(launch, 0, { graceMs: 0 })
  await watchdog.keep([order])
  await passUntil(order.stopAtMs + 400)
  const startedMs = monotonicMs()
  await runtime.start(launch, unhurried())
  const lateMs = (await endOf(dir, launch.task)) - startedMs
  t.ok(lateMs < 1_000 + LATE_MS, `it was gone ${lateMs} ms after its start`)
})

t.test('watchdog: what is not ours is left alone', async t => {
  const dir = dataDir(t)
  const foreign = await openProcesses(t, dir, 'other')
  const launch = makeLaunch({ command: 'sleep 1000' })
  await foreign.start(launch, unhurried())
  const runtime = await openProcesses(t, dir)
  const bait = makeLaunch({ command: 'sleep 1000' })
  const bystander = spawn('sleep', ['1000'], { stdio: 'ignore' })
  t.teardown(() => bystander.kill('SIGKILL'))
  await once(bystander, 'spawn')
  // The task's pid was given to somebody else meanwhile: only the start time tells.
  await runtime.start(bait, unhurried())
  const taskDir = taskDirOf(join(dir, 'processes'), bait.task)
  const leader = readPid(taskDir)!
  const stat = readFileSync(join(taskDir, 'pid'), 'utf8')
  writeFileSync(join(taskDir, 'pid'), stat.replace(/^\d+/, String(bystander.pid)))
  t.teardown(() => signalProcess(-leader.pid, 'SIGKILL'))

  const watchdog = await openWatchdog(t, dir)
  const end = makeLaunch({ command: 'sleep 1000' })
  await runtime.start(end, unhurried())
  await watchdog.keep([launch, bait, end].map(one => orderOf(one, 0, { graceMs: 0 })))
  await new Events(runtime).exitOf(end.task)
  await until('it looked at all', () => (logIn(dir).includes(`${bait.task} `) ? true : undefined))
  t.match(await foreign.list(), [{ task: launch.task, running: true }])
  t.equal(bystander.exitCode ?? bystander.signalCode, null)
})

t.test('watchdog: orders of an earlier boot are about nobody', async t => {
  const dir = dataDir(t)
  const runtime = await openProcesses(t, dir)
  const launch = makeLaunch({ command: 'sleep 1000' })
  await runtime.start(launch, unhurried())
  writeOver(dir, 'another boot', launch)
  t.strictSame(readOrders(dir, { cluster: 'c', nowMs: 0 }), [])
  t.strictSame(await startMain(dir), { word: 'ready', code: 0 }, 'it ends at once')
  t.match(await runtime.list(), [{ task: launch.task, running: true }])
})

t.test('watchdog: garbage is said to be garbage, and harms no task', async t => {
  const dir = dataDir(t)
  const runtime = await openProcesses(t, dir)
  const launch = makeLaunch({ command: 'sleep 1000' })
  await runtime.start(launch, unhurried())
  writeHalves(dir, 'neither JSON nor anything')
  t.throws(() => readOrders(dir, { cluster: 'c', nowMs: 0 }), {
    name: 'RuntimeError',
    message: /^Cannot read \S+orders.0: it holds no orders of a watchdog$/,
  })
  t.strictSame(await startMain(dir), { word: 'ready', code: 0 })
  const watchdog = await openWatchdog(t, dir)
  const order = orderOf(launch, 8_000, { graceMs: 0 })
  await watchdog.keep([order])
  t.equal(readOrders(dir, { cluster: 'c', nowMs: 0 }).length, 1, 'the next orders replace it')
  await watchdog.close()
  writeHalves(dir, 'shoal-watchdog 1 99 5 0\nshort')
  await until('it says so', () =>
    logIn(dir).includes('those that were read last') ? true : undefined,
  )
  t.ok(monotonicMs() < order.stopAtMs)
  t.match(await runtime.list(), [{ task: launch.task, running: true }])
  await new Events(runtime).exitOf(launch.task)
  t.ok(monotonicMs() >= order.stopAtMs, 'what was read last stays in force')
})

t.test('watchdog: another version is refused, and replaced by the daemon’s own', async t => {
  const dir = dataDir(t)
  writeHalves(dir, 'shoal-watchdog 7 1 2 0\n{}')
  t.throws(() => readOrders(dir, { cluster: 'c', nowMs: 0 }), {
    message: /is of version 7, and this program knows version 1/,
  })
  // The old version's process: it holds the lock, and knows nothing of what is written now.
  const old = spawn('sleep', ['1000'], { stdio: 'ignore' })
  t.teardown(() => old.kill('SIGKILL'))
  await once(old, 'spawn')
  const startTicks = readFileSync(`/proc/${old.pid}/stat`, 'utf8').split(' ')[21]
  const place = `${readBootId()}/${statSync(join(dir, 'watchdog')).ino}`
  writeFileSync(join(dir, 'watchdog', 'lock.4'), `7 ${old.pid} ${startTicks} ${place}\n`)
  t.match(holderIn(dir), { version: 7, pid: old.pid })
  const watchdog = await openWatchdog(t, dir)
  const ended = once(old, 'exit')
  await watchdog.keep([orderOf(makeLaunch({ command: 'x' }), 60_000)])
  await ended
  t.match(holderIn(dir), { version: 1 })
  t.equal(readOrders(dir, { cluster: 'c', nowMs: 0 }).length, 1)
})

t.test('watchdog: orders that cannot be kept are refused with the reason', async t => {
  const dir = dataDir(t)
  mkdirSync(join(dir, 'watchdog', 'orders.0'), { recursive: true })
  await t.rejects(openWatchdog(t, dir), {
    name: 'RuntimeError',
    message: /^Cannot keep orders in .*watchdog/,
  })
})

/** Writes the same into both files of the orders. */
function writeHalves(dir: string, text: string): void {
  mkdirSync(join(dir, 'watchdog'), { recursive: true })
  for (const half of [0, 1]) writeFileSync(join(dir, 'watchdog', `orders.${half}`), text)
}

/** Writes an order that is over, as a daemon did that is gone. */
function writeOver(dir: string, bootId: string, { task, slot }: Launch): void {
  const writer = new SheetWriter(join(dir, 'watchdog'))
  const times = { untilInMs: 0, stopInMs: 0, graceMs: 0 }
  const taskDir = taskDirOf(join(dir, 'processes'), task)
  writer.write({
    cluster: 'c',
    bootId,
    daemon: { pid: 999_999_999, startTicks: '1' },
    dockerSocket: '',
    at: { monotonicMs: 0 },
    orders: [{ task, slot, runtime: 'process', token: 1, ...times, dir: taskDir }],
  })
  writer.close()
}
