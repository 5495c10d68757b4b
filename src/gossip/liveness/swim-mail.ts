import type { NodeId } from '../../model/ids.ts'
import type { SwimEffect, SwimInit } from './swim-event.ts'
import { noticeTo, routeTo, type Member } from './swim-member.ts'
import { UPDATES_BYTES_MAX, type Route, type SwimMessage, type SwimUpdate } from './swim-message.ts'
import { News } from './swim-news.ts'
import type { SwimOptions } from './swim-options.ts'

const NO_UPDATES: readonly SwimUpdate[] = []

/** How a message goes, beyond its usual way, and what it says first. */
export interface SendOptions {
  /** @default the best known one to the member; without any nothing is sent */
  readonly route?: Route | undefined
  /** Goes before the news. */
  readonly about?: readonly SwimUpdate[]
  /** By stream only: worth a new connection. @default false */
  readonly mayDial?: boolean
}

/** What a node sends: it puts this node's incarnation, the news and what the receiver must know of itself on every message. */
export class Mail {
  readonly self: NodeId
  /** What waits to be passed on. */
  readonly news = new News()
  /** This node's own. */
  incarnation: number
  readonly #options: SwimOptions
  #newsLimit = 0
  #effects: SwimEffect[] = []

  constructor({ self, options }: SwimInit, incarnation: number) {
    this.self = self
    this.incarnation = incarnation
    this.#options = options
  }

  /** Begins a new list of effects, which all that follows is added to. */
  begin(): SwimEffect[] {
    this.#effects = []
    return this.#effects
  }

  /** Adds an effect. */
  add(effect: SwimEffect): void {
    this.#effects.push(effect)
  }

  /** Fits how often each piece of news is told to the number of nodes. */
  fit(nodes: number): void {
    this.#newsLimit = this.#options.retransmitMult * Math.ceil(Math.log10(nodes + 1))
  }

  /** Sends a message with the news that fits. */
  send(
    to: Member,
    kind: 'probe' | 'ack' | 'nack' | 'gossip',
    seq: number,
    { route = routeTo(to), about = NO_UPDATES, mayDial = false }: SendOptions = {},
  ): void {
    if (route === undefined) return
    const updates = this.#updatesFor(to, about)
    this.#post(to.node, route, { kind, seq, incarnation: this.incarnation, updates }, mayDial)
  }

  /** Asks a helper to probe `target`. */
  ask(helper: Member, target: NodeId, seq: number): void {
    const route = routeTo(helper)
    if (route === undefined) return
    const { incarnation } = this
    const updates = this.#updatesFor(helper, NO_UPDATES)
    this.#post(helper.node, route, { kind: 'ask', seq, incarnation, target, updates }, false)
  }

  /** Tells these that this node goes, and nothing else. */
  farewell(to: readonly Member[]): void {
    const { self: node, incarnation } = this
    const updates: readonly SwimUpdate[] = [{ kind: 'left', node, incarnation }]
    for (const member of to) {
      const route = routeTo(member)
      const message: SwimMessage = { kind: 'gossip', seq: 0, incarnation, updates }
      if (route !== undefined) this.#post(member.node, route, message, false)
    }
  }

  #post(to: NodeId, route: Route, message: SwimMessage, mayDial: boolean): void {
    this.#effects.push(
      route === 'stream'
        ? { kind: 'stream', to, message, mayDial }
        : { kind: 'send', to, address: route, message },
    )
  }

  /** News for one message; what is held against the receiver comes first (Lifeguard's buddy system). */
  #updatesFor(to: Member, about: readonly SwimUpdate[]): readonly SwimUpdate[] {
    const notice = noticeTo(to, this.self)
    const first = notice === undefined ? about : [notice, ...about]
    return this.news.take(UPDATES_BYTES_MAX, this.#newsLimit, first)
  }
}
