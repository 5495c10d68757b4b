import { slotIdOf, slotSuffix, type AppId, type SlotId } from '../model/ids.ts'

/** What the rollout rule looks at. */
export interface RolloutView {
  /** True when the slot has a task of the wanted revision that has served for the monitor window. */
  readonly isDone: (slot: SlotId) => boolean
  /** True when no node can run the slot: it must not hold up the others. */
  readonly isUnplaced: (slot: SlotId) => boolean
  /** How many slots may be on their way at once. */
  readonly parallelism: number
}

/**
 * The lower slot that slot `slot` must wait for before it may go to a new
 * revision, or nothing when it may go now.
 *
 * Slots go in the order of their numbers: a slot may go when fewer than
 * `parallelism` lower ones are still on their way. Every owner applies the rule
 * alone to what the others say of themselves, so there is no coordinator to
 * lose; and a revision that does not come up stops the wave by itself.
 *
 * Slots of a `global` app have no order and never wait.
 */
export function rolloutBlocker(
  app: AppId,
  slot: SlotId,
  { isDone, isUnplaced, parallelism }: RolloutView,
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
  return undefined
}
