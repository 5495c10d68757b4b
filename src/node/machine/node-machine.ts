import type { DesiredDoc } from '../../crdt/desired-doc.ts'
import { appSchema, runtimeOf, type AppSpec } from '../../model/app.ts'
import type { Desired } from '../../model/desired.ts'
import { appOfSlot, type AppId, type NodeId, type SlotId } from '../../model/ids.ts'
import { isNewer, type NodeRecord, type SignedRecord } from '../../model/node-record.ts'
import { isFinal } from '../../model/task.ts'
import type { Verdict } from '../../model/verdict.ts'
import { inputsHash, placementHash } from '../../placement/digest.ts'
import type { Placement, PlacementInput } from '../../placement/input.ts'
import { createPlacer } from '../../placement/placer.ts'
import { plan, type Plan, type RemoteTask, type Wait } from '../../reconcile/plan.ts'
import { createRoom } from '../../reconcile/room.ts'
import type { Verify } from '../../util/keys.ts'
import { workDigest } from '../../util/work-digest.ts'
import { pick, shuffle, type Random } from '../../util/random.ts'
import type {
  ClusterEvent,
  Effect,
  EditResult,
  Found,
  Message,
  NodeEvent,
  NodeFacts,
} from './events.ts'
import { DocumentDesk, telling } from './document-desk.ts'
import { Exchange } from './exchange.ts'
import { Members } from './members.ts'
import { ObservedBook, type MergeResult } from './observed-book.ts'
import { OwnRecord } from './own-record.ts'
import { OwnTasks } from './own-tasks.ts'
import { ACK_PEERS } from './pending-edits.ts'
import { affectsPlacement, PlacementInputs, placeOrInsist } from './placement-input.ts'
import { tellingsOf } from './tellings.ts'

/** How often a node compares all that it has with one other, in milliseconds; lost gossip is repaired within two rounds. */
export const OFFER_INTERVAL_MS = 2_000

/** Changes of the own record are gathered for so long before they are gossiped. */
export const RECORD_GATHER_MS = 20

/** An answer with so much of the document may be a part of it. */
const FILL_PART_BYTES = 4 * 1024 * 1024

/** A node that leaves for good waits so long for others to take over before it stops its tasks. */
export const LEAVE_TIMEOUT_MS = 60_000

