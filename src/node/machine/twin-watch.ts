/**
 * Finds out that two machines run with one copied key.
 *
 * To everybody else the two look like one node that answers twice, and they never meet: a
 * transport does not dial itself. But each hears what the others hold for its own record. A
 * record of its own id that it never wrote is either of a run before this one, which is over,
 * or of a *twin*, which lives.
 *
 * Each start of a daemon is a *run* with a random id, and a record names the other runs of
 * its node that its writer has heard of. So when a record of another run names this one, its
 * writer was alive after this run began to speak. A run that is over cannot do that, whatever
 * backup was put back and however late its last words are relayed: there is no guess in it,
 * and no clock.
 *
 * Each run also says how old it was when it first heard of the other. Both compare the same
 * two numbers, so both decide alike which was first: the older. The other must stop.
 *
 * @module
 */

import type { NodeId, TaskId } from '../../model/ids.ts'
import type { MetRun, NodeRecord, Run } from '../../model/node-record.ts'
import { isFinal } from '../../model/task.ts'

/**
 * A run that is in doubt about itself gives a twin so long to answer before it plans, in
 * milliseconds: two rounds of anti-entropy, as long as these can take.
 */
export const ANSWER_MS = 5_000

/**
 * The wait begins again with each connection, because others close that to the one twin when they get
 * one to the other, and so cut off the answer; but it does not go on for longer than this in all.
 */
export const ANSWER_MS_MAX = 20_000

/** A twin of which nothing new was heard for so long is gone, in milliseconds. */
export const TWIN_GONE_MS = 30_000

/** So many other runs are remembered; a machine that is cloned more often is told of the latest. */
const RUNS_MAX = 4

/** Options of {@link TwinWatch}. */
export interface TwinWatchOptions {
  /** Draws the id of a run. Nobody may be able to guess it. */
  readonly drawRun: () => string
  /** True at the very first start with a new key: nobody can have a copy of that. */
  readonly isFirstStart: boolean
  readonly nowMs: number
}

/** What a record of this node's own id, by another hand, means. */
export type Meeting =
  /** Nothing, or nothing new. */
  | { readonly kind: 'nothing' }
  /** Another run was heard of for the first time: others are to hear of it from here. */
  | { readonly kind: 'met' }
  /** Another machine lives with this node's key, and this one was first. `isNews` the first time. */
  | { readonly kind: 'twin'; readonly address: string; readonly isNews: boolean }
  /** Another machine lives with this node's key, and that one was first: this one must stop. */
  | { readonly kind: 'second'; readonly address: string; readonly name: string }

interface Other extends MetRun {
  readonly address: string
  /** The latest version heard of, by its writer's clock; and when that was, by ours. */
  readonly writtenAtMs: number
  readonly heardAtMs: number
  readonly isTwin: boolean
  /** True when this run had to go above its record: it knows of a later life of this node than the disk here does. */
  readonly wasLater: boolean
  /** What it said that it runs. */
  readonly tasks: readonly TaskId[]
}

/** Follows what is heard of other runs of this node. Time is this node's own; nothing here reads a clock. */
export class TwinWatch {
  readonly #options: TwinWatchOptions
  readonly #others = new Map<string, Other>()
  #id: string
  readonly #startedAtMs: number
  /** When this run's record was first told. */
  #spokeAtMs = Infinity
  /** When somebody first said what it knows of this node, be it nothing. */
  #informedAtMs = Infinity
  #connectedAtMs = -Infinity

  constructor(options: TwinWatchOptions) {
    this.#options = options
    this.#id = options.drawRun()
    this.#startedAtMs = options.nowMs
  }

  /** What the own record says of this run. */
  run(nowMs: number): Run {
    const twin = this.#twin(nowMs)
    return {
      id: this.#id,
      startedAtMs: this.#startedAtMs,
      atMs: nowMs,
      met: Array.from(this.#others.values(), ({ id, uptimeMs }) => ({ id, uptimeMs })).toSorted(
        (one, other) => (one.id < other.id ? -1 : 1),
      ),
      ...(twin && { twin: twin.address }),
    }
  }

