import { isNeverTwice } from '../../src/model/app.ts'
import type { DesiredApp } from '../../src/model/desired.ts'
import {
  appOfSlot,
  slotIdOf,
  slotSuffix,
  type AppId,
  type NodeId,
  type SlotId,
  type TaskId,
} from '../../src/model/ids.ts'
import type { NodeRecord } from '../../src/model/node-record.ts'
import { toMs } from '../../src/model/duration.ts'
import { isFinal, isServing, type Task } from '../../src/model/task.ts'
import type { Placement } from '../../src/placement/input.ts'
import type { SimHost } from './host.ts'

/** What a node did about an edit before it, or of the edit itself, is known to the others after so long. */
const HEARD_MS = 50

/** What a {@link RolloutWatch} looks at. */
export interface RolloutWatchOptions {
  readonly app: AppId
  readonly hosts: readonly SimHost[]
  /** True when each node has room for all that it may have to run: then `start-first` takes nothing away, ever. */
  readonly isRoomy: boolean
}

/** What a node goes by: what is wanted, and where. */
interface View {
  readonly app: DesiredApp
  readonly placed: ReadonlyMap<SlotId, NodeId>
  readonly key: string
}

interface Placed {
  readonly task: Task
  readonly host: SimHost
}

/** One slot as it is now, by the word of the nodes that run it. */
interface SlotState {
  /** Tasks that are there to stay. */
  readonly live: readonly Placed[]
  /** How many there are with those that are on their way out. */
  readonly present: number
}

/**
 * (4) Watches one app while it is rolled out on stable membership: it has at most `instances` + `parallelism` tasks, a slot has two
 * at most (one where the app is `stop-first`), and no slot loses a task that serves before the next one does; but where the
 * old task has to end before the new one starts, `parallelism` slots at once.
 *
 * Not counted are tasks on their way out; a slot that moves from node to node at the wanted revision, which the budget of
 * moves bounds; slots that lost their task by itself, by its end or by its checks, before all could hear of it; and those whose task went, after the patience of
 * a plan, because another slot that belongs there had no room.
 *
 * While an edit or a refusal spreads, nodes go by different facts, and nobody can know what another one does at this very moment.
 * Then each revision may have as many slots on its way as its `parallelism` says, and each node that holds a slot for its
 * own one task of it. As soon as all have heard the same, so long ago that all have heard what came of it, this is over.
 */
export class RolloutWatch {
  /** What was wrong, in words. */
  readonly violations: string[] = []
  /** The most slots that were ever on their way at once while nothing spread: a watch that sees none has watched nothing. */
  most = 0
  readonly #options: RolloutWatchOptions
  readonly #views = new Map<SimHost, View>()
  readonly #records = new Map<SimHost, NodeRecord>()
  /** The tasks that serve each slot, and since when. */
  readonly #serving = new Map<SlotId, ReadonlyMap<TaskId, number>>()
  readonly #present = new Map<SlotId, number>()
  /** Slots that were on their way when all had heard of the latest edit. */
  #carried: ReadonlySet<SlotId> = new Set()
  /** When a task that served a slot ended by itself, or was given up by its checks. */
  readonly #brokenAtMs = new Map<SlotId, number>()
  /** Slots that are not served because their task was made to end. */
  readonly #taken = new Set<SlotId>()
  /** What any node has gone by since the last time that all agreed. */
  #spreading = new Map<string, View>()
  #spreadAtMs = -Infinity
  #takenBefore = 0
  #said = ''

  constructor(options: RolloutWatchOptions) {
    this.#options = options
  }

