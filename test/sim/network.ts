import type { NodeId } from '../../src/model/ids.ts'
import type { Random } from '../../src/util/random.ts'

/** How well messages get through. */
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

/** What goes over TCP is sent again after so long when it was lost (RFC 6298, as Linux has it on a LAN). */
const RETRANSMIT_MS = 200

/** The links between simulated machines: which pass, in each direction, and how well. */
export class Network {
  /** What all links have in common. Replace it at will. */
  weather: Weather = CALM
  /** True while no new connection comes about, as after a long split: each dial that fails makes the next one wait longer. */
  isDialHeld = false
  readonly #random: Random
  readonly #cuts = new Set<string>()
  readonly #links = new Map<string, Partial<Weather>>()
  #islands: ReadonlyMap<NodeId, number> | undefined
  #changes = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** Counts the changes of what passes. */
  get changes(): number {
    return this.#changes
  }

  /** True when everything may pass everywhere. */
  get isWhole(): boolean {
    return this.#islands === undefined && this.#cuts.size === 0
  }

  /** Nothing passes from `from` to `to`; the other way is not touched. */
  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(`${from}>${to}`)
    this.#changes++
  }

  /** Takes one cut back. */
  mend(from: NodeId, to: NodeId): void {
    this.#cuts.delete(`${from}>${to}`)
    this.#changes++
  }

  /** What is different on one link in one direction; nothing for a link like all others. */
  setLink(from: NodeId, to: NodeId, weather: Partial<Weather> | undefined): void {
    if (weather === undefined) this.#links.delete(`${from}>${to}`)
    else this.#links.set(`${from}>${to}`, weather)
  }

  /** Messages pass only within an island; a node on none is alone. */
  split(...islands: (readonly NodeId[])[]): void {
    this.#islands = new Map(
      islands.flatMap((island, index) => island.map(node => [node, index] as const)),
    )
    this.#changes++
  }

  /** Ends every cut and split; the weather stays. */
  heal(): void {
    this.#cuts.clear()
    this.#islands = undefined
    this.#changes++
  }

  /** Good weather everywhere, and links that are all alike. */
  clear(): void {
    this.weather = CALM
    this.#links.clear()
  }

  /** True when a message may pass in this direction. */
  passes(from: NodeId, to: NodeId): boolean {
    if (this.#cuts.size > 0 && this.#cuts.has(`${from}>${to}`)) return false
    if (this.#islands === undefined) return true
    const island = this.#islands.get(from)
    return island !== undefined && island === this.#islands.get(to)
  }

  /** Sends something: calls `arrive` with the delay of each copy that gets there, of which there may be none. */
  send(from: NodeId, to: NodeId, arrive: (delayMs: number) => void): void {
    if (!this.passes(from, to)) return
    const { loss, duplicate, delayMs } = this.#weatherOf(from, to)
    if (loss > 0 && this.#random() < loss) return
    arrive(this.#draw(delayMs))
    if (duplicate > 0 && this.#random() < duplicate) arrive(this.#draw(delayMs))
  }

  /** How long something takes that is sent again until it gets through; nothing where there is no way. */
  streamMs(from: NodeId, to: NodeId): number | undefined {
    if (!this.passes(from, to) || !this.passes(to, from)) return undefined
    const { loss, delayMs } = this.#weatherOf(from, to)
    const lost = loss === 0 ? 0 : Math.floor(Math.log(this.#random()) / Math.log(loss))
    return this.#draw(delayMs) + lost * RETRANSMIT_MS
  }

  #weatherOf(from: NodeId, to: NodeId): Weather {
    if (this.#links.size === 0) return this.weather
    const own = this.#links.get(`${from}>${to}`)
    return own === undefined ? this.weather : worse(this.weather, own)
  }

  #draw([min, max]: Weather['delayMs']): number {
    return min + this.#random() * (max - min)
  }
}

/** A storm does not make a bad link better. */
function worse(all: Weather, own: Partial<Weather>): Weather {
  const { loss = 0, duplicate = 0, delayMs = all.delayMs } = own
  return {
    loss: Math.min(0.95, Math.max(all.loss, loss)),
    duplicate: Math.max(all.duplicate, duplicate),
    delayMs: [Math.max(all.delayMs[0], delayMs[0]), Math.max(all.delayMs[1], delayMs[1])],
  }
}
