import type { DesiredDoc } from '../../crdt/desired-doc.ts'
import type { Desired } from '../../model/desired.ts'
import { appOfSlot, type NodeId, type SlotId } from '../../model/ids.ts'
import type { NodeRecord } from '../../model/node-record.ts'
import type { Verdict } from '../../model/verdict.ts'
import type { Placement, PlacementInput } from '../../placement/input.ts'
import type { Gate, RemoteTask, Wait } from '../../reconcile/plan.ts'
import { pick } from '../../util/random.ts'
import { ClaimDesk } from './claim-desk.ts'
import { isClaimMessage } from './claims.ts'
import type { ClusterEvent, Effect, Message, NodeEvent } from './events.ts'
import { DocumentDesk, telling } from './document-desk.ts'
import { Exchange } from './exchange.ts'
import { foundSpec } from './found-spec.ts'
import { healEvent } from './heal-event.ts'
import { Inbox } from './inbox.ts'
import { Leaving } from './leaving.ts'
import type { Brake } from './mass-loss.ts'
import { Members } from './members.ts'
import type { NodeMachineOptions } from './node-machine-options.ts'
import { createRecordCheck, ObservedBook } from './observed-book.ts'
import { OfferPace } from './offer-pace.ts'
import { OwnRecord } from './own-record.ts'
import { OwnTasks, type SpecOf } from './own-tasks.ts'
import { Placing } from './placing.ts'
import { Pace } from './pace.ts'
import { Planning } from './planning.ts'
import { RefusedMessages } from './refused-messages.ts'
import { SplitReport } from './split-report.ts'
import { reachOf, type Reach } from './reach.ts'
import { stepBetween } from './record-step.ts'
import { tellingsOf } from './tellings.ts'
import { TwinGuard } from './twin-guard.ts'

/** Changes of the own record are gathered for so long before they are gossiped. */
export const RECORD_GATHER_MS = 20

/**
 * A node without its I/O: events in, effects out, no clock, no chance, no socket.
 *
 * The daemon's loop and the simulator both drive this class, so what the simulator
 * proves holds for the daemon too. After every event the node settles: it places
 * every slot again if a shared fact changed, plans its own part, and tells the
 * others what changed about itself.
 */
export class NodeMachine {
  readonly self: NodeId
  readonly #options: NodeMachineOptions
  readonly #desk: DocumentDesk
  readonly #book: ObservedBook
  readonly #exchange: Exchange
  readonly #inbox: Inbox
  readonly #refused = new RefusedMessages()
  readonly #placing: Placing
  readonly #planning = new Planning()
  readonly #members: Members
  readonly #own: OwnTasks
  readonly #record: OwnRecord
  readonly #claims: ClaimDesk
  readonly #pace: Pace
  readonly #twins: TwinGuard
  readonly #split: SplitReport
  readonly #leaving: Leaving
  readonly #offers: OfferPace
  readonly #connected = new Set<NodeId>()
  readonly #listed = new Set<'docker' | 'process'>()
  #nowMs: number
  #desired: Desired | undefined
  #isPlacementStale = true
  /** True when something other than an app is new to placement. */
  #areNodesStale = true
  #isPlanStale = true
  /** The nodes of the document that all were heard of, until a verdict may say otherwise. */
  #acquaintedWith: Desired['nodes'] | undefined
  /** True when somebody came or went since this node last took stock. */
  #isLookDue = false
  /** When time alone changes who counts: kept, so that a tick that comes late finds it, too. */
  #membersAtMs = 0
  #publishAtMs = 0
  #isRecordStale = true
  /** True until the own record says what the shell said: before that, nothing is planned. */
  #areFactsStale = true
  #ownChanges = -1
  #version = 0

