/**
 * Compares what should run on this node with what does, and lists the difference.
 *
 * The rules, in the order in which they matter:
 *
 * 0. A task whose claim has run out is stopped, and nothing starts without one, where the app asks for claims.
 * 1. A slot that exists no more, or that no node may run, is stopped; of the latter, one task that has served at an older revision is not.
 * 2. A slot that belongs to another node is kept until that node serves it (make
 *    before break), unless the app says it must never run twice.
 * 3. A slot that belongs here runs exactly once, at the wanted revision; the new
 *    task comes, and serves for the monitor window, before the old one goes, where
 *    there is room for both.
 * 4. What keeps failing waits longer each time, and is never started above the
 *    node's declared capacity.
 *
 * A second pass over the result of the first finds nothing to do.
 *
 * @module
 */

import { isNeverTwice, needsClaim, type AppSpec } from '../model/app.ts'
import { toMs } from '../model/duration.ts'
import {
  appOfSlot,
  type AppId,
  type NodeId,
  type RevisionId,
  type SlotId,
  type TaskId,
} from '../model/ids.ts'
import { isFinal, isServing, type Task } from '../model/task.ts'
import type { Room } from './room.ts'
import { rolloutBlocker } from './rollout.ts'

/** How long a start waits for room that handed-over tasks still hold, before they go first after all, and so do old revisions. */
export const ROOM_PATIENCE_MS = 10_000

/** Why a slot with an old task and one that may still follow it gets no third. */
const TWO_ALREADY = 'the slot has two tasks already, one of which must end first'

/** A task on this node, with what only this node knows of it. */
export interface LocalTask {
  readonly task: Task
  /** The app at the task's own revision: what it holds of the node. */
  readonly spec: AppSpec
  /** Since when it serves, by this node's clock; nothing while it does not. */
  readonly servingSinceMs?: number
  /** True when its health checks have given it up. */
  readonly mustReplace: boolean
  /** False when nobody has been served by it yet, for sure: it was started by this run of the daemon, and has never come up. */
  readonly hasServed: boolean
  /** True while the health checks of the wanted revision are tried on it, which is all that is new: it may yet become that revision's. */
  readonly isTried?: boolean
}

/** A task on another node that may still be there: its node is neither dead nor gone. */
export interface RemoteTask {
  readonly node: NodeId
  readonly task: Task
  /** Since when this node has seen it serve. */
  readonly servingSinceMs?: number
}

/** An app as the plan needs it. */
export interface WantedApp {
  readonly id: AppId
  readonly revision: RevisionId
  readonly spec: AppSpec
}

/** Why something must wait. */
export interface Hold {
  readonly reason: string
  /** When to look again even if nothing happens. */
  readonly untilMs?: number
}

/** What the rest of the cluster allows just now. */
export interface Gate {
  /**
   * Why a slot that belongs here must not start yet: moves come one by one, lost nodes may come back.
   * `hasOld`: it runs here already at another revision, so that this is no move.
   */
  start(slot: SlotId, app: WantedApp, hasOld: boolean): Hold | undefined
  /** Why a task whose slot belongs to another node must not make way for it yet. Asked only where one ends before the next begins. */
  makeWay(slot: SlotId): Hold | undefined
  /** The last word before a start that nothing else holds back: its claim, and the brake. What it lets pass is started. */
  go(slot: SlotId, app: WantedApp): (Hold & { readonly forClaim: boolean }) | undefined
  /** When a task that runs by a claim must end; Infinity without one. */
  claimEndMs(slot: SlotId): number
}

