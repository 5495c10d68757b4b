import { attributeOf, isHostname, staticRefusal } from './constraint.ts'
import { hashText, mix32 } from './hash.ts'
import type { PlacementApp, PlacementNode } from './input.ts'
import { byId, createRing, type Ring, type RingMember } from './ring.ts'

/** A node on the ring. */
export interface GroupMember extends RingMember {
  readonly node: PlacementNode
}

/**
 * Nodes that are alike to the spread of an app: the same values of all its
 * GROUP_BY fields, and the same zone. All nodes without a zone are one zone:
 * nothing is known of what they share, so nothing is gained by telling them apart.
 */
export interface Cell<Member extends GroupMember> {
  readonly hash: number
  readonly ring: Ring<Member>
  /** Nodes with the same GROUP_BY values, in whatever zone: where a slot may go when its cell is full. */
  readonly wide: Ring<Member>
  /** Value of each GROUP_BY field. */
  readonly values: readonly string[]
  readonly zone: string
}

/** The nodes that may hold an app's slots at all, shared by all apps that ask for the same. */
export interface Group<Member extends GroupMember> {
  readonly ring: Ring<Member>
  /** In an order of their own; never empty unless the ring is. */
  readonly cells: readonly Cell<Member>[]
  readonly cellOf: ReadonlyMap<Member, Cell<Member>>
  /** What CLUSTER without a value settled on, per such constraint. */
  readonly clusters: readonly (string | undefined)[]
}

/** Apps with equal keys have the same group. */
export function groupKey({ id, runtime, constraints }: PlacementApp): string {
  const own = constraints.some(
    ({ operator, value }) => operator === 'CLUSTER' && value === undefined,
  )
  return JSON.stringify([runtime, constraints, own ? id : ''])
}

/** Finds the nodes that may hold slots of `app`. `members` are in the order of {@link byId}. */
export function createGroup<Member extends GroupMember>(
  app: PlacementApp,
  members: readonly Member[],
): Group<Member> {
  let eligible = members.filter(({ node }) => staticRefusal(app, node) === undefined)
  const clusters: (string | undefined)[] = []
  for (const { field, operator, value } of app.constraints) {
    if (operator !== 'CLUSTER' || value !== undefined) continue
    const chosen = chooseCluster(app, field, eligible)
    clusters.push(chosen)
    eligible = eligible.filter(({ node }) => attributeOf(node, field) === chosen)
  }
  const ring = createRing(eligible)
  return { ring, clusters, ...createCells(app, ring) }
}

/** The group after some members went and others came, or the same object if none of them matters to it. */
export function updateGroup<Member extends GroupMember>(
  app: PlacementApp,
  group: Group<Member>,
  gone: ReadonlySet<Member>,
  came: readonly Member[],
): Group<Member> {
  const added = came.filter(({ node }) => staticRefusal(app, node) === undefined)
  const kept = group.ring.members.filter(member => !gone.has(member))
  if (added.length === 0 && kept.length === group.ring.members.length) return group
  const ring = createRing([...kept, ...added].toSorted(byId))
  return { ring, clusters: group.clusters, ...createCells(app, ring) }
}

/** "All with the first" needs no first: the hash of app and value says which value it is, the same on every node. */
function chooseCluster(
  { id }: PlacementApp,
  field: string,
  members: readonly GroupMember[],
): string | undefined {
  const seed = hashText(id)
  const values = new Set(members.map(({ node }) => attributeOf(node, field) ?? ''))
  return [...values].toSorted(
    (one, other) => hashText(one, seed) - hashText(other, seed) || (one < other ? -1 : 1),
  )[0]
}

/** True when GROUP_BY spreads the app's slots over values, and not only over nodes, which all apps are. */
export function isGrouped(app: PlacementApp): boolean {
  return groupFields(app).length > 0
}

function groupFields({ constraints }: PlacementApp): { field: string; atLeast: number }[] {
  return constraints
    .filter(({ field, operator }) => operator === 'GROUP_BY' && !isHostname(field))
    .map(({ field, value }) => ({ field, atLeast: value === undefined ? 0 : Number(value) }))
}

