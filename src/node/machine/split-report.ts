/**
 * Follows who is away from this node, and, once they are back, what ran on both sides.
 *
 * No quorum is asked here, so both sides of a split may run a slot. That cannot be seen while it
 * lasts. But whoever comes back says in its record what it runs, and since when by its own
 * clock; and records say by that clock when they were written. So the times of others can be
 * read on the own clock, as exactly as records travel, without anybody's clock being right.
 *
 * A copy that was started after the two nodes had found each other again is a hand-over
 * (make before break), and no copy too many.
 *
 * @module
 */

import type { NodeId, SlotId, TaskId } from '../../model/ids.ts'
import type { NodeRecord } from '../../model/node-record.ts'
import { isFinal, type Task } from '../../model/task.ts'
import type { VerdictKind } from '../../model/verdict.ts'

/** Nodes that come back within so long of each other come back together, and what they ran is known by then, in milliseconds. */
export const HEAL_SETTLE_MS = 5_000

/** A report is made after so long even if something still runs twice, in milliseconds. */
export const HEAL_MS_MAX = 600_000

/** Records of a node that is back come at most so much before the word that it is, in milliseconds. */
const EARLY_MS = 2_000

/** Most copies that are followed at once; more are only counted. */
const PAIRS_MAX = 4_096

/** Most slots that a report names; more are only counted. */
export const RAN_TWICE_MAX = 100

/** No honest quartz is off by more than this: an old reading of another's clock is trusted that much less. */
const CLOCK_DRIFT_MAX = 1e-3

/** A slot that ran on more than one node at once. Nodes are ids here, and names where people read it. */
export interface RanTwice<Node extends string = NodeId> {
  readonly slot: SlotId
  readonly nodes: readonly Node[]
  readonly forMs: number
  /** True when it still does. */
  readonly isStill: boolean
}

/** What came of nodes being away from this one. */
export interface HealReport<Node extends string = NodeId> {
  /** Who is back, and how long it was away. */
  readonly away: readonly { readonly node: Node; readonly forMs: number }[]
  /** The slots that ran longest on both sides first. */
  readonly ranTwice: readonly RanTwice<Node>[]
  /** How many more slots ran twice than `ranTwice` names. */
  readonly more: number
}

/** What {@link SplitReport} must know of the others. */
export interface SplitReportOptions {
  readonly self: NodeId
  readonly recordOf: (node: NodeId) => NodeRecord | undefined
  /** The tasks that all records have of a slot. */
  readonly tasksOf: (slot: SlotId) => readonly { readonly node: NodeId; readonly task: Task }[]
  /** True for a record of a node that is there, written since its last start. */
  readonly isReliable: (record: NodeRecord) => boolean
}

interface Gone {
  /** From the first doubt on. */
  readonly sinceMs: number
  readonly goneAtMs: number
  readonly kind: VerdictKind
}

interface Returned extends Gone {
  readonly returnedAtMs: number
  /** True once its record is known to be of after the loss. */
  readonly isConfirmed: boolean
}

/** Two tasks of one slot, on a node that came back and on one that was here. */
interface Pair {
  readonly slot: SlotId
  readonly nodes: readonly [NodeId, NodeId]
  readonly tasks: readonly [TaskId, TaskId]
  /** Since when each runs, by its own node's clock; nothing when that is not known any more. */
  readonly sinceMs: readonly [number | undefined, number | undefined]
  /** When the two nodes lost and found each other. */
  readonly lostAtMs: number
  readonly foundAtMs: number
  readonly endedAtMs: number | undefined
  /** False while all that is known of the node that came back may be of before the loss. */
  readonly isSure: boolean
}

interface Heal {
  readonly startedAtMs: number
  lastAtMs: number
  readonly returned: Map<NodeId, Returned>
  /** How long each was away; who went away again is in here still. */
  readonly awayMs: Map<NodeId, number>
  readonly pairs: Map<string, Pair>
  /** Pairs of which one task did not run yet when the nodes found each other. */
  readonly handOvers: Set<string>
  /** How many of the pairs have not ended. */
  open: number
  missed: number
  isOrderly: boolean
}

