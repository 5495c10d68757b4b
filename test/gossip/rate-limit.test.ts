import t from 'tap'
import { createRateLimit } from '../../src/gossip/rate-limit.ts'

t.test('rate limit lets each key pass once in its time', async t => {
  const pass = createRateLimit(100)
  t.strictSame(
    [pass('a', 0), pass('a', 99), pass('b', 99), pass('a', 100)],
    [true, false, true, true],
  )
})

t.test('rate limit remembers no more keys than told', async t => {
  const pass = createRateLimit(100, 2)
  for (const key of ['a', 'b', 'c']) pass(key, 0)
  t.ok(pass('a', 1), 'the oldest was forgotten')
  t.notOk(pass('c', 1))
})
