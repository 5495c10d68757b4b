import type { NodeId, SlotId } from '../../model/ids.ts'
import type { NodeRecord } from '../../model/node-record.ts'
import { isFinal, isServing } from '../../model/task.ts'
import { hashText } from '../../placement/hash.ts'

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
    before: NodeRecord | undefined,
    after: NodeRecord,
    view: Pick<HandOverView, 'placed'>,
    hasOther: (slot: SlotId, than: NodeId) => boolean,
    nowMs: number,
  ): void {
    if (before === undefined) return
    const known = new Map(before.tasks.map(task => [task.id, task]))
    for (const task of after.tasks) {
      const old = known.get(task.id)
      if (old?.state === task.state) continue
      const owner = view.placed.get(task.slot)
      const begins = old === undefined && owner === after.node && !isFinal(task.state)
      const makesWay = task.state === 'stopping' && owner !== undefined && owner !== after.node
      if (!begins && !makesWay) continue
      if (begins && !hasOther(task.slot, after.node)) continue
      if (makesWay && hasOther(task.slot, after.node)) continue
      this.#begin(task.slot, nowMs)
    }
  }

  /** True when the slot may move now; else when to look again. */
  mayMove(slot: SlotId, view: HandOverView, nowMs: number): true | { readonly untilMs: number } {
    const recent = [...this.#begunAtMs].filter(([, ms]) => nowMs - ms < BUDGET_MS)
    const begun = new Set(recent.map(([other]) => other))
    if (begun.has(slot)) return true
    const left = budgetOf(view) - recent.length
    if (left > 0 && rankOf(slot, begun, view) < left) return true
    const oldestMs = recent.reduce((at, [, ms]) => Math.min(at, ms), Infinity)
    return { untilMs: oldestMs === Infinity ? nowMs + BUDGET_MS : oldestMs + BUDGET_MS }
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

/** How many of the slots that are to move come before this one; those that wait for their new node to be steady count, too. */
function rankOf(slot: SlotId, begun: ReadonlySet<SlotId>, view: HandOverView): number {
  const own = hashText(slot)
  const before = new Set<SlotId>()
  for (const { node, tasks, leaving } of view.records) {
    if (leaving) continue
    for (const task of tasks) {
      const owner = view.placed.get(task.slot)
      if (owner === undefined || owner === node || begun.has(task.slot)) continue
      if (!isServing(task)) continue
      const rank = hashText(task.slot)
      if (rank < own || (rank === own && task.slot < slot)) before.add(task.slot)
    }
  }
  return before.size
}
