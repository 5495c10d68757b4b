import t from 'tap'
import { createOutbox } from '../../src/gossip/outbox.ts'

const never = new AbortController().signal
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

t.test('outbox gives messages in order, and waits for the next', async t => {
  const outbox = createOutbox()
  outbox.push(bytes(1))
  outbox.push(bytes(2))
  t.strictSame(await outbox.take(never), bytes(1))
  t.strictSame(await outbox.take(never), bytes(2))
  const next = outbox.take(never)
  outbox.push(bytes(3))
  t.strictSame(await next, bytes(3))
})

t.test('outbox drops the oldest when it holds too many or too much', async t => {
  const few = createOutbox({ messagesMax: 2 })
  t.strictSame(
    [1, 2, 3].map(value => few.push(bytes(value))),
    [0, 0, 1],
  )
  t.strictSame(await few.take(never), bytes(2))

  const small = createOutbox({ bytesMax: 4 })
  small.push(bytes(1, 1))
  small.push(bytes(2, 2))
  t.equal(small.push(bytes(3, 3, 3)), 2)
  t.strictSame(await small.take(never), bytes(3, 3, 3))
  t.equal(small.push(bytes(4, 4, 4, 4, 4)), 0, 'one too large fits an empty box')
  t.equal(small.clear(), 1)
})

t.test('outbox stops waiting when told to', async t => {
  const stop = new AbortController()
  const outbox = createOutbox()
  const next = outbox.take(stop.signal)
  stop.abort()
  t.equal(await next, undefined)
})
