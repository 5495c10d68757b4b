import t from 'tap'
import { fromMs, isDuration, toMs } from '../../src/model/duration.ts'
import {
  APP_ID_LENGTH_MAX,
  appOfSlot,
  isAppId,
  parseAppId,
  slotIdOf,
  slotOfTask,
  slotSuffix,
  taskIdOf,
} from '../../src/model/ids.ts'

t.test('isAppId() takes Marathon’s paths, absolute and whole', async t => {
  for (const id of ['/a', '/shop/web', '/a.b/c-d', '/0']) t.ok(isAppId(id), id)
  for (const id of ['', '/', 'a', '/A', '/a/', '//a', '/-a', '/a-', '/a..b', '/../a', '/a b']) {
    t.notOk(isAppId(id), id)
  }
  t.notOk(isAppId(`/${'a'.repeat(APP_ID_LENGTH_MAX)}`), 'too long')
})

t.test('parseAppId() adds the slash', async t => {
  t.equal(parseAppId('web'), '/web')
  t.equal(parseAppId('/shop/web'), '/shop/web')
  t.equal(parseAppId('Web'), undefined)
})

t.test('slots and tasks name what they belong to', async t => {
  const app = parseAppId('/a.b/web')!
  const slot = slotIdOf(app, 2)
  t.strictSame([slot, appOfSlot(slot), slotSuffix(slot)], ['/a.b/web.2', '/a.b/web', '2'])
  t.equal(slotOfTask(taskIdOf(slot, 'k3f9')), slot)
})

t.test('durations are read and written', async t => {
  const cases = [
    ['250ms', 250],
    ['10s', 10_000],
    ['1.5h', 5_400_000],
    ['5m', 300_000],
  ] as const
  for (const [text, ms] of cases) {
    t.ok(isDuration(text) && toMs(text) === ms, text)
    t.equal(toMs(fromMs(ms)), ms)
  }
  for (const text of ['', '5', '-1s', '1 s', '1d', '1e3s']) t.notOk(isDuration(text), text)
})
