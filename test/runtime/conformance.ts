import type { Test } from 'tap'
import type { AppInput } from '../../src/model/app.ts'
import type { TaskId } from '../../src/model/ids.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import { until } from '../../scripts/testbed/process-table.ts'
import { Events, freePort, makeLaunch, readLog, unhurried } from './launches.ts'

/** What the tasks of the suite do with their lives. */
export type Role =
  /** Runs until it is asked to end, and then ends with code 7. */
  | 'obeys'
  /** Runs until it is killed. */
  | 'ignores'
  /** Ends with code 3 at once. */
  | 'ends'
  /** Prints `one`, `two`, `three` on stdout and `oops` on stderr, and ends with code 0. */
  | 'prints'
  /** Prints `early`, some time later `late`, and ends after that. */
  | 'goes on'

/** One kind of runtime, made ready for the suite. */
export interface Harness {
  /** Opens a runtime on the one machine of this harness; each call is as a new daemon. */
  open(cluster: string): Promise<Runtime>
  /** An app that plays a role. */
  app(role: Role): Omit<AppInput, 'id'>
  /** An app that no node can run, and the code of the error that says so. */
  readonly impossible: { readonly app: Omit<AppInput, 'id'>; readonly code: string }
  /** Commands for `exec` inside a task. */
  readonly commands: { readonly exits4: readonly string[]; readonly hangs: string }
}

async function runningIn(runtime: Runtime): Promise<TaskId[]> {
  const found = (await runtime.list()).filter(({ running }) => running)
  return found.map(({ task }) => task).toSorted()
}

function byTask(one: { readonly task: string }, other: { readonly task: string }): number {
  return one.task < other.task ? -1 : 1
}

