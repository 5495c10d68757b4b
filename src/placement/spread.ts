import type { SlotId } from '../model/ids.ts'
import type { PlacementApp } from './input.ts'
import { groupFields, isGrouped, type Cell, type Group, type GroupMember } from './group.ts'
import { mix32 } from './hash.ts'
import { distanceOf, memberOf, type Probes } from './ring.ts'

/** What {@link spread} must know of a slot. */
export interface SpreadSlot extends Probes {
  readonly id: SlotId
  readonly hash: number
}

/**
 * Gives each slot of an app the cell it belongs to, so that slots are even over
 * GROUP_BY values and over zones, as far as there are nodes in them.
 *
 * Slot by slot, each takes the cell that is used least (ties by hash of slot and
 * cell). So the cells of the lower slots do not change when the app is scaled, and the
 * loss of a node changes no cell while its cell has nodes enough.
 *
 * In a sticky app, slots that nodes hold are counted first, in the cells of their holders, and
 * the others even them out. Elsewhere a cordon changes nothing for the slots of other nodes: a
 * cell whose nodes are all cordoned has its turn as before, and only where GROUP_BY would keep a
 * slot in it that none of them holds, that goes to the next.
 *
 * @returns For each slot its cell; nothing for one that GROUP_BY leaves no value for.
 */
export function spread<Member extends GroupMember>(
  app: PlacementApp,
  group: Group<Member>,
  slots: readonly SpreadSlot[],
): (Cell<Member> | undefined)[] {
  const { cells } = group
  if (cells.length === 0) return []
  const held = app.held === undefined ? [] : slots.map(slot => cellOfHolder(app, group, slot))
  const isSticky = app.sticky === true
  const isBound = isGrouped(app)
  const open = cells.filter(({ shut }) => !shut)
  const counts = new Counts(app, cells)
  if (isSticky) for (const at of held) if (at !== undefined) counts.add(at)
  return slots.map((slot, index) => {
    const holding = isSticky || isBound ? held[index] : undefined
    if (isSticky && holding !== undefined) return cells[holding]
    let at = holding ?? counts.least(slot.hash, cells)
    if (isBound && holding === undefined && at !== undefined && cells[at]!.shut) {
      at = counts.least(slot.hash, open)
    }
    if (at === undefined) return undefined
    counts.add(at)
    return cells[at]
  })
}

/** How many slots the cells have so far, with their zones and GROUP_BY values. */
class Counts {
  readonly #cells: readonly Cell<GroupMember>[]
  readonly #inCell: number[]
  readonly #inZone: Map<string, number>
  readonly #fields: readonly { readonly atLeast: number; readonly inValue: Map<string, number> }[]

  constructor(app: PlacementApp, cells: readonly Cell<GroupMember>[]) {
    this.#cells = cells
    this.#inCell = cells.map(() => 0)
    this.#inZone = new Map(cells.map(({ zone }) => [zone, 0]))
    this.#fields = groupFields(app).map(({ atLeast }, index) => ({
      atLeast,
      inValue: new Map(cells.map(({ values }) => [values[index]!, 0])),
    }))
  }

  /** Counts a slot in the cell at this place of the list. */
  add(at: number): void {
    const { zone, values } = this.#cells[at]!
    this.#inCell[at]!++
    this.#inZone.set(zone, this.#inZone.get(zone)! + 1)
    for (const [index, { inValue }] of this.#fields.entries()) {
      inValue.set(values[index]!, inValue.get(values[index]!)! + 1)
    }
  }

  /** The place of the cell that is to have the next slot, if one of these may. */
  least(slotHash: number, among: readonly Cell<GroupMember>[]): number | undefined {
    // Marathon's rule: a value takes one more only while none has fewer; values still to come have none.
    const most = this.#fields.map(({ atLeast, inValue }, index) =>
      inValue.size < atLeast
        ? 0
        : Math.min(...among.map(({ values }) => inValue.get(values[index]!)!)),
    )
    const isEven = (values: readonly string[]): boolean =>
      this.#fields.every(({ inValue }, index) => inValue.get(values[index]!)! <= most[index]!)
    let best: number | undefined
    let bestRank = [0, 0, 0]
    for (const [at, cell] of this.#cells.entries()) {
      const { hash, ring, values, zone } = cell
      if (!isEven(values) || (among !== this.#cells && !among.includes(cell))) continue
      const layer = Math.floor(this.#inCell[at]! / ring.members.length)
      const rank = [layer, this.#inZone.get(zone)!, mix32(slotHash ^ hash)]
      if (best !== undefined && compareRanks(rank, bestRank) >= 0) continue
      best = at
      bestRank = rank
    }
    return best
  }
}

/** The place of the cell of the holder that comes first, if one is in the group. */
function cellOfHolder<Member extends GroupMember>(
  { held }: PlacementApp,
  { ring, cells, cellOf }: Group<Member>,
  slot: SpreadSlot,
): number | undefined {
  let best: Member | undefined
  let bestDistance = Infinity
  for (const id of held?.get(slot.id) ?? []) {
    const member = memberOf(ring, id)
    const distance = member === undefined ? Infinity : distanceOf(slot, member.points)
    if (distance >= bestDistance) continue // Holders are in the order of ids, which settle ties.
    best = member
    bestDistance = distance
  }
  if (best === undefined) return undefined
  const cell = cellOf.get(best)
  return cell === undefined ? 0 : cells.indexOf(cell)
}

function compareRanks(one: readonly number[], other: readonly number[]): number {
  return one[0]! - other[0]! || one[1]! - other[1]! || one[2]! - other[2]!
}
