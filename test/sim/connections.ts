import type { NodeId } from '../../src/model/ids.ts'
import { dialTargets, FULL_MESH_NODES_MAX } from '../../src/gossip/mesh.ts'
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

interface Targets {
  readonly admitted: ReadonlySet<NodeId>
  readonly unreachable: ReadonlySet<NodeId>
  readonly nodes: ReadonlySet<NodeId>
}

/** What of a host decides about its connections. */
interface HostKey {
  readonly life: number
  readonly isResponding: boolean
  readonly admitted: ReadonlySet<NodeId> | undefined
}

const NO_NODES: ReadonlySet<NodeId> = new Set()

/** Where anything is new about more than one host in so many, all are looked at, which is faster than to look for those that matter. */
const ACTIVE_PART = 20

/** Of two connections to one node, which can only be two machines with one key, the older is closed after so long. */
const DUPLICATE_MS = 1_500

/** Whom three dials in a row did not reach, of which each waits twice as long, is made up for by another. */
const UNREACHABLE_MS = 7_000

/**
 * The connections that the transport keeps between daemons that admit each other and can reach
 * each other: among few nodes all of them, among many those of {@link dialTargets}.
 */
export class Connections {
  readonly #random: Random
  readonly #network: Network
  readonly #byHost = new Map<SimHost, Map<SimHost, Connection>>()
  readonly #peers = new Map<
    SimHost,
    { readonly life: number; readonly hosts: readonly SimHost[] }
  >()
  readonly #targets = new Map<SimHost, Targets>()
  readonly #failingSinceMs = new Map<NodeId, number>()
  /** True when two machines have one key. */
  #hasCopies = false
  /** What the last review went by. */
  readonly #seen = new Map<SimHost, HostKey>()
  #seenChanges = -1
  /** Whom it left something to do about. */
  #restless = new Set<SimHost>()
  #unreachable: ReadonlySet<NodeId> = new Set()

  constructor(random: Random, network: Network) {
    this.#random = random
    this.#network = network
  }

  /** The hosts that the daemon of `of` is connected to. */
  peersOf(of: SimHost): readonly SimHost[] {
    const known = this.#peers.get(of)
    if (known?.life === of.life) return known.hosts
    const hosts: SimHost[] = []
    for (const [other, { ends }] of this.#byHost.get(of) ?? []) {
      if (ends.some(({ host, life, isOpen }) => host === of && life === of.life && isOpen)) {
        hosts.push(other)
      }
    }
    this.#peers.set(of, { life: of.life, hosts })
    return hosts
  }

  /** The machine at the other end of the newest connection that the daemon of `of` has to `node`. */
  peerOf(of: SimHost, node: NodeId): SimHost | undefined {
    const peers = this.peersOf(of).filter(other => other.node === node)
    return peers.length < 2 ? peers[0] : this.#newestFirst(of, peers)[0]
  }

  /** The daemon of `of` closes its connection to `node`. */
  close(of: SimHost, node: NodeId): void {
    for (const other of this.peersOf(of)) {
      if (other.node !== node) continue
      const own = this.#byHost
        .get(of)!
        .get(other)!
        .ends.find(({ host }) => host === of)!
      this.#end(own, other)
    }
  }

