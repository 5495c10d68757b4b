import type { NodeId } from '../../model/ids.ts'
import type { Verdict } from '../../model/verdict.ts'
import type { SwimInit } from './swim-event.ts'
import type { Mail } from './swim-mail.ts'
import {
  addressOf,
  claimOf,
  isActive,
  isByStream,
  verdictOfMember,
  type Member,
  type MemberState,
} from './swim-member.ts'
import type { SwimUpdate } from './swim-message.ts'
import type { SwimOptions } from './swim-options.ts'
import type { Roster } from './swim-roster.ts'
import type { Search } from './swim-search.ts'
import { suspicionMinMs, Suspicions, type SuspicionKind } from './swim-suspicions.ts'

/** What a {@link Judge} works with, beside its own suspicions. */
export interface JudgeParts {
  readonly roster: Roster
  readonly mail: Mail
  readonly search: Search
}

/**
 * Holds the verdicts: of two updates on a node the higher incarnation wins, then the worse news, and
 * nobody is dead who was not suspect for a while. What it enters is told to the others, unless it is said to be quiet.
 */
export class Judge {
  readonly #self: NodeId
  readonly #options: SwimOptions
  readonly #parts: JudgeParts
  readonly #suspicions: Suspicions

  constructor({ self, options }: SwimInit, parts: JudgeParts) {
    this.#self = self
    this.#options = options
    this.#parts = parts
    this.#suspicions = new Suspicions(options)
    this.recount()
  }

  /** When to look at the suspicions again. */
  get nextMs(): number {
    return this.#suspicions.nextMs
  }