  /** Looks, if anything has changed since the last time. Wanted after each step. */
  look(nowMs: number): void {
    const isNewView = this.#readViews()
    const isTold = this.#readRecords()
    const [first] = this.#views.values()
    if (first === undefined) return
    const views = [...this.#views.values()]
    const isOver = nowMs - this.#spreadAtMs > HEARD_MS
    if (isNewView || views.some(({ key }) => key !== first.key)) {
      for (const view of views) this.#spreading.set(view.key, view)
      this.#spreadAtMs = nowMs
    } else if (isOver && this.#spreading.size > 1) {
      this.#spreading = new Map([[first.key, first]])
    } else if (!isTold) return
    this.#check([...this.#spreading.values()], nowMs)
  }

  #readViews(): boolean {
    let isNew = false
    for (const host of this.#options.hosts) {
      const { doc, placed } = host.machine!
      const app = doc.read().apps.get(this.#options.app)
      const before = this.#views.get(host)
      if (app === undefined || (before?.app === app && before.placed === placed.placement.placed))
        continue
      const key = keyOf(app, placed.placement)
      this.#views.set(host, { app, placed: placed.placement.placed, key })
      isNew ||= before?.key !== key
    }
    return isNew
  }

  #readRecords(): boolean {
    let isNew = false
    for (const host of this.#options.hosts) {
      const record = host.machine!.book.get(host.node)
      if (record === undefined || this.#records.get(host) === record) continue
      this.#records.set(host, record)
      isNew = true
    }
    return isNew
  }

  #check(views: readonly View[], nowMs: number): void {
    const apps = [
      ...new Map(views.map(({ app }) => [`${app.revision} ${app.instances}`, app])).values(),
    ]
    const instances = Math.max(...apps.map(app => app.instances))
    const least = Math.min(...apps.map(app => app.instances))
    const slots = this.#slots()
    const onTheirWay: SlotId[] = []
    for (let index = 0; index < instances; index++) {
      const slot = slotIdOf(this.#options.app, index)
      const state = slots.get(slot) ?? { live: [], present: 0 }
      this.#checkSlot(slot, state, views, nowMs)
      if (state.live.length > 1 && !isMove(state, apps)) onTheirWay.push(slot)
      this.#notice(slot, state, { apps, isWanted: index < least, nowMs })
    }
    for (const [slot, { live }] of slots) {
      if (Number(slotSuffix(slot)) < instances) continue
      this.#forget(slot)
      if (live.length > 0)
        this.#fail(nowMs, `${slot} runs on though the app has ${instances} slots`, slots)
    }
    const parallelism = new Map(
      apps.map(({ revision, spec }) => [revision, spec.update.parallelism]),
    )
    const most = [...parallelism.values()].reduce((sum, one) => sum + one, 0)
    // A revision that starts the very same takes over what was on its way, even if its own `parallelism` is less.
    const carried = onTheirWay.filter(slot => this.#carried.has(slot))
    this.#carried = new Set(apps.length > 1 ? onTheirWay : carried)
    if (onTheirWay.length > Math.max(most, carried.length)) {
      this.#fail(
        nowMs,
        `${onTheirWay.join(', ')} have two tasks each, and ${most} slots may`,
        slots,
      )
    }
    if (views.length === 1) this.most = Math.max(this.most, onTheirWay.length)
    const isBroken = !this.#options.isRoomy || apps.some(({ spec }) => isNeverTwice(spec))
    const mayTake = isBroken ? most : 0
    // What was taken while an edit spread is back only when its new task serves.
    if (this.#taken.size > Math.max(mayTake, this.#takenBefore)) {
      this.#fail(
        nowMs,
        `${[...this.#taken].join(', ')} lost their tasks, and ${mayTake} slots may`,
        slots,
      )
    }
    this.#takenBefore = this.#taken.size
  }

