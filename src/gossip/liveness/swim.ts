/**
 * Who of us is there? SWIM (Das, Gupta, Motivala, DSN 2002) with Lifeguard (Dadgar,
 * Phillips, Currey, 2017), as a pure state machine: time and chance are handed in, and
 * what is to be done comes out.
 *
 * The idea: each node probes one other per period, and asks helpers when it gets no
 * answer. Only then it *suspects*, aloud, so that the accused can refute with a
 * higher incarnation; who does not in time is *dead*. News rides on probes and on
 * gossip. Of two updates on a node the higher incarnation wins, then the worse news
 * (alive < suspect < dead < left), so nodes agree whatever order they hear them in.
 *
 * Three rules go beyond the papers. Nobody is dead here who was not suspect here
 * first, so old verdicts that cross a healed partition become questions. A node that
 * hears from nobody takes itself to be cut off and accuses nobody aloud. And a node
 * that finds that it did not run for a while gives everybody that time back.
 *
 * @module
 */

import type { NodeId } from '../../model/ids.ts'
import type { Verdict } from '../../model/verdict.ts'
import type { Random } from '../../util/random.ts'
import {
  addressOf,
  claimOf,
  hasAddress,
  isActive,
  noticeTo,
  verdictOfMember,
  type Member,
  type MemberState,
} from './swim-member.ts'
import {
  INCARNATION_MAX,
  UPDATES_BYTES_MAX,
  type ProbeAddress,
  type SwimMessage,
  type SwimUpdate,
} from './swim-message.ts'
import { News } from './swim-news.ts'
import type { SwimOptions } from './swim-options.ts'
import { Probes, type Probe } from './swim-probes.ts'
import { Roster } from './swim-roster.ts'
import { suspicionMinMs, Suspicions } from './swim-suspicions.ts'
import type { SwimEffect, SwimEvent, SwimInit } from './swim-event.ts'

/** The contract of {@link Swim}, for who drives it. */
export type { SwimEffect, SwimEvent, SwimInit } from './swim-event.ts'

/** Refutations within one run that cannot be taken for a later run: the first incarnation of run n is n × this. */
export const INCARNATIONS_PER_START = 2 ** 16

/** Good-byes go to at most this many nodes directly, so often; gossip does the rest. */
const FAREWELL = { nodes: 64, rounds: 3 }
/** More connections that close within one period say more of this node than of the others. */
const CONNECTIONS_BELIEVED = 3
/** One message sets at most so many old accusations right. */
const CORRECTIONS_MAX = 4
const NO_UPDATES: readonly SwimUpdate[] = []

/**
 * One node's membership. Drive it by {@link handle} with everything that happens, and
 * with a tick at {@link wakeAtMs}; perform the effects in order.
 *
 * The clock must be monotonic; only differences matter, so nodes' clocks need not
 * agree. A node that was admitted but never heard of counts as dead, without an
 * effect that says so, until the first contact.
 */
export class Swim {
  readonly self: NodeId
  readonly #options: SwimOptions
  readonly #random: Random
  readonly #roster: Roster
  readonly #news = new News()
  readonly #suspicions: Suspicions
  readonly #probes = new Probes()
  #effects: SwimEffect[] = []
  #nowMs: number
  /** When this node should run again: what was overdue after the last event is due at once. */
  #dueAtMs: number
  #incarnation: number
  #seq: number
  #health = 0
  #stalls = 0
  #newsLimit = 0
  #heardAtMs: number
  #probeAtMs: number
  #gossipAtMs: number
  #lostAtMs: number
  /** How many lost nodes still get a quick look. */
  #lostHurry = 0
  #connectionsLost = 0
  /** Rounds of good-byes still to send, from when this node leaves. */
  #farewells: number | undefined