  /** Looks after every connection: opens what can be, and lets the ends notice what broke. Wanted every 100 ms. */
  review(hosts: readonly SimHost[], nowMs: number): void {
    const active = this.#activeOf(hosts)
    this.#restless = new Set()
    this.#hasCopies = new Set(hosts.map(({ node }) => node)).size < hosts.length
    if (hosts.length > FULL_MESH_NODES_MAX) this.#reviewMesh(hosts, active, nowMs)
    else if (active.size > 0) {
      for (const [index, one] of hosts.entries()) {
        for (const other of hosts.slice(index + 1)) {
          if (one.node !== other.node) this.#review(one, other, nowMs)
        }
      }
    }
    if (this.#hasCopies) this.#closeDuplicates(hosts, nowMs)
  }

  /** The hosts about which anything is new, or was left to do. Between all others all stays as it is. */
  #activeOf(hosts: readonly SimHost[]): ReadonlySet<SimHost> {
    const active = new Set(this.#restless)
    const isNewNetwork = this.#network.changes !== this.#seenChanges
    this.#seenChanges = this.#network.changes
    for (const host of hosts) {
      const { life, isResponding, machine } = host
      const key = { life, isResponding, admitted: machine?.admitted }
      const last = this.#seen.get(host)
      const isSame =
        last?.life === key.life &&
        last.isResponding === key.isResponding &&
        last.admitted === key.admitted
      if (isSame && !isNewNetwork) continue
      this.#seen.set(host, key)
      active.add(host)
    }
    return active
  }

  #reviewMesh(hosts: readonly SimHost[], active: ReadonlySet<SimHost>, nowMs: number): void {
    const unreachable = this.#unreachableOf(hosts, nowMs)
    const isElsewhere =
      unreachable.size !== this.#unreachable.size ||
      [...unreachable].some(node => !this.#unreachable.has(node))
    this.#unreachable = unreachable
    if (!isElsewhere && active.size === 0) return
    const isLarge = isElsewhere || active.size * ACTIVE_PART > hosts.length
    const byNode = new Map(hosts.map(host => [host.node, host]))
    for (const one of hosts) {
      if (one.machine === undefined) continue
      const isAll = isLarge || active.has(one)
      const targets = isAll
        ? this.#targetsOf(one, one.machine.admitted, unreachable)
        : (this.#targets.get(one)?.nodes ?? NO_NODES)
      const others = new Set<SimHost>()
      if (isAll) {
        for (const other of this.#byHost.get(one)?.keys() ?? []) others.add(other)
        for (const node of targets) {
          const other = byNode.get(node)
          if (other !== undefined) others.add(other)
        }
      } else {
        for (const other of active) {
          if (this.#byHost.get(one)?.has(other) === true || targets.has(other.node)) {
            others.add(other)
          }
        }
      }
      for (const other of others) this.#review(one, other, nowMs)
    }
  }

  #unreachableOf(hosts: readonly SimHost[], nowMs: number): ReadonlySet<NodeId> {
    for (const { node, machine, isResponding } of hosts) {
      if (machine !== undefined && isResponding) this.#failingSinceMs.delete(node)
      else if (!this.#failingSinceMs.has(node)) this.#failingSinceMs.set(node, nowMs)
    }
    const nodes = [...this.#failingSinceMs].filter(([, ms]) => nowMs - ms >= UNREACHABLE_MS)
    return new Set(nodes.map(([node]) => node))
  }

  /** Whom a daemon dials. Made anew only where one of them came or went, since it costs a hash for each node. */
  #targetsOf(
    of: SimHost,
    admitted: ReadonlySet<NodeId>,
    unreachable: ReadonlySet<NodeId>,
  ): ReadonlySet<NodeId> {
    const known = this.#targets.get(of)
    const isStillTrue =
      known?.admitted === admitted &&
      [...known.nodes].every(node => known.unreachable.has(node) === unreachable.has(node)) &&
      [...known.unreachable].every(node => unreachable.has(node))
    if (isStillTrue) return known.nodes
    const nodes = dialTargets(of.node, admitted, unreachable)
    this.#targets.set(of, { admitted, unreachable, nodes })
    return nodes
  }

  #closeDuplicates(hosts: readonly SimHost[], nowMs: number): void {
    for (const host of hosts) {
      const peers = this.peersOf(host)
      for (const { node } of peers) {
        const same = peers.filter(peer => peer.node === node)
        const [newest, ...others] = this.#newestFirst(host, same)
        if (newest === undefined || nowMs - this.#openedAtMs(host, newest) < DUPLICATE_MS) continue
        for (const other of others) {
          const { ends } = this.#byHost.get(host)!.get(other)!
          for (const end of ends) if (end.host === host && end.isOpen) this.#end(end, other)
        }
      }
    }
  }

  #newestFirst(of: SimHost, peers: readonly SimHost[]): SimHost[] {
    return peers.toSorted((one, other) => this.#openedAtMs(of, other) - this.#openedAtMs(of, one))
  }

  #openedAtMs(one: SimHost, other: SimHost): number {
    return this.#byHost.get(one)?.get(other)?.openedAtMs ?? -Infinity
  }

  /** True when a host has another open connection to the same node. */
  #isDuplicate(of: SimHost, node: NodeId): boolean {
    return this.#hasCopies && this.peersOf(of).some(peer => peer.node === node)
  }

  #review(one: SimHost, other: SimHost, nowMs: number): void {
    const connection = this.#byHost.get(one)?.get(other)
    const isThrough =
      this.#network.passes(one.link, other.link) && this.#network.passes(other.link, one.link)
    if (connection === undefined) {
      if (!isThrough || !one.isResponding || !other.isResponding) return
      if (!admits(one, other) || !admits(other, one)) return
      if (!this.#network.isDialHeld && this.#random() < 0.4) this.#open(one, other, nowMs)
      else this.#unsettle(one, other)
      return
    }
    const [first, second] = connection.ends
    this.#reviewEnd(first, second, isThrough, nowMs)
    this.#reviewEnd(second, first, isThrough, nowMs)
    if (isAlive(first) || isAlive(second)) return
    this.#byHost.get(one)?.delete(other)
    this.#byHost.get(other)?.delete(one)
    this.#unsettle(one, other)
  }

  /** There is more to do about these two the next time. */
  #unsettle(one: SimHost, other: SimHost): void {
    this.#restless.add(one).add(other)
  }