/** All that a plan is made of. */
export interface PlanInput {
  readonly self: NodeId
  readonly nowMs: number
  readonly apps: ReadonlyMap<AppId, WantedApp>
  /** Where each slot belongs. A slot that is in neither map exists no more. */
  readonly placed: ReadonlyMap<SlotId, NodeId>
  readonly unplaced: ReadonlySet<SlotId>
  /** The slots placed on this node: those of `placed` that name `self`, in a fixed order. */
  readonly own: readonly SlotId[]
  readonly local: readonly LocalTask[]
  readonly remote: (slot: SlotId) => readonly RemoteTask[]
  readonly room: Room
  readonly gate: Gate
  /** When a slot that failed here may be tried again; nothing when it may at once. */
  readonly retryAtMs: (slot: SlotId, revision: RevisionId) => number | undefined
  /** True for a slot that failed here so often, or in such a way, that another node is to try. */
  readonly isRefused: (slot: SlotId, revision: RevisionId) => boolean
  /** Since when a slot has waited for room. */
  readonly waitingForRoomSinceMs: (slot: SlotId) => number | undefined
  /** False while the node has not yet heard of the others: then it starts nothing, and stops nothing either. */
  readonly isSettled: boolean
}

/** What to do next. Data, not a call: the caller carries it out. */
export type Action =
  | { readonly kind: 'start'; readonly slot: SlotId; readonly app: WantedApp }
  | { readonly kind: 'stop'; readonly task: TaskId; readonly reason: string }

/** Why a slot that belongs here does not run (at its revision) yet. */
export interface Wait {
  readonly slot: SlotId
  readonly reason: string
  /** True when it waits for room on this node. */
  readonly forRoom: boolean
  /** True when it waits for a claim: somebody has to ask for it. */
  readonly forClaim?: boolean
  /** When to plan again even if nothing happens. */
  readonly untilMs?: number
}

/** The difference between what is wanted and what is. */
export interface Plan {
  readonly actions: readonly Action[]
  readonly waits: readonly Wait[]
  /** When a new task will have served long enough for an old one to go; Infinity when none is to. */
  readonly againAtMs: number
}

/** Makes the plan of one node for now. Pure: the same input gives the same plan. */
export function plan(input: PlanInput): Plan {
  const actions: Action[] = []
  const waits: Wait[] = []
  const bySlot = groupLive(input.local)
  const scene: Scene = { ...input, bySlot }
  let againAtMs = Infinity

  for (const [slot, tasks] of bySlot) {
    for (const local of tasks) {
      if (!needsClaim(local.spec)) continue
      const atMs = input.gate.claimEndMs(slot)
      if (atMs <= input.nowMs) stop(actions, local, 'no majority of the nodes grants it any more')
      else againAtMs = Math.min(againAtMs, atMs)
    }
  }
  if (!input.isSettled) {
    const reason = 'the node is still looking for the others'
    const held = input.own.map(slot => ({ slot, reason, forRoom: false }))
    return { actions, waits: held, againAtMs }
  }
  const room = input.room.copy()
  for (const [slot, tasks] of bySlot) {
    if (input.placed.get(slot) === input.self) continue
    for (const local of tasks) {
      const { atMs, reason } = stopForeignAt(scene, slot, local)
      if (atMs <= input.nowMs) stop(actions, local, reason)
      else againAtMs = Math.min(againAtMs, atMs)
    }
  }
  for (const slot of input.own) {
    const step = planOwn(scene, slot, bySlot.get(slot) ?? [], room)
    actions.push(...step.actions)
    againAtMs = Math.min(againAtMs, step.againAtMs ?? Infinity)
    if (step.wait !== undefined) waits.push(step.wait)
  }
  return { actions: [...actions, ...makeRoom(input, bySlot, waits, room)], waits, againAtMs }
}

interface Scene extends PlanInput {
  /** The tasks here that are not over, by slot. */
  readonly bySlot: ReadonlyMap<SlotId, readonly LocalTask[]>
}

/** The tasks that are neither over nor on their way out are live; those that are stopping still hold their place. */
function groupLive(local: readonly LocalTask[]): Map<SlotId, LocalTask[]> {
  const bySlot = new Map<SlotId, LocalTask[]>()
  for (const one of local) {
    if (isFinal(one.task.state)) continue
    const group = bySlot.get(one.task.slot)
    if (group === undefined) bySlot.set(one.task.slot, [one])
    else group.push(one)
  }
  return bySlot
}

