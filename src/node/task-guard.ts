import type { SlotId, TaskId } from '../model/ids.ts'
import { RuntimeError } from '../runtime/runtime.ts'
import type { Watchdog } from '../runtime/watchdog.ts'
import type { GuardOrder } from './machine/events.ts'

/** What {@link createTaskGuard} works with. */
export interface TaskGuardOptions {
  readonly watchdog: Watchdog
  /** The loop's clock. */
  readonly now: () => number
  /** Told when orders could not be put in force; the daemon itself still goes by them. */
  readonly onFailure: (error: unknown) => void
}

/** Lets no task begin that could outlive its claim. */
export interface TaskGuard {
  /** Gives the watchdog the whole list of orders: effect `guard`. */
  set(orders: readonly GuardOrder[]): void
  /**
   * Resolves when a task may be started: at once where it needs no claim, else when its order is in force.
   *
   * @throws {RuntimeError} `failed` when the order cannot be put in force, or its claim has run out meanwhile.
   */
  ready(task: TaskId, slot: SlotId): Promise<void>
}

/** Stands between the machine's orders and the watchdog, and holds starts back until their orders are in force. */
export function createTaskGuard({ watchdog, now, onFailure }: TaskGuardOptions): TaskGuard {
  let orders = new Map<TaskId, GuardOrder>()
  let inForce = Promise.resolve()
  return {
    set: list => {
      orders = new Map(list.map(order => [order.task, order]))
      inForce = watchdog.keep(list)
      inForce.catch(onFailure)
    },
    ready: async (task, slot) => {
      if (!orders.has(task)) return
      await inForce
      const order = orders.get(task)
      // This daemon may have stood still since the machine decided, and others have begun.
      if (order === undefined || now() < order.untilMs) return
      throw new RuntimeError('failed', `Cannot start ${task}: its claim on ${slot} ran out`, {
        temporary: true,
      })
    },
  }
}
