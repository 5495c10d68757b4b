/** The watchdog with containers of a real engine: one that answers, and one that hangs. */

import { existsSync, readFileSync } from 'node:fs'
import Docker from 'dockerode'
import t, { type Test } from 'tap'
import { startDockerRuntime } from '../../src/runtime/docker-runtime.ts'
import { LABELS } from '../../src/runtime/labels.ts'
import { identify, isAlive, type ProcessIdentity } from '../../src/runtime/process-identity.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import { importBusybox } from './busybox-image.ts'
import { startEngine } from './docker-engine.ts'
import { makeLaunch, unhurried } from './launches.ts'
import {
  dataDir,
  gone,
  holderIn,
  logIn,
  monotonicMs,
  openWatchdog,
  orderOf,
  startDaemon,
  until,
} from './watchdog-rig.ts'

const IMAGE = 'shoal-watchdog-test:latest'
const OBEYS = { image: IMAGE, command: "trap 'exit 7' TERM; sleep 1000 & wait" }
const IGNORES = { image: IMAGE, command: "trap '' TERM; while :; do sleep 1; done" }

/** A container may end so long after its time, on a machine that runs other tests, too. */
const LATE_MS = 1_500
/** The engine may be asked in vain for so long before the kernel does it. */
const ENGINE_MS = 1_000

/** When a container's first process was gone. */
async function endOf(container: ProcessIdentity): Promise<number> {
  return (await until('the container ends', () => (isAlive(container) ? undefined : true))).atMs
}