/** Who is away since when, and a report when they are back. Time is this node's own. */
export class SplitReport {
  readonly #options: SplitReportOptions
  /** Who is not alive, and since when: from the first doubt on. */
  readonly #doubtedAtMs = new Map<NodeId, number>()
  readonly #gone = new Map<NodeId, Gone>()
  /** What to add to a node's times to have them on the own clock, and when that was learned. */
  readonly #clocks = new Map<NodeId, { readonly run: string; aheadMs: number; atMs: number }>()
  readonly #heardAtMs = new Map<NodeId, number>()
  #heal: Heal | undefined

  constructor(options: SplitReportOptions) {
    this.#options = options
  }

  /** Since when a node does not answer; nothing when it does, or was never heard of. */
  awaySinceMs(node: NodeId): number | undefined {
    return this.#doubtedAtMs.get(node)
  }

  /** When {@link SplitReport.expire} is due if nothing happens before. */
  get wakeAtMs(): number {
    if (this.#heal === undefined) return Infinity
    const { startedAtMs, lastAtMs, open } = this.#heal
    return open > 0 ? startedAtMs + HEAL_MS_MAX : lastAtMs + HEAL_SETTLE_MS
  }

  /** Takes what is held of a node from now on. */
  judged(node: NodeId, kind: VerdictKind, nowMs: number): void {
    if (kind === 'alive') {
      this.#doubtedAtMs.delete(node)
      this.#returned(node, nowMs)
      return
    }
    const sinceMs = this.#doubtedAtMs.get(node) ?? nowMs
    this.#doubtedAtMs.set(node, sinceMs)
    if (kind === 'suspect') return
    // A good-bye that is followed by a death is a death.
    const goneAtMs = this.#gone.get(node)?.goneAtMs ?? nowMs
    this.#gone.set(node, { sinceMs, goneAtMs, kind })
    this.#heal?.returned.delete(node)
    this.#end(pair => pair.nodes.includes(node), nowMs)
  }

  /** Takes a node's record that is newer than the one before, this node's own included. */
  heard(record: NodeRecord, nowMs: number): void {
    const { node, run } = record
    const gone = this.#gone.get(node)
    if (gone === undefined || !this.#isOfBefore(record, gone)) this.#heardAtMs.set(node, nowMs)
    if (run !== undefined && node !== this.#options.self)
      this.#read(node, run.id, nowMs - run.atMs, nowMs)
    if (this.#heal === undefined) return
    const running = new Set(record.tasks.filter(isRunning).map(({ id }) => id))
    this.#end(
      ({ nodes, tasks }) => nodes.some((one, at) => one === node && !running.has(tasks[at]!)),
      nowMs,
    )
    const returned = this.#heal.returned.get(node)
    if (returned !== undefined && !this.#isOfBefore(record, returned)) {
      this.#confirm(this.#heal, returned, record)
    }
    this.#examine(record)
  }

  /** Forgets who is admitted no more. */
  keepOnly(nodes: { has(node: NodeId): boolean }): void {
    for (const map of [this.#doubtedAtMs, this.#gone, this.#clocks, this.#heardAtMs]) {
      for (const node of map.keys()) if (!nodes.has(node)) map.delete(node)
    }
  }

  /** Time passed: gives the report when all that ran twice is over, once. */
  expire(nowMs: number): HealReport | undefined {
    const heal = this.#heal
    if (heal === undefined || nowMs < heal.lastAtMs + HEAL_SETTLE_MS) return undefined
    for (const [node, returned] of heal.returned) {
      if (returned.isConfirmed) continue
      // Two rounds of anti-entropy brought nothing newer: what it said last is what is.
      const record = this.#options.recordOf(node)
      if (record === undefined) continue
      this.#confirm(heal, returned, record)
      this.#examine(record)
    }
    if (heal.open > 0 && nowMs < heal.startedAtMs + HEAL_MS_MAX) return undefined
    this.#heal = undefined
    const report = reportOf(heal, pair => this.#spanOf(pair, nowMs))
    // A daemon that was restarted in order is no news.
    return heal.isOrderly && report.ranTwice.length === 0 ? undefined : report
  }

  #returned(node: NodeId, nowMs: number): void {
    const gone = this.#gone.get(node)
    if (gone === undefined) return
    this.#gone.delete(node)
    this.#heal ??= {
      startedAtMs: nowMs,
      lastAtMs: nowMs,
      returned: new Map(),
      awayMs: new Map(),
      pairs: new Map(),
      handOvers: new Set(),
      open: 0,
      missed: 0,
      isOrderly: true,
    }
    // It may have been heard a moment before it was believed.
    const heardAtMs = this.#heardAtMs.get(node) ?? -Infinity
    const isConfirmed = heardAtMs > gone.goneAtMs
    const returnedAtMs = isConfirmed ? Math.max(heardAtMs, nowMs - EARLY_MS) : nowMs
    const heal = this.#heal
    heal.lastAtMs = nowMs
    heal.returned.set(node, { ...gone, returnedAtMs, isConfirmed })
    heal.awayMs.set(node, returnedAtMs - gone.sinceMs)
    if (gone.kind !== 'left') heal.isOrderly = false
    const record = this.#options.recordOf(node)
    if (record !== undefined) this.#examine(record)
  }

  /** A record is known to be of after the loss: what it says holds for the pairs that were noted on the word of an earlier one. */
  #confirm(heal: Heal, returned: Returned, record: NodeRecord): void {
    const { node, tasks } = record
    heal.returned.set(node, { ...returned, isConfirmed: true })
    const isReliable = this.#options.isReliable(record)
    for (const [key, pair] of heal.pairs) {
      if (pair.isSure || pair.nodes[0] !== node) continue
      const task = tasks.find(({ id }) => id === pair.tasks[0])
      // When it ended, before the loss or since, nobody knows.
      const isThere = isReliable && task !== undefined && isRunning(task)
      const sure: Pair = {
        ...pair,
        isSure: true,
        sinceMs: [task && startOf(task), pair.sinceMs[1]],
      }
      if (isThere && this.#spanOf(sure, Infinity) !== undefined) {
        heal.pairs.set(key, sure)
        continue
      }
      heal.pairs.delete(key)
      if (pair.endedAtMs === undefined) heal.open--
    }
  }

  /** Notes which tasks of a record have another of the same slot on the other side. */
  #examine(record: NodeRecord): void {
    const heal = this.#heal
    const { isReliable, recordOf, tasksOf } = this.#options
    if (heal === undefined || !this.#counts(record)) return
    const isBack = heal.returned.has(record.node)
    for (const task of record.tasks) {
      if (isFinal(task.state)) continue
      for (const { node, task: other } of tasksOf(task.slot)) {
        if (node === record.node || heal.returned.has(node) === isBack) continue
        if (isFinal(other.state)) continue
        const theirs = recordOf(node)
        if (theirs === undefined || !isReliable(theirs) || !this.#counts(theirs)) continue
        if (isBack) this.#follow(heal, [record.node, node], [task, other])
        else this.#follow(heal, [node, record.node], [other, task])
      }
    }
  }

  /**
   * False for a record of before the node's last start, or of who is away. What may be of before the loss
   * counts until better is known: the copy on the other side may be gone by then.
   */
  #counts(record: NodeRecord): boolean {
    const returned = this.#heal?.returned.get(record.node)
    return returned === undefined ? !this.#gone.has(record.node) : this.#options.isReliable(record)
  }

  #follow(
    heal: Heal,
    nodes: readonly [back: NodeId, here: NodeId],
    [back, here]: readonly [back: Task, here: Task],
  ): void {
    const key = `${back.id} ${here.id}`
    const returned = heal.returned.get(nodes[0])
    if (returned === undefined || heal.pairs.has(key)) return
    const pair: Pair = {
      slot: back.slot,
      nodes,
      tasks: [back.id, here.id],
      sinceMs: [startOf(back), startOf(here)],
      lostAtMs: returned.sinceMs,
      foundAtMs: returned.returnedAtMs,
      endedAtMs: undefined,
      isSure: returned.isConfirmed,
    }
    // What is stopping may not say since when it ran: it counts as having run all along, unless it is known better.
    const isVague = pair.sinceMs.includes(undefined)
    if (isVague && (heal.handOvers.has(key) || heal.handOvers.size >= PAIRS_MAX)) return
    if (!isRunning(back) || !isRunning(here) || this.#spanOf(pair, Infinity) === undefined) {
      // A hand-over is not followed: there may be many, and they take their time.
      if (heal.handOvers.size < PAIRS_MAX) heal.handOvers.add(key)
      return
    }
    if (heal.pairs.size >= PAIRS_MAX) {
      heal.missed++
      return
    }
    heal.pairs.set(key, pair)
    heal.open++
  }

  #end(isOver: (pair: Pair) => boolean, nowMs: number): void {
    const heal = this.#heal
    if (heal === undefined || heal.open === 0) return
    for (const [key, pair] of heal.pairs) {
      if (pair.endedAtMs !== undefined || !isOver(pair)) continue
      heal.pairs.set(key, { ...pair, endedAtMs: nowMs })
      heal.open--
    }
  }

