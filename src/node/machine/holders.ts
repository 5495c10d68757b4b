import { isDeepStrictEqual } from 'node:util'
import type { Desired } from '../../model/desired.ts'
import { appOfSlot, type AppId, type NodeId, type SlotId } from '../../model/ids.ts'
import type { NodeRecord } from '../../model/node-record.ts'
import { isFinal, type Task } from '../../model/task.ts'

/** Who holds which slots of an app, as placement reads it. */
export type HeldSlots = ReadonlyMap<SlotId, readonly NodeId[]>

/** How sure it is that a node has a slot; only the surest count. */
const LIVE = 3
/** A task of it ends there, has ended there, or was there before the node's last start. */
const RECENT = 2
/** The node is to run it, and waits for something. */
const MEANT = 1

/**
 * Finds who holds the slots that stay where they are: those of sticky apps, and those on
 * cordoned nodes. Placement has no memory and needs none: what runs where is in the
 * records, which all nodes share.
 *
 * A slot is held by the nodes with a live task of it. Where there is none, by those that
 * had the last one: between a crash and the next start, or while an update replaces the
 * task, it must not move. A node that cannot run it any more says so in a refusal.
 */
export class Holders {
  #desired: Desired | undefined
  #sticky: ReadonlySet<AppId> = new Set()
  #cordoned: ReadonlySet<NodeId> = new Set()
  /** Slots that cordoned nodes have no live task of: one elsewhere would settle it. */
  #doubtful: ReadonlySet<SlotId> = new Set()
  #known = new WeakMap<NodeRecord, ReadonlyMap<SlotId, number>>()

  /**
   * Who holds what, by app; an app is absent when nothing of it stays where it is.
   *
   * @param isOfThisLife False for a record of before its node's last start.
   */
  find(
    desired: Desired,
    records: readonly NodeRecord[],
    isOfThisLife: (record: NodeRecord) => boolean,
  ): ReadonlyMap<AppId, HeldSlots> {
    this.#follow(desired)
    if (!this.#isAsked) return new Map()
    const surest = new Map<SlotId, { sureness: number; nodes: NodeId[] }>()
    for (const record of records) {
      const isNow = isOfThisLife(record)
      for (const [slot, told] of this.#slotsOf(record)) {
        const sureness = isNow ? told : Math.min(told, RECENT)
        const known = surest.get(slot)
        if (known === undefined || known.sureness < sureness) {
          surest.set(slot, { sureness, nodes: [record.node] })
        } else if (known.sureness === sureness) known.nodes.push(record.node)
      }
    }
    this.#doubtful = new Set(
      [...surest].flatMap(([slot, { sureness }]) =>
        sureness < LIVE && !this.#sticky.has(appOfSlot(slot)) ? [slot] : [],
      ),
    )
    for (const record of records) for (const slot of this.#settledBy(record)) surest.delete(slot)
    return byApp([...surest].map(([slot, { nodes }]) => [slot, nodes.toSorted()]))
  }

  /** True when the step between two versions of a record changes who holds what. */
  isAffected(before: NodeRecord, after: NodeRecord): boolean {
    if (!this.#isAsked) return false
    const isNewLife = before.incarnation !== after.incarnation && this.#slotsOf(after).size > 0
    return (
      isNewLife ||
      !isDeepStrictEqual(this.#slotsOf(before), this.#slotsOf(after)) ||
      !isDeepStrictEqual(this.#settledBy(before), this.#settledBy(after))
    )
  }

  /** True when anything stays where it is by this document: else it makes no difference what nodes hold. */
  asks(desired: Desired): boolean {
    this.#follow(desired)
    return this.#isAsked
  }

  get #isAsked(): boolean {
    return this.#sticky.size + this.#cordoned.size > 0
  }

  #follow(desired: Desired): void {
    if (desired === this.#desired) return
    this.#desired = desired
    const sticky = [...desired.apps.values()].filter(({ spec }) => spec.placement === 'sticky')
    const cordoned = [...desired.nodes.values()].filter(({ mode }) => mode === 'cordoned')
    this.#sticky = new Set(sticky.map(({ id }) => id))
    this.#cordoned = new Set(cordoned.map(({ node }) => node))
    this.#known = new WeakMap()
  }

  /** The slots that a record speaks of and that are to stay, and how surely the node has each. */
  #slotsOf(record: NodeRecord): ReadonlyMap<SlotId, number> {
    const known = this.#known.get(record)
    if (known !== undefined) return known
    const slots = new Map<SlotId, number>()
    const isCordoned = this.#cordoned.has(record.node)
    const add = (slot: SlotId, sureness: number): void => {
      if (!isCordoned && !this.#sticky.has(appOfSlot(slot))) return
      slots.set(slot, Math.max(sureness, slots.get(slot) ?? 0))
    }
    for (const task of record.tasks) add(task.slot, isLive(task) ? LIVE : RECENT)
    for (const { slot } of record.waits) add(slot, MEANT)
    this.#known.set(record, slots)
    return slots
  }

  /** The doubtful slots that a node has a live task of. */
  #settledBy({ tasks }: NodeRecord): SlotId[] {
    if (this.#doubtful.size === 0) return []
    return tasks
      .filter(task => this.#doubtful.has(task.slot) && isLive(task))
      .map(({ slot }) => slot)
  }
}

function isLive({ state }: Task): boolean {
  return !isFinal(state) && state !== 'stopping'
}

function byApp(
  held: readonly (readonly [SlotId, readonly NodeId[]])[],
): ReadonlyMap<AppId, HeldSlots> {
  const apps = new Map<AppId, Map<SlotId, readonly NodeId[]>>()
  for (const [slot, nodes] of held) {
    const app = appOfSlot(slot)
    const slots = apps.get(app)
    if (slots === undefined) apps.set(app, new Map([[slot, nodes]]))
    else slots.set(slot, nodes)
  }
  return apps
}