  constructor(options: NodeMachineOptions) {
    const { self, random, nowMs } = options
    this.self = self
    this.#options = options
    this.#nowMs = nowMs
    this.#desk = new DocumentDesk({
      ...options,
      isSureOfLog: atMs => this.#isAlone || this.#twins.isProven(atMs),
    })
    this.#book = new ObservedBook(options.checkRecord ?? createRecordCheck(options.verify))
    this.#exchange = new Exchange({
      self,
      desk: this.#desk,
      book: this.#book,
      isCurious: () => !this.#twins.isInformed,
      connected: this.#connected,
      random,
      placed: () => this.#placing.hashes,
    })
    this.#inbox = new Inbox({
      self,
      desk: this.#desk,
      book: this.#book,
      exchange: this.#exchange,
      refused: this.#refused,
      nameOf: node => this.#nameOf(node),
      onMerged: (before, after) => this.#merged(before, after),
      onPlaced: (from, offer) =>
        this.#placing.compare(from, offer, node => this.#nameOf(node), this.#nowMs),
      onMetSelf: (record, atMs) => {
        const { effects, isNews } = this.#twins.meet(record, atMs)
        if (isNews) this.#isRecordStale = true
        this.#isPlanStale = true
        return effects
      },
      onToldOfSelf: (isKnown, atMs) => {
        if (this.#twins.isInformed) return
        this.#twins.told(isKnown, atMs)
        this.#isPlanStale = true
      },
    })
    this.#placing = new Placing(self)
    this.#members = new Members(self, nowMs)
    this.#members.admit(this.#desk.admitted)
    this.#own = new OwnTasks({ self, random })
    this.#record = new OwnRecord(options)
    const isFirstStart = options.incarnation === 1
    const admitted = (): ReadonlySet<NodeId> => this.#desk.admitted
    this.#claims = new ClaimDesk({
      self,
      random,
      isFirstStart,
      orders: options.orders ?? [],
      fence: options.fence ?? 0,
      own: this.#own,
      admitted,
      isListed: engine => this.#listed.has(engine),
      nowMs,
    })
    const recentStarts = options.recentStarts ?? 0
    this.#pace = new Pace({
      self,
      members: this.#members,
      book: this.#book,
      admitted,
      recentStarts,
      nowMs,
    })
    this.#leaving = new Leaving(self)
    this.#split = new SplitReport({
      self,
      recordOf: node => this.#book.get(node),
      tasksOf: slot => this.#book.tasksOf(slot),
      isReliable: record =>
        this.#members.isPresent(record.node) && this.#members.isOfThisLife(record),
    })
    this.#twins = new TwinGuard({
      self,
      book: this.#book,
      record: this.#record,
      desk: this.#desk,
      own: this.#own,
      drawRun: options.drawRun,
      isFirstStart,
      nowMs,
    })
    this.#offers = new OfferPace(random, nowMs)
  }

  /** When to send `ticked` if nothing happens before. */
  get wakeAtMs(): number {
    if (this.#twins.haltReason !== undefined) {
      return Math.min(this.#twins.wakeAtMs(), this.#own.wakeAtMs())
    }
    return Math.min(
      this.#twins.wakeAtMs(),
      this.#split.wakeAtMs,
      this.#offers.wakeAtMs,
      this.#planning.nextAtMs,
      this.#isRecordStale && this.#maySpeak ? this.#publishAtMs : Infinity,
      this.#own.wakeAtMs(),
      this.#desk.wakeAtMs(),
      this.#membersAtMs,
      this.#claims.wakeAtMs,
      this.#pace.wakeAtMs(this.#nowMs),
      this.#leaving.wakeAtMs,
    )
  }

  /** Takes one event at a time `nowMs` that never goes back, and returns what to do about it, in order. */
  handle(event: NodeEvent, nowMs: number): Effect[] {
    return [...this.take(event, nowMs), ...this.settle(nowMs)]
  }

  /**
   * The first half of {@link handle}: takes an event in, and returns what is to be done about it alone. What follows from all
   * that was taken in one turn of the loop is done by {@link settle}, once: so a thousand records that come at once cost one plan.
   */
  take(event: NodeEvent, nowMs: number): Effect[] {
    this.#nowMs = Math.max(this.#nowMs, nowMs)
    if (this.#version === 0) this.#members.begin(this.#nowMs)
    this.#version++
    const effects = this.#twins.haltReason === undefined ? this.#take(event) : this.#end(event)
    // What was taken may have been the word that this node must stop.
    if (this.#twins.haltReason === undefined) this.#noticeDocument(effects)
    return this.#fenced(effects)
  }

  /** The second half of {@link handle}: wanted after the last event of a turn, before anybody looks at the machine. */
  settle(nowMs: number): Effect[] {
    this.#nowMs = Math.max(this.#nowMs, nowMs)
    this.#version++
    const effects: Effect[] = []
    if (this.#twins.haltReason === undefined) {
      if (this.#isLookDue) effects.push(...this.#lookAround())
      this.#settle(effects)
      this.#offers.notice([this.#desired, this.#book.changes], this.#nowMs)
    } else {
      effects.push(...this.#own.stopsDue(this.#nowMs), ...this.#twins.finish(this.#nowMs))
    }
    return this.#fenced(effects)
  }

  /** The disk is told of a new fencing token before anything that follows from it is done. */
  #fenced(effects: Effect[]): Effect[] {
    const kept = this.#claims.keepFence()
    return kept.length === 0 ? effects : [...kept, ...effects]
  }

  /** Another machine is this node: all that is still heard here is the end of tasks. */
  #end(event: NodeEvent): Effect[] {
    return isTaskEvent(event) ? this.#takeTaskEvent(event) : this.#twins.refuse(event)
  }

  /** Counts what happened so far: a view made at the same count is still true. */
  get version(): number {
    return this.#version
  }

  /** Who may take part. */
  get admitted(): ReadonlySet<NodeId> {
    return this.#desk.admitted
  }

  /** The document, for reading only. */
  get doc(): Omit<DesiredDoc, 'edit' | 'apply'> {
    return this.#desk.doc
  }

  /** The records of all nodes, for reading only. */
  get book(): Pick<ObservedBook, 'get' | 'records' | 'tasksOf' | 'changes' | 'digest'> {
    return this.#book
  }

  get members(): Pick<
    Members,
    'verdict' | 'isAlive' | 'isPresent' | 'reliableSinceMs' | 'changes'
  > {
    return this.#members
  }

  /** The address of another machine with this node's key, while one is there. */
  get twin(): string | undefined {
    return this.#book.get(this.self)?.run?.twin
  }

  /** What others sent and this node did not take, for metrics. */
  get refused(): Pick<RefusedMessages, 'count'> {
    return this.#refused
  }

  /** Where every slot belongs now, and what that was computed from. */
  get placed(): { readonly input: PlacementInput; readonly placement: Placement } {
    return this.#placing
  }

  /** Who is away from this node, and since when. */
  get split(): Pick<SplitReport, 'awaySinceMs'> {
    return this.#split
  }

  /** The mass-loss brake, while it is on. */
  get brake(): Brake | undefined {
    return this.#pace.brake
  }

  /** Why slots that belong here do not run yet. */
  get waits(): readonly Wait[] {
    return this.#planning.waits
  }

  #take(event: NodeEvent): Effect[] {
    switch (event.kind) {
      case 'ticked':
        return this.#tick()
      case 'facts-changed': {
        const before = this.#record.facts.runtimes
        if (!this.#record.setFacts(event.facts)) return []
        this.#areFactsStale = this.#isRecordStale = this.#isPlanStale = true
        const now = this.#record.facts.runtimes
        for (const engine of ['docker', 'process'] as const) {
          if (before[engine] && !now[engine]) this.#own.loseEngine(engine, this.#nowMs)
        }
        return []
      }
      case 'edited':
        return this.#desk.edit(event.request, event.edit, this.#nowMs)
      case 'leave-asked':
        this.#leaving.ask(event.request, this.#nowMs)
        this.#isRecordStale = this.#isPlanStale = true
        return []
      case 'persisted':
        return this.#desk.persisted(event.token, () => this.#reach(), this.#nowMs)
      case 'persist-failed':
        return this.#desk.persistFailed(event.token, event.reason, this.#nowMs)
      case 'reloaded':
        return this.#desk.reloaded(event.updates, this.#nowMs)
      case 'received':
        return this.#receive(event.from, event.message)
      case 'message-refused':
        return this.#inbox.refuse(event.from, event, this.#nowMs)
      case 'connected':
        this.#connected.add(event.node)
        this.#twins.connected(this.#nowMs)
        return this.#exchange.offerTo(event.node)
      case 'disconnected':
        this.#connected.delete(event.node)
        return []
      case 'verdict-came':
        return this.#judge(event.verdict)
      case 'found':
      case 'task-started':
      case 'task-progressed':
      case 'task-start-failed':
      case 'task-exited':
      case 'task-stopped':
      case 'task-stop-failed':
      case 'probed':
        return this.#takeTaskEvent(event)
    }
  }

  #receive(from: NodeId, message: Message): Effect[] {
    if (isClaimMessage(message)) return this.#claims.receive(from, message, this.#nowMs)
    return this.#inbox.receive(from, message, this.#nowMs)
  }

  /** A changed document changes what is wanted, and who takes part. */
  #noticeDocument(effects: Effect[]): void {
    const desired = this.#desk.doc.read()
    if (desired === this.#desired) return
    this.#desired = desired
    this.#isPlacementStale = this.#isPlanStale = true
    if (!effects.some(({ kind }) => kind === 'admit')) return
    const stays = { has: (node: NodeId) => node === this.self || this.#desk.admitted.has(node) }
    this.#book.keepOnly(stays)
    this.#members.admit(this.#desk.admitted)
    this.#split.keepOnly(stays)
    this.#isLookDue = true
  }

  #reach(): Reach {
    const { self, random } = this.#options
    const others = [...this.#desk.admitted].filter(node => node !== self)
    return reachOf({ others, members: this.#members, connected: this.#connected, random })
  }

  #takeTaskEvent(event: TaskEvent): Effect[] {
    this.#isPlanStale = true
    const nowMs = this.#nowMs
    switch (event.kind) {
      case 'found':
        this.#listed.add(event.runtime)
        return this.#own.adopt(event.tasks, event.runtime, this.#specOf, nowMs)
      case 'task-started':
        return this.#own.started(event.task, nowMs)
      case 'task-progressed':
        this.#own.progressed(event.task, event.message)
        return []
      case 'task-start-failed':
        return this.#own.startFailed(event.task, event, nowMs)
      case 'task-exited':
        return this.#own.exited(event.task, event.exitCode, event.message, nowMs)
      case 'task-stopped':
        return this.#own.stopped(event.task, nowMs)
      case 'task-stop-failed':
        return this.#own.stopFailed(event.task, event.message, nowMs)
      case 'probed':
        this.#own.probed(event.task, event.revision, event, nowMs)
        return []
    }
  }

  /** Another node's record is newer than it was. */
  #merged(before: NodeRecord | undefined, after: NodeRecord): Effect[] {
    const step = stepBetween(before, after)
    if (this.#planning.isAffected(step)) this.#isPlanStale = true
    if (this.#placing.isAffected(before, after)) this.#noteNodes()
    this.#split.heard(after, this.#nowMs)
    this.#pace.seeMoves(step, this.#placing.placement.placed, this.#nowMs)
    this.#claims.see(after.fence ?? 0)
    return tellingsOf(step, this.#nowMs).map(asEffect)
  }

  // --- Liveness -----------------------------------------------------------

  #judge(verdict: Verdict): Effect[] {
    const life = this.#members.lifeOf(verdict.node)
    const news = this.#members.take(verdict, this.#nowMs)
    // What the record of an earlier life says of a slot's holder counts for less.
    if (this.#members.lifeOf(verdict.node) !== life) this.#noteNodes()
    if (news === undefined) return []
    this.#acquaintedWith = undefined
    this.#split.judged(verdict.node, verdict.kind, this.#nowMs)
    this.#isPlanStale = true
    // Who is in doubt keeps its slots, as who is not: nothing is placed otherwise.
    if (!isThere(news.before?.kind) || !isThere(verdict.kind)) this.#noteNodes()
    if (verdict.kind === 'dead' || verdict.kind === 'left') this.#connected.delete(verdict.node)
    const text =
      news.before === undefined ? verdict.kind : `${verdict.kind} (was ${news.before.kind})`
    this.#isLookDue = true
    return [telling(this.#nowMs, 'node', this.#nameOf(verdict.node), `is ${text}`)]
  }

  /** Takes stock of who is there and who is lost. */
  #lookAround(): Effect[] {
    this.#isLookDue = false
    const told = this.#pace.lookAround(this.#nowMs)
    if (told.length > 0) this.#isPlanStale = true
    return told
  }

  // --- Time ---------------------------------------------------------------

  #tick(): Effect[] {
    const effects: Effect[] = this.#desk.expire(() => this.#reach(), this.#nowMs)
    const healed = this.#split.expire(this.#nowMs)
    if (healed !== undefined) {
      effects.push(asEffect(healEvent(healed, node => this.#nameOf(node), this.#nowMs)))
    }
    const gone = this.#twins.expire(this.#nowMs)
    if (gone.length > 0) this.#isRecordStale = true
    effects.push(...gone)
    if (this.#nowMs >= this.#twins.doubtEndsAtMs) this.#isPlanStale = true
    effects.push(...this.#own.expire(this.#nowMs, slot => this.#placing.isOwn(slot)))
    effects.push(...this.#claims.ask(this.#nowMs))
    if (this.#pace.isBrakeDue(this.#nowMs)) this.#isLookDue = true
    if (this.#nowMs >= this.#membersAtMs) {
      this.#noteNodes()
      this.#isPlanStale = true
    }
    if (this.#nowMs >= this.#planning.nextAtMs) this.#isPlanStale = true
    if (this.#isSteadinessNews) this.#isRecordStale = this.#isPlanStale = true
    if (this.#offers.isDue(this.#nowMs)) {
      const peers = [...this.#connected].filter(node => this.#desk.admitted.has(node))
      const peer = pick(peers, this.#options.random)
      if (peer !== undefined) effects.push(...this.#exchange.offerTo(peer))
    }
    return effects
  }

  /**
   * True when the others must hear whether this node is steady. That it is, now, matters to those only who have what it waits for:
   * else it is told with whatever comes next, for a thousand nodes that start at once would all become steady at once.
   */
  get #isSteadinessNews(): boolean {
    const told = this.#book.get(this.self)
    if (told === undefined) return false
    const { steady } = this.#pace.steadiness(this.#nowMs)
    if (told.steady === steady) return false
    return steady === false || told.flapping === true || this.#planning.waits.length > 0
  }

  // --- Settling -----------------------------------------------------------

  /** Brings what follows from the facts up to date: placement, plan, probes, own record. */
  #settle(effects: Effect[]): void {
    // The own record is a shared fact, too: what it says decides where slots go.
    if (this.#areFactsStale) this.#publish(effects)
    for (let round = 0; round < 4; round++) {
      if (this.#isPlacementStale) this.#placeIfDue()
      if (this.#claims.isNews) this.#isPlanStale = true
      if (this.#isPlanStale) effects.push(...this.#plan())
      const isPublished = this.#publish(effects)
      if (!isPublished && !this.#claims.isNews) break
    }
    effects.push(...this.#own.stopsDue(this.#nowMs), ...this.#own.probesDue(this.#nowMs))
    effects.push(...this.#leaving.finish(this.#own, this.#nowMs))
  }

  /**
   * Not while this node is still to hear of others: nothing is started or stopped by what it would find, and among a
   * thousand nodes that start it would find something else a hundred times.
   */
  #placeIfDue(): void {
    this.#membersAtMs = this.#members.wakeAtMs(this.#nowMs)
    if (this.#isAcquainted) this.#place()
  }

  #place(): void {
    this.#isPlacementStale = false
    const desired = this.#desk.doc.read()
    const isSame = !this.#areNodesStale && this.#placing.keepsNodes(desired)
    this.#areNodesStale = false
    this.#placing.place(desired, isSame ? undefined : this.#eligible(desired), record =>
      this.#members.isOfThisLife(record),
    )
    this.#own.dropStaleRefusals(slot => desired.apps.get(appOfSlot(slot))?.revision)
    this.#isPlanStale = true
  }

  /** The records of the nodes that slots may belong to now. */
  #eligible(desired: Desired): readonly NodeRecord[] {
    const records = this.#book
      .records()
      .filter(
        record => desired.nodes.has(record.node) && this.#members.isEligible(record, this.#nowMs),
      )
    // Where all flap, none is better than another.
    const calm = records.filter(({ flapping }) => flapping !== true)
    return calm.length === 0 ? records : calm
  }

  /** What is known of the nodes is new to placement. */
  #noteNodes(): void {
    this.#isPlacementStale = this.#areNodesStale = true
  }

  #plan(): Effect[] {
    this.#isPlanStale = false
    const desired = this.#desk.doc.read()
    const { capacity, runtimes } = this.#record.facts
    this.#claims.begin(this.#nowMs)
    const effects = this.#planning.plan({
      self: this.self,
      nowMs: this.#nowMs,
      desired,
      placing: this.#placing,
      own: this.#own,
      specOf: this.#specOf,
      capacity,
      remote: slot => this.#othersTasksOf(slot),
      gate: this.#makeGate(desired),
      fenceOf: slot => this.#claims.fenceOf(slot, desired.apps.get(appOfSlot(slot))?.spec),
      isUsable: engine => runtimes[engine] && this.#listed.has(engine),
      isSettled:
        this.#knowsItself &&
        this.#isAcquainted &&
        (this.#isAlone || this.#twins.mayAct(this.#members.isStartOver(this.#nowMs), this.#nowMs)),
    })
    const { guard, asked } = this.#claims.follow(desired.apps, this.#planning.waits, slot =>
      this.#placing.isOwn(slot),
    )
    // First what ends a task in any case, then its start.
    return [...guard, ...effects, ...asked]
  }

  #makeGate(desired: Desired): Gate {
    return this.#pace.gate({
      nowMs: this.#nowMs,
      placed: this.#placing.placement.placed,
      movesPerMinute: desired.settings.moveBudgetPerMinute,
      isLeaving: this.#leaving.isAsked,
      claims: this.#claims.claims,
      nameOf: node => this.#nameOf(node),
    })
  }

  /** What others say of a slot, and since when that can be relied on: not while its node is in doubt, nor after a new start until it spoke. */
  #othersTasksOf(slot: SlotId): RemoteTask[] {
    return this.#book.tasksOf(slot).flatMap(({ node, task, servingSinceMs }) => {
      const record = this.#book.get(node)
      if (node === this.self || record === undefined || !this.#members.isPresent(node)) return []
      const sinceMs = this.#members.reliableSinceMs(record)
      if (servingSinceMs === undefined || sinceMs === undefined) return [{ node, task }]
      return [{ node, task, servingSinceMs: Math.max(servingSinceMs, sinceMs) }]
    })
  }

  /** True once this node has heard of every other one, or the time for that is over. */
  get #isAcquainted(): boolean {
    const { nodes } = this.#desk.doc.read()
    if (nodes === this.#acquaintedWith) return true
    const isIt = this.#members.isSettled(
      nodes,
      node => this.#book.get(node) !== undefined,
      this.#nowMs,
    )
    if (isIt) this.#acquaintedWith = nodes
    return isIt
  }

  /** True when no other node is admitted, so that nobody could know of another run of this one. */
  get #isAlone(): boolean {
    return this.#desk.admitted.size < 2
  }

  /** True once every engine of this node has said what runs on it, or the time for that is over. */
  get #knowsItself(): boolean {
    return (
      this.#options.engines.every(engine => this.#listed.has(engine)) ||
      this.#members.isEngineGraceOver(this.#nowMs)
    )
  }

  /**
   * False right after a restart: as long as this node does not know what runs on it, the
   * record of before says more than it could itself, and keeps its slots where they are.
   */
  get #maySpeak(): boolean {
    return this.#options.incarnation === 1 || this.#knowsItself
  }

  /** Publishes the own record if it changed. True when placement must look again. */
  #publish(effects: Effect[]): boolean {
    if (this.#own.changes !== this.#ownChanges) this.#isRecordStale = true
    const before = this.#book.get(this.self)
    const { waits } = this.#planning
    if (!this.#isRecordStale && sameWaits(before?.waits ?? [], waits)) return false
    this.#isRecordStale = true
    if (!this.#maySpeak) return false
    if (before !== undefined && !this.#areFactsStale && this.#nowMs < this.#publishAtMs)
      return false
    this.#isRecordStale = this.#areFactsStale = false
    this.#ownChanges = this.#own.changes
    this.#publishAtMs = Math.max(this.#nowMs + RECORD_GATHER_MS, this.#twins.speakAtMs)
    const next = this.#record.next({
      tasks: this.#own.tasks(),
      refusals: this.#own.refusals(),
      waits: waits.map(({ slot, reason }) => ({ slot, reason })),
      leaving: this.#leaving.isAsked,
      ...this.#pace.steadiness(this.#nowMs),
      fence: this.#claims.fence,
      run: this.#twins.run(this.#nowMs),
      ...this.#placing.hashes,
    })
    if (next === undefined) return false
    this.#book.putOwn(next.signed, this.#nowMs)
    this.#twins.spoke(this.#nowMs)
    this.#split.heard(next.signed.record, this.#nowMs)
    const step = stepBetween(before, next.signed.record)
    this.#pace.seeMoves(step, this.#placing.placement.placed, this.#nowMs)
    effects.push({ kind: 'publish', message: next.message })
    effects.push(...tellingsOf(step, this.#nowMs).map(asEffect))
    if (!this.#placing.isAffected(before, next.signed.record)) return false
    this.#noteNodes()
    return true
  }

  // --- Words --------------------------------------------------------------

  #nameOf(node: NodeId): string {
    return this.#book.get(node)?.name ?? this.#desk.doc.read().nodes.get(node)?.name ?? node
  }

  readonly #specOf: SpecOf = (found, runtime) =>
    foundSpec(found, runtime, { doc: this.#desk.doc, capacity: this.#record.facts.capacity })
}

type TaskEvent = Extract<NodeEvent, { readonly kind: `task-${string}` | 'found' | 'probed' }>

function isTaskEvent(event: NodeEvent): event is TaskEvent {
  return event.kind.startsWith('task-')
}

function asEffect(event: ClusterEvent): Effect {
  return { kind: 'tell', event }
}

function sameWaits(before: NodeRecord['waits'], after: NodeRecord['waits']): boolean {
  return (
    before.length === after.length &&
    before.every(({ slot, reason }, at) => slot === after[at]!.slot && reason === after[at]!.reason)
  )
}

/** True for a verdict on a node that is present: alive, or in doubt. */
function isThere(kind: Verdict['kind'] | undefined): boolean {
  return kind === 'alive' || kind === 'suspect'
}
