import { isNeverTwice } from '../../src/model/app.ts'
import { appOfSlot, type SlotId } from '../../src/model/ids.ts'
import { isFinal, isServing } from '../../src/model/task.ts'
import type { Effect } from '../../src/node/machine/events.ts'
import { budgetOf } from '../../src/node/machine/hand-overs.ts'
import type { SimHost } from './host.ts'

const MINUTE_MS = 60_000

/**
 * Counts slots that begin to move though another node serves them: no more in a minute than the budget, and one for each
 * node, since two that see different things for a moment may allow different slots. A daemon that was restarted has
 * not seen the moves before: it may spend the budget once more.
 */
export class Moves {
  readonly #fail: (text: string) => void
  readonly #begunAtMs = new Map<SlotId, number>()
  #limit = { atMs: -Infinity, most: 0 }
  #splitAtMs = -Infinity
  /** When each host's daemon, in its present life, first did something about a task. */
  readonly #lives = new Map<SimHost, { readonly life: number; readonly atMs: number }>()

  constructor(fail: (text: string) => void) {
    this.#fail = fail
  }

  /** The network is not in one piece, so each piece has a budget of its own. */
  isSplit(nowMs: number): void {
    this.#splitAtMs = nowMs
  }

  /** A machine did something about its tasks. */
  handled(
    host: SimHost,
    effect: Extract<Effect, { kind: 'start' | 'stop' }>,
    hosts: readonly SimHost[],
    nowMs: number,
  ): void {
    if (this.#lives.get(host)?.life !== host.life) {
      this.#lives.set(host, { life: host.life, atMs: nowMs })
    }
    const slot = effect.kind === 'start' ? slotThatComes(host, effect) : slotThatGoes(host, effect)
    if (slot === undefined) return
    for (const [other, ms] of this.#begunAtMs) {
      if (nowMs - ms >= MINUTE_MS) this.#begunAtMs.delete(other)
    }
    if (this.#begunAtMs.has(slot)) return
    this.#begunAtMs.set(slot, nowMs)
    const most = this.#most(host, hosts, nowMs)
    const moves = this.#begunAtMs.size
    if (moves > most)
      this.#fail(`${moves} slots moved within a minute, ${slot} last: at most ${most} may`)
  }

  /** The most that was allowed at any time in the last minute. */
  #most({ machine }: SimHost, hosts: readonly SimHost[], nowMs: number): number {
    const { settings } = machine!.doc.read()
    const budget = budgetOf({
      placed: machine!.placed.placement.placed,
      records: [],
      movesPerMinute: settings.moveBudgetPerMinute,
    })
    const pieces = nowMs - this.#splitAtMs < MINUTE_MS ? hosts.length : 1
    const forgetful = [...this.#lives].filter(
      ([{ disk }, { atMs }]) => disk.starts > 1 && nowMs - atMs < MINUTE_MS,
    )
    const most = (pieces + forgetful.length) * budget + hosts.length
    if (nowMs - this.#limit.atMs >= MINUTE_MS || most > this.#limit.most) {
      this.#limit = { atMs: nowMs, most }
    }
    return this.#limit.most
  }
}

/** The slot that a start takes from a node that serves it and need not give it up. */
function slotThatComes(
  { machine, node, tasks }: SimHost,
  { slot, task }: Extract<Effect, { kind: 'start' }>,
): SlotId | undefined {
  const { book, members } = machine!
  const hasOld = [...tasks.live.values()].some(one => one.slot === slot && one.task !== task)
  if (hasOld) return undefined
  const servers = book.tasksOf(slot).filter(other => {
    const record = book.get(other.node)
    const isBound = other.node !== node && record?.leaving === false && isServing(other.task)
    return isBound && members.isAlive(other.node)
  })
  return servers.length > 0 ? slot : undefined
}

/** The slot whose last task here ends to make way for another node's. */
function slotThatGoes(
  { machine, node, tasks }: SimHost,
  { task }: Extract<Effect, { kind: 'stop' }>,
): SlotId | undefined {
  const slot = tasks.live.get(task)?.slot
  if (slot === undefined) return undefined
  const { book, members, doc, placed } = machine!
  const owner = placed.placement.placed.get(slot)
  const app = doc.read().apps.get(appOfSlot(slot))
  if (owner === undefined || owner === node || app === undefined || !isNeverTwice(app.spec)) {
    return undefined
  }
  if (book.get(node)?.leaving === true) return undefined
  const hasOther = book
    .tasksOf(slot)
    .some(
      other => other.node !== node && members.isPresent(other.node) && !isFinal(other.task.state),
    )
  return hasOther ? undefined : slot
}
