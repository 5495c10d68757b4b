import type { NodeId } from '../../model/ids.ts'
import { isNewer, type NodeRecord, type Run } from '../../model/node-record.ts'
import { telling, type DocumentDesk } from './document-desk.ts'
import type { Effect, NodeEvent } from './events.ts'
import type { ObservedBook } from './observed-book.ts'
import type { OwnRecord } from './own-record.ts'
import type { OwnTasks } from './own-tasks.ts'
import { twinReason, TwinWatch, type TwinWatchOptions } from './twin-watch.ts'

/** A node that must stop waits so long for the end of the tasks that it started itself. */
export const HALT_TIMEOUT_MS = 15_000

/**
 * The own record is raised above another's at most this often, in milliseconds: two
 * machines with one key, of which one does not understand, must not chase each other.
 */
const OUTGROW_INTERVAL_MS = 1_000

/** Options of {@link TwinGuard}. */
export interface TwinGuardOptions extends TwinWatchOptions {
  readonly self: NodeId
  readonly book: ObservedBook
  readonly record: OwnRecord
  readonly desk: DocumentDesk
  readonly own: OwnTasks
}

/** Sees to it that this node is one machine: what {@link TwinWatch} finds out has its consequences here. */
export class TwinGuard {
  readonly #options: TwinGuardOptions
  readonly #watch: TwinWatch
  #outgrewAtMs = -Infinity
  #goneAtMs = Infinity
  #doubtEndsAtMs = Infinity
  #halt: { readonly reason: string; readonly untilMs: number; readonly isTold: boolean } | undefined

  constructor(options: TwinGuardOptions) {
    this.#options = options
    this.#watch = new TwinWatch(options)
  }

  /** Why this node takes part no more; nothing while it does. */
  get haltReason(): string | undefined {
    return this.#halt?.reason
  }

  /** When something here is due next. */
  wakeAtMs(): number {
    if (this.#halt !== undefined) return this.#halt.isTold ? Infinity : this.#halt.untilMs
    return Math.min(this.#goneAtMs, this.#doubtEndsAtMs)
  }

  /** Not before this may the own record be told again. */
  get speakAtMs(): number {
    return this.#outgrewAtMs + OUTGROW_INTERVAL_MS
  }

  run(nowMs: number): Run {
    return this.#watch.run(nowMs)
  }

  /** See {@link TwinWatch.told}. */
  told(isKnown: boolean, nowMs: number): void {
    this.#watch.told(isKnown, nowMs)
  }

  /** False while the others are still to say what they know of this node. */
  get isInformed(): boolean {
    return this.#watch.isInformed
  }

  /** The own record was told. */
  spoke(nowMs: number): void {
    this.#watch.spoke(nowMs)
  }

  /** A connection came up. */
  connected(nowMs: number): void {
    this.#watch.connected(nowMs)
  }

  /** See {@link TwinWatch.isProven}: nobody else writes to this node's log in the document. */
  isProven(nowMs: number): boolean {
    return this.#watch.isProven(nowMs)
  }

  /** False after a start as long as another machine may turn out to be this node: nothing may be started or stopped then. */
  mayAct(isStartOver: boolean, nowMs: number): boolean {
    const here = new Set(this.#options.own.tasks().map(({ id }) => id))
    const endsAtMs = this.#watch.doubtEndsAtMs(task => here.has(task), isStartOver)
    const isOver = nowMs >= endsAtMs
    this.#doubtEndsAtMs = isOver ? Infinity : endsAtMs
    return isOver
  }

  /** When to ask {@link TwinGuard.mayAct} again if nothing happens before. */
  get doubtEndsAtMs(): number {
    return this.#doubtEndsAtMs
  }

  /** Takes a record of this node, signed with its key, that somebody relayed. `isNews`: the own record must be told anew. */
  meet(
    record: NodeRecord,
    nowMs: number,
  ): { readonly effects: Effect[]; readonly isNews: boolean } {
    const { self, book, record: own, desk } = this.#options
    const last = book.get(self) ?? { incarnation: own.incarnation, seq: 0 }
    const isLater = isNewer(record, last)
    const meeting = this.#watch.meet(record, isLater, nowMs)
    if (meeting.kind === 'second') return { isNews: false, effects: this.#begin(meeting, nowMs) }
    if (isLater) {
      if (nowMs >= this.speakAtMs) this.#outgrewAtMs = nowMs
      own.outgrow(record.incarnation)
      desk.doubtLog()
    }
    this.#goneAtMs = this.#watch.twinGoneAtMs(nowMs)
    if (meeting.kind !== 'twin' || !meeting.isNews) {
      return { effects: [], isNews: isLater || meeting.kind === 'met' }
    }
    const text = `is also the key of another machine, at ${meeting.address}: that one was told to stop; give it a key of its own`
    return { isNews: true, effects: [telling(nowMs, 'twin', own.facts.name, text)] }
  }

  /** Time passed. Says so when the twin is gone. */
  expire(nowMs: number): Effect[] {
    if (nowMs < this.#goneAtMs) return []
    this.#goneAtMs = Infinity
    const { name } = this.#options.record.facts
    return [telling(nowMs, 'twin', name, 'is the key of this machine alone again')]
  }

  /** What becomes of an event that is not about a task once this node must stop: who waits for an answer gets one. */
  refuse(event: NodeEvent): Effect[] {
    if (event.kind !== 'edited' && event.kind !== 'leave-asked') return []
    const reason = this.#halt?.reason ?? ''
    return [{ kind: 'reply', request: event.request, result: { ok: false, reason } }]
  }

  /** Once nothing that this run started is left here, or the time for that is over: the end. */
  finish(nowMs: number): Effect[] {
    if (this.#halt === undefined || this.#halt.isTold) return []
    if (this.#options.own.hasBegun && nowMs < this.#halt.untilMs) return []
    const { reason } = this.#halt
    this.#halt = { ...this.#halt, isTold: true }
    return [{ kind: 'halt', reason }]
  }

  /** Stops what this run started. What it found may be the other machine's, and is left alone. */
  #begin(first: { readonly address: string; readonly name: string }, nowMs: number): Effect[] {
    if (this.#halt !== undefined) return []
    const { self, own, record } = this.#options
    const reason = twinReason(first, self)
    this.#halt = { reason, untilMs: nowMs + HALT_TIMEOUT_MS, isTold: false }
    return [
      telling(nowMs, 'twin', record.facts.name, reason),
      ...own.stopBegun('another machine runs with the key of this node', nowMs),
    ]
  }
}
