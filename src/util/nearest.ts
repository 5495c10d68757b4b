/**
 * Finds the name that somebody most likely meant, for "did you mean": the one
 * with the fewest typing slips (Levenshtein 1966), letter case aside.
 *
 * @returns Nothing when no name is near: more than a third of the letters would have to change.
 */
export function nearest(word: string, names: Iterable<string>): string | undefined {
  // Nobody mistypes names this long, and the work grows with the square of the length.
  if (word.length > 64) return undefined
  let best: string | undefined
  let least = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const name of names) {
    if (Math.abs(name.length - word.length) >= least) continue
    const slips = distance(word.toLowerCase(), name.toLowerCase())
    if (slips < least) [best, least] = [name, slips]
  }
  return best
}

function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const swap = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