/** Options of {@link NodeMachine}. */
export interface NodeMachineOptions {
  readonly self: NodeId
  /** Counts the starts of this node's daemon. */
  readonly incarnation: number
  /** Identity of this writer in the document; two live writers must never share one. */
  readonly clientId: number
  readonly facts: NodeFacts
  /**
   * The engines that this node is to have: nothing is started before each has said
   * what runs on it, or the time for that is over, because all share the node's room.
   */
  readonly engines: readonly ('docker' | 'process')[]
  readonly sign: (bytes: Uint8Array) => Uint8Array
  readonly verify: Verify
  readonly random: Random
  /** The document as the disk has it. */
  readonly updates: readonly Uint8Array[]
  readonly nowMs: number
}

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
  readonly #members: Members
  readonly #own: OwnTasks
  readonly #record: OwnRecord
  readonly #inputs = new PlacementInputs()
  readonly #placers = { first: createPlacer(), insisting: createPlacer() }
  readonly #connected = new Set<NodeId>()
  readonly #listed = new Set<'docker' | 'process'>()
  readonly #roomWaits = new Map<SlotId, number>()
  #nowMs: number
  #desired: Desired | undefined
  #input: PlacementInput = { apps: [], nodes: [] }
  #placement: Placement
  #ownSlots: readonly SlotId[] = []
  #waits: readonly Wait[] = []
  #hashes = { inputsHash: '', placementHash: '' }
  #isPlacementStale = true
  #isPlanStale = true
  #planAtMs = Infinity
  /** When time alone changes who counts: kept, so that a tick that comes late finds it, too. */
  #membersAtMs = 0
  #publishAtMs = 0
  #isRecordStale = true
  /** True until the own record says what the shell said: before that, nothing is planned. */
  #areFactsStale = true
  #ownChanges = -1
  #offerAtMs: number
  #leave:
    | { readonly request: number; readonly deadlineMs: number; readonly isAnswered: boolean }
    | undefined
  #version = 0
  readonly #mismatches = new Set<string>()

  constructor(options: NodeMachineOptions) {
    const { self, random, nowMs } = options
    this.self = self
    this.#options = options
    this.#nowMs = nowMs
    this.#desk = new DocumentDesk(options)
    this.#book = new ObservedBook(options.verify)
    this.#exchange = new Exchange(this.#desk, this.#book)
    this.#members = new Members(self, nowMs)
    this.#own = new OwnTasks({ self, random })
    this.#record = new OwnRecord(options)
    this.#placement = this.#placers.first.place(this.#input)
    this.#offerAtMs = nowMs + random() * OFFER_INTERVAL_MS
  }

  /** When to send `ticked` if nothing happens before. */
  get wakeAtMs(): number {
    return Math.min(
      this.#offerAtMs,
      this.#planAtMs,
      this.#isRecordStale && this.#maySpeak ? this.#publishAtMs : Infinity,
      this.#own.wakeAtMs(),
      this.#desk.wakeAtMs(),
      this.#membersAtMs,
      this.#leave?.deadlineMs ?? Infinity,
    )
  }

  /** Takes one event at a time `nowMs` that never goes back, and returns what to do about it, in order. */
  handle(event: NodeEvent, nowMs: number): Effect[] {
    this.#nowMs = Math.max(this.#nowMs, nowMs)
    const effects = this.#take(event)
    this.#noticeDocument(effects)
    this.#settle(effects)
    this.#version++
    return effects
  }

  /** Counts the events so far: a view made at the same count is still true. */
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
  get book(): Pick<ObservedBook, 'get' | 'records' | 'tasksOf'> {
    return this.#book
  }

  get members(): Pick<Members, 'verdict' | 'isAlive' | 'isPresent' | 'reliableSinceMs'> {
    return this.#members
  }

  /** Where every slot belongs now, and what that was computed from. */
  get placed(): { readonly input: PlacementInput; readonly placement: Placement } {
    return { input: this.#input, placement: this.#placement }
  }

  /** Why slots that belong here do not run yet. */
  get waits(): readonly Wait[] {
    return this.#waits
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
        this.#leave = {
          request: event.request,
          deadlineMs: this.#nowMs + LEAVE_TIMEOUT_MS,
          isAnswered: false,
        }
        this.#isRecordStale = this.#isPlanStale = true
        return []
      case 'persisted':
        return this.#desk.persisted(event.token, this.#storePeers(), this.#nowMs)
      case 'persist-failed':
        return this.#desk.persistFailed(event.token, event.reason, this.#nowMs)
      case 'reloaded':
        return this.#desk.reloaded(event.updates, this.#nowMs)
      case 'received':
        return this.#receive(event.from, event.message)
      case 'connected':
        this.#connected.add(event.node)
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

  /** A changed document changes what is wanted, and who takes part. */
  #noticeDocument(effects: readonly Effect[]): void {
    const desired = this.#desk.doc.read()
    if (desired === this.#desired) return
    this.#desired = desired
    this.#isPlacementStale = this.#isPlanStale = true
    if (!effects.some(({ kind }) => kind === 'admit')) return
    this.#book.keepOnly({ has: node => node === this.self || this.#desk.admitted.has(node) })
  }

  /** Whom to hand an edit to, so that it is on one more disk. */
  #storePeers(): NodeId[] {
    const peers = [...this.#desk.admitted].filter(
      node => node !== this.self && this.#members.isAlive(node) && this.#connected.has(node),
    )
    return shuffle(peers, this.#options.random).slice(0, ACK_PEERS)
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
        this.#own.probed(event.task, event, nowMs)
        return []
    }
  }

  // --- Messages -----------------------------------------------------------

  #receive(from: NodeId, message: Message): Effect[] {
    if (!this.#desk.admitted.has(from)) return []
    switch (message.kind) {
      case 'desired':
        return this.#takeUpdate(from, message.update).effects
      case 'store':
        return this.#store(from, message.id, message.update)
      case 'stored':
        return this.#desk.stored(message.id, from)
      case 'record':
        return this.#merged(from, this.#mergeRecord(message.signed))
      case 'delta':
        if (!this.#desk.admitted.has(message.node)) return []
        return this.#merged(from, this.#book.mergeDelta(message, this.#nowMs))
      case 'offer':
        return message.digest === this.#exchange.digest() ? [] : [this.#exchange.have(from, false)]
      case 'have':
        return this.#fill(from, message)
      case 'fill': {
        const isEmpty = message.update.length === 0
        const effects = isEmpty ? [] : this.#takeUpdate(from, message.update).effects
        const merged = message.records.flatMap(signed =>
          this.#merged(from, this.#mergeRecord(signed)),
        )
        // A large document comes in parts: ask for the next one now, not at the next offer.
        const isPart = message.update.length >= FILL_PART_BYTES
        return [...effects, ...merged, ...(isPart ? this.#exchange.ask(from, this.#nowMs) : [])]
      }
    }
  }

  /** Another node's edit: its author waits for our disk. */
  #store(from: NodeId, id: number, update: Uint8Array): Effect[] {
    const { isWhole, effects } = this.#takeUpdate(from, update)
    // It may have come by gossip first and still be on its way to the disk: the answer waits for the last write.
    return isWhole ? [...effects, ...this.#desk.acknowledge(from, id)] : effects
  }

  #takeUpdate(
    from: NodeId,
    update: Uint8Array,
  ): { readonly effects: Effect[]; readonly isWhole: boolean } {
    const taken = this.#desk.take(update, node => this.#nameOf(node), from, this.#nowMs)
    return taken.isWhole
      ? taken
      : { ...taken, effects: [...taken.effects, ...this.#exchange.ask(from, this.#nowMs)] }
  }

  #fill(from: NodeId, have: Message & { readonly kind: 'have' }): Effect[] {
    const mine = have.records.find(({ node }) => node === this.self)
    const own = this.#book.get(this.self)
    if (mine !== undefined && own !== undefined && isNewer(mine, own))
      this.#outgrow(mine.incarnation)
    return this.#exchange.fill(from, have)
  }

  #mergeRecord(signed: SignedRecord): MergeResult {
    const { node, incarnation, seq } = signed.record
    if (node === this.self) {
      const own = this.#book.get(node)
      if (own === undefined || isNewer({ incarnation, seq }, own)) this.#outgrow(incarnation)
      return { kind: 'old' }
    }
    return this.#desk.admitted.has(node) ? this.#book.merge(signed, this.#nowMs) : { kind: 'old' }
  }

  #outgrow(incarnation: number): void {
    this.#record.outgrow(incarnation)
    this.#isRecordStale = true
  }

  #merged(from: NodeId, result: MergeResult): Effect[] {
    switch (result.kind) {
      case 'old':
        return []
      case 'forged':
        return [
          telling(
            this.#nowMs,
            'refused',
            this.#nameOf(from),
            'relayed a record that its owner did not sign',
          ),
        ]
      case 'gap':
        return this.#exchange.ask(from, this.#nowMs)
      case 'merged':
        this.#isPlanStale = true
        if (affectsPlacement(result.before, result.after)) this.#isPlacementStale = true
        return [
          ...tellingsOf(result.before, result.after, this.#nowMs).map(asEffect),
          ...this.#comparePlacement(result.after),
        ]
    }
  }

  /** Two nodes with equal inputs and unequal placements are a bug that reports itself. */
  #comparePlacement(record: NodeRecord): Effect[] {
    const { inputsHash: inputs, placementHash: placed } = this.#hashes
    if (record.inputsHash !== inputs || record.placementHash === placed || inputs === '') return []
    const key = `${record.node} ${inputs}`
    if (this.#mismatches.has(key)) return []
    if (this.#mismatches.size > 1_000) this.#mismatches.clear()
    this.#mismatches.add(key)
    const text = `placed otherwise than this node from equal inputs ${inputs}: please report this bug`
    return [telling(this.#nowMs, 'placement-mismatch', record.name, text)]
  }

  // --- Liveness -----------------------------------------------------------

  #judge(verdict: Verdict): Effect[] {
    const news = this.#members.take(verdict, this.#nowMs)
    if (news === undefined) return []
    this.#isPlacementStale = this.#isPlanStale = true
    if (verdict.kind === 'dead' || verdict.kind === 'left') this.#connected.delete(verdict.node)
    const text =
      news.before === undefined ? verdict.kind : `${verdict.kind} (was ${news.before.kind})`
    return [telling(this.#nowMs, 'node', this.#nameOf(verdict.node), `is ${text}`)]
  }

  // --- Time ---------------------------------------------------------------

  #tick(): Effect[] {
    const effects: Effect[] = [...this.#desk.expire(this.#nowMs)]
    const isOwn = (slot: SlotId): boolean => this.#placement.placed.get(slot) === this.self
    effects.push(...this.#own.expire(this.#nowMs, isOwn))
    if (this.#nowMs >= this.#membersAtMs) {
      this.#isPlacementStale = this.#isPlanStale = true
    }
    if (this.#nowMs >= this.#planAtMs) this.#isPlanStale = true
    if (this.#nowMs >= this.#offerAtMs) {
      this.#offerAtMs = this.#nowMs + OFFER_INTERVAL_MS * (0.75 + this.#options.random() / 2)
      const peers = [...this.#connected].filter(node => this.#desk.admitted.has(node))
      const peer = pick(peers, this.#options.random)
      if (peer !== undefined) effects.push(...this.#exchange.offerTo(peer))
    }
    return effects
  }

  // --- Settling -----------------------------------------------------------

  /** Brings what follows from the facts up to date: placement, plan, probes, own record. */
  #settle(effects: Effect[]): void {
    // The own record is a shared fact, too: what it says decides where slots go.
    if (this.#areFactsStale) this.#publish(effects)
    for (let round = 0; round < 4; round++) {
      if (this.#isPlacementStale) this.#place()
      if (this.#isPlanStale) effects.push(...this.#plan())
      if (!this.#publish(effects)) break
    }
    effects.push(...this.#own.stopsDue(this.#nowMs), ...this.#own.probesDue(this.#nowMs))
    this.#finishLeave(effects)
  }

  #place(): void {
    this.#isPlacementStale = false
    this.#membersAtMs = this.#members.wakeAtMs(this.#nowMs)
    const desired = this.#desk.doc.read()
    const records = this.#book
      .records()
      .filter(
        record => desired.nodes.has(record.node) && this.#members.isEligible(record, this.#nowMs),
      )
    const placed = placeOrInsist(this.#placers, this.#inputs.make(desired, records))
    this.#input = placed.input
    this.#placement = placed.placement
    this.#ownSlots = [...this.#placement.placed]
      .filter(([, node]) => node === this.self)
      .map(([slot]) => slot)
      .toSorted()
    this.#hashes = {
      inputsHash: inputsHash(this.#input),
      placementHash: placementHash(this.#placement),
    }
    this.#own.dropStaleRefusals(slot => desired.apps.get(appOfSlot(slot))?.revision)
    this.#isPlanStale = true
  }

  #plan(): Effect[] {
    this.#isPlanStale = false
    const nowMs = this.#nowMs
    const desired = this.#desk.doc.read()
    this.#own.follow(desired.apps, nowMs)
    const local = this.#own.local()
    const { capacity, runtimes } = this.#record.facts
    const live = local.filter(({ task }) => !isFinal(task.state))
    const result = plan({
      self: this.self,
      nowMs,
      apps: desired.apps,
      placed: this.#placement.placed,
      unplaced: new Set(this.#placement.unplaced.keys()),
      own: this.#ownSlots,
      local,
      remote: slot => this.#othersTasksOf(slot),
      room: createRoom(
        capacity,
        live.map(({ spec }) => spec),
      ),
      retryAtMs: (slot, revision) => this.#own.retryAtMs(slot, revision),
      waitingForRoomSinceMs: slot => this.#roomWaits.get(slot),
      isSettled:
        this.#knowsItself &&
        this.#members.isSettled(desired.nodes, node => this.#book.get(node) !== undefined, nowMs),
    })
    this.#noteWaits(result)
    // An engine that is away can neither start nor stop: its tasks may run on, and are found again.
    const isUsable = (runtime: 'docker' | 'process'): boolean =>
      runtimes[runtime] && this.#listed.has(runtime)
    const runtimeOfTask = new Map(local.map(({ task, spec }) => [task.id, runtimeOf(spec)]))
    return result.actions.flatMap(action => {
      if (action.kind === 'stop') {
        if (!isUsable(runtimeOfTask.get(action.task)!)) return []
        return this.#own.stop(action.task, action.reason, nowMs)
      }
      if (!isUsable(runtimeOf(action.app.spec))) return []
      return this.#own.begin(action.slot, action.app, nowMs)
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

  #noteWaits({ waits, againAtMs }: Plan): void {
    this.#waits = waits.map(wait => {
      const failure = this.#own.failureText(wait.slot)
      return wait.untilMs !== undefined && failure !== '' ? { ...wait, reason: failure } : wait
    })
    const forRoom = new Set(waits.filter(wait => wait.forRoom).map(({ slot }) => slot))
    for (const slot of this.#roomWaits.keys()) if (!forRoom.has(slot)) this.#roomWaits.delete(slot)
    for (const slot of forRoom)
      if (!this.#roomWaits.has(slot)) this.#roomWaits.set(slot, this.#nowMs)
    const until = waits.map(({ untilMs = Infinity, forRoom: isForRoom }) =>
      // A hand-over's monitor window and a wait for room end by time alone.
      isForRoom ? this.#nowMs + 1_000 : untilMs,
    )
    this.#planAtMs = Math.min(...until, againAtMs)
  }

  /** True once every engine of this node has said what runs on it, or the time for that is over. */
  get #knowsItself(): boolean {
    return (
      this.#options.engines.every(engine => this.#listed.has(engine)) ||
      this.#members.isStartOver(this.#nowMs)
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
    const isHashNews =
      before?.inputsHash !== this.#hashes.inputsHash ||
      before.placementHash !== this.#hashes.placementHash
    const waits = this.#waits.map(({ slot, reason }) => ({ slot, reason }))
    if (!this.#isRecordStale && !isHashNews && sameWaits(before.waits, waits)) return false
    this.#isRecordStale = true
    if (!this.#maySpeak) return false
    if (before !== undefined && !this.#areFactsStale && this.#nowMs < this.#publishAtMs)
      return false
    this.#isRecordStale = this.#areFactsStale = false
    this.#ownChanges = this.#own.changes
    this.#publishAtMs = this.#nowMs + RECORD_GATHER_MS
    const next = this.#record.next({
      tasks: this.#own.tasks(),
      refusals: this.#own.refusals(),
      waits,
      leaving: this.#leave !== undefined,
      ...this.#hashes,
    })
    if (next === undefined) return false
    this.#book.putOwn(next.signed, this.#nowMs)
    effects.push({ kind: 'publish', message: next.message })
    effects.push(...tellingsOf(before, next.signed.record, this.#nowMs).map(asEffect))
    if (!affectsPlacement(before, next.signed.record)) return false
    this.#isPlacementStale = true
    return true
  }

  #finishLeave(effects: Effect[]): void {
    if (this.#leave === undefined) return
    const live = this.#own.local().filter(({ task }) => !isFinal(task.state))
    if (live.length > 0) {
      if (this.#nowMs < this.#leave.deadlineMs) return
      const isStuck = live.every(({ task }) => task.state === 'stopping')
      for (const { task } of live) {
        effects.push(...this.#own.stop(task.id, 'the node leaves', this.#nowMs))
      }
      if (!isStuck) {
        this.#leave = { ...this.#leave, deadlineMs: this.#nowMs + LEAVE_TIMEOUT_MS }
        return
      }
    }
    const { request, isAnswered } = this.#leave
    if (isAnswered) return
    this.#leave = { request, deadlineMs: Infinity, isAnswered: true }
    const result: EditResult = {
      ok: true,
      changed: true,
      storedOn: [this.self],
      onlyHere: false,
      revisions: [],
    }
    effects.push({ kind: 'reply', request, result })
  }

  // --- Words --------------------------------------------------------------

  #nameOf(node: NodeId): string {
    return this.#book.get(node)?.name ?? this.#desk.doc.read().nodes.get(node)?.name ?? node
  }

  /**
   * The app of a found task: at its own revision where the history has it. Where it has
   * not, nobody knows what the task holds of the node: it is taken for all, so that
   * nothing starts beside it until it has gone, as it soon must.
   */
  readonly #specOf = (found: Found, runtime: 'docker' | 'process'): AppSpec => {
    const app = appOfSlot(found.slot)
    const known = this.#desk.doc.revision(app, found.revision)?.spec
    if (known !== undefined) return known
    const current = this.#desk.doc.read().apps.get(app)?.spec
    if (current !== undefined && workDigest(current) === found.work) return current
    const isLike = current !== undefined && runtimeOf(current) === runtime
    const spec = isLike ? current : bareSpec(app, runtime)
    return { ...spec, resources: this.#record.facts.capacity }
  }
}

type TaskEvent = Extract<NodeEvent, { readonly kind: `task-${string}` | 'found' | 'probed' }>

function asEffect(event: ClusterEvent): Effect {
  return { kind: 'tell', event }
}

function sameWaits(before: NodeRecord['waits'], after: NodeRecord['waits']): boolean {
  return JSON.stringify(before) === JSON.stringify(after)
}

function bareSpec(app: AppId, runtime: 'docker' | 'process'): AppSpec {
  const work = runtime === 'docker' ? { image: 'unknown' } : { command: 'unknown' }
  return appSchema.parse({ id: app, ...work })
}
