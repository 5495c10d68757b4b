/** What a {@link Lane} or an {@link Alarm} takes its time from. */
export interface Timeline {
  readonly nowMs: number
  after(ms: number, act: () => void): void
}

/**
 * A thread of a simulated machine: does its work at once, one thing after the other. While it
 * stands still what comes waits in line; what does not fit there is lost, as behind a full socket buffer.
 */
export class Lane {
  readonly #time: Timeline
  readonly #waitMax: number
  readonly #line: (() => void)[] = []
  #freeAtMs = 0
  #isDraining = false

  constructor(time: Timeline, waitMax: number) {
    this.#time = time
    this.#waitMax = waitMax
  }

  /** When it runs again, or did. */
  get freeAtMs(): number {
    return this.#freeAtMs
  }

  get isFree(): boolean {
    return !this.#isDraining && this.#line.length === 0 && this.#time.nowMs >= this.#freeAtMs
  }

  /** Does it now, or when the lane runs again. */
  run(act: () => void): void {
    if (this.isFree) act()
    else if (this.#line.length < this.#waitMax) this.#line.push(act)
  }

  /** Stands still for so long from now. */
  standStill(forMs: number): void {
    const untilMs = this.#time.nowMs + forMs
    if (untilMs <= this.#freeAtMs) return
    this.#freeAtMs = untilMs
    this.#time.after(forMs, () => this.#drain())
  }

  /** Runs again now. */
  resume(): void {
    this.#freeAtMs = Math.min(this.#freeAtMs, this.#time.nowMs)
    this.#drain()
  }

  /** The process is gone, and what waited for it, too. */
  clear(): void {
    this.#line.length = 0
  }

  #drain(): void {
    if (this.#isDraining) return
    // What the work leads to waits behind what is in line.
    this.#isDraining = true
    while (this.#time.nowMs >= this.#freeAtMs) {
      const next = this.#line.shift()
      if (next === undefined) break
      next()
    }
    this.#isDraining = false
  }
}