/** When a task whose slot is not this node's must stop, and why; Infinity while nobody knows. */
function stopForeignAt(
  input: Scene,
  slot: SlotId,
  local: LocalTask,
): { readonly atMs: number; readonly reason: string } {
  const app = input.apps.get(local.task.app)
  if (app === undefined) return { atMs: 0, reason: 'the app was removed' }
  const owner = input.placed.get(slot)
  if (owner === undefined) {
    const isUnplaced = input.unplaced.has(slot)
    // A revision that fits nowhere, or that every node with room refuses, takes nothing away: the old one does what it can.
    if (isUnplaced && local.task.revision !== app.revision && local.hasServed) {
      if (local.mustReplace) return { atMs: 0, reason: 'its health checks failed' }
      const others = othersOf(input, slot, local).filter(
        ({ task }) => task.id < local.task.id && task.revision !== app.revision,
      )
      return { atMs: earliest(app, others, local), reason: 'another task serves the slot' }
    }
    const gone =
      app.spec.mode === 'global' ? 'this node may not run it now' : 'the app was scaled down'
    const reason = isUnplaced ? 'no node may run it now' : gone
    return { atMs: 0, reason }
  }
  if (local.mustReplace) return { atMs: 0, reason: 'its health checks failed' }
  // Else each node that tries a revision which never comes up would keep one task of it.
  if (input.isRefused(slot, local.task.revision) && !isServing(local.task)) {
    return { atMs: 0, reason: 'it failed here, and another node is to try' }
  }
  const useless = whyUseless(input, app, slot, local)
  if (useless !== undefined) return { atMs: 0, reason: useless }
  // Where slots change their owner faster than a task comes up, two that try are enough: the owner's, and one of before.
  const triesElsewhere = input
    .remote(slot)
    .some(({ node, task }) => node !== owner && isStaying(task) && task.id < local.task.id)
  if (!isServing(local.task) && triesElsewhere) return { atMs: 0, reason: 'another node tries it' }
  const better = othersOf(input, slot, local).filter(other =>
    isBetter(app, owner, other, local.task),
  )
  const atMs = earliest(app, better, local)
  if (atMs > input.nowMs && isNeverTwice(app.spec)) {
    const hold = whyNotYet(input, app, slot, [local], true) ?? input.gate.makeWay(slot)
    const wayAtMs = hold === undefined ? 0 : Math.min(atMs, hold.untilMs ?? Infinity)
    return { atMs: wayAtMs, reason: 'it belongs to another node, and must not run twice' }
  }
  return { atMs, reason: 'another node runs it now' }
}

/** The other tasks of the slot of a task here. */
function othersOf(
  { self, bySlot, remote }: Scene,
  slot: SlotId,
  { task }: LocalTask,
): RemoteTask[] {
  const here = (bySlot.get(slot) ?? []).filter(other => other.task.id !== task.id)
  return [...here.map(other => ({ ...other, node: self })), ...remote(slot)]
}

/** When the first of these takes over from a task. */
function earliest(app: WantedApp, takers: readonly RemoteTask[], local: LocalTask): number {
  return Math.min(Infinity, ...takers.map(taker => takesOverAtMs(app, taker, local)))
}

/**
 * True when a task on a node that does not own the slot makes way for `other`: one at the wanted revision is better than one
 * that is not. Of two alike one is enough until the owner's serves, and both their nodes have to agree on which.
 */
function isBetter(
  app: WantedApp,
  owner: NodeId,
  { node, task: other }: RemoteTask,
  task: Task,
): boolean {
  const isWanted = other.revision === app.revision
  if (isWanted !== (task.revision === app.revision)) return isWanted
  return node === owner || other.id < task.id
}

/**
 * Why a task that serves nobody has no reason to be there; nothing while it may still come to serve. Without this each
 * rollout that is superseded before it is over would leave its tasks beside the old ones, and the next one adds its own.
 */
