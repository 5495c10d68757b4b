import type { NodeId } from '../model/ids.ts'

/** What is gossiped to everybody: updates of the desired document, and news of nodes' observed records. */
export type Topic = 'desired' | 'observed'

/** What a transport tells its owner. */
export interface TransportListener {
  /** Bytes that `from` published; signed by it, so `from` is true. Its own are not told. */
  readonly onPublished: (topic: Topic, from: NodeId, bytes: Uint8Array) => void
  /** Bytes that `from` sent to this node alone. */
  readonly onSent: (from: NodeId, bytes: Uint8Array) => void
  /** A connection to an admitted node came up. */
  readonly onConnected: (node: NodeId) => void
  /** The last connection to an admitted node closed: an immediate suspicion, not a verdict. */
  readonly onDisconnected: (node: NodeId) => void
  /** Somebody with the cluster's key who is not admitted was turned away. */
  readonly onRefused: (node: NodeId, reason: string) => void
  /**
   * An admitted node asks for a service (`logs`, `join`, …): yield the answer in pieces.
   * Throwing answers with the error's message. `admitted` is false only for `join`.
   */
  readonly onCall: (
    call: {
      readonly from: NodeId
      readonly admitted: boolean
      readonly service: string
      readonly body: Uint8Array
    },
    signal: AbortSignal,
  ) => AsyncIterable<Uint8Array>
}

/**
 * Carries bytes between the nodes of one cluster, and knows nothing of what they
 * mean. Two implementations, libp2p and memory, pass one conformance suite.
 */
export interface Transport {
  readonly self: NodeId
  /** Multiaddrs that others can dial this node at, with its id. */
  multiaddrs(): string[]
  /** Nodes with an open connection. */
  connected(): NodeId[]
  /** Whom to talk to. Others are refused, but for the service `join`; connections to nodes no longer admitted close. */
  setAdmitted(nodes: ReadonlySet<NodeId>): void
  /** Where nodes were last seen, as multiaddrs: the transport keeps connections to them and dials again when they close. */
  setAddresses(addresses: ReadonlyMap<NodeId, readonly string[]>): void
  /** Gossips to every node, at most once each, best effort. At most 1 MiB. */
  publish(topic: Topic, bytes: Uint8Array): void
  /** Sends to one node, best effort: lost when there is no connection. At most 64 MiB. */
  send(to: NodeId, bytes: Uint8Array): void
  /**
   * Asks a node, or whoever is at a multiaddr, for a service and reads its answer piece by piece.
   * Throws when nobody answers within `timeoutMs`, or with the message that the other side threw.
   */
  call(
    to: NodeId | { readonly multiaddr: string },
    service: string,
    body: Uint8Array,
    options: { readonly signal: AbortSignal; readonly timeoutMs: number },
  ): AsyncIterable<Uint8Array>
  close(): Promise<void>
}