  #open(one: SimHost, other: SimHost, openedAtMs: number): void {
    const [first, second] = [one, other].map((host): End => ({
      host,
      life: host.life,
      isOpen: true,
      noticeAtMs: Infinity,
    }))
    const isNews = !this.#isDuplicate(one, other.node)
    const isNewsThere = !this.#isDuplicate(other, one.node)
    const connection: Connection = { openedAtMs, ends: [first!, second!] }
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      let connections = this.#byHost.get(from)
      if (connections === undefined)
        this.#byHost.set(from, (connections = new Map<SimHost, Connection>()))
      connections.set(to, connection)
      this.#peers.delete(from)
    }
    if (isNews) one.connectionOpened(other.node)
    if (isNewsThere) other.connectionOpened(one.node)
  }

  #reviewEnd(end: End, other: End, isThrough: boolean, nowMs: number): void {
    if (!isAlive(end)) return
    const isPowered = other.host.state === 'up' || other.host.state === 'stopped'
    const isWanted = admits(end.host, other.host)
    if (!isWanted || (isThrough && isPowered && !isAlive(other))) {
      // Its kernel says at once that nobody listens any more.
      this.#end(end, other.host)
    } else if (isThrough && isAlive(other)) {
      end.noticeAtMs = Infinity
    } else if (end.noticeAtMs === Infinity) {
      end.noticeAtMs = nowMs + 1_000 + 7_000 * this.#random()
      this.#unsettle(end.host, other.host)
    } else if (nowMs >= end.noticeAtMs) {
      this.#end(end, other.host)
    } else {
      this.#unsettle(end.host, other.host)
    }
  }

  #end(end: End, other: SimHost): void {
    end.isOpen = false
    this.#unsettle(end.host, other)
    if (end.host.life !== end.life) return
    this.#peers.delete(end.host)
    if (!this.#isDuplicate(end.host, other.node)) end.host.connectionClosed(other.node)
  }
}

function isAlive({ host, life, isOpen }: End): boolean {
  return isOpen && host.life === life && host.machine !== undefined
}

function admits(one: SimHost, other: SimHost): boolean {
  return one.machine !== undefined && one.machine.admitted.has(other.node)
}