function createCells<Member extends GroupMember>(
  app: PlacementApp,
  ring: Ring<Member>,
): Pick<Group<Member>, 'cells' | 'cellOf'> {
  const fields = groupFields(app).map(({ field }) => field)
  const valuesOf = ({ node }: Member): string[] =>
    fields.map(field => attributeOf(node, field) ?? '')
  const zoneOf = ({ node }: Member): string => attributeOf(node, '@zone') ?? ''

  const byValues = collect(ring, fields.length === 0 ? () => '' : m => JSON.stringify(valuesOf(m)))
  const cells: Cell<Member>[] = []
  for (const [key, wide] of byValues) {
    for (const [zone, own] of collect(wide, zoneOf)) {
      const values = valuesOf(own.members[0]!)
      cells.push({ hash: hashText(`${key}${zone}`), ring: own, wide, values, zone })
    }
  }
  const cellOf = new Map<Member, Cell<Member>>()
  if (cells.length > 1) {
    for (const cell of cells) for (const member of cell.ring.members) cellOf.set(member, cell)
  }
  return { cells, cellOf }
}

/** A ring for each key that members have; the same ring where all have the same. */
function collect<Member extends GroupMember>(
  ring: Ring<Member>,
  keyOf: (member: Member) => string,
): Map<string, Ring<Member>> {
  const byKey = new Map<string, Member[]>()
  for (const member of ring.members) {
    const key = keyOf(member)
    const members = byKey.get(key)
    if (members === undefined) byKey.set(key, [member])
    else members.push(member)
  }
  const whole = byKey.size === 1 ? ring : undefined
  return new Map([...byKey].map(([key, members]) => [key, whole ?? createRing(members)]))
}

/**
 * Gives each slot of an app the cell it belongs to, so that slots are even over
 * GROUP_BY values and over zones, as far as there are nodes in them.
 *
 * Slot by slot, each takes the cell that is used least (ties by hash of slot and
 * cell). So the cells of the lower slots do not change when the app is scaled, and the
 * loss of a node changes no cell while its cell has nodes enough.
 *
 * @returns For each slot its cell; nothing for one that GROUP_BY leaves no value for.
 */
export function spread<Member extends GroupMember>(
  app: PlacementApp,
  { cells }: Group<Member>,
  slots: readonly { readonly hash: number }[],
): (Cell<Member> | undefined)[] {
  const fields = groupFields(app)
  if (cells.length === 0) return []
  const inCell = cells.map(() => 0)
  const inZone = new Map(cells.map(({ zone }) => [zone, 0]))
  const inValue = fields.map((_, index) => new Map(cells.map(({ values }) => [values[index]!, 0])))
  return slots.map(slot => {
    // Marathon's rule: a value takes one more only while none has fewer; values still to come have none.
    const most = fields.map(({ atLeast }, index) =>
      inValue[index]!.size < atLeast ? 0 : Math.min(...inValue[index]!.values()),
    )
    let best = -1
    let bestRank = [0, 0, 0]
    for (const [at, { hash, ring, values, zone }] of cells.entries()) {
      if (values.some((value, index) => inValue[index]!.get(value)! > most[index]!)) continue
      const layer = Math.floor(inCell[at]! / ring.members.length)
      const rank = [layer, inZone.get(zone)!, mix32(slot.hash ^ hash)]
      if (best >= 0 && compareRanks(rank, bestRank) >= 0) continue
      best = at
      bestRank = rank
    }
    const cell = cells[best]
    if (cell === undefined) return undefined
    inCell[best]!++
    inZone.set(cell.zone, inZone.get(cell.zone)! + 1)
    for (const [index, value] of cell.values.entries()) {
      inValue[index]!.set(value, inValue[index]!.get(value)! + 1)
    }
    return cell
  })
}

function compareRanks(one: readonly number[], other: readonly number[]): number {
  return one[0]! - other[0]! || one[1]! - other[1]! || one[2]! - other[2]!
}
