import { slotIdOf, slotSuffix, type AppId, type SlotId } from '../model/ids.ts'

/** What the rollout rule looks at. */
export interface RolloutView {
  /** True when the slot has a task of the wanted revision that has served for the monitor window. */
  readonly isDone: (slot: SlotId) => boolean
  /** True when no node can run the slot: it must not hold up the others. */
  readonly isUnplaced: (slot: SlotId) => boolean
  /** True when an earlier rollout, which this one superseded, left the slot on its way. */
  readonly isLeftOnItsWay: (slot: SlotId) => boolean
  /** True when the app has the slot. */
  readonly exists: (slot: SlotId) => boolean
  /** How many slots may be on their way at once. */
  readonly parallelism: number
}

/**
 * The slot that slot `slot` must wait for before it may go to a new revision, or
 * nothing when it may go now.
 *
 * Slots go in the order of their numbers: a slot may go when fewer than
 * `parallelism` others are still on their way. Those are the lower ones that are
 * not done, and the higher ones that an earlier rollout had begun with: two
 * rollouts together may not take more than one. Every owner applies the rule
 * alone to what the others say of themselves, so there is no coordinator to
 * lose; and a revision that does not come up stops the wave by itself.
 *
 * Slots of a `global` app have no order and never wait.
 */
export function rolloutBlocker(
  app: AppId,
  slot: SlotId,
  { isDone, isUnplaced, isLeftOnItsWay, exists, parallelism }: RolloutView,
): SlotId | undefined {
  const index = Number(slotSuffix(slot))
  if (!Number.isInteger(index)) return undefined
  let onTheirWay = 0
  for (let lower = 0; lower < index; lower++) {
    const other = slotIdOf(app, lower)
    if (isDone(other) || isUnplaced(other)) continue
    onTheirWay++
    if (onTheirWay >= parallelism) return other
  }
  for (let higher = index + 1; exists(slotIdOf(app, higher)); higher++) {
    const other = slotIdOf(app, higher)
    if (isUnplaced(other) || !isLeftOnItsWay(other)) continue
    onTheirWay++
    if (onTheirWay >= parallelism) return other
  }
  return undefined
}
