import type { NodeId } from '../../src/model/ids.ts'
import type { Random } from '../../src/util/random.ts'

/** What is wrong with all links at once. */
export interface Weather {
  /** Chance that a message is lost. */
  readonly loss: number
  /** Chance that a message comes twice. */
  readonly duplicate: number
  /** A message takes between these, in virtual milliseconds; so a later one may come first. */
  readonly delayMs: readonly [min: number, max: number]
}

/** A good local network. */
export const CALM: Weather = { loss: 0, duplicate: 0, delayMs: [0.3, 2] }

/** The links between simulated machines: which pass, in each direction, and how well. */
export class Network {
  weather: Weather = CALM
  readonly #random: Random
  readonly #cuts = new Set<string>()
  #islands: ReadonlyMap<NodeId, number> | undefined

  constructor(random: Random) {
    this.#random = random
  }

  /** Nothing passes from `from` to `to`; the other way is not touched. */
  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(`${from}>${to}`)
  }

  /** Messages pass only within an island; a node on none is alone. */
  split(...islands: (readonly NodeId[])[]): void {
    this.#islands = new Map(
      islands.flatMap((island, index) => island.map(node => [node, index] as const)),
    )
  }

  /** Ends every cut and split; the weather stays. */
  heal(): void {
    this.#cuts.clear()
    this.#islands = undefined
  }

  /** True when a message may pass in this direction. */
  passes(from: NodeId, to: NodeId): boolean {
    if (this.#cuts.has(`${from}>${to}`)) return false
    if (this.#islands === undefined) return true
    const island = this.#islands.get(from)
    return island !== undefined && island === this.#islands.get(to)
  }

  /** When a message sent now arrives: after each of these delays; never, if there is none. */
  delays(from: NodeId, to: NodeId): number[] {
    const { loss, duplicate } = this.weather
    if (!this.passes(from, to) || this.#random() < loss) return []
    const delays = [this.#delay()]
    if (duplicate > 0 && this.#random() < duplicate) delays.push(this.#delay())
    return delays
  }

  #delay(): number {
    const [min, max] = this.weather.delayMs
    return min + this.#random() * (max - min)
  }
}
