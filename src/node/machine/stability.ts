/** A node that came back is taken to be there for good after so long, in milliseconds. */
export const STEADY_MS = 10_000

/** The longest that a node which keeps coming and going has to stay before it counts as steady again. */
export const STEADY_MS_MAX = 300_000

/** Returns that count: those of the last ten minutes. */
const RETURNS_MS = 600_000

/** After so many returns in that time a node says of itself that it flaps. */
const FLAPS = 3

/**
 * Whether this node has been there for long enough to be given work that others do
 * already. A node knows best itself that it came and went, and says so in its record:
 * that is a fact that all share, where each one's own memory of it would differ.
 */
export class Stability {
  readonly #recentStarts: number
  #returnsMs: number[] = []
  #hadMajority = false
  #lostOnce = false
  #sinceMs: number

  /**
   * @param recentStarts How often the daemon was started lately. One that crashes again and again gets
   * nothing new for longer, but keeps what it runs: a restart touches no task, however many there are.
   */
  constructor({ recentStarts, nowMs }: { readonly recentStarts: number; readonly nowMs: number }) {
    this.#sinceMs = nowMs
    this.#recentStarts = recentStarts
  }

  /** Takes whether this node sees a majority of the others now. Losing and regaining it is a return. */
  see(hasMajority: boolean, nowMs: number): void {
    if (hasMajority === this.#hadMajority) return
    const isReturn = hasMajority && this.#lostOnce
    this.#hadMajority = hasMajority
    if (!hasMajority) this.#lostOnce = true
    if (!isReturn) return
    this.#sinceMs = nowMs
    this.#returnsMs = [...this.#returnsMs.filter(ms => nowMs - ms < RETURNS_MS), nowMs].slice(-16)
  }

  /** When the node will be steady, or became so. */
  get steadyAtMs(): number {
    return this.#sinceMs + this.#windowMs
  }

  isSteady(nowMs: number): boolean {
    return nowMs >= this.steadyAtMs
  }

  /** True for a node that came back too often, until it is steady again. */
  isFlapping(nowMs: number): boolean {
    return this.#returnsMs.length >= FLAPS && !this.isSteady(nowMs)
  }

  /** When an answer here changes by time alone. */
  wakeAtMs(nowMs: number): number {
    return this.isSteady(nowMs) ? Infinity : this.steadyAtMs
  }

  get #windowMs(): number {
    const times = Math.max(this.#returnsMs.length, this.#recentStarts)
    return Math.min(STEADY_MS_MAX, STEADY_MS * 2 ** Math.max(0, times - 1))
  }
}
