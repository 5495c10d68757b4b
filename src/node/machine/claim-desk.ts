import { needsClaim, runtimeOf, type AppSpec } from '../../model/app.ts'
import { toMs } from '../../model/duration.ts'
import type { DesiredApp } from '../../model/desired.ts'
import { appOfSlot, type AppId, type NodeId, type SlotId } from '../../model/ids.ts'
import { isFinal } from '../../model/task.ts'
import type { Wait } from '../../reconcile/plan.ts'
import type { Random } from '../../util/random.ts'
import { Claims, type ClaimMessage, type Want } from './claims.ts'
import type { Effect, GuardOrder } from './events.ts'
import type { OwnTasks } from './own-tasks.ts'

/** The disk is told of fencing tokens in steps of this, about one an hour, because they grow like the time in milliseconds. */
const FENCE_STEP = 3_600_000

/** Options of {@link ClaimDesk}. */
export interface ClaimDeskOptions {
  readonly self: NodeId
  readonly random: Random
  /** True at the node's very first start. */
  readonly isFirstStart: boolean
  /** What the last `guard` and the last `keep-fence` before this start said. */
  readonly orders: readonly GuardOrder[]
  readonly fence: number
  readonly own: OwnTasks
  readonly admitted: () => ReadonlySet<NodeId>
  /** False while an engine has not yet said what it runs: it may be more than this daemon knows of. */
  readonly isListed: (engine: 'docker' | 'process') => boolean
  readonly nowMs: number
}

/** Keeps the claims that this node's tasks need, the orders of the watchdog that go with them, and the fencing tokens. */
export class ClaimDesk {
  readonly claims: Claims
  readonly #options: ClaimDeskOptions
  #nowMs: number
  #orders: readonly GuardOrder[]
  /** The highest fencing token that is known of. */
  #fence: number
  /** No token above this is known of, as the disk has it. */
  #keptFence: number
  #seenChanges = 0

  constructor(options: ClaimDeskOptions) {
    const { self, random, isFirstStart, orders, fence, admitted, nowMs } = options
    this.#options = options
    this.#nowMs = nowMs
    this.#orders = orders
    this.#fence = this.#keptFence = fence
    this.claims = new Claims({
      self,
      random,
      nowMs,
      isNew: isFirstStart,
      kept: orders,
      admitted,
      freshToken: () => this.#freshFence(),
    })
  }

  /** The highest fencing token that this node knows of, for its record. */
  get fence(): number {
    return this.#fence
  }

  /** True when this node holds other claims than when it was last asked to {@link ClaimDesk.follow} a plan. */
  get isNews(): boolean {
    return this.claims.changes !== this.#seenChanges
  }

  /** When to call {@link ClaimDesk.ask} if nothing happens before. */
  get wakeAtMs(): number {
    return this.claims.wakeAtMs
  }

