/**
 * Response-rate limiting, as BIND, NSD and Knot have it: whoever writes a
 * victim's address on queries gets us to send it answers, but not many, and none
 * larger than the query.
 *
 * @module
 */

/** What to do with an answer. */
export const VERDICT = { SEND: 0, SLIP: 1, DROP: 2 } as const

/** One of {@link VERDICT}. */
export type LimiterVerdict = (typeof VERDICT)[keyof typeof VERDICT]

/** What kinds of answers are counted apart, so that a flood of one does not silence the others. */
export const ANSWER_KIND = { RECORDS: 0, NEGATIVE: 1, ERROR: 2 } as const

/** One of {@link ANSWER_KIND}. */
export type AnswerKind = (typeof ANSWER_KIND)[keyof typeof ANSWER_KIND]

/** Knobs of {@link createResponseLimiter}. */
export interface ResponseLimiterOptions {
  /** Answers of one kind to one network each second; as many may come at once. */
  readonly perSecond: number
  /**
   * Of the answers beyond that, every so many is sent without records and with TC: a real client then comes back over TCP. The others
   * are dropped. 1 drops none, so nobody real ever waits, and a victim gets as many packets as were sent in its name, though none larger; 2 halves them.
   */
  readonly slip: number
}

/** Counts answers, and says which go out. Its memory does not grow, however many networks ask. */
export interface ResponseLimiter {
  /** @param network See `Client.network`. */
  judge(network: number, kind: AnswerKind, nowMs: number): LimiterVerdict
}

/** Networks that are told apart at one time, each in three kinds: 192 kB. Two that fall together share their rate. */
const BUCKETS = 16_384
const KINDS = 3

/** Makes a limiter: a bucket of tokens for each network and kind, found by its number. */
export function createResponseLimiter({
  perSecond,
  slip,
}: ResponseLimiterOptions): ResponseLimiter {
  const tokens = new Float32Array(BUCKETS * KINDS).fill(perSecond)
  // Milliseconds since the first judgement: single precision would lose them within hours, 32 bits hold 24 days.
  const filledAtMs = new Int32Array(BUCKETS * KINDS)
  const refused = new Uint8Array(BUCKETS * KINDS)
  let startMs: number | undefined

  return {
    judge: (network, kind, nowMs) => {
      startMs ??= nowMs
      const index = (network % BUCKETS) * KINDS + kind
      const at = (nowMs - startMs) | 0
      const elapsedMs = (at - filledAtMs[index]!) | 0
      if (elapsedMs !== 0) {
        // Below zero after 24 days of silence: full, too.
        const refilled = elapsedMs < 0 ? perSecond : tokens[index]! + (elapsedMs * perSecond) / 1000
        tokens[index] = Math.min(perSecond, refilled)
        filledAtMs[index] = at
      }
      if (tokens[index]! >= 1) {
        tokens[index]!--
        return VERDICT.SEND
      }
      const count = refused[index]! + 1
      refused[index] = count >= slip ? 0 : count
      return count >= slip ? VERDICT.SLIP : VERDICT.DROP
    },
  }
}
