import type { NodeId } from '../../src/model/ids.ts'
import type { Random } from '../../src/util/random.ts'
import type { SimHost } from './host.ts'
import type { Network } from './network.ts'

/** A connection between two daemons; each end learns of its end in its own time. */
interface Connection {
  readonly ends: readonly [End, End]
}

interface End {
  readonly host: SimHost
  readonly life: number
  isOpen: boolean
  /** When this end notices that nothing comes through any more. */
  noticeAtMs: number
}

/** The connections that the transport keeps between daemons that admit each other and can reach each other. */
export class Connections {
  readonly #random: Random
  readonly #network: Network
  readonly #byPair = new Map<string, Connection>()

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
      for (const other of hosts.slice(index + 1)) this.#review(one, other, nowMs)
    }
  }

  #review(one: SimHost, other: SimHost, nowMs: number): void {
    const pair = pairOf(one, other)
    const connection = this.#byPair.get(pair)
    const isThrough =
      this.#network.passes(one.node, other.node) && this.#network.passes(other.node, one.node)
    if (connection === undefined) {
      if (isThrough && admits(one, other) && admits(other, one) && this.#random() < 0.4) {
        const ends = [one, other].map((host): End => ({
          host,
          life: host.life,
          isOpen: true,
          noticeAtMs: Infinity,
        }))
        this.#byPair.set(pair, { ends: ends as [End, End] })
        one.take({ kind: 'connected', node: other.node })
        other.take({ kind: 'connected', node: one.node })
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
  return one.node < other.node ? `${one.node} ${other.node}` : `${other.node} ${one.node}`
}
