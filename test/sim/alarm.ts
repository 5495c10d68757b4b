import type { Timeline } from './lane.ts'

/** A timer that can be set again and again: it rings at the time that it was set to last. */
export class Alarm {
  readonly #time: Timeline
  readonly #ring: () => void
  #atMs = Infinity
  /** When the world wakes it; if that is too early, it sleeps on. */
  #wakesAtMs = Infinity

  constructor(time: Timeline, ring: () => void) {
    this.#time = time
    this.#ring = ring
  }

  /** Rings at `atMs`, and no more at the time that was asked for before. */
  set(atMs: number): void {
    this.#atMs = atMs
    if (atMs < this.#wakesAtMs) this.#sleep()
  }

  #sleep(): void {
    const wakesAtMs = this.#atMs
    this.#wakesAtMs = wakesAtMs
    this.#time.after(wakesAtMs - this.#time.nowMs, () => {
      // Another one was set in its place.
      if (this.#wakesAtMs !== wakesAtMs) return
      this.#wakesAtMs = Infinity
      if (this.#atMs > this.#time.nowMs) this.#sleep()
      else this.#ring()
    })
  }
}
