const cache = new Map<string, RegExp>()
/** x */
export function matchesPattern(pattern: string, text: string): boolean {
  let r = cache.get(pattern)
  if (r === undefined) {
    r = new RegExp(`^(?:${pattern})$`, 's')
    if (cache.size > 1000) cache.clear()
    cache.set(pattern, r)
  }
  return r.test(text)
}
