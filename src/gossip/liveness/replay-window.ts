/** How far behind the newest counter a datagram may come, in datagrams. More reordering than this is loss. */
export const REPLAY_WINDOW = 1024

const WORDS = REPLAY_WINDOW / 32 + 1

/**
 * Remembers which of a session's counters were seen, in constant space: a ring of
 * bits behind the highest one (RFC 6479).
 */
export class ReplayWindow {
  readonly #words = new Uint32Array(WORDS)
  #highest = -1

  /** True for a counter that was neither seen nor is too old to know. Changes nothing. */
  isFresh(counter: number): boolean {
    if (counter > this.#highest) return true
    if (counter <= this.#highest - REPLAY_WINDOW) return false
    return (this.#words[wordOf(counter)]! & bitOf(counter)) === 0
  }

  /** Marks a fresh counter as seen; call it once its datagram is proven genuine. */
  mark(counter: number): void {
    if (counter > this.#highest) {
      const from = Math.floor(this.#highest / 32)
      const steps = Math.min(Math.floor(counter / 32) - from, WORDS)
      for (let step = 1; step <= steps; step++) this.#words[(from + step) % WORDS] = 0
      this.#highest = counter
    }
    this.#words[wordOf(counter)]! |= bitOf(counter)
  }
}

function wordOf(counter: number): number {
  return Math.floor(counter / 32) % WORDS
}

function bitOf(counter: number): number {
  return 1 << (counter % 32)
}
