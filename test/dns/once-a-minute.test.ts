import t from 'tap'
import { onceAMinute } from '../../src/dns/once-a-minute.ts'

t.test('onceAMinute() passes on the first call of each minute', t => {
  let nowMs = 5
  const told: string[] = []
  const tell = onceAMinute(
    (what: string) => told.push(what),
    () => nowMs,
  )
  tell('a')
  tell('b')
  nowMs += 59_999
  tell('c')
  nowMs += 1
  tell('d')
  tell('e')
  t.strictSame(told, ['a', 'd'])
  t.end()
})