/** What every runtime must do: call it once for each implementation. */
export function testRuntime(t: Test, harness: Harness): void {
  let clusters = 0

  /** A runtime of a cluster that is cleaned up at the end of the test. */
  async function use(t: Test): Promise<{ runtime: Runtime; events: Events; cluster: string }> {
    const cluster = `conformance-${process.pid}-${clusters++}`
    const runtime = await harness.open(cluster)
    const events = new Events(runtime)
    t.teardown(async () => {
      await runtime.close()
      const last = await harness.open(cluster)
      const found = await last.list()
      await Promise.all(found.map(({ task }) => last.stop(task, { graceMs: 0 })))
      await Promise.all(found.map(({ task }) => last.remove(task)))
      const left = await last.list()
      await last.close()
      // A test that has ended takes no more assertions, but a teardown that throws fails it.
      if (left.length > 0) throw new Error(`Left behind: ${JSON.stringify(left)}`)
    })
    return { runtime, events, cluster }
  }

  const launchOf = (role: Role): ReturnType<typeof makeLaunch> => makeLaunch(harness.app(role))

  t.test('start() resolves with a task that runs and is listed', async t => {
    const { runtime, events } = await use(t)
    const port = await freePort()
    const launch = makeLaunch(harness.app('obeys'), { ports: [port] })
    const beforeMs = Date.now()
    await runtime.start(launch, unhurried())

    const [found, ...others] = await runtime.list()
    t.strictSame(others, [])
    t.match(found, { task: launch.task, slot: launch.slot, revision: launch.revision })
    t.strictSame(found?.ports, [port], 'its ports are known')
    t.match(found, { running: true, exitCode: undefined })
    t.ok(Math.abs((found?.startedAtMs ?? 0) - beforeMs) < 60_000, 'it started just now')
    t.strictSame(events.all, [], 'and there is nothing to tell')
  })

  t.test('an exit is told once, with its code, and listed until it is removed', async t => {
    const { runtime, events } = await use(t)
    const launch = launchOf('ends')
    await runtime.start(launch, unhurried())
    t.equal(await events.exitOf(launch.task), 3)
    t.match(await runtime.list(), [{ task: launch.task, running: false, exitCode: 3 }])

    await runtime.stop(launch.task, { graceMs: 1000 })
    await runtime.remove(launch.task)
    await runtime.remove(launch.task)
    t.strictSame(await runtime.list(), [], 'removing twice is removing once')
    t.equal(events.countExits(launch.task), 1)
  })

  t.test('stop() asks first, and a task that listens ends with a code of its own', async t => {
    const { runtime, events } = await use(t)
    const launch = launchOf('obeys')
    await runtime.start(launch, unhurried())
    // Asked too early, a real process has not yet said what it does when it is asked.
    await readLog(
      runtime.logs(launch.task, { follow: true, signal: AbortSignal.timeout(20_000) }),
      ({ stdout }) => stdout.includes('ready'),
    )
    await runtime.stop(launch.task, { graceMs: 20_000 })
    t.match(await runtime.list(), [{ running: false, exitCode: 7 }])
    t.equal(await events.exitOf(launch.task), 7, 'an end that was asked for is told too')
  })

  t.test('stop() kills a task that does not listen, after the grace and not before', async t => {
    const { runtime, events } = await use(t)
    const launch = launchOf('ignores')
    await runtime.start(launch, unhurried())
    await readLog(
      runtime.logs(launch.task, { follow: true, signal: AbortSignal.timeout(20_000) }),
      ({ stdout }) => stdout.includes('ready'),
    )
    const beforeMs = performance.now()
    await runtime.stop(launch.task, { graceMs: 1000 })
    const tookMs = performance.now() - beforeMs
    t.ok(tookMs >= 950, `took ${Math.round(tookMs)} ms`)
    t.ok(tookMs < 9000, `took ${Math.round(tookMs)} ms`)
    t.equal(await events.exitOf(launch.task), 137)
  })

  t.test('stop() of a task that is not there resolves', async t => {
    const { runtime } = await use(t)
    await t.resolves(runtime.stop(launchOf('obeys').task, { graceMs: 1000 }))
    await t.resolves(runtime.remove(launchOf('obeys').task))
  })

  t.test('remove() refuses a task that runs', async t => {
    const { runtime } = await use(t)
    const launch = launchOf('obeys')
    await runtime.start(launch, unhurried())
    await t.rejects(runtime.remove(launch.task), { name: 'RuntimeError', code: 'failed' })
    t.strictSame(await runningIn(runtime), [launch.task])
  })

  t.test('a new daemon finds the tasks of the old one, and touches none', async t => {
    const { runtime, events, cluster } = await use(t)
    const [stays, ends] = [launchOf('obeys'), launchOf('ends')]
    await runtime.start(stays, unhurried())
    await runtime.start(ends, unhurried())
    await events.exitOf(ends.task)
    const before = await runtime.list()
    await runtime.close()

    const next = await harness.open(cluster)
    t.teardown(() => next.close())
    const nextEvents = new Events(next)
    // Docker tells of an end a moment before it lists it.
    await until('the engine lists the end', 10_000, async () => {
      return !(await runningIn(next)).includes(ends.task)
    })
    const after = await next.list()
    t.strictSame(after.toSorted(byTask), before.toSorted(byTask))
    t.strictSame(nextEvents.all, [], 'old news is no news')

    await next.stop(stays.task, { graceMs: 20_000 })
    await nextEvents.exitOf(stays.task)
    t.equal(events.countExits(stays.task), 0, 'a closed runtime tells nothing')
  })

  t.test('only the tasks of our own cluster are listed or stopped', async t => {
    const [ours, theirs] = [await use(t), await use(t)]
    const launch = launchOf('obeys')
    await theirs.runtime.start(launch, unhurried())
    t.strictSame(await ours.runtime.list(), [])
    await ours.runtime.stop(launch.task, { graceMs: 0 })
    await ours.runtime.remove(launch.task)
    t.strictSame(await runningIn(theirs.runtime), [launch.task])
    await t.rejects(
      readLog(ours.runtime.logs(launch.task, { follow: false, signal: AbortSignal.timeout(5000) })),
      { code: 'no-such-task' },
    )
    await theirs.runtime.stop(launch.task, { graceMs: 20_000 })
    t.strictSame(ours.events.all, [])
  })

  t.test('logs() gives both streams, and only the last lines when asked to', async t => {
    const { runtime, events } = await use(t)
    const launch = launchOf('prints')
    await runtime.start(launch, unhurried())
    t.equal(await events.exitOf(launch.task), 0)
    const signal = AbortSignal.timeout(20_000)
    const whole = { stdout: 'one\ntwo\nthree\n', stderr: 'oops\n' }
    t.strictSame(await readLog(runtime.logs(launch.task, { follow: false, signal })), whole)
    t.strictSame(await readLog(runtime.logs(launch.task, { follow: true, signal })), whole)
    const { stdout } = await readLog(runtime.logs(launch.task, { follow: false, tail: 2, signal }))
    t.ok(stdout === 'three\n' || stdout === 'two\nthree\n', `the end of it, got ${stdout}`)
  })

  t.test('logs() follows a task until its end, or until the reader has enough', async t => {
    const { runtime } = await use(t)
    const [ends, stays] = [launchOf('goes on'), launchOf('obeys')]
    await runtime.start(ends, unhurried())
    const signal = AbortSignal.timeout(20_000)
    const { stdout } = await readLog(runtime.logs(ends.task, { follow: true, signal }))
    t.equal(stdout, 'early\nlate\n')
    t.notOk(signal.aborted, 'it ended because the task did')

    await runtime.start(stays, unhurried())
    const reader = new AbortController()
    const read = readLog(
      runtime.logs(stays.task, { follow: true, signal: reader.signal }),
      () => (reader.abort(), false),
    )
    t.equal((await read).stdout, 'ready\n')
  })

  t.test('exec() gives the exit code, and does not wait for ever', async t => {
    const { runtime } = await use(t)
    const launch = launchOf('obeys')
    await runtime.start(launch, unhurried())
    const { exits4, hangs } = harness.commands
    t.equal(await runtime.exec(launch.task, exits4, { timeoutMs: 20_000 }), 4)
    await t.rejects(runtime.exec(launch.task, hangs, { timeoutMs: 300 }), {
      name: 'RuntimeError',
      code: 'failed',
      message: /took over 300 ms/,
    })
    await t.rejects(runtime.exec(launchOf('obeys').task, exits4, { timeoutMs: 1000 }), {
      code: 'no-such-task',
    })
    t.strictSame(await runningIn(runtime), [launch.task])
  })

  t.test('a port that another task has is refused, and nothing is left behind', async t => {
    const { runtime } = await use(t)
    const ports = [await freePort()]
    const [first, second] = [0, 1].map(() => makeLaunch(harness.app('obeys'), { ports }))
    await runtime.start(first!, unhurried())
    await t.rejects(runtime.start(second!, unhurried()), {
      name: 'RuntimeError',
      code: 'port-taken',
      temporary: true,
      message: new RegExp(String(ports[0]!.hostPort)),
    })
    t.match(await runtime.list(), [{ task: first!.task }])
    await runtime.stop(first!.task, { graceMs: 20_000 })
    await t.resolves(runtime.start(second!, unhurried()), 'it is free again')
  })

  t.test('what cannot run is refused with a reason on one line', async t => {
    const { runtime } = await use(t)
    const { app, code } = harness.impossible
    const error: unknown = await runtime
      .start(makeLaunch(app), unhurried())
      .catch((thrown: unknown) => thrown)
    t.match(error, { name: 'RuntimeError', code, message: /^[^\n]+$/ })
    t.strictSame(await runtime.list(), [])
  })

  t.test('the same task never starts twice', async t => {
    const { runtime } = await use(t)
    const launch = launchOf('obeys')
    const results = await Promise.allSettled([
      runtime.start(launch, unhurried()),
      runtime.start(launch, unhurried()),
    ])
    t.strictSame(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
    await t.rejects(runtime.start(launch, unhurried()), { code: 'failed', temporary: false })
    t.strictSame(await runningIn(runtime), [launch.task])
  })

  t.test('a start that was called off leaves nothing', async t => {
    const { runtime } = await use(t)
    const options = { signal: AbortSignal.abort(), onProgress: () => undefined }
    await t.rejects(runtime.start(launchOf('obeys'), options), { code: 'failed' })
    t.strictSame(await runtime.list(), [])
  })

  t.test('many tasks at once', async t => {
    const { runtime, events } = await use(t)
    const launches = Array.from({ length: 12 }, (_, index) =>
      launchOf(index % 2 === 0 ? 'obeys' : 'ends'),
    )
    await Promise.all(launches.map(launch => runtime.start(launch, unhurried())))
    const ending = launches.filter((_, index) => index % 2 === 1)
    const codes = await Promise.all(ending.map(({ task }) => events.exitOf(task)))
    t.strictSame(new Set(codes), new Set([3]))
    const staying = launches.filter((_, index) => index % 2 === 0)
    t.strictSame(await runningIn(runtime), staying.map(({ task }) => task).toSorted())
    await Promise.all(launches.map(({ task }) => runtime.stop(task, { graceMs: 20_000 })))
    t.strictSame(await runningIn(runtime), [])
    await Promise.all(staying.map(({ task }) => events.exitOf(task)))
    for (const { task } of launches) t.equal(events.countExits(task), 1)
  })
}