  /** Takes a record of this node's own id that somebody relayed; its signature was checked. `isLater` when it is newer than the own. */
  meet(record: NodeRecord, isLater: boolean, nowMs: number): Meeting {
    this.#informedAtMs = Math.min(this.#informedAtMs, nowMs)
    const { run } = record
    // A version that knows nothing of runs: there is nothing to tell its life by.
    if (run === undefined) return { kind: 'nothing' }
    if (run.id === this.#id) {
      if (!isLater) return { kind: 'nothing' }
      // This run never wrote it: the machine was cloned as it ran, memory and all. From here on they differ.
      this.#id = this.#options.drawRun()
    }
    const known = this.#others.get(run.id)
    const named = run.met.find(({ id }) => id === this.#id)
    const isTwin = named !== undefined || known?.isTwin === true
    // What a run said last is relayed for ever; only what is new says that it lives.
    const isOld = known !== undefined && run.atMs <= known.writtenAtMs
    if (isOld && known.isTwin === isTwin) return { kind: 'nothing' }
    const uptimeMs = known?.uptimeMs ?? nowMs - this.#startedAtMs
    const { address, name, tasks } = record
    this.#note({
      id: run.id,
      uptimeMs,
      address,
      writtenAtMs: run.atMs,
      heardAtMs: nowMs,
      isTwin,
      wasLater: isLater || known?.wasLater === true,
      tasks: tasks.filter(({ state }) => !isFinal(state)).map(({ id }) => id),
    })
    if (!isTwin) return { kind: known === undefined ? 'met' : 'nothing' }
    const isNews = known?.isTwin !== true
    if (named === undefined) return { kind: 'twin', address, isNews }
    const isFirst = uptimeMs > named.uptimeMs || (uptimeMs === named.uptimeMs && this.#id < run.id)
    return isFirst ? { kind: 'twin', address, isNews } : { kind: 'second', address, name }
  }

  /** Somebody said which version of this node's record it has; nothing when it has none. */
  told(isKnown: boolean, nowMs: number): void {
    // The record itself comes next, and tells more.
    if (!isKnown) this.#informedAtMs = Math.min(this.#informedAtMs, nowMs)
  }

  /** True once the others were heard on what they know of this node. */
  get isInformed(): boolean {
    return this.#informedAtMs < Infinity
  }

  /** A connection to another node came up. */
  connected(nowMs: number): void {
    this.#connectedAtMs = nowMs
  }

  /** The own record is out: who lives with the same key can answer from now on. */
  spoke(nowMs: number): void {
    this.#spokeAtMs = Math.min(this.#spokeAtMs, nowMs)
  }

  /**
   * Until when this run must not act: Infinity before it has heard of itself, and before it
   * spoke; −Infinity when there is no doubt that it is the only one.
   *
   * A restart of a daemon finds its tasks where the run before it left them. Whoever
   * does not find them has lost its power, was put back from a backup, or is a copy
   * on another machine; only the last has somebody to answer it.
   *
   * @param isHere True for a task that runs on this machine.
   * @param isStartOver True when the time is over in which a node learns what it needs after a start.
   */
  doubtEndsAtMs(isHere: (task: TaskId) => boolean, isStartOver: boolean): number {
    if (this.#options.isFirstStart) return -Infinity
    if (!this.isInformed && !isStartOver) return Infinity
    const isDoubtful = Array.from(this.#others.values()).some(
      ({ wasLater, isTwin, tasks }) => (wasLater || tasks.some(task => !isHere(task))) && !isTwin,
    )
    return isDoubtful ? this.#answeredAtMs : -Infinity
  }

  /** True when this run has been heard for so long that a twin, or a later life of this node, would be known. */
  isProven(nowMs: number): boolean {
    if (this.#options.isFirstStart) return true
    return nowMs >= this.#answeredAtMs
  }

  /** The twin that is there now, if there is one. */
  twin(nowMs: number): { readonly address: string } | undefined {
    return this.#twin(nowMs)
  }

  /** When the twin will be gone if nothing more is heard of it. */
  twinGoneAtMs(nowMs: number): number {
    const twin = this.#twin(nowMs)
    return twin === undefined ? Infinity : twin.heardAtMs + TWIN_GONE_MS
  }

  /** When whoever lives with the same key has had its time to answer. */
  get #answeredAtMs(): number {
    const heardAtMs = Math.max(this.#spokeAtMs, this.#informedAtMs)
    return Math.min(Math.max(heardAtMs, this.#connectedAtMs) + ANSWER_MS, heardAtMs + ANSWER_MS_MAX)
  }

  #twin(nowMs: number): Other | undefined {
    return Array.from(this.#others.values()).findLast(
      ({ isTwin, heardAtMs }) => isTwin && nowMs < heardAtMs + TWIN_GONE_MS,
    )
  }

  #note(other: Other): void {
    // Set anew, so that the first of the map is the one that was heard of longest ago.
    this.#others.delete(other.id)
    this.#others.set(other.id, other)
    const [oldest] = this.#others.keys()
    if (this.#others.size > RUNS_MAX && oldest !== undefined) this.#others.delete(oldest)
  }
}

/** Why the second of two machines with one key stops, and what to do: one line. */
export function twinReason(
  { address, name }: { readonly address: string; readonly name: string },
  node: NodeId,
): string {
  return `another machine, ${name} at ${address}, was running with this node's key (${node}) before this one: two cannot share it, so this one stops; to make it a node of its own, remove its data folder and start it with --join TOKEN`
}
