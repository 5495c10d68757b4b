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

/** Whom a node hands on to; its index stands here, too, since most are only looked up by that. */
interface Neighbour {
  readonly index: number
  readonly to: SimHost
}

/** What a host's part in the spreading follows from, until that changes. */
interface Mesh {
  peers: readonly SimHost[]
  neighbours: readonly Neighbour[]
  admitted: ReadonlySet<NodeId> | undefined
  /** True when these are admitted: so many machines, which were all. */
  isAll: boolean
  machines: number
}

/** What {@link Gossip} works with. */
export interface GossipOptions {
  readonly time: Timeline
  readonly network: Network
  readonly connections: Connections
  /** All machines, by index. */
  readonly hosts: readonly SimHost[]
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
  /** By the index of the host. */
  readonly #meshes: Mesh[] = []

  constructor(options: GossipOptions) {
    this.#options = options
  }

  publish(from: SimHost, message: Message): void {
    const dueMs = new Float64Array(this.#options.hosts.length).fill(Infinity)
    dueMs[from.options.index] = -Infinity
    const event: NodeEvent = { kind: 'received', from: from.node, message }
    this.#pass(from, { author: from.node, event, dueMs })
  }

  #pass(from: SimHost, envelope: Envelope): void {
    const { time, network, isRelayed } = this.#options
    const { author, dueMs } = envelope
    const soonestMs = time.nowMs + network.weather.delayMs[0]
    for (const neighbour of this.#neighbours(from)) {
      const { index, to } = neighbour
      // Most have it by now, or will before it could come from here. Who is newer than the message asks for all there is anyhow.
      if (index >= dueMs.length || dueMs[index]! <= (isRelayed ? soonestMs : -Infinity)) continue
      // Gossipsub takes what claims to be its own, and is not, for a forgery.
      if (to.node === author) continue
      const { life } = to
      network.send(from.link, to.link, delayMs => {
        const atMs = time.nowMs + delayMs
        if (isRelayed && dueMs[index]! <= atMs) return
        dueMs[index] = atMs
        time.after(delayMs, () => {
          if (from.isPowered && to.life === life) this.#arrive(neighbour, life, envelope)
          else if (dueMs[index] === atMs) dueMs[index] = Infinity
        })
      })
    }
  }

  #arrive({ index, to }: Neighbour, life: number, envelope: Envelope): void {
    const { author, event, dueMs } = envelope
    const { isRelayed } = this.#options
    to.onMain(() => {
      if (to.life !== life || (isRelayed && dueMs[index] === -Infinity)) return
      if (!this.#admits(to, author)) return
      dueMs[index] = -Infinity
      if (isRelayed) this.#pass(to, envelope)
      to.take(event)
    })
  }

  #neighbours(of: SimHost): readonly Neighbour[] {
    const mesh = this.#meshOf(of)
    const peers = this.#options.connections.peersOf(of)
    if (mesh.peers === peers) return mesh.neighbours
    const isSmall = peers.length <= MESH_DEGREE
    mesh.peers = peers
    mesh.neighbours = peers
      .filter(peer => isSmall || this.#isChosen(of, peer) || this.#isChosen(peer, of))
      .map(to => ({ index: to.options.index, to }))
    return mesh.neighbours
  }

  /** True when a daemon runs there that admits the author. Where all are admitted, as nearly always, nobody is looked up. */
  #admits({ machine, options }: SimHost, author: NodeId): boolean {
    if (machine === undefined) return false
    const { admitted } = machine
    const mesh = this.#meshes[options.index]
    const isKnown =
      mesh?.admitted === admitted && mesh.machines === this.#options.hosts.length && mesh.isAll
    return isKnown || admitted.has(author)
  }

  #meshOf({ options: { index }, machine }: SimHost): Mesh {
    let mesh = this.#meshes[index]
    if (mesh === undefined) {
      mesh = { peers: [], neighbours: [], admitted: undefined, isAll: false, machines: 0 }
      this.#meshes[index] = mesh
    }
    const { hosts } = this.#options
    if (mesh.admitted !== machine?.admitted || mesh.machines !== hosts.length) {
      mesh.admitted = machine?.admitted
      mesh.machines = hosts.length
      mesh.isAll = hosts.every(({ node }) => mesh.admitted?.has(node) === true)
    }
    return mesh
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