function whyUseless(
  input: Scene,
  app: WantedApp,
  slot: SlotId,
  local: LocalTask,
): string | undefined {
  if (isServing(local.task)) return undefined
  if (local.task.revision !== app.revision && !local.hasServed)
    return 'a newer revision takes its place'
  const others = [...(input.bySlot.get(slot) ?? []), ...input.remote(slot)].filter(
    ({ task }) => task.id !== local.task.id,
  )
  if (others.some(({ servingSinceMs }) => servingSinceMs !== undefined))
    return 'another task serves the slot'
  return undefined
}

interface Step {
  readonly actions: readonly Action[]
  readonly againAtMs?: number
  readonly wait?: Wait
}

/** What to do about one slot that belongs here, given its live tasks. Takes the room of what it starts. */
function planOwn(input: Scene, slot: SlotId, tasks: readonly LocalTask[], room: Room): Step {
  const app = input.apps.get(appOfSlot(slot))
  if (app === undefined) return { actions: [] }
  const current = tasks.filter(({ task }) => task.revision === app.revision)
  const going = current.filter(({ task, mustReplace }) => task.state === 'stopping' || mustReplace)
  const [kept, ...extra] = current
    .filter(({ task, mustReplace }) => task.state !== 'stopping' && !mustReplace)
    .toSorted(byAge)
  const old = tasks.filter(({ task }) => task.revision !== app.revision).toSorted(byAge)
  const actions: Action[] = []

  for (const local of current)
    if (local.mustReplace) stop(actions, local, 'its health checks failed')
  for (const local of extra) stop(actions, local, 'the slot runs twice here')
  const againAtMs = old.length === 0 ? Infinity : endOld(actions, input, app, { slot, old, kept })
  if (kept !== undefined) return { actions, againAtMs }
  const gone = new Set(actions.map(action => (action.kind === 'stop' ? action.task : '')))
  const staying = old.filter(({ task }) => task.state !== 'stopping' && !gone.has(task.id))
  const next = planStart(input, app, slot, { old, staying, going, room })
  return {
    actions: [...actions, ...next.actions],
    againAtMs,
    ...(next.wait && { wait: next.wait }),
  }
}

/** Stops the old tasks of a slot that belongs here as far as they are not needed any more, and gives when the next one will not be. */
function endOld(
  actions: Action[],
  input: Scene,
  app: WantedApp,
  { slot, old, kept }: { slot: SlotId; old: readonly LocalTask[]; kept: LocalTask | undefined },
): number {
  const [, ...more] = old.filter(({ task }) => isServing(task))
  for (const local of more) stop(actions, local, 'an older one serves until the new revision does')
  const newer = input.remote(slot).filter(({ task }) => task.revision === app.revision)
  let againAtMs = Infinity
  for (const local of old) {
    const useless = whyUseless(input, app, slot, local)
    if (local.mustReplace) stop(actions, local, 'its health checks failed')
    else if (useless !== undefined) stop(actions, local, useless)
    for (const taker of kept === undefined ? newer : [kept, ...newer]) {
      const atMs = takesOverAtMs(app, taker, local)
      if (atMs <= input.nowMs) stop(actions, local, 'a newer revision runs')
      else againAtMs = Math.min(againAtMs, atMs)
    }
  }
  return againAtMs
}

/**
 * When a new task needs the old one no more. Not at its first success: it may fail the
 * next moment, and whoever was told of the old one must have time to ask again.
 */
function takesOverAtMs(
  app: WantedApp,
  { servingSinceMs }: Pick<LocalTask | RemoteTask, 'servingSinceMs'>,
  old: LocalTask,
): number {
  if (servingSinceMs === undefined) return Infinity
  return isServing(old.task) ? servingSinceMs + toMs(app.spec.update.monitor) : servingSinceMs
}

