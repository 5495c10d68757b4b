import { runtimeOf } from '../../model/app.ts'
import type { Desired } from '../../model/desired.ts'
import { appOfSlot, type AppId, type NodeId, type SlotId } from '../../model/ids.ts'
import type { Capacity } from '../../model/node-record.ts'
import { isFinal } from '../../model/task.ts'
import { plan, type Gate, type Plan, type RemoteTask, type Wait } from '../../reconcile/plan.ts'
import { createRoom } from '../../reconcile/room.ts'
import type { Effect } from './events.ts'
import type { OwnTasks, SpecOf } from './own-tasks.ts'
import type { Placing } from './placing.ts'
import type { RecordStep } from './record-step.ts'

/** A wait for room ends by time alone: it is looked at again so often, in milliseconds. */
const ROOM_LOOK_MS = 1_000

/** What a plan is made with. */
export interface PlanningInput {
  readonly self: NodeId
  readonly nowMs: number
  readonly desired: Desired
  readonly placing: Placing
  readonly own: OwnTasks
  readonly specOf: SpecOf
  readonly capacity: Capacity
  readonly remote: (slot: SlotId) => readonly RemoteTask[]
  readonly gate: Gate
  /** The fencing token for a new task of the slot. */
  readonly fenceOf: (slot: SlotId) => number
  /** False for an engine that is away: it can neither start nor stop. Its tasks may run on, and are found again. */
  readonly isUsable: (engine: 'docker' | 'process') => boolean
  /** False while the node does not yet know the others, or itself. */
  readonly isSettled: boolean
}

/** Makes this node's plan from the facts of the moment, and turns it into effects. Remembers what waits. */
export class Planning {
  readonly #roomWaits = new Map<SlotId, number>()
  #waits: readonly Wait[] = []
  #nextAtMs = Infinity
  /** The apps that this node has to do with; nothing while any change of a task elsewhere may matter. */
  #apps: ReadonlySet<AppId> | undefined

  /** Why slots that belong here do not run yet. */
  get waits(): readonly Wait[] {
    return this.#waits
  }

  /** When to plan again if nothing happens before. */
  get nextAtMs(): number {
    return this.#nextAtMs
  }

  /**
   * True when the step between two versions of another node's record may change the plan. Most do not: they are about apps
   * that this node has nothing to do with, and in a large cluster there are thousands of them.
   */
  isAffected({ before, after, tasks }: RecordStep): boolean {
    if (before === undefined || this.#apps === undefined) return true
    const isSameNode =
      before.incarnation === after.incarnation &&
      before.leaving === after.leaving &&
      before.steady === after.steady &&
      before.flapping === after.flapping
    if (!isSameNode) return true
    const apps = this.#apps
    return tasks.some(step => apps.has((step.after ?? step.before).app))
  }

  /** Plans, and begins what the plan says. */
  plan(input: PlanningInput): Effect[] {
    const { self, nowMs, desired, placing, own, isUsable } = input
    own.follow(desired.apps, input.specOf, nowMs)
    const local = own.local()
    const live = local.filter(({ task }) => !isFinal(task.state))
    const result = plan({
      self,
      nowMs,
      apps: desired.apps,
      placed: placing.placement.placed,
      unplaced: new Set(placing.placement.unplaced.keys()),
      own: placing.ownSlots,
      local,
      remote: input.remote,
      gate: input.gate,
      room: createRoom(
        input.capacity,
        live.map(({ spec }) => spec),
      ),
      retryAtMs: (slot, revision) => own.retryAtMs(slot, revision),
      isRefused: (slot, revision) => own.isRefused(slot, revision),
      waitingForRoomSinceMs: slot => this.#roomWaits.get(slot),
      isSettled: input.isSettled,
    })
    this.#note(result, own, nowMs)
    // Who waits, or is to make way, may wait for something that happens to quite another app, such as the end of a move.
    const isRestless =
      !input.isSettled ||
      result.waits.length > 0 ||
      live.some(({ task }) => !placing.isOwn(task.slot) || task.state !== 'running')
    const apps = [...placing.ownSlots.map(appOfSlot), ...live.map(({ task }) => task.app)]
    this.#apps = isRestless ? undefined : new Set(apps)
    const engineOf = new Map(local.map(({ task, spec }) => [task.id, runtimeOf(spec)]))
    return result.actions.flatMap(action => {
      if (action.kind === 'start') {
        const { slot, app } = action
        return isUsable(runtimeOf(app.spec)) ? own.begin(slot, app, input.fenceOf(slot), nowMs) : []
      }
      const { task, reason } = action
      return isUsable(engineOf.get(task)!) ? own.stop(task, reason, nowMs) : []
    })
  }

  #note({ waits, againAtMs }: Plan, own: OwnTasks, nowMs: number): void {
    this.#waits = waits.map(wait => {
      const failure = own.failureText(wait.slot)
      return wait.untilMs !== undefined && failure !== '' ? { ...wait, reason: failure } : wait
    })
    const forRoom = new Set(waits.filter(wait => wait.forRoom).map(({ slot }) => slot))
    for (const slot of this.#roomWaits.keys()) if (!forRoom.has(slot)) this.#roomWaits.delete(slot)
    for (const slot of forRoom) if (!this.#roomWaits.has(slot)) this.#roomWaits.set(slot, nowMs)
    const until = waits.map(wait =>
      wait.forRoom ? nowMs + ROOM_LOOK_MS : (wait.untilMs ?? Infinity),
    )
    this.#nextAtMs = Math.min(againAtMs, ...until)
  }
}
