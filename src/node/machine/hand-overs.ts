import type { NodeId, SlotId } from '../../model/ids.ts'
import type { NodeRecord } from '../../model/node-record.ts'
import { isFinal, isServing } from '../../model/task.ts'
import { hashText } from '../../placement/hash.ts'
import type { RecordStep } from './record-step.ts'

/** The budget counts the moves of so long. */
const BUDGET_MS = 60_000

/** So many moves a minute are allowed at least. */
const MOVES_MIN = 4

/** Moves that are remembered. Beyond it the oldest are forgotten, and the budget is long spent. */
const BEGUN_MAX = 20_000

/** What the budget is reckoned from: shared facts, as this node knows them. */
export interface HandOverView {
  readonly placed: ReadonlyMap<SlotId, NodeId>
  /** The records of the nodes that are there. */
  readonly records: readonly NodeRecord[]
  /** As the cluster's settings have it, if they do. */
  readonly movesPerMinute?: number | undefined
}

/** Which slots may move. */
export interface Allowed {
  readonly slots: ReadonlySet<SlotId>
  /** When the budget has room again, in case it has none for a slot. */
  readonly againAtMs: number
}

/**
 * How many slots may change their node without need. A slot whose node is lost starts
 * elsewhere at once; but one that is served, and only belongs to another node now because
 * that one joined, came back or was relabelled, can wait. Each minute a tenth of all
 * slots move, at least four, or as many as the settings say.
 *
 * There is nobody to count for all. Every node sees the moves of all others in their
 * records, and all rank what is still to move by the same hash: those at the front go.
 * Nodes that see the same allow the same; the budget is exceeded by no more
 * than what two of them see differently for the moment that a record is on its way.
 */
export class HandOvers {
  readonly #begunAtMs = new Map<SlotId, number>()

  /**
   * Takes the step from one version of a node's record to the next: a task that was begun where the
   * slot belongs while another node still has it, or one that ends to make way, is a move.
   */
  see(
    { before, after, tasks }: RecordStep,
    view: Pick<HandOverView, 'placed'>,
    hasOther: (slot: SlotId, than: NodeId) => boolean,
    nowMs: number,
  ): void {
    if (before === undefined) return
    for (const { before: old, after: task } of tasks) {
      if (task === undefined || old?.state === task.state) continue
      const owner = view.placed.get(task.slot)
      const begins = old === undefined && owner === after.node && !isFinal(task.state)
      const makesWay = task.state === 'stopping' && owner !== undefined && owner !== after.node
      if (!begins && !makesWay) continue
      if (begins && !hasOther(task.slot, after.node)) continue
      if (makesWay && hasOther(task.slot, after.node)) continue
      this.#begin(task.slot, nowMs)
    }
  }

  /** The slots that may move now, and when more may. */
  allow(view: HandOverView, nowMs: number): Allowed {
    const recent = [...this.#begunAtMs].filter(([, ms]) => nowMs - ms < BUDGET_MS)
    const begun = new Set(recent.map(([slot]) => slot))
    const left = Math.max(0, budgetOf(view) - recent.length)
    const next = left === 0 ? [] : pendingOf(begun, view).slice(0, left)
    const oldestMs = recent.reduce((at, [, ms]) => Math.min(at, ms), nowMs)
    return { slots: new Set([...begun, ...next]), againAtMs: oldestMs + BUDGET_MS }
  }

  #begin(slot: SlotId, nowMs: number): void {
    const lastMs = this.#begunAtMs.get(slot)
    if (lastMs !== undefined && nowMs - lastMs < BUDGET_MS) return
    this.#begunAtMs.delete(slot)
    this.#begunAtMs.set(slot, nowMs)
    for (const [other, ms] of this.#begunAtMs) {
      if (nowMs - ms < BUDGET_MS && this.#begunAtMs.size <= BEGUN_MAX) break
      this.#begunAtMs.delete(other)
    }
  }
}

/** How many moves a minute are allowed. */
export function budgetOf({ placed, movesPerMinute }: HandOverView): number {
  return movesPerMinute ?? Math.max(MOVES_MIN, Math.ceil(placed.size / 10))
}

/** The slots that are to move and have not begun, in the order in which they go; those whose new node is not steady yet wait in it, too. */
function pendingOf(begun: ReadonlySet<SlotId>, view: HandOverView): SlotId[] {
  const pending = new Map<SlotId, number>()
  const arrived = new Set<SlotId>()
  for (const { node, tasks, leaving } of view.records) {
    if (leaving) continue
    for (const task of tasks) {
      const owner = view.placed.get(task.slot)
      if (owner === node && !isFinal(task.state)) arrived.add(task.slot)
      if (owner === undefined || owner === node || begun.has(task.slot)) continue
      if (isServing(task)) pending.set(task.slot, hashText(task.slot))
    }
  }
  for (const slot of arrived) pending.delete(slot)
  return [...pending]
    .toSorted(([one, rank], [other, otherRank]) => rank - otherRank || (one < other ? -1 : 1))
    .map(([slot]) => slot)
}
