/** Lets something pass for each key at most once in `intervalMs`; remembers at most `keysMax` keys, the latest. */
export function createRateLimit(
  intervalMs: number,
  keysMax = 1000,
): (key: string, nowMs: number) => boolean {
  const passed = new Map<string, number>()
  return (key, nowMs) => {
    const last = passed.get(key)
    if (last !== undefined && nowMs - last < intervalMs) return false
    // Set anew, so that the order of the map is that of time.
    passed.delete(key)
    passed.set(key, nowMs)
    if (passed.size > keysMax) passed.delete(passed.keys().next().value ?? key)
    return true
  }
}