interface StartContext {
  readonly old: readonly LocalTask[]
  /** Those of them that do not end anyway. */
  readonly staying: readonly LocalTask[]
  /** Tasks of the wanted revision that are on their way out, or about to be. */
  readonly going: readonly LocalTask[]
  readonly room: Room
}

function planStart(input: Scene, app: WantedApp, slot: SlotId, context: StartContext): Step {
  const { old, staying, going, room } = context
  const wait = (reason: string, more: Partial<Wait> = {}): Step => ({
    actions: [],
    wait: { slot, reason, forRoom: false, ...more },
  })
  const retryAtMs = input.retryAtMs(slot, app.revision)
  if (retryAtMs !== undefined && retryAtMs > input.nowMs) {
    return wait('it failed here and backs off before the next try', { untilMs: retryAtMs })
  }
  if (staying.some(({ isTried }) => isTried === true)) {
    return wait('the new health checks are tried on the task that runs')
  }
  const remote = input.remote(slot)
  const stopFirst = isNeverTwice(app.spec)
  const beside = [...staying, ...remote.filter(({ task }) => isStaying(task))]
  if (!stopFirst && beside.length > 1) {
    // One that serves is followed by the other, or the other goes; but neither may ever come to serve.
    const isServed = beside.some(({ task }) => isServing(task))
    return isServed ? wait(TWO_ALREADY) : makeWay(slot, staying, TWO_ALREADY)
  }
  const blocker = whyNotYet(input, app, slot, beside, stopFirst)
  if (blocker !== undefined) return wait(blocker.reason, blocker)

  if (stopFirst && remote.some(({ task }) => !isFinal(task.state))) {
    return wait('another node still runs it, and it must not run twice')
  }
  if (stopFirst && old.length + going.length > 0)
    return makeWay(slot, old, 'the old task must end first')
  const hold = input.gate.start(slot, app, old.length > 0)
  if (hold !== undefined) return wait(hold.reason, hold)
  if (room.take(app.spec)) {
    const last = input.gate.go(slot, app)
    if (last !== undefined) return wait(last.reason, last)
    return { actions: [{ kind: 'start', slot, app }] }
  }

  const freed = room.copy()
  for (const local of [...old, ...going]) freed.release(local.spec)
  if (freed.fits(app.spec) && old.length + going.length > 0) {
    const breaks = whyNotYet(input, app, slot, beside, true)
    if (breaks !== undefined) return wait(breaks.reason, breaks)
    return makeWay(slot, old, 'the node has no room for both: the old task must end first')
  }
  return wait(`the node has no room yet: ${room.shortage(app.spec)}`, { forRoom: true })
}

/** Stops the old tasks so that the new one can start on a later turn. */
function makeWay(slot: SlotId, old: readonly LocalTask[], reason: string): Step {
  const actions: Action[] = []
  for (const local of old) stop(actions, local, 'a newer revision takes its place')
  return { actions, wait: { slot, reason, forRoom: false } }
}

/**
 * Why a rollout holds the slot back.
 *
 * Where the old task does not serve nothing can be lost, so the slot waits for no other one to serve; but it waits for its
 * turn, or there would be more tasks than may be.
 *
 * @param beside The tasks of the slot that stay while the new one starts.
 * @param breaksFirst True when the old task ends before the new one starts.
 */
