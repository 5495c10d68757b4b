import { needsClaim } from '../../model/app.ts'
import { toMs } from '../../model/duration.ts'
import type { NodeId, SlotId } from '../../model/ids.ts'
import type { NodeRecord } from '../../model/node-record.ts'
import { isFinal, isServing } from '../../model/task.ts'
import type { Gate, Hold, WantedApp } from '../../reconcile/plan.ts'
import type { Claims } from './claims.ts'
import type { Allowed, HandOvers } from './hand-overs.ts'
import type { MassLoss } from './mass-loss.ts'
import type { Members } from './members.ts'
import type { ObservedBook } from './observed-book.ts'
import type { Stability } from './stability.ts'

/** What the gate looks at. */
export interface GateOptions {
  readonly self: NodeId
  readonly nowMs: number
  readonly members: Members
  readonly book: Pick<ObservedBook, 'get' | 'records' | 'tasksOf'>
  readonly placed: ReadonlyMap<SlotId, NodeId>
  readonly movesPerMinute: number | undefined
  readonly isLeaving: boolean
  readonly claims: Claims
  readonly massLoss: MassLoss
  readonly handOvers: HandOvers
  readonly stability: Stability
  readonly nameOf: (node: NodeId) => string
}

/** When a node has been found again, those of its side have been, too, after so long, and all have been heard: a little more than anti-entropy takes. In milliseconds. */
const NEWS_MS = 3_000

/** What the state of the cluster allows this node to do just now. Made anew for each plan. */
export function createGate(options: GateOptions): Gate {
  const { self, nowMs, members, book, placed, claims, massLoss, nameOf } = options
  let allowed: Allowed | undefined

  function allowedMoves(): Allowed {
    const { movesPerMinute, handOvers } = options
    const records = book.records().filter(({ node }) => members.isPresent(node))
    return handOvers.allow({ placed, records, movesPerMinute }, nowMs)
  }

  /** The lost node whose last word was that it has a task of the slot. */
  function loserOf(slot: SlotId): { readonly node: NodeId; readonly sinceMs: number } | undefined {
    for (const { node, task } of book.tasksOf(slot)) {
      const sinceMs = members.lostSinceMs(node)
      const isLeaving = book.get(node)?.leaving === true
      if (sinceMs !== undefined && !isFinal(task.state) && !isLeaving) return { node, sinceMs }
    }
    return undefined
  }

  /** The node that serves the slot now, and need not hand it over at once. */
  function serverOf(slot: SlotId): NodeRecord | undefined {
    for (const { node, task } of book.tasksOf(slot)) {
      const record = book.get(node)
      if (node === self || record === undefined || record.leaving) continue
      if (members.isAlive(node) && isServing(task)) return record
    }
    return undefined
  }

  /** The node that serves the slot as far as is known, and does not answer just now. */
  function doubtedServerOf(slot: SlotId): NodeRecord | undefined {
    for (const { node, task } of book.tasksOf(slot)) {
      const record = book.get(node)
      if (record === undefined || record.leaving || !isServing(task)) continue
      if (members.isPresent(node) && !members.isAlive(node)) return record
    }
    return undefined
  }

  function budget(slot: SlotId): Hold | undefined {
    allowed ??= allowedMoves()
    if (allowed.slots.has(slot)) return undefined
    return { reason: 'enough slots have moved in the last minute', untilMs: allowed.againAtMs }
  }

  function whileLost(slot: SlotId, { spec }: WantedApp): Hold | undefined {
    const loser = loserOf(slot)
    // Where a claim is needed, the claim knows better when the other has ended for sure.
    if (loser === undefined || needsClaim(spec)) return undefined
    const untilMs = loser.sinceMs + toMs(spec.onPartition.lostAfter)
    if (untilMs <= nowMs) return undefined
    const { lostAfter } = spec.onPartition
    return { reason: `${nameOf(loser.node)} is lost, and its slots wait ${lostAfter}`, untilMs }
  }

  function whileServed(slot: SlotId): Hold | undefined {
    const server = serverOf(slot)
    if (server === undefined) {
      const doubted = doubtedServerOf(slot)
      return doubted && { reason: `${doubted.name} served it, and may be lost` }
    }
    if (options.stability.isSteady(nowMs)) {
      const hold = budget(slot)
      return hold && { ...hold, reason: `${server.name} serves it, and ${hold.reason}` }
    }
    const untilMs = options.stability.steadyAtMs
    return { reason: `${server.name} serves it, and this node has only just come`, untilMs }
  }

  return {
    start: (slot, app, hasOld) =>
      hasOld ? undefined : (whileLost(slot, app) ?? whileServed(slot)),

    makeWay: slot => {
      const owner = placed.get(slot)
      if (owner === undefined || options.isLeaving) return undefined
      // Two sides of a split find each other node by node, and until they have, a slot belongs to this one and to that one:
      // each would make way for the other's task, and both would end.
      const foundMs = members.foundAtMs + NEWS_MS
      if (nowMs < foundMs) {
        return { reason: 'a node has only just been found again', untilMs: foundMs }
      }
      const record = book.get(owner)
      if (record === undefined || members.reliableSinceMs(record) === undefined) {
        return { reason: `${nameOf(owner)} does not answer, or has not spoken since its start` }
      }
      // After a split it may run there already: then one is too many, and nothing is to move.
      if (record.tasks.some(task => task.slot === slot && !isFinal(task.state))) return undefined
      if (record.steady === false) return { reason: `${nameOf(owner)} has only just come` }
      return budget(slot)
    },

    go: (slot, { spec }) => {
      if (needsClaim(spec) && claims.held(slot, nowMs) === undefined) {
        return { reason: claims.why(slot, nameOf), forClaim: true }
      }
      if (loserOf(slot) === undefined) return undefined
      const untilMs = massLoss.nextStartAtMs()
      if (untilMs <= nowMs) {
        massLoss.started(nowMs)
        return undefined
      }
      const reason =
        massLoss.brake === undefined
          ? 'many nodes do not answer, and it is not yet known how many are lost'
          : `${massLoss.brake.lost} of ${massLoss.brake.of} nodes were lost at once, and their tasks start slowly`
      return { reason, untilMs, forClaim: false }
    },

    claimEndMs: slot => claims.endMs(slot),
  }
}
