import type { Random } from '../../util/random.ts'

/** How often a node that had news lately compares all that it has with one other, in milliseconds: what gossip lost is found within a few rounds. */
export const OFFER_INTERVAL_MS = 2_000

/** How often it does where nothing was new for {@link CALM_AFTER_MS}: whoever has news compares oftener, and so finds whoever missed it. */
export const CALM_OFFER_INTERVAL_MS = 10_000

/** News that gossip lost is found by many within this. */
const CALM_AFTER_MS = 20_000

/** When a node offers the next comparison of all that it has to one other: soon while there is news, rarely else. */
export class OfferPace {
  readonly #random: Random
  #dueAtMs: number
  /** When anything was last found to have changed, and what is compared for that. */
  #newsAtMs: number
  #news: readonly unknown[] = []

  constructor(random: Random, nowMs: number) {
    this.#random = random
    this.#dueAtMs = nowMs + random() * OFFER_INTERVAL_MS
    this.#newsAtMs = nowMs
  }

  /** When {@link OfferPace.isDue} is to be asked next. */
  get wakeAtMs(): number {
    return this.#dueAtMs
  }

  /** True when a comparison is due; then the next one is planned. */
  isDue(nowMs: number): boolean {
    if (nowMs < this.#dueAtMs) return false
    this.#dueAtMs = nowMs + this.#pause(this.#isCalm(nowMs))
    return true
  }

  /** Looks whether any of these is another value than last time. With news, the next comparison does not wait for as long as one among nodes that had none. */
  notice(news: readonly unknown[], nowMs: number): void {
    if (news.every((one, at) => one === this.#news[at])) return
    this.#news = news
    if (this.#isCalm(nowMs)) this.#dueAtMs = Math.min(this.#dueAtMs, nowMs + this.#pause(false))
    this.#newsAtMs = nowMs
  }

  #isCalm(nowMs: number): boolean {
    return nowMs - this.#newsAtMs >= CALM_AFTER_MS
  }

  #pause(isCalm: boolean): number {
    const intervalMs = isCalm ? CALM_OFFER_INTERVAL_MS : OFFER_INTERVAL_MS
    return intervalMs * (0.75 + this.#random() / 2)
  }
}