  /** From when to when both ran, on the own clock; nothing when the second came after the two nodes had found each other. */
  #spanOf(pair: Pair, nowMs: number): Span | undefined {
    const { nodes, sinceMs, lostAtMs, foundAtMs, endedAtMs } = pair
    const starts = nodes.map((node, at) => this.#onOwnClock(node, sinceMs[at]))
    const fromMs = Math.max(lostAtMs, ...starts)
    if (fromMs >= foundAtMs) return undefined
    return { fromMs, toMs: Math.max(fromMs, endedAtMs ?? nowMs) }
  }

  #onOwnClock(node: NodeId, ms: number | undefined): number {
    if (ms === undefined) return -Infinity
    if (node === this.#options.self) return ms
    const clock = this.#clocks.get(node)
    return clock === undefined ? -Infinity : ms + clock.aheadMs
  }

  /** Reads another's clock by a record that took an unknown time to come: the fastest one is the most right. */
  #read(node: NodeId, run: string, aheadMs: number, nowMs: number): void {
    const known = this.#clocks.get(node)
    if (known?.run !== run) {
      this.#clocks.set(node, { run, aheadMs, atMs: nowMs })
      return
    }
    const trustedMs = known.aheadMs + CLOCK_DRIFT_MAX * (nowMs - known.atMs)
    if (trustedMs < aheadMs) return
    known.aheadMs = aheadMs
    known.atMs = nowMs
  }

  /** True for a record that was written before its node was lost, and comes late. */
  #isOfBefore({ node, run }: NodeRecord, { sinceMs }: Gone): boolean {
    const clock = this.#clocks.get(node)
    if (run === undefined || clock?.run !== run.id) return false
    return run.atMs + clock.aheadMs < sinceMs
  }
}

