import type { NodeId } from '../../src/model/ids.ts'
import type { Message, NodeEvent } from '../../src/node/machine/events.ts'
import { hashText } from '../../src/placement/hash.ts'
import type { Connections } from './connections.ts'
import type { SimHost } from './host.ts'
import type { Timeline } from './lane.ts'
import type { Network } from './network.ts'

/** A node hands what it heard on to so many others of its own choice, and to those that chose it: D of gossipsub. */
const MESH_DEGREE = 6

/** One published message on its way through the cluster. */
interface Envelope {
  readonly author: NodeId
  /** What each that hears it makes of it. */
  readonly event: NodeEvent
  /**
   * By the index of a host, when the earliest copy that is on its way to it gets there; −Infinity once it has had one. What would come
   * later is not sent at all: it would be dropped there, and in a large cluster most copies are such.
   */
  readonly dueMs: Float64Array
}

/** What {@link Gossip} works with. */
export interface GossipOptions {
  readonly time: Timeline
  readonly network: Network
  readonly connections: Connections
  /** How many machines there are. */
  readonly size: () => number
  /** False to have each message go to the author's own peers only, and no further. */
  readonly isRelayed: boolean
}

/**
 * Spreads what is published as gossipsub does: each node that hears something for the first time
 * hands it on over the links of its mesh, if it admits the author. So it also reaches
 * those that the author has no connection to; and the shortest way is not always the first.
 */
export class Gossip {
  readonly #options: GossipOptions
  readonly #mesh = new Map<
    SimHost,
    { readonly of: readonly SimHost[]; readonly to: readonly SimHost[] }
  >()

  constructor(options: GossipOptions) {
    this.#options = options
  }

  publish(from: SimHost, message: Message): void {
    const dueMs = new Float64Array(this.#options.size()).fill(Infinity)
    dueMs[from.options.index] = -Infinity
    const event: NodeEvent = { kind: 'received', from: from.node, message }
    this.#pass(from, { author: from.node, event, dueMs })
  }

  #pass(from: SimHost, envelope: Envelope): void {
    const { time, network, isRelayed } = this.#options
    const { author, dueMs } = envelope
    for (const to of this.#neighbours(from)) {
      const { life } = to
      const { index } = to.options
      // Gossipsub takes what claims to be its own, and is not, for a forgery. Who is newer than the message asks for all there is anyhow.
      if (dueMs[index] === -Infinity || to.node === author || index >= dueMs.length) continue
      network.send(from.link, to.link, delayMs => {
        const atMs = time.nowMs + delayMs
        if (isRelayed && dueMs[index]! <= atMs) return
        dueMs[index] = atMs
        time.after(delayMs, () => {
          if (from.isPowered && to.life === life) this.#arrive(to, life, envelope)
          else if (dueMs[index] === atMs) dueMs[index] = Infinity
        })
      })
    }
  }

  #arrive(to: SimHost, life: number, envelope: Envelope): void {
    const { author, event, dueMs } = envelope
    const { isRelayed } = this.#options
    to.onMain(() => {
      const { index } = to.options
      if (to.life !== life || (isRelayed && dueMs[index] === -Infinity)) return
      if (to.machine?.admitted.has(author) !== true) return
      dueMs[index] = -Infinity
      if (isRelayed) this.#pass(to, envelope)
      to.take(event)
    })
  }

  #neighbours(of: SimHost): readonly SimHost[] {
    const peers = this.#options.connections.peersOf(of)
    if (peers.length <= MESH_DEGREE) return peers
    const known = this.#mesh.get(of)
    if (known?.of === peers) return known.to
    const to = peers.filter(peer => this.#isChosen(of, peer) || this.#isChosen(peer, of))
    this.#mesh.set(of, { of: peers, to })
    return to
  }

  /** True when `peer` is among those that `of` chose. Each chooses by a hash, so that nobody has to remember it. */
  #isChosen(of: SimHost, peer: SimHost): boolean {
    const own = rankOf(of, peer)
    let before = 0
    for (const other of this.#options.connections.peersOf(of)) {
      if (rankOf(of, other) < own) before++
    }
    return before < MESH_DEGREE
  }
}

function rankOf(of: SimHost, peer: SimHost): number {
  return hashText(`${of.name} ${peer.name}`)
}
