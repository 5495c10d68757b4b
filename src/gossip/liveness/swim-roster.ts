import type { NodeId } from '../../model/ids.ts'
import type { Random } from '../../util/random.ts'
import {
  createMember,
  isActive,
  isLost,
  isReachable,
  type Member,
  type MemberState,
} from './swim-member.ts'
import type { ProbeAddress } from './swim-message.ts'
import { Rotation } from './swim-rotation.ts'
import type { Electorate } from './swim-suspicions.ts'

/**
 * The members, sorted into those who take part and those who are looked for. Only
 * here do they change state or address, so a member is always in the rotation
 * that its state says.
 */
export class Roster {
  /** Members alive or suspect: probed in turn, gossiped to, asked for help. */
  readonly active: Rotation<Member>
  /** Members dead or never seen, with a way to look for them. */
  readonly lost: Rotation<Member>
  readonly #members = new Map<NodeId, Member>()
  /** Whom the transport is connected to, members or not: it learns of some nodes sooner. */
  readonly #connected = new Set<NodeId>()
  #aliveCount = 0

  constructor(random: Random) {
    this.active = new Rotation(random)
    this.lost = new Rotation(random)
  }

  /** How many members are alive and beyond suspicion. */
  get aliveCount(): number {
    return this.#aliveCount
  }

  /** Who there is to judge by. */
  get electorate(): Electorate {
    return { nodes: this.active.size + 1, confirmers: this.#aliveCount }
  }

  /** The member with this id, or nothing. */
  get(node: NodeId): Member | undefined {
    return this.#members.get(node)
  }

  /** All members' ids. */
  nodes(): IterableIterator<NodeId> {
    return this.#members.keys()
  }

  /** Enters what is now held of a member. */
  setState(member: Member, state: MemberState, incarnation: number): void {
    this.#unlist(member)
    member.state = state
    member.incarnation = incarnation
    member.stale = false
    this.#list(member)
  }

  /** Remembers where a datagram of a member came from. */
  learnAddress(member: Member, address: ProbeAddress): void {
    if (isSame(member.seenAt, address)) return
    this.#unlist(member)
    member.seenAt = address
    this.#list(member)
  }

  /** Remembers whether the transport has a connection to a node. Gives the member, if it is one. */
  setConnected(node: NodeId, isConnected: boolean): Member | undefined {
    if (isConnected) this.#connected.add(node)
    else this.#connected.delete(node)
    const member = this.#members.get(node)
    if (member === undefined || member.isConnected === isConnected) return member
    this.#unlist(member)
    member.isConnected = isConnected
    member.missed = 0
    this.#list(member)
    return member
  }

  /**
   * Takes in who is admitted now. `isFresh` says that there is somebody to look for whom there was not:
   * a new member, or a lost one with a new address.
   */
  setMembers(
    members: ReadonlyMap<NodeId, ProbeAddress | undefined>,
    self: NodeId,
  ): { readonly removed: readonly Member[]; readonly isFresh: boolean } {
    const removed = [...this.#members.values()].filter(({ node }) => !members.has(node))
    for (const member of removed) {
      this.#unlist(member)
      this.#members.delete(member.node)
    }
    let isFresh = false
    for (const [node, address] of members) {
      if (node === self) continue
      const known = this.#members.get(node)
      if (known === undefined) {
        const member = createMember(node, address, this.#connected.has(node))
        this.#members.set(node, member)
        this.#list(member)
        isFresh = true
      } else if (!isSame(known.address, address)) {
        this.#unlist(known)
        known.address = address
        this.#list(known)
        isFresh ||= isLost(known)
      }
    }
    return { removed, isFresh }
  }

  #list(member: Member): void {
    if (isActive(member)) this.active.add(member)
    else if (isLost(member) && isReachable(member)) this.lost.add(member)
    if (member.state === 'alive') this.#aliveCount++
  }

  #unlist(member: Member): void {
    if (isActive(member)) this.active.remove(member)
    else if (isLost(member) && isReachable(member)) this.lost.remove(member)
    if (member.state === 'alive') this.#aliveCount--
  }
}

function isSame(one: ProbeAddress | undefined, other: ProbeAddress | undefined): boolean {
  return one?.address === other?.address && one?.port === other?.port
}
