/**
 * Names in a sentence: `a`, `a and b`, `a, b and c`. Of many the first `namedMax`, and how many
 * more there are of `count`: `a, b and 12 more`.
 */
export function listNames(
  names: readonly string[],
  {
    namedMax = 8,
    count = names.length,
  }: { readonly namedMax?: number; readonly count?: number } = {},
): string {
  const named = names.slice(0, namedMax)
  const more = count - named.length
  const last = more > 0 ? `${more} more` : named.pop()
  return named.length === 0 ? (last ?? '') : `${named.join(', ')} and ${last}`
}
