/** How different two texts may be and still be a slip of the keyboard: a third of the longer one. */
const NEAR = 1 / 3

/** The name that was probably meant, or nothing when none is near. */
export function nearest(typed: string, names: Iterable<string>): string | undefined {
  let best: { readonly name: string; readonly distance: number } | undefined
  for (const name of names) {
    const distance = name.includes(typed) || typed.includes(name) ? 1 : editDistance(typed, name)
    if (best === undefined || distance < best.distance) best = { name, distance }
  }
  if (best === undefined) return undefined
  return best.distance <= Math.max(typed.length, best.name.length) * NEAR ? best.name : undefined
}

/** How many letters must change to make one text the other (Levenshtein), for texts of up to 255 letters. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...one.slice(0, 255)].entries()) {
    const next = [i + 1]
    for (let j = 0; j < other.length; j++) {
      const substitute = row[j]! + (letter === other[j] ? 0 : 1)
      next.push(Math.min(substitute, row[j + 1]! + 1, next[j]! + 1))
    }
    row = next
  }
  return row.at(-1)!
}