  /** Looks at the suspicions: who is not cleared in time is dead. Gives those whose last chance it is to answer. */
  minute(nowMs: number): Member[] {
    const { call, over } = this.#suspicions.due(nowMs)
    for (const node of over) {
      const member = this.#parts.roster.get(node)
      if (member === undefined) continue
      const isQuiet = this.#suspicions.isQuiet(node)
      this.#enter(member, 'dead', member.incarnation)
      if (isQuiet) this.#parts.mail.news.drop(node)
      else this.#parts.mail.news.add({ kind: 'dead', node, incarnation: member.incarnation })
    }
    return call.flatMap(node => this.#parts.roster.get(node) ?? [])
  }

  /** Gives all suspects the time back during which this node did not run. */
  prolong(byMs: number): void {
    this.#suspicions.prolong(byMs)
  }

  /** What is held of a member that spoke itself: true for news. */
  hear(member: Member, incarnation: number): boolean {
    if (incarnation <= member.incarnation) return false
    this.#set(member, 'alive', incarnation)
    return true
  }

  /**
   * What to tell somebody who spreads an accusation that was refuted since, or suspects whom this node
   * knows to be dead; nothing for any other update.
   */
  correctionOf({ kind, node, incarnation }: SwimUpdate): SwimUpdate | undefined {
    if (kind !== 'suspect' && kind !== 'dead') return undefined
    const member = this.#parts.roster.get(node)
    if (member === undefined || incarnation > member.incarnation) return undefined
    const isKnownDead = kind === 'suspect' && member.state === 'dead'
    if (incarnation === member.incarnation && !isKnownDead) return undefined
    return claimOf(member, this.#self)
  }

  /**
   * Takes in what `from` says of another member. Gives that member when somebody accuses it whom this node held for
   * alive, and who is worth a look of one's own.
   */
  learn(update: SwimUpdate, from: Member, nowMs: number): Member | undefined {
    const { kind, node, incarnation } = update
    const member = this.#parts.roster.get(node)
    if (member === undefined || incarnation < member.incarnation) return undefined
    const isNewer = incarnation > member.incarnation
    switch (kind) {
      case 'alive':
        if (isNewer) this.#set(member, 'alive', incarnation)
        return undefined
      case 'suspect':
        if (!isNewer && member.state !== 'alive') {
          if (member.state === 'suspect') this.#confirm(member, update.by)
          return undefined
        }
        this.#suspect(member, incarnation, update.by, 'aloud', nowMs)
        return member
      case 'dead':
        this.#learnDead(member, incarnation, from.node, nowMs)
        return undefined
      case 'left':
        if (isNewer || member.state !== 'left') this.#set(member, 'left', incarnation)
        return undefined
    }
  }

  /** This node found for itself that a member does not answer. The accused is told at once, by all ways: what gets through may save it. */
  accuse(member: Member, nowMs: number): void {
    if (member.state === 'alive')
      this.#suspect(member, member.incarnation, this.#self, 'aloud', nowMs)
    else if (!this.#confirm(member, this.#self)) return
    const { mail } = this.#parts
    const route = addressOf(member)
    if (route !== undefined) mail.send(member, 'gossip', 0, { route })
    mail.send(member, 'gossip', 0, { route: 'stream', mayDial: true })
  }

  /** This node is cut off: it draws its conclusions, and keeps them to itself. */
  suspectAll(nowMs: number): void {
    const { active } = this.#parts.roster
    for (const member of active.items.filter(({ state }) => state === 'alive')) {
      this.#suspect(member, member.incarnation, this.#self, 'quiet', nowMs)
    }
  }

  /** Goes on from what an earlier machine of this run held. */
  recall({ node, kind, incarnation }: Verdict, nowMs: number): void {
    const { roster } = this.#parts
    const member = roster.get(node)
    if (member?.state !== 'unseen') return
    if (kind === 'suspect') {
      this.#suspect(member, incarnation, this.#self, 'quiet', nowMs)
      return
    }
    roster.setState(member, kind, incarnation)
    this.recount()
  }

  /** Drops what concerns a node that is no longer a member. */
  forget(node: NodeId): void {
    this.#suspicions.close(node)
    this.#parts.mail.news.drop(node)
  }

  /** Fits everything to the number of nodes. */
  recount(): void {
    const { roster, mail } = this.#parts
    mail.fit(roster.electorate.nodes)
    if (roster.aliveCount < this.#options.confirmations) this.#suspicions.reckon(roster.electorate)
  }

  /** Believes a death only of a node that was suspect here for a while; else it is an accusation. */
  #learnDead(member: Member, incarnation: number, by: NodeId, nowMs: number): void {
    const isNewer = incarnation > member.incarnation
    if (!isActive(member)) {
      if (isNewer) this.#set(member, 'dead', incarnation)
      return
    }
    if (member.state === 'alive' || isNewer) {
      this.#suspect(member, incarnation, by, 'settled', nowMs)
      return
    }
    const { electorate } = this.#parts.roster
    const enoughMs = suspicionMinMs(this.#options, electorate.nodes) / 2
    if (this.#suspicions.ageMs(member.node, nowMs) >= enoughMs) {
      this.#set(member, 'dead', incarnation)
    } else {
      this.#suspicions.settle(member.node, electorate)
    }
  }

  #suspect(
    member: Member,
    incarnation: number,
    by: NodeId,
    kind: SuspicionKind,
    nowMs: number,
  ): void {
    const { node } = member
    const { roster, mail } = this.#parts
    this.#enter(member, 'suspect', incarnation)
    if (kind === 'quiet') mail.news.drop(node)
    else mail.news.add({ kind: 'suspect', node, incarnation, by })
    const graceMs = isByStream(member) ? this.#options.streamGraceMs : 0
    this.#suspicions.open(node, { by, kind, graceMs }, roster.electorate, nowMs)
  }

  /** Adds an accuser to a suspicion, and passes it on if it shortens it. */
  #confirm({ node, incarnation }: Member, by: NodeId): boolean {
    const isNews = this.#suspicions.confirm(node, by, this.#parts.roster.electorate)
    if (isNews) this.#parts.mail.news.add({ kind: 'suspect', node, incarnation, by })
    return isNews
  }

  #set(member: Member, state: 'alive' | 'dead' | 'left', incarnation: number): void {
    // While many are new here, this node is the newcomer, and tells nobody anything new.
    const isGreeting = member.state === 'unseen' && this.#parts.search.isHurried
    this.#enter(member, state, incarnation)
    if (!isGreeting) this.#parts.mail.news.add({ kind: state, node: member.node, incarnation })
  }

  /** Enters what is now held of a member: into the rotations, and the effects. */
  #enter(member: Member, state: MemberState, incarnation: number): void {
    const was = member.state
    this.#suspicions.close(member.node)
    this.#parts.roster.setState(member, state, incarnation)
    this.recount()
    this.#parts.mail.add({ kind: 'verdict', verdict: verdictOfMember(member) })
    if (was === 'dead' && state === 'alive') this.#parts.search.hurry()
  }
}
