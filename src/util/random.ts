/** A source of numbers in [0, 1). `Math.random` in the shells, {@link createRandom} in tests and the simulator. */
export type Random = () => number

/**
 * Returns a small, fast generator with 128 bits of state (sfc32, from PractRand).
 * The same seed gives the same numbers on every machine, so a failing simulation
 * can be replayed from its seed alone.
 */
export function createRandom(seed: number): Random {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = seed >>> 0
  let counter = 1

  function next(): number {
    const mixed = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + mixed
    return (mixed >>> 0) / 2 ** 32
  }

  // The first outputs of neighbouring seeds look alike: mix before use.
  for (let round = 0; round < 12; round++) next()
  return next
}

/** Picks one of `items`, or nothing from an empty list. */
export function pick<T>(items: readonly T[], random: Random): T | undefined {
  return items[Math.floor(random() * items.length)]
}

/** The items in a random order (Fisher–Yates), in a new array. */
export function shuffle<T>(items: readonly T[], random: Random): T[] {
  const shuffled = [...items]
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!]
  }
  return shuffled
}
