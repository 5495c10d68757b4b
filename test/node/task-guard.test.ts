import t from 'tap'
import type { SlotId, TaskId } from '../../src/model/ids.ts'
import type { GuardOrder } from '../../src/node/machine/events.ts'
import { createTaskGuard, type TaskGuard } from '../../src/node/task-guard.ts'
import { RuntimeError } from '../../src/runtime/runtime.ts'

const [TASK, OTHER] = ['/db.0@x', '/web.0@y'] as TaskId[] as [TaskId, TaskId]
const SLOT = '/db.0' as SlotId

function orderUntil(untilMs: number): GuardOrder {
  const times = { untilMs, stopAtMs: untilMs, graceMs: 0 }
  return { task: TASK, slot: SLOT, runtime: 'process', token: 1, ...times }
}

/** A guard at 100 ms, and the promises of its watchdog in order. */
function makeGuard(): {
  guard: TaskGuard
  kept: PromiseWithResolvers<void>[]
  failures: unknown[]
  setNow: (ms: number) => void
} {
  const kept: PromiseWithResolvers<void>[] = []
  const failures: unknown[] = []
  let nowMs = 100
  const keep = (): Promise<void> => {
    kept.push(Promise.withResolvers<void>())
    return kept.at(-1)!.promise
  }
  const guard = createTaskGuard({
    watchdog: { keep, close: () => Promise.resolve() },
    now: () => nowMs,
    onFailure: error => failures.push(error),
  })
  return { guard, kept, failures, setNow: ms => void (nowMs = ms) }
}

t.test('ready() holds a start back until its order is in force, and no other', async t => {
  const { guard, kept } = makeGuard()
  await guard.ready(TASK, SLOT)
  guard.set([orderUntil(200)])
  await guard.ready(OTHER, SLOT)
  let isReady = false
  const ready = guard.ready(TASK, SLOT).then(() => (isReady = true))
  await new Promise<void>(resolve => void setImmediate(resolve))
  t.notOk(isReady)
  kept[0]!.resolve()
  await ready
  t.ok(isReady)
})

t.test('ready() fails with the reason when the order cannot be put in force', async t => {
  const { guard, kept, failures } = makeGuard()
  guard.set([orderUntil(200)])
  const failure = new RuntimeError('failed', 'Cannot start the watchdog', { temporary: true })
  kept[0]!.reject(failure)
  await t.rejects(guard.ready(TASK, SLOT), { code: 'failed', message: 'Cannot start the watchdog' })
  t.strictSame(failures, [failure], 'and it is said')
  await guard.ready(OTHER, SLOT)
  guard.set([orderUntil(300)])
  kept[1]!.resolve()
  await guard.ready(TASK, SLOT)
  t.pass('the next order may be in force')
})

t.test('ready() starts nothing whose claim ran out while it waited', async t => {
  const { guard, kept, setNow } = makeGuard()
  guard.set([orderUntil(200)])
  const ready = guard.ready(TASK, SLOT)
  setNow(200)
  kept[0]!.resolve()
  await t.rejects(ready, {
    name: 'RuntimeError',
    code: 'failed',
    temporary: true,
    message: 'Cannot start /db.0@x: its claim on /db.0 ran out',
  })
})
