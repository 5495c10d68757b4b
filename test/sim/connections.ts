import type { NodeId } from '../../src/model/ids.ts'
import type { Random } from '../../src/util/random.ts'
import type { SimHost } from './host.ts'
import type { Network } from './network.ts'

/** A connection between two daemons; each end learns of its end in its own time. */
interface Connection {
  readonly openedAtMs: number
  readonly ends: readonly [End, End]
}

interface End {
  readonly host: SimHost
  readonly life: number
  isOpen: boolean
  /** When this end notices that nothing comes through any more. */
  noticeAtMs: number
}

/** Of two connections to one node, which can only be two machines with one key, the older is closed after so long. */
const DUPLICATE_MS = 1_500

/** The connections that the transport keeps between daemons that admit each other and can reach each other. */
export class Connections {
  readonly #random: Random
  readonly #network: Network
  readonly #byPair = new Map<string, Connection>()
  /** True when two machines have one key. */
  #hasCopies = false

  constructor(random: Random, network: Network) {
    this.#random = random
    this.#network = network
  }

  /** The hosts that the daemon of `of` is connected to. */
  peersOf(of: SimHost, hosts: readonly SimHost[]): SimHost[] {
    return hosts.filter(other => {
      if (other === of) return false
      const ends = this.#byPair.get(pairOf(of, other))?.ends
      return ends?.some(({ host, life, isOpen }) => host === of && life === of.life && isOpen)
    })
  }

  /** The machine at the other end of the newest connection that the daemon of `of` has to `node`. */
  peerOf(of: SimHost, node: NodeId, hosts: readonly SimHost[]): SimHost | undefined {
    return this.#newestFirst(
      of,
      this.peersOf(of, hosts).filter(other => other.node === node),
    )[0]
  }

  /** The daemon of `of` closes its connection to `node`. */
  close(of: SimHost, node: NodeId): void {
    for (const { ends } of this.#byPair.values()) {
      const own = ends.find(({ host }) => host === of)
      const other = ends.find(({ host }) => host.node === node)
      if (own === undefined || other === undefined || !own.isOpen) continue
      this.#end(own)
    }
  }

  /** Looks after every connection: opens what can be, and lets the ends notice what broke. Wanted every 100 ms. */
  review(hosts: readonly SimHost[], nowMs: number): void {
    for (const [index, one] of hosts.entries()) {
      for (const other of hosts.slice(index + 1)) {
        if (one.node !== other.node) this.#review(one, other, nowMs)
      }
    }
    this.#hasCopies = new Set(hosts.map(({ node }) => node)).size < hosts.length
    if (this.#hasCopies) this.#closeDuplicates(hosts, nowMs)
  }

  #closeDuplicates(hosts: readonly SimHost[], nowMs: number): void {
    for (const host of hosts) {
      const peers = this.peersOf(host, hosts)
      for (const { node } of peers) {
        const same = peers.filter(peer => peer.node === node)
        const [newest, ...others] = this.#newestFirst(host, same)
        if (newest === undefined || nowMs - this.#openedAtMs(host, newest) < DUPLICATE_MS) continue
        for (const other of others) {
          const { ends } = this.#byPair.get(pairOf(host, other))!
          for (const end of ends) if (end.host === host && end.isOpen) this.#end(end)
        }
      }
    }
  }

  #newestFirst(of: SimHost, peers: readonly SimHost[]): SimHost[] {
    return peers.toSorted((one, other) => this.#openedAtMs(of, other) - this.#openedAtMs(of, one))
  }

  #openedAtMs(one: SimHost, other: SimHost): number {
    return this.#byPair.get(pairOf(one, other))?.openedAtMs ?? -Infinity
  }

  /** True when a host has another open connection to the same node. */
  #isDuplicate({ host, life }: End, node: NodeId): boolean {
    if (!this.#hasCopies) return false
    return Array.from(this.#byPair.values()).some(({ ends }) => {
      const own = ends.find(end => end.host === host && end.life === life && end.isOpen)
      return own !== undefined && ends.some(end => end.host !== host && end.host.node === node)
    })
  }

  #review(one: SimHost, other: SimHost, nowMs: number): void {
    const pair = pairOf(one, other)
    const connection = this.#byPair.get(pair)
    const isThrough =
      this.#network.passes(one.link, other.link) && this.#network.passes(other.link, one.link)
    if (connection === undefined) {
      if (isThrough && admits(one, other) && admits(other, one) && this.#random() < 0.4) {
        const ends = [one, other].map((host): End => ({
          host,
          life: host.life,
          isOpen: true,
          noticeAtMs: Infinity,
        }))
        const isNews = ends.map((end, at) => !this.#isDuplicate(end, ends[1 - at]!.host.node))
        this.#byPair.set(pair, { openedAtMs: nowMs, ends: ends as [End, End] })
        if (isNews[0]) one.take({ kind: 'connected', node: other.node })
        if (isNews[1]) other.take({ kind: 'connected', node: one.node })
      }
      return
    }
    const [first, second] = connection.ends
    this.#reviewEnd(first, second, isThrough, nowMs)
    this.#reviewEnd(second, first, isThrough, nowMs)
    if (!isAlive(first) && !isAlive(second)) this.#byPair.delete(pair)
  }

  #reviewEnd(end: End, other: End, isThrough: boolean, nowMs: number): void {
    if (!isAlive(end)) return
    const isPowered = other.host.state === 'up' || other.host.state === 'stopped'
    const isWanted = admits(end.host, other.host)
    if (!isWanted || (isThrough && isPowered && !isAlive(other))) {
      // Its kernel says at once that nobody listens any more.
      this.#end(end, other)
    } else if (isThrough && isAlive(other)) {
      end.noticeAtMs = Infinity
    } else if (end.noticeAtMs === Infinity) {
      end.noticeAtMs = nowMs + 1_000 + 7_000 * this.#random()
    } else if (nowMs >= end.noticeAtMs) {
      this.#end(end, other)
    }
  }

  #end(end: End, other?: End): void {
    end.isOpen = false
    if (end.host.life !== end.life) return
    const node = (other ?? this.#otherOf(end)).host.node
    if (this.#isDuplicate(end, node)) return
    end.host.hear({ kind: 'connection-lost', node })
    end.host.take({ kind: 'disconnected', node })
  }

  #otherOf(end: End): End {
    for (const { ends } of this.#byPair.values()) {
      const [first, second] = ends
      if (first === end) return second
      if (second === end) return first
    }
    throw new Error('No connection has this end')
  }
}

function isAlive({ host, life, isOpen }: End): boolean {
  return isOpen && host.life === life && host.machine !== undefined
}

function admits(one: SimHost, other: SimHost): boolean {
  return one.machine !== undefined && one.machine.admitted.has(other.node)
}

function pairOf(one: SimHost, other: SimHost): string {
  return one.link < other.link ? `${one.link} ${other.link}` : `${other.link} ${one.link}`
}
