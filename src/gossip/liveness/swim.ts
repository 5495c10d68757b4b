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
 * Four rules go beyond the papers. Nobody is dead here who was not suspect here
 * first, so old verdicts that cross a healed partition become questions. A node that
 * hears from nobody takes itself to be cut off and accuses nobody aloud. A node
 * that finds that it did not run for a while gives everybody that time back, and judges
 * nobody before it was answered. And whom datagrams do not reach is asked by stream, as
 * memberlist does by TCP, before it is accused.
 *
 * @module
 */

import type { NodeId } from '../../model/ids.ts'
import type { Verdict } from '../../model/verdict.ts'
import type { Random } from '../../util/random.ts'
import { SelfDoubt } from './swim-doubt.ts'
import type { SwimEffect, SwimEvent, SwimInit } from './swim-event.ts'
import { Judge } from './swim-judge.ts'
import { Mail } from './swim-mail.ts'
import {
  addressOf,
  claimOf,
  isActive,
  isByStream,
  isLost,
  isReachable,
  routeTo,
  verdictOfMember,
  type Member,
} from './swim-member.ts'
import {
  ACCUSATION_BYTES,
  CLAIM_BYTES,
  INCARNATION_MAX,
  UPDATES_BYTES_MAX,
  type ProbeAddress,
  type Route,
  type SwimMessage,
  type SwimUpdate,
} from './swim-message.ts'
import type { SwimOptions } from './swim-options.ts'
import { Probes, type Probe } from './swim-probes.ts'
import { Roster } from './swim-roster.ts'
import { Search } from './swim-search.ts'

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
const SEQ_MAX = 2 ** 32 - 1
/** Others that a newcomer is told of in one message, beside what it must hear of itself. */
const CLAIMS_MAX = Math.floor((UPDATES_BYTES_MAX - ACCUSATION_BYTES) / CLAIM_BYTES)

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
  readonly #judge: Judge
  readonly #probes = new Probes()
  readonly #doubt: SelfDoubt
  readonly #search: Search
  readonly #mail: Mail
  #nowMs: number
  /** When this node should run again: what was overdue after the last event is due at once. */
  #dueAtMs: number
  #seq: number
  #probeAtMs: number
  #gossipAtMs: number
  /** When it last was known that what goes by stream does not get out of this machine. */
  #streamsHeldAtMs = -Infinity
  #connectionsLost = 0
  /** Rounds of good-byes still to send, from when this node leaves. */
  #farewells: number | undefined

  constructor(init: SwimInit) {
    const { self, incarnation, spokenWith = -1, options, random, nowMs } = init
    this.self = self
    this.#options = options
    this.#random = random
    this.#roster = new Roster(random)
    this.#doubt = new SelfDoubt(options, nowMs)
    this.#search = new Search(options, random, this.#roster, nowMs)
    this.#mail = new Mail(init, Math.max(incarnation * INCARNATIONS_PER_START, spokenWith + 1))
    this.#judge = new Judge(init, { roster: this.#roster, mail: this.#mail, search: this.#search })
    this.#seq = Math.floor(random() * SEQ_MAX)
    this.#nowMs = nowMs
    this.#dueAtMs = nowMs
    // Nodes that start together must not probe together.
    this.#probeAtMs = nowMs + random() * options.probeIntervalMs
    this.#gossipAtMs = nowMs
  }

  /** When the next tick is due, on the clock of `handle`; Infinity when nothing is to come. */
  get wakeAtMs(): number {
    if (this.#farewells !== undefined) return this.#farewells > 0 ? this.#gossipAtMs : Infinity
    let wakeAtMs = Math.min(this.#probes.nextMs, this.#judgeAtMs, this.#search.nextMs)
    if (this.#roster.active.size > 0) {
      wakeAtMs = Math.min(wakeAtMs, this.#probeAtMs)
      if (this.#mail.news.size > 0) wakeAtMs = Math.min(wakeAtMs, this.#gossipAtMs)
    }
    if (this.#roster.aliveCount > 0) wakeAtMs = Math.min(wakeAtMs, this.#doubt.silentAtMs)
    return wakeAtMs
  }

  /** How much this node doubts itself: 0 is well, `healthMax` − 1 the worst (Lifeguard's local health multiplier). */
  get health(): number {
    return this.#doubt.health
  }

  /** How often this node found that it had not run for a while. */
  get stalls(): number {
    return this.#doubt.stalls
  }

  /** This node's own incarnation. */
  get incarnation(): number {
    return this.#mail.incarnation
  }

  /** What is held of a node now, this one included; nothing of those who are not members. */
  verdictOf(node: NodeId): Verdict | undefined {
    if (node === this.self) {
      const kind = this.#farewells === undefined ? 'alive' : 'left'
      return { node, kind, incarnation: this.#mail.incarnation }
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
    const effects = this.#mail.begin()
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
        this.#received(event.from, event.route, event.message)
        break
      case 'members':
        this.#setMembers(event.members)
        break
      case 'connection-up':
        this.#connectionUp(event.node)
        break
      case 'connection-lost':
        this.#connectionLost(event.node)
        break
      case 'streams-held':
        this.#streamsHeldAtMs = this.#nowMs
        this.#doubt.held(this.#nowMs)
        break
      case 'recall':
        for (const verdict of event.verdicts) this.#judge.recall(verdict, this.#nowMs)
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
    if (this.#judgeAtMs <= nowMs) {
      for (const member of this.#judge.minute(nowMs)) this.#lastCall(member)
    }
    if (this.#roster.aliveCount > 0 && nowMs >= this.#doubt.silentAtMs)
      this.#judge.suspectAll(nowMs)
    if (this.#roster.active.size > 0 && nowMs >= this.#probeAtMs) {
      this.#probeAtMs = nowMs + this.#options.probeIntervalMs * (this.#doubt.health + 1)
      this.#connectionsLost = 0
      const member = this.#roster.active.next()
      if (member !== undefined) this.#probe(member)
    }
    if (nowMs >= this.#search.nextMs) {
      for (const member of this.#search.take(nowMs)) this.#lookFor(member)
    }
    if (this.#mail.news.size > 0 && nowMs >= this.#gossipAtMs) this.#gossip()
  }

  #gossip(): void {
    const { gossipIntervalMs, gossipFanout } = this.#options
    this.#gossipAtMs = this.#nowMs + gossipIntervalMs
    for (const member of this.#roster.active.sample(gossipFanout, isReachable)) {
      if (this.#mail.news.size > 0) this.#mail.send(member, 'gossip', 0)
    }
  }

  #minuteProbes(): void {
    const nowMs = this.#nowMs
    for (const probe of this.#probes.failed(nowMs)) {
      // Not even a helper answered: the fault may be here (Lifeguard, LHA-Probe).
      this.#doubt.change(probe.nacks === 0 ? 1 : 0)
      if (isActive(probe.member) && this.#isEvidence(probe)) this.#judge.accuse(probe.member, nowMs)
    }
    for (const probe of this.#probes.overdue(nowMs)) {
      this.#askHelpers(probe)
      this.#probeByStream(probe)
    }
    for (const { asker, askerAt, forSeq } of this.#probes.failedRelays(nowMs)) {
      this.#mail.send(asker, 'nack', forSeq, { route: askerAt })
    }
  }

  /** True when a failed probe speaks against its target, and not against this node. */
  #isEvidence({ member, sentAtMs }: Probe): boolean {
    if (this.#nowMs < this.#doubt.dazedUntilMs) return false
    if (isByStream(member) && this.#streamsHeldAtMs >= sentAtMs) return false
    // Where the accused is the only one there is, there is nobody else to hear from.
    return this.#doubt.hasHeardSince(sentAtMs) || this.#roster.active.size === 1
  }

  /** When suspicions are to be looked at: not while this node is dazed. */
  get #judgeAtMs(): number {
    return Math.max(this.#judge.nextMs, this.#doubt.dazedUntilMs)
  }

  /** Asks the accused, and others what they know of it: who has heard a refutation says so. */
  #lastCall(member: Member): void {
    this.#probe(member, 'both')
    const claim = claimOf(member, this.self)
    for (const other of this.#helpersFor(member)) {
      this.#mail.send(other, 'gossip', 0, { about: claim === undefined ? [] : [claim] })
    }
  }

  /** Time that this node slept through is given back to everybody. */
  #stalled(lateMs: number): void {
    this.#doubt.stalled(lateMs, this.#nowMs)
    this.#probes.forget()
    this.#judge.prolong(lateMs)
    this.#probeAtMs = Math.max(this.#probeAtMs, this.#nowMs)
  }

  // --- Probing ---

  #probe(member: Member, ways: 'usual' | 'both' = isByStream(member) ? 'both' : 'usual'): void {
    if (!this.#probes.hasRoom || !isReachable(member)) return
    // A stream goes through the main threads at both ends: it gets twice the time.
    const stretch = (this.#doubt.health + 1) * (isByStream(member) ? 2 : 1)
    const address = addressOf(member)
    const probe: Probe = {
      seq: this.#nextSeq(),
      member,
      sentAtMs: this.#nowMs,
      isStreamed: false,
      askAtMs: this.#nowMs + this.#options.probeTimeoutMs * stretch,
      failAtMs: this.#nowMs + this.#options.probeIntervalMs * stretch,
      helpers: [],
      nacks: 0,
    }
    this.#probes.begin(probe)
    if (address !== undefined) this.#mail.send(member, 'probe', probe.seq, { route: address })
    if (ways === 'both' || address === undefined) this.#probeByStream(probe)
  }

  #probeByStream(probe: Probe): void {
    if (probe.isStreamed || !probe.member.isConnected) return
    probe.isStreamed = true
    this.#mail.send(probe.member, 'probe', probe.seq, { route: 'stream' })
  }

  #askHelpers(probe: Probe): void {
    probe.helpers = this.#helpersFor(probe.member)
    for (const helper of probe.helpers) this.#mail.ask(helper, probe.member.node, probe.seq)
  }

  #helpersFor(target: Member): Member[] {
    return this.#roster.active.sample(
      this.#options.helpers,
      helper => helper !== target && helper.state === 'alive' && isReachable(helper),
    )
  }

  /** Looks at a node that is dead here: it may be back, or on the other side of a split that healed. */
  #lookFor(member: Member): void {
    const route = addressOf(member)
    if (route !== undefined) this.#mail.send(member, 'probe', 0, { route })
    if (member.isConnected) this.#mail.send(member, 'probe', 0, { route: 'stream' })
  }

  /** Who looks for lost nodes is new, or was away: it hears of as many of the living as fit. */
  #tellOfOthers(to: Member, route: Route): void {
    const isOther = (other: Member): boolean => other.state === 'alive' && other !== to
    const others = this.#roster.active.sample(CLAIMS_MAX, isOther)
    const about = others.flatMap(other => claimOf(other, this.self) ?? [])
    if (about.length > 0) this.#mail.send(to, 'gossip', 0, { route, about })
  }

  // --- Connections ---

  #connectionUp(node: NodeId): void {
    const member = this.#roster.setConnected(node, true)
    if (member !== undefined && isLost(member)) this.#lookFor(member)
  }

  #connectionLost(node: NodeId): void {
    const member = this.#roster.setConnected(node, false)
    if (member === undefined || !isActive(member)) return
    this.#connectionsLost++
    const isFew = this.#connectionsLost <= CONNECTIONS_BELIEVED
    const isSure = this.#doubt.health === 0 && !this.#doubt.isWaking(this.#nowMs)
    if (isFew && isSure) this.#judge.accuse(member, this.#nowMs)
    this.#probe(member)
  }

  // --- Hearing ---

  #received(from: NodeId, route: Route | undefined, message: SwimMessage): void {
    const member = this.#roster.get(from)
    if (member === undefined) return
    this.#doubt.heard(this.#nowMs)
    if (route !== undefined && route !== 'stream' && member.address === undefined)
      this.#roster.learnAddress(member, route)
    const corrections: SwimUpdate[] = []
    for (const update of message.updates) {
      const correction = this.#judge.correctionOf(update)
      if (correction === undefined || corrections.length >= CORRECTIONS_MAX) {
        this.#learn(update, member, route)
      } else {
        corrections.push(correction)
      }
    }
    this.#hear(member, message)
    const answerTo = route ?? routeTo(member)
    if (answerTo === undefined) return
    if (message.kind !== 'probe' && corrections.length > 0) {
      this.#mail.send(member, 'gossip', 0, { route: answerTo, about: corrections })
    }
    switch (message.kind) {
      case 'probe':
        this.#mail.send(member, 'ack', message.seq, { route: answerTo, about: corrections })
        if (message.seq === 0) this.#tellOfOthers(member, answerTo)
        return
      case 'ask':
        this.#relay(member, answerTo, message.seq, message.target)
        return
      case 'ack':
        this.#acked(member, message.seq, route)
        return
      case 'nack':
        if (this.#probes.nack(message.seq, member)) this.#doubt.answered()
        return
      case 'gossip':
    }
  }

  /** A datagram is news of its sender. */
  #hear(member: Member, { kind, incarnation }: SwimMessage): void {
    if (this.#judge.hear(member, incarnation)) return
    member.stale = incarnation < member.incarnation
    // An answer to a probe carries the notice anyhow.
    if (kind === 'probe' || (member.state === 'left' && !member.stale)) return
    if (member.state === 'alive' && !member.stale) return
    if (this.#nowMs < member.toldAtMs + this.#options.gossipIntervalMs) return
    member.toldAtMs = this.#nowMs
    this.#mail.send(member, 'gossip', 0)
  }

  #learn(update: SwimUpdate, from: Member, route: Route | undefined): void {
    if (update.node === this.self) {
      this.#refute(update, from, route)
      return
    }
    const accused = this.#judge.learn(update, from, this.#nowMs)
    // A few of those who hear an accusation look for themselves, so that it is settled soon.
    const chance = this.#options.verifiers / this.#roster.electorate.nodes
    if (accused !== undefined && this.#doubt.health === 0 && this.#random() < chance)
      this.#probe(accused)
  }

  /** Somebody says of this node what is not so: go one incarnation higher, and tell the accusers first. */
  #refute(update: SwimUpdate, from: Member, route: Route | undefined): void {
    const { incarnation } = this.#mail
    if (update.incarnation < incarnation) return
    if (update.incarnation === incarnation && update.kind === 'alive') return
    this.#mail.incarnation = Math.min(update.incarnation + 1, INCARNATION_MAX)
    this.#mail.news.add({ kind: 'alive', node: this.self, incarnation: this.#mail.incarnation })
    // Being missed means having been slow (Lifeguard, LHA-Probe).
    if (update.kind === 'suspect') this.#doubt.change(1)
    const accuser = update.kind === 'suspect' ? this.#roster.get(update.by) : undefined
    this.#mail.send(from, 'gossip', 0, { route })
    if (accuser !== undefined && accuser !== from) this.#mail.send(accuser, 'gossip', 0)
  }

  #acked(from: Member, seq: number, route: Route | undefined): void {
    const probe = this.#probes.answer(seq, from)
    if (route !== 'stream') this.#reachedBy(from, 'datagram')
    if (probe !== undefined) {
      this.#doubt.answered()
      this.#doubt.change(-1)
      if (route === 'stream' && probe.member === from) this.#reachedBy(from, 'stream')
      return
    }
    const relay = this.#probes.answerRelay(seq, from)
    if (relay !== undefined)
      this.#mail.send(relay.asker, 'ack', relay.forSeq, { route: relay.askerAt })
  }

  /** Keeps count of what gets through to a member, and says when that changes for good. */
  #reachedBy(member: Member, by: 'stream' | 'datagram'): void {
    const was = isByStream(member)
    member.missed = by === 'stream' ? member.missed + 1 : 0
    if (isByStream(member) !== was) this.#mail.add({ kind: 'reached', node: member.node, by })
  }

  #relay(asker: Member, askerAt: Route, forSeq: number, node: NodeId): void {
    const target = this.#roster.get(node)
    const seq = this.#nextSeq()
    if (target === undefined || !isReachable(target)) {
      this.#mail.send(asker, 'nack', forSeq, { route: askerAt })
      return
    }
    // A nack must reach the asker before its period ends.
    const nackAtMs = this.#nowMs + this.#options.probeTimeoutMs * 0.8
    if (this.#probes.beginRelay({ seq, forSeq, asker, askerAt, target, nackAtMs })) {
      this.#mail.send(target, 'probe', seq)
    }
  }

  // --- Coming and going ---

  #setMembers(members: ReadonlyMap<NodeId, ProbeAddress | undefined>): void {
    const { removed, isFresh } = this.#roster.setMembers(members, this.self)
    for (const member of removed) {
      this.#judge.forget(member.node)
      this.#probes.forgetMember(member)
    }
    this.#judge.recount()
    if (isFresh) this.#search.hurry()
  }

  #farewell(): void {
    if (this.#farewells === undefined || this.#farewells === 0) return
    this.#farewells--
    this.#gossipAtMs = this.#nowMs + this.#options.gossipIntervalMs
    const { size, items } = this.#roster.active
    const isFew = size <= FAREWELL.nodes
    this.#mail.farewell(isFew ? items : this.#roster.active.sample(FAREWELL.nodes, isReachable))
  }

  /** Names a probe; 0 is none. */
  #nextSeq(): number {
    this.#seq = (this.#seq % SEQ_MAX) + 1
    return this.#seq
  }
}
