import type { NodeId } from '../model/ids.ts'
import { backoffMs } from '../util/backoff.ts'
import type { Random } from '../util/random.ts'
import { dialTargets } from './mesh.ts'

/** What a dialer needs from its owner. */
export interface DialerOptions {
  readonly self: NodeId
  /** Connects to `node` at one of `addresses`; rejects when none answers. */
  readonly dial: (node: NodeId, addresses: readonly string[]) => Promise<unknown>
  readonly isConnected: (node: NodeId) => boolean
  readonly random: Random
}

/** Keeps the connections that this node should have. */
export interface Dialer {
  setAdmitted(nodes: ReadonlySet<NodeId>): void
  /** Replaces what the owner knows of addresses. */
  setAddresses(addresses: ReadonlyMap<NodeId, readonly string[]>): void
  /** Adds addresses that discovery found: kept beside the owner's, newest first. */
  found(node: NodeId, addresses: readonly string[]): void
  /** Where `node` may be. */
  addressesOf(node: NodeId): readonly string[]
  /** The other side welcomed us: failures are forgotten. */
  welcomed(node: NodeId): void
  /** The last connection closed: dials again, soon if it had been a good one. */
  lost(node: NodeId): void
  /**
   * Somebody has something to say to `node` and could not: from now on it is one of those that
   * this node keeps a connection to, however many there are. What could not be said is lost.
   */
  want(node: NodeId): void
  /** Dials at once, whatever the backoff. */
  redial(node: NodeId): void
  close(): void
}

const BACKOFF = { initialMs: 1000, factor: 2, maxMs: 30_000 }
/** A connection that had worked is tried again after this: a daemon that restarts is back in a second. */
const LOST_MS = 250
/** Of two nodes that know each other, the one with the higher id waits this long, so that one connection comes of it. */
const POLITE_MS = 300
/** So many failures in a row make a node unreachable when choosing whom else to dial. */
const UNREACHABLE_FAILURES = 3
const ADDRESSES_PER_NODE_MAX = 8

interface Peer {
  failures: number
  /** The connection that is open was welcomed. */
  good: boolean
  /** A good connection was lost just now. */
  quick: boolean
  dialling: boolean
  timer: NodeJS.Timeout | undefined
  found: readonly string[]
}

/**
 * Starts dialling whom {@link dialTargets} says, again and again: after a failure with a wait of 1 s that
 * doubles up to 30 s, ± 25 % so that a cluster that lost its switch does not come back in lockstep.
 */
export function createDialer({ self, dial, isConnected, random }: DialerOptions): Dialer {
  let admitted: ReadonlySet<NodeId> = new Set()
  let given: ReadonlyMap<NodeId, readonly string[]> = new Map()
  let closed = false
  const wanted = new Set<NodeId>()
  const peers = new Map<NodeId, Peer>()

  function peerOf(node: NodeId): Peer {
    let peer = peers.get(node)
    if (peer === undefined) {
      peer = {
        failures: 0,
        good: false,
        quick: false,
        dialling: false,
        timer: undefined,
        found: [],
      }
      peers.set(node, peer)
    }
    return peer
  }

  function addressesOf(node: NodeId): readonly string[] {
    const all = new Set([...(peers.get(node)?.found ?? []), ...(given.get(node) ?? [])])
    return [...all].slice(0, ADDRESSES_PER_NODE_MAX)
  }

  /** Makes the timers fit what is wanted now. */
  function plan(): void {
    if (closed) return
    const dialable = [...admitted].filter(node => addressesOf(node).length > 0)
    const unreachable = new Set(
      dialable.filter(node => (peers.get(node)?.failures ?? 0) >= UNREACHABLE_FAILURES),
    )
    const targets = dialTargets(self, dialable, unreachable)
    for (const node of dialable) if (wanted.has(node)) targets.add(node)
    for (const [node, peer] of peers) {
      if (targets.has(node)) continue
      clearTimeout(peer.timer)
      peer.timer = undefined
      if (!admitted.has(node)) peers.delete(node)
    }
    for (const node of targets) {
      const peer = peerOf(node)
      if (peer.dialling || peer.timer !== undefined || isConnected(node)) continue
      schedule(node, peer, waitMs(node, peer))
    }
  }

  function waitMs(node: NodeId, peer: Peer): number {
    const polite = self < node ? 0 : POLITE_MS
    if (peer.failures === 0) return (peer.quick ? LOST_MS : 0) + polite * (0.5 + random())
    return backoffMs(peer.failures, BACKOFF) * (0.75 + 0.5 * random())
  }

  function schedule(node: NodeId, peer: Peer, ms: number): void {
    clearTimeout(peer.timer)
    peer.timer = setTimeout(() => {
      peer.timer = undefined
      attempt(node, peer)
    }, ms)
  }

  function attempt(node: NodeId, peer: Peer): void {
    const addresses = addressesOf(node)
    if (closed || peer.dialling || addresses.length === 0 || isConnected(node)) return
    peer.dialling = true
    peer.quick = false
    dial(node, addresses)
      .catch(() => {
        peer.failures++
      })
      .finally(() => {
        peer.dialling = false
        plan()
      })
  }

  return {
    setAdmitted: nodes => {
      admitted = nodes
      for (const node of wanted) if (!nodes.has(node)) wanted.delete(node)
      plan()
    },
    setAddresses: addresses => {
      for (const [node, list] of addresses) {
        const peer = peers.get(node)
        // New addresses deserve a try at once: the old ones may be why the dials failed.
        if (peer !== undefined && list.some(address => !given.get(node)?.includes(address))) {
          peer.failures = 0
          clearTimeout(peer.timer)
          peer.timer = undefined
        }
      }
      given = addresses
      plan()
    },
    found: (node, addresses) => {
      if (!admitted.has(node) || node === self) return
      const peer = peerOf(node)
      const news = addresses.some(address => !addressesOf(node).includes(address))
      peer.found = [...new Set([...addresses, ...peer.found])].slice(0, ADDRESSES_PER_NODE_MAX)
      if (news && !isConnected(node)) schedule(node, peer, 0)
    },
    addressesOf,
    welcomed: node => {
      const peer = peerOf(node)
      peer.failures = 0
      peer.good = true
    },
    lost: node => {
      const peer = peers.get(node)
      // A connection that was never welcomed is a failed dial: the other side turns us away.
      if (peer !== undefined) {
        if (!peer.good) peer.failures++
        peer.quick = peer.good
        peer.good = false
      }
      plan()
    },
    want: node => {
      if (!admitted.has(node) || wanted.has(node)) return
      wanted.add(node)
      plan()
    },
    redial: node => {
      if (!admitted.has(node)) return
      schedule(node, peerOf(node), 0)
    },
    close: () => {
      closed = true
      for (const peer of peers.values()) clearTimeout(peer.timer)
      peers.clear()
    },
  }
}
