import type { Random } from '../../util/random.ts'
import type { SwimOptions } from './swim-options.ts'
import type { Roster } from './swim-roster.ts'
import type { Member } from './swim-member.ts'

/**
 * When and for whom to look among the lost: the dead, and those never seen. All nodes together look for one
 * about ten times per `lostProbeIntervalMs`, and each for all in turn, quickly, once there is reason to hope: so a
 * healed partition is whole within seconds, and nobody has to be restarted for it.
 */
export class Search {
  readonly #options: SwimOptions
  readonly #random: Random
  readonly #roster: Roster
  #nextMs: number
  #tookAtMs = -Infinity
  /** How many of the lost still get a quick look. */
  #hurry = 0

  constructor(options: SwimOptions, random: Random, roster: Roster, nowMs: number) {
    this.#options = options
    this.#random = random
    this.#roster = roster
    this.#nextMs = nowMs
  }

  /** When to {@link take} next; Infinity while nobody is lost. */
  get nextMs(): number {
    return this.#roster.lost.size > 0 ? this.#nextMs : Infinity
  }

  /** True while a quick look at all the lost goes on. */
  get isHurried(): boolean {
    return this.#hurry > 0
  }

  /** Something changed for the better: look at all the lost, quickly. */
  hurry(): void {
    this.#hurry = this.#roster.lost.size
    this.#nextMs = Math.min(this.#nextMs, this.#tookAtMs + this.#options.gossipIntervalMs)
  }

  /** Whom to look for now. */
  take(nowMs: number): Member[] {
    const { lostBurst, gossipIntervalMs } = this.#options
    const wanted = Math.max(1, Math.min(lostBurst, this.#hurry))
    const count = Math.min(this.#roster.lost.size, wanted)
    this.#hurry = Math.max(0, this.#hurry - count)
    this.#tookAtMs = nowMs
    this.#nextMs = nowMs + (this.#hurry > 0 ? gossipIntervalMs : this.#pauseMs)
    return Array.from({ length: count }, () => this.#roster.lost.next()).filter(
      member => member !== undefined,
    )
  }

  /** Many look rarely each. */
  get #pauseMs(): number {
    const share = Math.max(1, this.#roster.electorate.nodes / (10 * this.#roster.lost.size))
    return this.#options.lostProbeIntervalMs * share * (0.5 + this.#random())
  }
}
