import type { Timeline } from './lane.ts'

/** A timer that can be set again and again; only the earliest time that was asked for since it last rang counts. */
export class Alarm {
  readonly #time: Timeline
  readonly #ring: () => void
  #atMs = Infinity

  constructor(time: Timeline, ring: () => void) {
    this.#time = time
    this.#ring = ring
  }

  /** Rings at `atMs`, unless it is to ring before that anyhow. */
  set(atMs: number): void {
    if (atMs >= this.#atMs) return
    this.#atMs = atMs
    this.#time.after(atMs - this.#time.nowMs, () => {
      // Another one was set in its place.
      if (this.#atMs !== atMs) return
      this.#atMs = Infinity
      this.#ring()
    })
  }
}