interface Span {
  readonly fromMs: number
  readonly toMs: number
}

function reportOf(heal: Heal, spanOf: (pair: Pair) => Span | undefined): HealReport {
  const slots = new Map<SlotId, Span & { readonly nodes: Set<NodeId>; readonly isStill: boolean }>()
  for (const pair of heal.pairs.values()) {
    const span = pair.isSure ? spanOf(pair) : undefined
    if (span === undefined) continue
    const known = slots.get(pair.slot)
    slots.set(pair.slot, {
      nodes: new Set([...(known?.nodes ?? []), ...pair.nodes]),
      fromMs: Math.min(known?.fromMs ?? Infinity, span.fromMs),
      toMs: Math.max(known?.toMs ?? -Infinity, span.toMs),
      isStill: known?.isStill === true || pair.endedAtMs === undefined,
    })
  }
  const ranTwice = Array.from(slots, ([slot, { nodes, fromMs, toMs, isStill }]): RanTwice => ({
    slot,
    nodes: [...nodes].toSorted(),
    forMs: Math.round(toMs - fromMs),
    isStill,
  })).toSorted((one, other) => other.forMs - one.forMs || (one.slot < other.slot ? -1 : 1))
  const away = Array.from(heal.awayMs, ([node, forMs]) => ({ node, forMs: Math.round(forMs) }))
  return {
    away: away.toSorted(
      (one, other) => other.forMs - one.forMs || (one.node < other.node ? -1 : 1),
    ),
    ranTwice: ranTwice.slice(0, RAN_TWICE_MAX),
    more: Math.max(0, ranTwice.length - RAN_TWICE_MAX) + heal.missed,
  }
}

/** True for a task that may do its work now: one that is being fetched or prepared does not, one that is asked to stop still does. */
function isRunning({ state }: Task): boolean {
  return state === 'running' || state === 'starting' || state === 'stopping'
}

/** Since when a task runs, by its node's clock; nothing for one that is stopping on a node of an earlier version, which does not say it. */
function startOf({ state, sinceMs, ranSinceMs }: Task): number | undefined {
  return state === 'stopping' ? ranSinceMs : sinceMs
}
