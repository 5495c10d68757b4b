import type { SwimOptions } from './swim-options.ts'

/** For so long after a stall the word of connections is doubted at most, in milliseconds. */
const WAKING_MS_MAX = 10_000

/**
 * What a node holds of itself: how well it fares (Lifeguard's local health), when it last heard from
 * anybody, and whether it ran all the time. It is what keeps a slow, frozen or cut off node from
 * accusing healthy ones.
 */
export class SelfDoubt {
  readonly #options: SwimOptions
  #health = 0
  #stalls = 0
  /** When somebody was last heard; time slept through does not count as silence. */
  #silentSinceMs: number
  /** When somebody was last heard, by the clock. */
  #heardAtMs = -Infinity
  #dazedUntilMs = -Infinity
  #wakingUntilMs = -Infinity

  constructor(options: SwimOptions, nowMs: number) {
    this.#options = options
    this.#silentSinceMs = nowMs
  }

  /** 0 is well, `healthMax` − 1 the worst. */
  get health(): number {
    return this.#health
  }

  /** How often this node found that it had not run for a while. */
  get stalls(): number {
    return this.#stalls
  }

  /** When this node takes itself to be cut off, if it hears from nobody until then. */
  get silentAtMs(): number {
    return this.#silentSinceMs + this.#options.silencePeriods * this.#options.probeIntervalMs
  }

  /**
   * A node that slept is dazed until then, or until somebody answers it; −Infinity when it is not. All that it knows
   * of the others is of before, and what it reads may have lain in its buffers: it judges nobody.
   */
  get dazedUntilMs(): number {
    return this.#dazedUntilMs
  }

  /**
   * True for a while after a stall, the longer the longer that was: others may have hung up on a node that did not run,
   * and connections that close say nothing of them.
   */
  isWaking(nowMs: number): boolean {
    return nowMs < this.#wakingUntilMs
  }

  /** True when somebody was heard since then. Who heard nobody at all has reason to look for the fault at home. */
  hasHeardSince(sinceMs: number): boolean {
    return this.#heardAtMs >= sinceMs
  }

  /** Something came from somebody; it may be old. */
  heard(nowMs: number): void {
    this.#silentSinceMs = nowMs
    this.#heardAtMs = nowMs
  }

  /** What comes by stream lies about in this machine: that nobody is heard says nothing. */
  held(nowMs: number): void {
    this.#silentSinceMs = nowMs
  }

  /** Somebody answered what this node asked since it runs again. */
  answered(): void {
    this.#dazedUntilMs = -Infinity
  }

  /** More doubt, or less. */
  change(by: number): void {
    this.#health = Math.max(0, Math.min(this.#options.healthMax - 1, this.#health + by))
  }

  /** This node did not run for so long. */
  stalled(lateMs: number, nowMs: number): void {
    const silenceMs = this.#options.silencePeriods * this.#options.probeIntervalMs
    this.#stalls++
    this.change(1)
    this.#silentSinceMs = Math.min(nowMs, this.#silentSinceMs + lateMs)
    this.#dazedUntilMs = nowMs + silenceMs
    const wakingUntilMs = nowMs + Math.min(WAKING_MS_MAX, silenceMs + lateMs)
    this.#wakingUntilMs = Math.max(this.#wakingUntilMs, wakingUntilMs)
  }
}
