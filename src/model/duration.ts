/** A length of time as people write it: `250ms`, `10s`, `5m`, `1.5h`. Kept as text, so that a manifest prints as it was written. */
export type Duration = string & { readonly __brand: 'Duration' }

const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/
const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

/** What a duration must look like, for messages to people. */
export const DURATION_RULE = 'a duration such as 250ms, 10s, 5m or 1.5h'

/** True for text that {@link toMs} can read. */
export function isDuration(text: string): text is Duration {
  return DURATION.test(text)
}

/** A duration in whole milliseconds. */
export function toMs(duration: Duration): number {
  const [, amount, unit] = DURATION.exec(duration) ?? []
  if (amount === undefined) throw new RangeError(`Not ${DURATION_RULE}: ${duration}`)
  return Math.round(Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS])
}

/** Writes `ms` as a duration, in seconds where it has whole ones. */
export function fromMs(ms: number): Duration {
  return (ms % 1_000 === 0 ? `${ms / 1_000}s` : `${Math.round(ms)}ms`) as Duration
}
