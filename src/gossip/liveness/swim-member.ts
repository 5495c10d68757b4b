import type { NodeId } from '../../model/ids.ts'
import type { Verdict, VerdictKind } from '../../model/verdict.ts'
import type { Rotating } from './swim-rotation.ts'
import type { ProbeAddress, Route, SwimUpdate } from './swim-message.ts'

/** A verdict, or nothing heard of the node yet. */
export type MemberState = VerdictKind | 'unseen'

/** What this node knows of another admitted one. Owned and changed by the machine alone. */
export interface Member extends Rotating {
  readonly node: NodeId
  /** Where it says that it listens, from its observed record. */
  address: ProbeAddress | undefined
  /** Where a datagram of its came from; used while nothing better is known. */
  seenAt: ProbeAddress | undefined
  state: MemberState
  /** The highest that was heard of; −1 before anything was. */
  incarnation: number
  /** It speaks with an older incarnation than it had before (an old backup, a lost disk): it must be told. */
  stale: boolean
  /** The transport has a connection to it. */
  isConnected: boolean
  /** How many probes in a row were answered by stream only. */
  missed: number
  /** When it was last told what is held against it outside of probes. */
  toldAtMs: number
}

/** So many probes in a row that only a stream carried: datagrams do not get through, rather than got lost. */
const MISSED_BY_DATAGRAM = 3

/** A member that nothing was heard of yet. */
export function createMember(
  node: NodeId,
  address: ProbeAddress | undefined,
  isConnected: boolean,
): Member {
  return {
    place: -1,
    node,
    address,
    seenAt: undefined,
    state: 'unseen',
    incarnation: -1,
    stale: false,
    isConnected,
    missed: 0,
    toldAtMs: -Infinity,
  }
}

/** Where to send datagrams to a member, or nothing while nobody knows. */
export function addressOf({ address, seenAt }: Member): ProbeAddress | undefined {
  return address ?? seenAt
}

/** True for a member that streams reach, and datagrams do not. */
export function isByStream({ isConnected, missed }: Member): boolean {
  return isConnected && missed >= MISSED_BY_DATAGRAM
}

/** The way to a member: datagrams where they get through, and nothing while there is no way. */
export function routeTo(member: Member): Route | undefined {
  if (isByStream(member)) return 'stream'
  return addressOf(member) ?? (member.isConnected ? 'stream' : undefined)
}

/** True when there is a way to it. */
export function isReachable(member: Member): boolean {
  return member.isConnected || addressOf(member) !== undefined
}

/** True for members that take part: they are probed, gossiped to, and asked for help. */
export function isActive({ state }: Member): boolean {
  return state === 'alive' || state === 'suspect'
}

/** True for members that are looked for now and then: they may come back without knowing that they were missed. */
export function isLost({ state }: Member): boolean {
  return state === 'dead' || state === 'unseen'
}

/** What is said of a member to the outside. One that was never heard of is dead, so that nothing is placed on it. */
export function verdictOfMember({ node, state, incarnation }: Member): Verdict {
  return state === 'unseen'
    ? { node, kind: 'dead', incarnation: 0 }
    : { node, kind: state, incarnation }
}

/** What is held of a member, as it is told to others; nothing of one that was never heard of. */
export function claimOf(
  { node, state, incarnation }: Member,
  self: NodeId,
): SwimUpdate | undefined {
  switch (state) {
    case 'unseen':
      return undefined
    case 'suspect':
      return { kind: state, node, incarnation, by: self }
    case 'alive':
    case 'dead':
    case 'left':
      return { kind: state, node, incarnation }
  }
}

/** What a member is told of itself, so that it can refute (Lifeguard's buddy system); nothing when all is well. */
export function noticeTo(member: Member, self: NodeId): SwimUpdate | undefined {
  return member.state === 'alive' && !member.stale ? undefined : claimOf(member, self)
}
