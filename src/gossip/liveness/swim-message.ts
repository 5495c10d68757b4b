import type { NodeId } from '../../model/ids.ts'
import type { VerdictKind } from '../../model/verdict.ts'

/** Where a node's liveness worker listens: an IPv4 or IPv6 address and a UDP port. */
export interface ProbeAddress {
  readonly address: string
  readonly port: number
}

/**
 * How a message travels: as a datagram to an address, or over the connection that the transport keeps to the
 * node (`stream`), which gets through where a firewall lets no datagram pass.
 */
export type Route = ProbeAddress | 'stream'

/**
 * News of one node, as it is gossiped. `by` is who accuses: suspicion ends
 * sooner the more different nodes accuse (Lifeguard, section IV-B).
 */
export type SwimUpdate =
  | {
      readonly kind: Exclude<VerdictKind, 'suspect'>
      readonly node: NodeId
      readonly incarnation: number
    }
  | {
      readonly kind: 'suspect'
      readonly node: NodeId
      readonly incarnation: number
      readonly by: NodeId
    }

/**
 * What nodes say to each other. Every message carries its sender's incarnation,
 * so that any datagram is news of its sender, and as many updates as fit.
 *
 * - `probe` asks for an `ack` with the same `seq`. With `seq` 0 it looks for a node that is lost here, and asks
 *   for what that one knows of the others, too: a newcomer meets a thousand nodes within two seconds so.
 * - `ask` asks a helper to probe `target`; the helper answers with an `ack` when
 *   the target answered and with a `nack` when it did not, and so shows in either
 *   case that it lives itself (Lifeguard, section IV-A).
 * - `gossip` wants no answer.
 */
export type SwimMessage =
  | {
      readonly kind: 'probe' | 'ack' | 'nack' | 'gossip'
      /** Names the probe, 32 bits; 0 in `gossip`, and in a probe that looks for a lost node. */
      readonly seq: number
      readonly incarnation: number
      readonly updates: readonly SwimUpdate[]
    }
  | {
      readonly kind: 'ask'
      readonly seq: number
      readonly incarnation: number
      readonly target: NodeId
      readonly updates: readonly SwimUpdate[]
    }

/** Largest datagram, in bytes: fits the smallest MTU of IPv6 (1280, RFC 8200 section 5) with its headers. */
export const DATAGRAM_BYTES_MAX = 1200

/** What all of a datagram but its updates takes at most, in bytes. The codec asserts it. */
export const ENVELOPE_BYTES_MAX = 120

/** Room for updates in one datagram, in bytes. */
export const UPDATES_BYTES_MAX = DATAGRAM_BYTES_MAX - ENVELOPE_BYTES_MAX

/** Highest incarnation: 48 bits travel. */
export const INCARNATION_MAX = 2 ** 48 - 1

/** What an update takes of a datagram, in bytes: kind, 32-byte key, incarnation. */
export const CLAIM_BYTES = 1 + 32 + 6

/** What an accusation takes, which has the accuser's key besides. */
export const ACCUSATION_BYTES = CLAIM_BYTES + 32

/** What this update takes. */
export function updateBytes({ kind }: SwimUpdate): number {
  return kind === 'suspect' ? ACCUSATION_BYTES : CLAIM_BYTES
}