  constructor({ self, incarnation, options, random, nowMs }: SwimInit) {
    this.self = self
    this.#options = options
    this.#random = random
    this.#roster = new Roster(random)
    this.#suspicions = new Suspicions(options)
    this.#incarnation = incarnation * INCARNATIONS_PER_START
    this.#seq = Math.floor(random() * 2 ** 32)
    this.#nowMs = nowMs
    this.#dueAtMs = nowMs
    this.#heardAtMs = nowMs
    // Nodes that start together must not probe together.
    this.#probeAtMs = nowMs + random() * options.probeIntervalMs
    this.#gossipAtMs = nowMs
    this.#lostAtMs = nowMs
    this.#recount()
  }

  /** When the next tick is due, on the clock of `handle`; Infinity when nothing is to come. */
  get wakeAtMs(): number {
    if (this.#farewells !== undefined) return this.#farewells > 0 ? this.#gossipAtMs : Infinity
    let wakeAtMs = Math.min(this.#probes.nextMs, this.#suspicions.nextMs)
    if (this.#roster.active.size > 0) {
      wakeAtMs = Math.min(wakeAtMs, this.#probeAtMs)
      if (this.#news.size > 0) wakeAtMs = Math.min(wakeAtMs, this.#gossipAtMs)
    }
    if (this.#roster.lost.size > 0) wakeAtMs = Math.min(wakeAtMs, this.#lostAtMs)
    if (this.#roster.aliveCount > 0)
      wakeAtMs = Math.min(wakeAtMs, this.#heardAtMs + this.#silenceMs)
    return wakeAtMs
  }

  /** How much this node doubts itself: 0 is well, `healthMax` − 1 the worst (Lifeguard's local health multiplier). */
  get health(): number {
    return this.#health
  }

  /** How often this node found that it had not run for a while. */
  get stalls(): number {
    return this.#stalls
  }

  /** This node's own incarnation. */
  get incarnation(): number {
    return this.#incarnation
  }

  /** What is held of a node now, this one included; nothing of those who are not members. */
  verdictOf(node: NodeId): Verdict | undefined {
    if (node === this.self) {
      const kind = this.#farewells === undefined ? 'alive' : 'left'
      return { node, kind, incarnation: this.#incarnation }
    }
    const member = this.#roster.get(node)
    return member && verdictOfMember(member)
  }

  /** What is held of every member now, this node first. */
  verdicts(): Verdict[] {
    return [this.self, ...this.#roster.nodes()].flatMap(node => this.verdictOf(node) ?? [])
  }

  /** Takes in what happened, and says what to do. Never throws. */
  handle(event: SwimEvent, nowMs: number): SwimEffect[] {
    const effects: SwimEffect[] = []
    this.#effects = effects
    this.#nowMs = Math.max(nowMs, this.#nowMs)
    if (this.#farewells !== undefined) {
      if (event.kind === 'tick') this.#farewell()
      return effects
    }
    const lateMs = this.#nowMs - this.#dueAtMs
    if (lateMs > this.#options.stallMs) this.#stalled(lateMs)
    switch (event.kind) {
      case 'tick':
        this.#tick()
        break
      case 'received':
        this.#received(event.from, event.address, event.message)
        break
      case 'members':
        this.#setMembers(event.members)
        break
      case 'connection-lost':
        this.#connectionLost(event.node)
        break
      case 'stalled':
        if (event.stallMs > this.#options.stallMs) this.#stalled(event.stallMs)
        break
      case 'leaving':
        this.#farewells = FAREWELL.rounds
        this.#farewell()
        break
    }
    this.#dueAtMs = Math.max(this.#nowMs, this.wakeAtMs)
    return effects
  }

  // --- Time ---

  #tick(): void {
    const nowMs = this.#nowMs
    if (this.#probes.nextMs <= nowMs) this.#minuteProbes()
    if (this.#suspicions.nextMs <= nowMs) {
      this.#minuteSuspicions()
    }
    if (this.#roster.aliveCount > 0 && nowMs >= this.#heardAtMs + this.#silenceMs)
      this.#suspectAll()
    if (this.#roster.active.size > 0 && nowMs >= this.#probeAtMs) {
      this.#probeAtMs = nowMs + this.#options.probeIntervalMs * (this.#health + 1)
      this.#connectionsLost = 0
      const member = this.#roster.active.next()
      if (member !== undefined) this.#probe(member)
    }
    if (this.#roster.lost.size > 0 && nowMs >= this.#lostAtMs) this.#lookForLost()
    if (this.#news.size > 0 && nowMs >= this.#gossipAtMs) {
      this.#gossipAtMs = nowMs + this.#options.gossipIntervalMs
      for (const member of this.#roster.active.sample(this.#options.gossipFanout, hasAddress)) {
        if (this.#news.size > 0) this.#send(member, 'gossip', 0)
      }
    }
  }

  #minuteProbes(): void {
    const nowMs = this.#nowMs
    for (const probe of this.#probes.failed(nowMs)) {
      // Not even a helper answered: the fault may be here (Lifeguard, LHA-Probe).
      this.#doubt(probe.nacks === 0 ? 1 : 0)
      if (isActive(probe.member)) this.#accuse(probe.member)
    }
    for (const probe of this.#probes.overdue(nowMs)) this.#askHelpers(probe)
    for (const { asker, askerAt, forSeq } of this.#probes.failedRelays(nowMs)) {
      this.#send(asker, 'nack', forSeq, askerAt)
    }
  }

  #minuteSuspicions(): void {
    const { call, over } = this.#suspicions.due(this.#nowMs)
    for (const node of over) {
      const member = this.#roster.get(node)
      if (member !== undefined) this.#set(member, 'dead', member.incarnation)
    }
    for (const node of call) {
      const member = this.#roster.get(node)
      if (member !== undefined) this.#lastCall(member)
    }
  }

  /** Asks the accused, and others what they know of it: who has heard a refutation says so. */
  #lastCall(member: Member): void {
    this.#probe(member)
    const claim = claimOf(member, this.self)
    for (const other of this.#helpersFor(member)) {
      this.#send(other, 'gossip', 0, addressOf(other), claim && [claim])
    }
  }

  /** Time that this node slept through is given back to everybody. */
  #stalled(lateMs: number): void {
    this.#stalls++
    this.#doubt(1)
    this.#probes.forget()
    this.#suspicions.prolong(lateMs)
    this.#heardAtMs = Math.min(this.#nowMs, this.#heardAtMs + lateMs)
    this.#probeAtMs = Math.max(this.#probeAtMs, this.#nowMs)
  }

  #doubt(change: number): void {
    this.#health = Math.max(0, Math.min(this.#options.healthMax - 1, this.#health + change))
  }

  get #silenceMs(): number {
    return this.#options.silencePeriods * this.#options.probeIntervalMs
  }

  /** Nobody was heard for long: this node is cut off. It draws its conclusions, and keeps them to itself. */
  #suspectAll(): void {
    for (const member of this.#roster.active.items.filter(({ state }) => state === 'alive')) {
      this.#suspect(member, member.incarnation, this.self, 'quiet')
    }
  }

  // --- Probing ---

  #probe(member: Member): void {
    if (!this.#probes.hasRoom || !hasAddress(member)) return
    const stretch = this.#health + 1
    const seq = this.#nextSeq()
    this.#probes.begin({
      seq,
      member,
      askAtMs: this.#nowMs + this.#options.probeTimeoutMs * stretch,
      failAtMs: this.#nowMs + this.#options.probeIntervalMs * stretch,
      helpers: [],
      nacks: 0,
    })
    this.#send(member, 'probe', seq)
  }

  #askHelpers(probe: Probe): void {
    const { member: target, seq } = probe
    probe.helpers = this.#helpersFor(target)
    for (const helper of probe.helpers) {
      const address = addressOf(helper)
      if (address === undefined) continue
      const message: SwimMessage = {
        kind: 'ask',
        seq,
        incarnation: this.#incarnation,
        target: target.node,
        updates: this.#updatesFor(helper),
      }
      this.#effects.push({ kind: 'send', to: helper.node, address, message })
    }
  }

  #helpersFor(target: Member): Member[] {
    return this.#roster.active.sample(
      this.#options.helpers,
      helper => helper !== target && helper.state === 'alive' && hasAddress(helper),
    )
  }

  /** Looks at nodes that are dead here: they may be back, or on the other side of a split that healed. */
  #lookForLost(): void {
    const { lostBurst, gossipIntervalMs } = this.#options
    const count = Math.min(
      this.#roster.lost.size,
      Math.max(1, Math.min(lostBurst, this.#lostHurry)),
    )
    this.#lostHurry = Math.max(0, this.#lostHurry - count)
    for (let i = 0; i < count; i++) {
      const member = this.#roster.lost.next()
      if (member !== undefined) this.#send(member, 'probe', this.#nextSeq())
    }
    this.#lostAtMs = this.#nowMs + (this.#lostHurry > 0 ? gossipIntervalMs : this.#lostPauseMs)
  }

  /** All nodes together look for a lost one about ten times per interval, so many look rarely each. */
  get #lostPauseMs(): number {
    const share = Math.max(1, this.#roster.electorate.nodes / (10 * this.#roster.lost.size))
    return this.#options.lostProbeIntervalMs * share * (0.5 + this.#random())
  }

  /** Something changed for the better: look at all the lost quickly. */
  #hurry(): void {
    this.#lostHurry = this.#roster.lost.size
    if (this.#lostHurry > 0) {
      this.#lostAtMs = Math.min(this.#lostAtMs, this.#nowMs + this.#options.gossipIntervalMs)
    }
  }

  #connectionLost(node: NodeId): void {
    const member = this.#roster.get(node)
    if (member === undefined || !isActive(member)) return
    this.#connectionsLost++
    const credible = this.#health === 0 && this.#connectionsLost <= CONNECTIONS_BELIEVED
    if (credible) this.#accuse(member)
    this.#probe(member)
  }

  // --- Hearing ---

  #received(from: NodeId, address: ProbeAddress | undefined, message: SwimMessage): void {
    const member = this.#roster.get(from)
    if (member === undefined) return
    this.#heardAtMs = this.#nowMs
    if (address !== undefined && member.address === undefined)
      this.#roster.learnAddress(member, address)
    const corrections: SwimUpdate[] = []
    for (const update of message.updates) {
      if (this.#isOutdated(update) && corrections.length < CORRECTIONS_MAX) {
        const claim = claimOf(this.#roster.get(update.node) ?? member, this.self)
        if (claim !== undefined) corrections.push(claim)
      } else {
        this.#learn(update, member)
      }
    }
    this.#hear(member, message)
    const answerTo = address ?? addressOf(member)
    if (answerTo === undefined) return
    if (message.kind !== 'probe' && corrections.length > 0) {
      this.#send(member, 'gossip', 0, answerTo, corrections)
    }
    switch (message.kind) {
      case 'probe':
        this.#send(member, 'ack', message.seq, answerTo, corrections)
        return
      case 'ask':
        this.#relay(member, answerTo, message.seq, message.target)
        return
      case 'ack':
        this.#acked(member, message.seq)
        return
      case 'nack':
        this.#probes.nack(message.seq, member)
        return
      case 'gossip':
    }
  }

  /** A datagram is news of its sender. */
  #hear(member: Member, { kind, incarnation }: SwimMessage): void {
    if (incarnation > member.incarnation) {
      this.#set(member, 'alive', incarnation)
      return
    }
    member.stale = incarnation < member.incarnation
    // An answer to a probe carries the notice anyhow.
    if (kind === 'probe' || (member.state === 'left' && !member.stale)) return
    if (member.state === 'alive' && !member.stale) return
    if (this.#nowMs < member.toldAtMs + this.#options.gossipIntervalMs) return
    member.toldAtMs = this.#nowMs
    this.#send(member, 'gossip', 0)
  }

  #acked(from: Member, seq: number): void {
    if (this.#probes.answer(seq, from) !== undefined) {
      this.#doubt(-1)
      return
    }
    const relay = this.#probes.answerRelay(seq, from)
    if (relay !== undefined) this.#send(relay.asker, 'ack', relay.forSeq, relay.askerAt)
  }

  #relay(asker: Member, askerAt: ProbeAddress, forSeq: number, node: NodeId): void {
    const target = this.#roster.get(node)
    const seq = this.#nextSeq()
    if (target === undefined || !hasAddress(target)) {
      this.#send(asker, 'nack', forSeq, askerAt)
      return
    }
    // A nack must reach the asker before its period ends.
    const nackAtMs = this.#nowMs + this.#options.probeTimeoutMs * 0.8
    if (this.#probes.beginRelay({ seq, forSeq, asker, askerAt, target, nackAtMs })) {
      this.#send(target, 'probe', seq)
    }
  }

