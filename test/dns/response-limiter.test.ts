import t from 'tap'
import {
  ANSWER_KIND,
  createResponseLimiter,
  VERDICT,
  type LimiterVerdict,
  type ResponseLimiter,
} from '../../src/dns/response-limiter.ts'

const { RECORDS, ERROR } = ANSWER_KIND

/** How often each verdict fell over `count` answers, `everyMs` apart. */
function judged(
  limiter: ResponseLimiter,
  count: number,
  everyMs: number,
  fromMs = 0,
  network = 7,
): Record<LimiterVerdict, number> {
  const verdicts = { [VERDICT.SEND]: 0, [VERDICT.SLIP]: 0, [VERDICT.DROP]: 0 }
  for (let index = 0; index < count; index++) {
    verdicts[limiter.judge(network, RECORDS, fromMs + index * everyMs)]++
  }
  return verdicts
}

t.test('a network gets its rate, and every second answer beyond it is a slip', async t => {
  const limiter = createResponseLimiter({ perSecond: 100, slip: 2 })
  t.strictSame(judged(limiter, 300, 0), { 0: 100, 1: 100, 2: 100 }, 'a burst')
  const flood = judged(limiter, 1_000, 1, 1_000)
  t.ok(Math.abs(flood[VERDICT.SEND] - 200) <= 1, 'a second of flood')
  t.ok(Math.abs(flood[VERDICT.SLIP] - flood[VERDICT.DROP]) <= 1)
})

t.test('slip 1 drops nothing', async t => {
  const limiter = createResponseLimiter({ perSecond: 10, slip: 1 })
  t.strictSame(judged(limiter, 100, 0), { 0: 10, 1: 90, 2: 0 })
})

t.test('who stays below the rate is never limited, for as long as it goes on', async t => {
  const limiter = createResponseLimiter({ perSecond: 100, slip: 2 })
  t.equal(judged(limiter, 20_000, 10)[VERDICT.SEND], 20_000)
  // 26 days later, where the clock of the buckets has turned over.
  t.equal(judged(limiter, 100, 10, 26 * 86_400_000)[VERDICT.SEND], 100)
})

t.test('networks and kinds are counted apart', async t => {
  const limiter = createResponseLimiter({ perSecond: 10, slip: 2 })
  judged(limiter, 100, 0)
  t.equal(limiter.judge(7, RECORDS, 0) === VERDICT.SEND, false)
  t.equal(limiter.judge(7, ERROR, 0), VERDICT.SEND)
  t.equal(limiter.judge(8, RECORDS, 0), VERDICT.SEND)
})
