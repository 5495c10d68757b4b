import type { NodeId } from '../model/ids.ts'

/** Largest message that {@link Transport.publish} takes, in bytes. What is larger goes by `send` or `call`. */
export const PUBLISH_BYTES_MAX = 1024 * 1024

/** Largest message of {@link Transport.send}, and largest body and piece of {@link Transport.call}, in bytes. */
export const SEND_BYTES_MAX = 64 * 1024 * 1024

/** The one service that a node which is not admitted may call. */
export const JOIN_SERVICE = 'join'

/** Why a call failed. */
export type TransportErrorCode =
  /** No connection could be made, or it broke before the answer was whole. */
  | 'unreachable'
  /** Connected, but no answer came in time. */
  | 'timeout'
  /** The other side ran the service and it threw: the message is the other side's. */
  | 'failed'
  /** The caller's signal was aborted, or the transport closed. */
  | 'aborted'

/** What {@link Transport.call} throws. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly code: TransportErrorCode
  /** True when the same call may succeed later. */
  readonly temporary: boolean

  constructor(code: TransportErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
    this.temporary = code === 'unreachable' || code === 'timeout'
  }
}

/** What is gossiped to everybody: updates of the desired document, and news of nodes' observed records. */
export type Topic = 'desired' | 'observed'

/** What a transport tells its owner. */
export interface TransportListener {
  /** Bytes that `from` published; signed by it, so `from` is true. Its own are not told. */
  readonly onPublished: (topic: Topic, from: NodeId, bytes: Uint8Array) => void
  /** Bytes that `from` sent to this node alone. */
  readonly onSent: (from: NodeId, bytes: Uint8Array) => void
  /**
   * A connection to an admitted node came up. Told again when what is sent to the node goes over another
   * connection from now on: what was under way on the one before may be lost, or somewhere else.
   */
  readonly onConnected: (node: NodeId) => void
  /** The last connection to an admitted node closed: an immediate suspicion, not a verdict. */
  readonly onDisconnected: (node: NodeId) => void
  /** Somebody with the cluster's key who is not admitted was turned away. */
  readonly onRefused: (node: NodeId, reason: string) => void
  /**
   * `by` turned this node away, and said why. Normal for a moment after joining, until `by` has
   * heard of the admission; when it lasts, this node was removed from the cluster.
   */
  readonly onTurnedAway?: (by: NodeId, reason: string) => void
  /**
   * Discovery (mDNS, DHT) found a node of this cluster at these multiaddrs. The transport already uses them;
   * a node that is joining learns here whom it could ask.
   */
  readonly onFound?: (node: NodeId, multiaddrs: readonly string[]) => void
  /**
   * An admitted node asks for a service (`logs`, `join`, …): yield the answer in pieces.
   * Throwing answers with the error's message. `admitted` is false only for `join`.
   * A service that may be silent for long (`logs`) yields an empty piece first, which counts as the answer.
   * `signal` is aborted when the caller hangs up.
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
  /**
   * Gossips to every node, at most once each, best effort.
   *
   * @throws {RangeError} When the message is larger than {@link PUBLISH_BYTES_MAX}.
   */
  publish(topic: Topic, bytes: Uint8Array): void
  /**
   * Sends to one node, best effort and in order: lost when there is no connection, and the oldest is lost
   * when more than 1,024 messages or 64 MiB wait for a slow one.
   *
   * @throws {RangeError} When the message is larger than {@link SEND_BYTES_MAX}.
   */
  send(to: NodeId, bytes: Uint8Array): void
  /**
   * Asks a node, or whoever is at a multiaddr, for a service and reads its answer piece by piece.
   * Connects first if it must. To stop early, abort the signal or leave the loop: the other side is told.
   *
   * @param options `timeoutMs` is how long the first piece (or the end) may take, connecting included.
   * After it, 30 s without a sign of life fail the call. For a limit on the whole answer, give a signal.
   * @throws {TransportError} When nobody answers in time, or with the message that the other side threw.
   */
  call(
    to: NodeId | { readonly multiaddr: string },
    service: string,
    body: Uint8Array,
    options: { readonly signal: AbortSignal; readonly timeoutMs: number },
  ): AsyncIterable<Uint8Array>
  /** Hangs up on `node`: its connections close at once. It is dialled again later, as after any loss. */
  disconnect(node: NodeId): void
  /** Dials `node` now instead of at the end of its backoff: there are signs that it is back. */
  redial(node: NodeId): void
  /** How many messages `send` has lost since the start: nobody connected, or a full queue. */
  dropped(): number
  /** Closes all connections and stops; calls under way fail. */
  close(): Promise<void>
}