  receive(from: NodeId, message: ClaimMessage, nowMs: number): Effect[] {
    this.#nowMs = nowMs
    if (!this.#options.admitted().has(from)) return []
    return this.claims.receive(from, message, nowMs)
  }

  /** Does what is due by the time. */
  ask(nowMs: number): Effect[] {
    this.#nowMs = nowMs
    return this.claims.ask(nowMs)
  }

  /** A plan is about to be made with the claims of now. */
  begin(nowMs: number): void {
    this.#nowMs = nowMs
    this.#seenChanges = this.claims.changes
  }

  /**
   * Follows a plan: claims what waits for it or runs by it. `guard` is what the watchdog must be told
   * before anything of the plan is carried out, `asked` what others are.
   */
  follow(
    apps: ReadonlyMap<AppId, DesiredApp>,
    waits: readonly Wait[],
    isOwn: (slot: SlotId) => boolean,
  ): { readonly guard: Effect[]; readonly asked: Effect[] } {
    const unlisted = this.#unlisted()
    const unsure = new Set(unlisted.map(({ slot }) => slot))
    const wants = this.#wants(apps, waits, unlisted, isOwn)
    const asked = this.claims.follow(wants, unsure, this.#nowMs)
    return { guard: this.#guard(unlisted), asked }
  }

  /** The fencing token of a new task: its claim's, if it has one, and above all that are known of in any case. */
  fenceOf(slot: SlotId, app: Pick<AppSpec, 'onPartition'> | undefined): number {
    const isClaimed = app !== undefined && needsClaim(app)
    const fence = isClaimed ? this.claims.tokenOf(slot) : this.#freshFence()
    this.see(fence)
    return fence
  }

  /** Another node knows of this token. */
  see(fence: number): void {
    this.#fence = Math.max(this.#fence, fence)
  }

  /** What the disk must be told before anything that follows from the last event. */
  keepFence(): Effect[] {
    this.see(this.claims.tokenMax)
    if (this.#fence <= this.#keptFence) return []
    this.#keptFence = this.#fence + FENCE_STEP
    return [{ kind: 'keep-fence', fence: this.#keptFence }]
  }

  #wants(
    apps: ReadonlyMap<AppId, DesiredApp>,
    waits: readonly Wait[],
    unlisted: readonly GuardOrder[],
    isOwn: (slot: SlotId) => boolean,
  ): Want[] {
    const wants = new Map<SlotId, Want>()
    const want = (slot: SlotId, { onPartition, stopGrace }: AppSpec): void => {
      const { lostAfter } = onPartition
      wants.set(slot, { slot, lostAfterMs: toMs(lostAfter), graceMs: toMs(stopGrace) })
    }
    for (const { slot, forClaim } of waits) {
      const app = apps.get(appOfSlot(slot))
      if (forClaim === true && app !== undefined) want(slot, app.spec)
    }
    for (const { task, spec } of this.#options.own.local()) {
      if (needsClaim(spec) && !isFinal(task.state)) want(task.slot, spec)
    }
    for (const { slot, untilMs, stopAtMs, graceMs } of unlisted) {
      if (wants.has(slot) || !isOwn(slot)) continue
      wants.set(slot, { slot, lostAfterMs: stopAtMs - untilMs, graceMs })
    }
    return [...wants.values()]
  }

  /** What was guarded before a restart and may run still, as its engine has not yet said. */
  #unlisted(): readonly GuardOrder[] {
    const { isListed, own } = this.#options
    return this.#orders.filter(({ task, runtime }) => !isListed(runtime) && !own.has(task))
  }

  /** Says when which tasks must end, whatever becomes of this daemon, if that is news. */
  #guard(unlisted: readonly GuardOrder[]): Effect[] {
    const own = this.#options.own.local().flatMap(({ task, spec }) => {
      if (!needsClaim(spec) || isFinal(task.state)) return []
      const { id, slot } = task
      return [{ task: id, slot, runtime: runtimeOf(spec), graceMs: toMs(spec.stopGrace) }]
    })
    const orders = [...own, ...unlisted].map(({ task, slot, runtime, graceMs }): GuardOrder => {
      const stopAtMs = this.claims.endMs(slot)
      const untilMs = this.claims.heldOrLost(slot)?.untilMs ?? stopAtMs
      const token = this.claims.tokenOf(slot)
      return { task, slot, runtime, token, untilMs, stopAtMs, graceMs }
    })
    const isSame =
      orders.length === this.#orders.length &&
      orders.every(({ task, token, stopAtMs }, index) => {
        const known = this.#orders[index]!
        return known.task === task && known.token === token && known.stopAtMs === stopAtMs
      })
    if (isSame) return []
    this.#orders = orders
    return [{ kind: 'guard', orders }]
  }

  /** Above every token that this node knows of, and never below the time: should all forget at once, the clocks go on. */
  #freshFence(): number {
    return Math.max(this.#fence + 1, Math.floor(this.#nowMs))
  }
}