  #checkSlot(
    slot: SlotId,
    { live, present }: SlotState,
    views: readonly View[],
    nowMs: number,
  ): void {
    const owners = new Set(views.map(({ app, placed }) => `${app.revision} ${placed.get(slot)}`))
    const isOnce = views.every(({ app }) => isNeverTwice(app.spec))
    const isOneMore = present > (this.#present.get(slot) ?? 0)
    this.#present.set(slot, present)
    // Where never two may run, what is on its way out counts as well; only, there may be two from before that was asked for.
    const isNeverTwo = isOnce && isOneMore
    const count = isNeverTwo ? present : live.length
    const most = owners.size + (isNeverTwo ? 0 : 1)
    if (count > most) {
      this.#fail(
        nowMs,
        `${slot} has ${count} tasks, and ${most} may be`,
        new Map([[slot, { live, present }]]),
      )
    }
  }

  /** Notices when a slot is not served any more, and whether it was the rollout that took its task; and when it took one too early. */
  #notice(
    slot: SlotId,
    { live }: SlotState,
    { apps, isWanted, nowMs }: { apps: readonly DesiredApp[]; isWanted: boolean; nowMs: number },
  ): void {
    const before = this.#serving.get(slot) ?? new Map<TaskId, number>()
    const serving = live.filter(({ task }) => isServing(task))
    const since = new Map(serving.map(({ task }) => [task.id, before.get(task.id) ?? nowMs]))
    this.#serving.set(slot, since)
    const gone = [...before.keys()].filter(id => !since.has(id))
    const taken = gone.filter(id => this.#wasTaken(id, apps))
    if (gone.some(id => this.#hasBroken(id))) this.#brokenAtMs.set(slot, nowMs)
    // Who makes way cannot know that the task it makes way for ended at this very moment.
    const isHeard = nowMs - (this.#brokenAtMs.get(slot) ?? -Infinity) > HEARD_MS
    if (serving.length > 0 || !isWanted) this.#taken.delete(slot)
    else if (before.size > 0 && taken.length === before.size && isHeard) this.#taken.add(slot)
    const mayBreak = apps.some(({ spec }) => isNeverTwice(spec))
    if (taken.length === 0 || serving.length === 0 || !isWanted || mayBreak) return
    const isNew = serving.every(({ task }) =>
      apps.some(({ revision }) => revision === task.revision),
    )
    const longestMs = nowMs - Math.min(...since.values())
    const monitorMs = Math.min(...apps.map(({ spec }) => toMs(spec.update.monitor)))
    if (isNew && longestMs < monitorMs - HEARD_MS) {
      const text = `${taken.join()} made way for one that had served for ${longestMs.toFixed(0)} ms of ${monitorMs}`
      this.violations.push(`(4) ${(nowMs / 1000).toFixed(3)}: ${text}`)
    }
  }

  #taskOf(id: TaskId): Task | undefined {
    for (const { tasks } of this.#records.values()) {
      const task = tasks.find(one => one.id === id)
      if (task !== undefined) return task
    }
    return undefined
  }

  /** True for a task that ended by itself, or does what no check allows. */
  #hasBroken(id: TaskId): boolean {
    const task = this.#taskOf(id)
    return task === undefined || task.state === 'failed' || task.state === 'running'
  }

  /** True for a task of an older revision that was made to end, though its checks did not give it up. */
  #wasTaken(id: TaskId, apps: readonly DesiredApp[]): boolean {
    const task = this.#taskOf(id)
    // It is always seen to stop before it is gone; what ends by itself may be gone at once.
    if (task === undefined || apps.some(({ revision }) => revision === task.revision)) return false
    const isForRoom = !this.#options.isRoomy && task.message.startsWith('its room is needed')
    return task.state === 'stopping' && !isForRoom && task.message !== 'its health checks failed'
  }

  #forget(slot: SlotId): void {
    this.#serving.delete(slot)
    this.#taken.delete(slot)
    this.#brokenAtMs.delete(slot)
    this.#present.delete(slot)
  }

  #slots(): Map<SlotId, SlotState> {
    const slots = new Map<SlotId, { live: Placed[]; present: number }>()
    for (const [host, { tasks }] of this.#records) {
      for (const task of tasks) {
        if (task.app !== this.#options.app || isFinal(task.state)) continue
        let state = slots.get(task.slot)
        if (state === undefined) slots.set(task.slot, (state = { live: [], present: 0 }))
        state.present++
        if (task.state !== 'stopping') state.live.push({ task, host })
      }
    }
    return slots
  }

  /** Says it once, for as long as it is the same. */
  #fail(nowMs: number, text: string, slots: ReadonlyMap<SlotId, SlotState>): void {
    if (text === this.#said) return
    this.#said = text
    this.violations.push(`(4) ${(nowMs / 1000).toFixed(3)}: ${text}: ${describe(slots)}`)
  }
}

/** True for a slot with two tasks of the wanted revision, on two nodes. */
function isMove({ live }: SlotState, apps: readonly DesiredApp[]): boolean {
  const [one, other] = live
  if (one === undefined || other === undefined || live.length > 2) return false
  const { revision } = one.task
  return (
    one.host !== other.host &&
    revision === other.task.revision &&
    apps.some(app => app.revision === revision)
  )
}

/** Two nodes with equal keys want the same, in the same places. */
function keyOf({ id, revision, instances }: DesiredApp, { placed }: Placement): string {
  const places = [...placed].filter(([slot]) => appOfSlot(slot) === id)
  return `${revision} ${instances} ${places
    .map(place => place.join())
    .toSorted()
    .join(' ')}`
}

function describe(slots: ReadonlyMap<SlotId, SlotState>): string {
  return [...slots]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([slot, { live }]) => {
      const tasks = live.map(
        ({ task, host }) =>
          `${task.revision.slice(0, 6)} ${isServing(task) ? 'serves' : task.state} on ${host.name}`,
      )
      return `${slot} [${tasks.join(', ')}]`
    })
    .join(' ')
}
