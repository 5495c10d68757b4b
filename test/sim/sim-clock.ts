/** 2023-11-14, where every simulation starts. */
const EPOCH_MS = 1_700_000_000_000

/** What a machine's clocks are like. */
export interface ClockOptions {
  /** The wall clock is ahead by so much at first. */
  readonly clockMs: number
  /** All its clocks run so much faster: 0.0001 is 100 ppm. */
  readonly drift: number
}

/**
 * The clocks of a simulated machine. The monotonic one only ever runs; the wall clock can be set. A daemon reads the wall
 * clock once, when it starts, and goes by the monotonic one from there: that is the loop's time.
 */
export class SimClock {
  readonly #rate: number
  #aheadMs: number
  #baseMs: number

  constructor({ clockMs, drift }: ClockOptions) {
    this.#rate = 1 + drift
    this.#aheadMs = EPOCH_MS + clockMs
    this.#baseMs = this.#aheadMs
  }

  /** What the wall clock showed when the monotonic one was at zero, as the daemon that runs has it. */
  get baseMs(): number {
    return this.#baseMs
  }

  /** Milliseconds since the machine was made. */
  monotonicMs(worldMs: number): number {
    return worldMs * this.#rate
  }

  /** The loop's time at a moment of the world. */
  loopMs(worldMs: number): number {
    return this.#baseMs + worldMs * this.#rate
  }

  /** The moment of the world at a time of the loop. */
  worldMs(loopMs: number): number {
    return (loopMs - this.#baseMs) / this.#rate
  }

  /** Sets the wall clock forward by so much, or back. */
  jump(byMs: number): void {
    this.#aheadMs += byMs
  }

  /** A daemon starts, and looks at the wall clock. */
  read(): void {
    this.#baseMs = this.#aheadMs
  }
}