  // --- Judging ---

  /** True for an accusation that was refuted since: who still spreads it must be told. */
  #isOutdated({ kind, node, incarnation }: SwimUpdate): boolean {
    if (kind !== 'suspect' && kind !== 'dead') return false
    const member = this.#roster.get(node)
    return member !== undefined && incarnation < member.incarnation
  }

  #learn(update: SwimUpdate, from: Member): void {
    const { kind, node, incarnation } = update
    if (node === this.self) {
      this.#refute(update, from)
      return
    }
    const member = this.#roster.get(node)
    if (member === undefined || incarnation < member.incarnation) return
    const isNewer = incarnation > member.incarnation
    switch (kind) {
      case 'alive':
        if (isNewer) this.#set(member, 'alive', incarnation)
        return
      case 'suspect':
        if (isNewer || member.state === 'alive') {
          this.#suspect(member, incarnation, update.by)
          this.#verify(member)
        } else if (member.state === 'suspect') {
          if (this.#suspicions.confirm(node, update.by, this.#roster.electorate))
            this.#news.add(update)
        }
        return
      case 'dead':
        this.#learnDead(member, incarnation, from)
        return
      case 'left':
        if (isNewer || member.state !== 'left') this.#set(member, 'left', incarnation)
    }
  }

  /** Believes a death only of a node that was suspect here for a while; else it is an accusation. */
  #learnDead(member: Member, incarnation: number, from: Member): void {
    const isNewer = incarnation > member.incarnation
    if (!isActive(member)) {
      if (isNewer) this.#set(member, 'dead', incarnation)
      return
    }
    if (member.state === 'alive' || isNewer) {
      this.#suspect(member, incarnation, from.node, 'settled')
      return
    }
    const enoughMs = suspicionMinMs(this.#options, this.#roster.electorate.nodes) / 2
    if (this.#suspicions.ageMs(member.node, this.#nowMs) >= enoughMs) {
      this.#set(member, 'dead', incarnation)
    } else {
      this.#suspicions.settle(member.node, this.#roster.electorate)
    }
  }

  /** This node found for itself that another does not answer. */
  #accuse(member: Member): void {
    const { node, incarnation } = member
    if (member.state === 'alive') {
      this.#suspect(member, incarnation, this.self)
    } else if (this.#suspicions.confirm(node, this.self, this.#roster.electorate)) {
      this.#news.add({ kind: 'suspect', node, incarnation, by: this.self })
    } else {
      return
    }
    if (hasAddress(member)) this.#send(member, 'gossip', 0)
  }

  #suspect(
    member: Member,
    incarnation: number,
    by: NodeId,
    how: 'aloud' | 'quiet' | 'settled' = 'aloud',
  ): void {
    this.#set(member, 'suspect', incarnation, how === 'quiet' ? undefined : by)
    const settled = how === 'settled'
    this.#suspicions.open(member.node, by, settled, this.#roster.electorate, this.#nowMs)
  }

  /** A few of those who hear an accusation look for themselves, so that it is settled soon. */
  #verify(member: Member): void {
    const chance = this.#options.verifiers / this.#roster.electorate.nodes
    if (this.#health === 0 && this.#random() < chance) this.#probe(member)
  }

  /** Somebody says of this node what is not so: go one incarnation higher, and tell the accusers first. */
  #refute(update: SwimUpdate, from: Member): void {
    if (update.incarnation < this.#incarnation) return
    if (update.incarnation === this.#incarnation && update.kind === 'alive') return
    this.#incarnation = Math.min(update.incarnation + 1, INCARNATION_MAX)
    this.#news.add({ kind: 'alive', node: this.self, incarnation: this.#incarnation })
    // Being missed means having been slow (Lifeguard, LHA-Probe).
    if (update.kind === 'suspect') this.#doubt(1)
    const accuser = update.kind === 'suspect' ? this.#roster.get(update.by) : undefined
    for (const member of new Set([from, accuser ?? from])) {
      if (hasAddress(member)) this.#send(member, 'gossip', 0)
    }
  }

  /** Enters what is now held of a member: into the rotations, the news, and the effects. */
  #set(member: Member, state: MemberState, incarnation: number, by?: NodeId): void {
    const was = member.state
    const { node } = member
    this.#suspicions.close(node)
    this.#roster.setState(member, state, incarnation)
    this.#recount()
    this.#effects.push({ kind: 'verdict', verdict: verdictOfMember(member) })
    this.#tell(member, was, by)
    if (was === 'dead' && state === 'alive') this.#hurry()
  }

  #tell({ node, state, incarnation }: Member, was: MemberState, by: NodeId | undefined): void {
    // While many are new here, this node is the newcomer, and tells nobody anything new.
    const isGreeting = was === 'unseen' && this.#lostHurry > 0
    if (state === 'suspect') {
      if (by === undefined) this.#news.drop(node)
      else this.#news.add({ kind: 'suspect', node, incarnation, by })
    } else if (state !== 'unseen' && !isGreeting) {
      this.#news.add({ kind: state, node, incarnation })
    }
  }

  // --- Members ---

  #setMembers(members: ReadonlyMap<NodeId, ProbeAddress | undefined>): void {
    const { removed, isFresh } = this.#roster.setMembers(members, this.self)
    for (const member of removed) this.#forget(member)
    this.#recount()
    if (isFresh) this.#hurry()
  }

  #forget(member: Member): void {
    this.#suspicions.close(member.node)
    this.#probes.forgetMember(member)
    this.#news.drop(member.node)
  }

  #recount(): void {
    const nodes = this.#roster.active.size + 1
    this.#newsLimit = this.#options.retransmitMult * Math.ceil(Math.log10(nodes + 1))
    if (this.#roster.aliveCount < this.#options.confirmations)
      this.#suspicions.reckon(this.#roster.electorate)
  }

  // --- Telling ---

  #send(
    member: Member,
    kind: 'probe' | 'ack' | 'nack' | 'gossip',
    seq: number,
    address = addressOf(member),
    about: readonly SwimUpdate[] = NO_UPDATES,
  ): void {
    if (address === undefined) return
    const updates = this.#updatesFor(member, about)
    const message: SwimMessage = { kind, seq, incarnation: this.#incarnation, updates }
    this.#effects.push({ kind: 'send', to: member.node, address, message })
  }

  /** News for one message; what is held against the receiver comes first (Lifeguard's buddy system). */
  #updatesFor(member: Member, about = NO_UPDATES): readonly SwimUpdate[] {
    const notice = noticeTo(member, this.self)
    const first = notice === undefined ? about : [notice, ...about]
    return this.#news.take(UPDATES_BYTES_MAX, this.#newsLimit, first)
  }

  #farewell(): void {
    if (this.#farewells === undefined || this.#farewells === 0) return
    this.#farewells--
    this.#gossipAtMs = this.#nowMs + this.#options.gossipIntervalMs
    const { self: node } = this
    const incarnation = this.#incarnation
    const message: SwimMessage = {
      kind: 'gossip',
      seq: 0,
      incarnation,
      updates: [{ kind: 'left', node, incarnation }],
    }
    const { size, items } = this.#roster.active
    const all = size <= FAREWELL.nodes
    for (const member of all ? items : this.#roster.active.sample(FAREWELL.nodes, hasAddress)) {
      const address = addressOf(member)
      if (address !== undefined) {
        this.#effects.push({ kind: 'send', to: member.node, address, message })
      }
    }
  }

  #nextSeq(): number {
    this.#seq = (this.#seq + 1) % 2 ** 32
    return this.#seq
  }
}
