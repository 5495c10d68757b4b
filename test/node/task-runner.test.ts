import { mock } from 'node:test'
import t from 'tap'
import type { NodeEvent } from '../../src/node/machine/events.ts'
import { startTaskRunner, type TaskRunner } from '../../src/node/task-runner.ts'
import { RuntimeError, type Runtime } from '../../src/runtime/runtime.ts'
import { workDigest } from '../../src/util/work-digest.ts'
import { makeLaunch } from '../runtime/launches.ts'
import { makeMachine } from './machine/make-machine.ts'

const { task, slot, revision, spec, ports } = makeLaunch({ command: ['sleep', '60'] })
const NO_ANSWER = new RuntimeError('failed', 'the engine did not answer', { temporary: true })
const START = { kind: 'start', task, slot, revision, spec, ports, fence: 0 } as const

/** An engine of which every call can be made to fail, and a runner on top of it. */
function makeRig(engine: Partial<Runtime>): { runner: TaskRunner; events: NodeEvent[] } {
  const events: NodeEvent[] = []
  const runtime: Runtime = {
    list: () => Promise.resolve([]),
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    // oxlint-disable-next-line eslint/require-yield
    logs: async function* () {
      await Promise.reject(NO_ANSWER)
    },
    exec: () => Promise.resolve(0),
    watch: () => undefined,
    close: () => Promise.resolve(),
    ...engine,
  }
  const runner = startTaskRunner({
    runtimes: { process: runtime },
    node: { name: 'n0', address: '127.0.0.1' },
    cluster: 'c1',
    push: event => void events.push(event),
    log: () => undefined,
    guarded: () => Promise.resolve(),
  })
  return { runner, events }
}

/** Lets all that waits for nothing but its turn happen. */
const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

const failing: ReadonlyArray<{ name: string; engine: Partial<Runtime>; effect: object }> = [
  {
    name: 'a start that failed',
    engine: { start: () => Promise.reject(NO_ANSWER) },
    effect: START,
  },
  {
    name: 'a removal that failed',
    engine: { remove: () => Promise.reject(NO_ANSWER) },
    effect: { kind: 'remove', task, runtime: 'process' },
  },
]

for (const { name, engine, effect } of failing) {
  t.test(`${name} has the engine asked again for what it has, once`, async t => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.teardown(() => mock.timers.reset())
    const { runner, events } = makeRig(engine)
    const lists = (): number => events.filter(({ kind }) => kind === 'found').length
    await turn()
    t.equal(lists(), 1, 'as after every start')
    runner.perform(effect as Parameters<TaskRunner['perform']>[0])
    runner.perform(effect as Parameters<TaskRunner['perform']>[0])
    await turn()
    t.equal(lists(), 1)
    mock.timers.tick(10_000)
    await turn()
    t.equal(lists(), 2)
    mock.timers.tick(10_000)
    await turn()
    t.equal(lists(), 2)
    mock.timers.tick(60_000)
    await turn()
    t.equal(lists(), 3, 'and once a minute, whatever happens')
    await runner.close()
  })
}

t.test(
  'an engine that cannot be listed is listed until it can, and never after the end',
  async t => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.teardown(() => mock.timers.reset())
    let failures = 3
    const { runner, events } = makeRig({
      list: () => (failures-- > 0 ? Promise.reject(NO_ANSWER) : Promise.resolve([])),
    })
    for (let round = 0; round < 3; round++) {
      t.notOk(events.some(({ kind }) => kind === 'found'))
      await turn()
      mock.timers.tick(10_000)
    }
    await turn()
    t.ok(events.some(({ kind }) => kind === 'found'))
    failures = 1
    runner.perform({ kind: 'remove', task, runtime: 'process' })
    await runner.close()
    mock.timers.tick(60_000)
    await turn()
    t.equal(failures, 1, 'not asked again')
  },
)

t.test('how a start gets on is told once a second, and not at all if it is quick', async t => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const done = Promise.withResolvers<void>()
  const { runner, events } = makeRig({
    start: async (_launch, { onProgress }) => {
      onProgress('10 %')
      onProgress('20 %')
      await done.promise
    },
  })
  const told = (): string[] =>
    events.flatMap(event => (event.kind === 'task-progressed' ? [event.message] : []))
  runner.perform(START)
  await turn()
  mock.timers.tick(999)
  t.strictSame(told(), [])
  mock.timers.tick(2_001)
  t.strictSame(told(), ['20 %'])
  done.resolve()
  await turn()
  mock.timers.tick(5_000)
  t.strictSame(told(), ['20 %'])
  await runner.close()
})

t.test('what runs though its start was given up is stopped, and removed', async t => {
  const machine = makeMachine(1)
  let nowMs = 0
  const happens = (event: NodeEvent): ReturnType<typeof machine.handle> =>
    machine.handle(event, (nowMs += 100))
  happens({ kind: 'ticked' })
  happens({ kind: 'found', runtime: 'process', tasks: [] })
  const edit = { kind: 'apply', specs: [spec], message: '' } as const
  const edited = happens({ kind: 'edited', request: 1, edit })
  const persists = edited.flatMap(effect => (effect.kind === 'persist' ? [effect.token] : []))
  t.ok(persists.length > 0)
  const effects = persists.flatMap(token => happens({ kind: 'persisted', token }))
  const started = [...edited, ...effects].find(effect => effect.kind === 'start')
  if (started === undefined) throw new Error('nothing is started')
  const { temporary, code, message } = NO_ANSWER
  happens({ kind: 'task-start-failed', task: started.task, temporary, code, message })

  const found = {
    task: started.task,
    slot: started.slot,
    revision: started.revision,
    work: workDigest(spec),
    ports: [],
    startedAtMs: 0,
    running: true,
  }
  const stops = happens({ kind: 'found', runtime: 'process', tasks: [found] })
  t.match(
    stops.filter(({ kind }) => kind === 'stop'),
    [{ kind: 'stop', task: started.task }],
  )
  const removals = happens({ kind: 'task-stopped', task: started.task })
  t.match(
    removals.filter(({ kind }) => kind === 'remove'),
    [{ kind: 'remove', task: started.task }],
  )
})