function whyNotYet(
  input: Scene,
  app: WantedApp,
  slot: SlotId,
  beside: readonly Pick<LocalTask, 'task'>[],
  breaksFirst: boolean,
): Hold | undefined {
  const old = beside.filter(({ task }) => task.revision !== app.revision)
  const serves = old.some(({ task }) => isServing(task))
  if (old.length === 0) return undefined
  const monitorMs = toMs(app.spec.update.monitor)
  let untilMs: number | undefined
  const blocker = rolloutBlocker(app.id, slot, {
    parallelism: app.spec.update.parallelism,
    exists: other => input.placed.has(other) || input.unplaced.has(other),
    isUnplaced: other => input.unplaced.has(other),
    isLeftOnItsWay: other => {
      const tasks = stayingOf(input, other)
      if (tasks.length > 1) return true
      // One that is ill at an old revision waits for its own turn.
      return breaksFirst && tasks.every(({ task }) => !isServing(task) && !isIll(task, app))
    },
    isDone: other => {
      const tasks = stayingOf(input, other)
      if (tasks.length > 1 || tasks.some(({ task }) => task.revision !== app.revision)) return false
      if (!serves) return true
      const sinceMs = tasks[0]?.servingSinceMs
      if (sinceMs === undefined) return false
      if (input.nowMs - sinceMs >= monitorMs) return true
      untilMs = Math.min(untilMs ?? Infinity, sinceMs + monitorMs)
      return false
    },
  })
  if (blocker === undefined) return undefined
  const reason = `the rollout waits for ${blocker} to serve the new revision`
  return { reason, ...(untilMs !== undefined && { untilMs }) }
}

/** The tasks of a slot, here and elsewhere, that are neither over nor on their way out. */
function stayingOf(input: Scene, slot: SlotId): (LocalTask | RemoteTask)[] {
  return [...(input.bySlot.get(slot) ?? []), ...input.remote(slot)].filter(({ task }) =>
    isStaying(task),
  )
}

function isIll({ revision, health }: Task, app: WantedApp): boolean {
  return revision !== app.revision && health === 'unhealthy'
}

function isStaying({ state }: Task): boolean {
  return state !== 'stopping' && !isFinal(state)
}

/**
 * Two full nodes that swap tasks would wait for each other for ever, and so would a
 * rollout whose next slot has no room beside larger tasks of the old revision. So
 * after a while as much as must goes first: what is to be handed over before what is
 * to be replaced here, and nothing where it would not help.
 */
function makeRoom(
  input: PlanInput,
  bySlot: ReadonlyMap<SlotId, readonly LocalTask[]>,
  waits: readonly Wait[],
  room: Room,
): Action[] {
  const impatient = waits.filter(({ slot, forRoom }) => {
    const sinceMs = forRoom ? input.waitingForRoomSinceMs(slot) : undefined
    return sinceMs !== undefined && input.nowMs - sinceMs >= ROOM_PATIENCE_MS
  })
  if (impatient.length === 0) return []
  let left = room.copy()
  const foreign: LocalTask[] = []
  const old: LocalTask[] = []
  for (const [slot, tasks] of bySlot) {
    const isOwn = input.placed.get(slot) === input.self
    const wanted = input.apps.get(appOfSlot(slot))?.revision
    for (const local of tasks) {
      if (local.task.state === 'stopping') left.release(local.spec)
      else if (!isOwn) foreign.push(local)
      else if (local.task.revision !== wanted) old.push(local)
    }
  }
  const actions: Action[] = []
  let candidates = [...foreign, ...old]
  for (const { slot } of impatient) {
    const spec = input.apps.get(appOfSlot(slot))?.spec
    if (spec === undefined) continue
    const trial = left.copy()
    let going = 0
    while (!trial.fits(spec) && going < candidates.length) trial.release(candidates[going++]!.spec)
    if (!trial.take(spec)) continue
    for (const local of candidates.slice(0, going)) {
      stop(actions, local, 'its room is needed for what belongs here')
    }
    candidates = candidates.slice(going)
    left = trial
  }
  return actions
}

function stop(actions: Action[], { task }: LocalTask, reason: string): void {
  if (task.state === 'stopping' || isFinal(task.state)) return
  if (actions.some(action => action.kind === 'stop' && action.task === task.id)) return
  actions.push({ kind: 'stop', task: task.id, reason })
}

/** Serving tasks before others, then the older, then by name: every pass keeps the same one. */
function byAge(one: LocalTask, other: LocalTask): number {
  const since = (local: LocalTask): number => local.servingSinceMs ?? Infinity
  if (since(one) !== since(other)) return since(one) < since(other) ? -1 : 1
  return one.task.id < other.task.id ? -1 : 1
}
