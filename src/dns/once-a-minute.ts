const MINUTE_MS = 60_000

/**
 * Passes on the first call, and then one a minute at most: for telling of what may go wrong thousands of times in a second.
 *
 * @param nowMs A clock that does not go back, in milliseconds.
 */
export function onceAMinute<T extends readonly unknown[]>(
  tell: (...what: T) => void,
  nowMs: () => number,
): (...what: T) => void {
  let toldAtMs = -Infinity
  return (...what) => {
    if (nowMs() - toldAtMs < MINUTE_MS) return
    toldAtMs = nowMs()
    tell(...what)
  }
}