t.setTimeout(180_000)
const engine = await startEngine()
if ('skip' in engine) {
  t.pass('Docker tests are skipped', { skip: engine.skip })
} else {
  t.teardown(() => engine.close())
  await importBusybox(engine.socketPath, IMAGE)
  const { socketPath } = engine
  const docker = new Docker({ socketPath, headers: { Connection: 'close' } })

  /** The first process of the container of a task. */
  const processOf = async (task: string): Promise<ProcessIdentity> => {
    const filters = { label: [`${LABELS.task}=${task}`] }
    const [listed] = await docker.listContainers({ filters })
    const { State: state } = await docker.getContainer(listed!.Id).inspect()
    return identify(state.Pid)!
  }

  const open = async (t: Test, cluster = 'c'): Promise<Runtime> => {
    const runtime = await startDockerRuntime({ socketPath, cluster, node: 'n' })
    t.teardown(async () => {
      for (const { task } of await runtime.list()) {
        await runtime.stop(task, { graceMs: 0 })
        await runtime.remove(task)
      }
      await runtime.close()
    })
    return runtime
  }

  t.test('watchdog of containers: a killed daemon’s ends at its time, others run on', async t => {
    const dir = dataDir(t)
    const [runtime, others] = [await open(t), await open(t, 'other')]
    const told = { dir, dockerSocket: socketPath, runMs: 4_000, graceMs: 5_000 }
    const daemon = await startDaemon(t, { ...told, app: OBEYS })
    await daemon.kill()
    // Another cluster has a task of the same name, and ours has one without an order.
    const foreign = makeLaunch(OBEYS, { task: daemon.task })
    await others.start(foreign, unhurried()).catch((error: unknown) => t.fail(String(error)))
    const free = makeLaunch(OBEYS)
    await runtime.start(free, unhurried())
    const ours = (await runtime.list()).find(({ task }) => task === daemon.task)
    t.match(ours, { running: true })
    const { atMs } = await until('it ends', async () => {
      const found = (await runtime.list()).find(({ task }) => task === daemon.task)
      return found?.running === false ? found : undefined
    })
    const lateMs = atMs - daemon.stopAtMs
    t.ok(lateMs >= 0 && lateMs < LATE_MS, `it ended ${lateMs} ms after its time`)
    const last = (await runtime.list()).find(({ task }) => task === daemon.task)
    t.equal(last?.exitCode, 7, 'it was asked first')
    t.match(await others.list(), [{ task: daemon.task, running: true }])
    t.match(
      (await runtime.list()).find(({ task }) => task === free.task),
      { running: true },
    )
  })

  t.test('watchdog of containers: who does not end is killed after the grace', async t => {
    const dir = dataDir(t)
    const runtime = await open(t)
    const watchdog = await openWatchdog(t, dir, { dockerSocket: socketPath })
    const launch = makeLaunch(IGNORES)
    const order = orderOf(launch, 3_000, { graceMs: 700 })
    await watchdog.keep([order])
    await runtime.start(launch, unhurried())
    const lateMs = (await endOf(await processOf(launch.task))) - order.stopAtMs - order.graceMs
    t.ok(lateMs >= 0 && lateMs < LATE_MS, `it was killed ${lateMs} ms after its grace`)
  })

  t.test('watchdog of containers: a paused one ends, too', async t => {
    const dir = dataDir(t)
    const runtime = await open(t)
    const watchdog = await openWatchdog(t, dir, { dockerSocket: socketPath })
    const launch = makeLaunch(OBEYS)
    const order = orderOf(launch, 3_000, { graceMs: 100 })
    await watchdog.keep([order])
    await runtime.start(launch, unhurried())
    const container = await processOf(launch.task)
    const filters = { label: [`${LABELS.task}=${launch.task}`] }
    const [listed] = await docker.listContainers({ filters })
    await docker.getContainer(listed!.Id).pause()
    t.ok((await endOf(container)) >= order.stopAtMs)
  })

  t.test('watchdog of containers: one that was made, and not started yet, never is', async t => {
    const dir = dataDir(t)
    const watchdog = await openWatchdog(t, dir, { dockerSocket: socketPath })
    const launch = makeLaunch(OBEYS)
    const labels = { [LABELS.cluster]: 'c', [LABELS.task]: launch.task }
    const made = await docker.createContainer({ Image: IMAGE, Cmd: ['sleep', '1'], Labels: labels })
    await watchdog.keep([orderOf(launch, 0)])
    await until('it is removed', async () => {
      const all = await docker.listContainers({ all: true })
      return all.some(({ Id: id }) => id === made.id) ? undefined : true
    })
    await t.rejects(made.start(), /no such container/)
  })

  t.test('watchdog of containers: an engine that hangs keeps nothing alive', async t => {
    if (!engine.isOurs) {
      t.pass('an engine of others is not ours to freeze', { skip: 'not ours to freeze' })
      return
    }
    const dir = dataDir(t)
    await open(t)
    const told = { dir, dockerSocket: socketPath, runMs: 5_000, graceMs: 300 }
    const daemon = await startDaemon(t, { ...told, app: IGNORES })
    const container = await processOf(daemon.task)
    const book = `${dir}/watchdog/containers`
    const isKnown = (): boolean =>
      existsSync(book) && readFileSync(book, 'utf8').includes(daemon.task)
    await until('it is known', () => isKnown() || undefined)
    // A watchdog that is started while the engine hangs knows what the one before it knew.
    const first = holderIn(dir)!
    process.kill(first.pid, 'SIGKILL')
    await gone(first)
    engine.freeze(true)
    t.teardown(() => engine.freeze(false))
    await until('another is there', () => holderIn(dir))
    await daemon.kill()
    t.ok(monotonicMs() < daemon.stopAtMs && isAlive(container), 'it runs on')
    const lateMs = (await endOf(container)) - daemon.stopAtMs - told.graceMs
    t.ok(lateMs >= 0 && lateMs < LATE_MS + ENGINE_MS, `it was gone ${lateMs} ms after its grace`)
    await gone(holderIn(dir) ?? first)
    t.match(logIn(dir), /has ended/)
    engine.freeze(false)
  })

  t.test('watchdog of containers: an engine that is gone is waited for', async t => {
    if (!engine.isOurs) {
      t.pass('an engine of others is not ours to freeze', { skip: 'not ours to freeze' })
      return
    }
    const dir = dataDir(t)
    const runtime = await open(t)
    const launch = makeLaunch(OBEYS)
    await runtime.start(launch, unhurried())
    const container = await processOf(launch.task)
    engine.freeze(true)
    t.teardown(() => engine.freeze(false))
    // Ordered only now: nobody ever learned which process it is.
    const watchdog = await openWatchdog(t, dir, { dockerSocket: socketPath })
    await watchdog.keep([orderOf(launch, 0)])
    await until('it tried', () => logIn(dir).includes('does not answer within') || undefined)
    t.ok(isAlive(container), 'what cannot be told from others is left alone')
    engine.freeze(false)
    await endOf(container)
  })
}
