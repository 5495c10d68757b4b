import { attributeOf, isHostname, staticRefusal } from './constraint.ts'
import { hashText } from './hash.ts'
import type { PlacementApp, PlacementNode } from './input.ts'
import { byId, changeRing, createRing, type Ring, type RingMember } from './ring.ts'

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
  /** True when all its nodes are cordoned: they have room for what they hold, and for nothing else. */
  readonly shut: boolean
}

/** The nodes that may hold an app's slots at all, shared by all apps that ask for the same. */
export interface Group<Member extends GroupMember> {
  readonly ring: Ring<Member>
  /** In an order of their own; never empty unless the ring is. */
  readonly cells: readonly Cell<Member>[]
  readonly cellOf: ReadonlyMap<Member, Cell<Member>>
  /** Those of its nodes that are cordoned: still of the group, so that a cordon changes nobody's cell. */
  readonly shut: readonly Member[]
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

/**
 * The group after some members went and others came, or the same object if none of them matters to it. It has
 * the rings of the cells that did not change; the old group is of no use then.
 */
export function updateGroup<Member extends GroupMember>(
  app: PlacementApp,
  group: Group<Member>,
  gone: ReadonlySet<Member>,
  came: readonly Member[],
): Group<Member> {
  const added = came.filter(({ node }) => staticRefusal(app, node) === undefined)
  const change = { gone, came: new Set(added) }
  const ring = updateRing(group.ring, change)
  if (ring === group.ring) return group
  return { ring, clusters: group.clusters, ...createCells(app, ring, { group, ...change }) }
}

interface RingChange<Member> {
  readonly gone: ReadonlySet<Member>
  readonly came: ReadonlySet<Member>
}

/** The ring without those that went, and with those that came, all of which belong into it; the same if that changes nothing. */
function updateRing<Member extends GroupMember>(
  ring: Ring<Member>,
  { gone, came }: RingChange<Member>,
): Ring<Member> {
  const kept = ring.members.filter(member => !gone.has(member))
  if (came.size === 0 && kept.length === ring.members.length) return ring
  const added = [...came].toSorted(byId)
  const members: Member[] = []
  for (const member of kept) {
    while (added[0] !== undefined && byId(added[0], member) < 0) members.push(added.shift()!)
    members.push(member)
  }
  members.push(...added)
  return changeRing(ring, members, came)
}

/**
 * "All with the first" needs no first: the hash of app and value says which value it is, the
 * same on every node. A sticky app goes on with the value that most of its holders have.
 */
function chooseCluster(
  { id, sticky, held }: PlacementApp,
  field: string,
  members: readonly GroupMember[],
): string | undefined {
  const seed = hashText(id)
  const holders = new Map<string, number>()
  for (const nodes of (sticky === true ? held?.values() : undefined) ?? []) {
    for (const node of nodes) holders.set(node, (holders.get(node) ?? 0) + 1)
  }
  const heldBy = new Map<string, number>()
  for (const { id: member, node } of members) {
    const value = attributeOf(node, field) ?? ''
    heldBy.set(value, (heldBy.get(value) ?? 0) + (holders.get(member) ?? 0))
  }
  return [...heldBy.keys()].toSorted(
    (one, other) =>
      heldBy.get(other)! - heldBy.get(one)! ||
      hashText(one, seed) - hashText(other, seed) ||
      (one < other ? -1 : 1),
  )[0]
}

/** True when GROUP_BY spreads the app's slots over values, and not only over nodes, which all apps are. */
export function isGrouped(app: PlacementApp): boolean {
  return groupFields(app).length > 0
}

/** The fields that GROUP_BY spreads over, with the number of values there are to be at least. */
export function groupFields({ constraints }: PlacementApp): { field: string; atLeast: number }[] {
  return constraints
    .filter(({ field, operator }) => operator === 'GROUP_BY' && !isHostname(field))
    .map(({ field, value }) => ({ field, atLeast: value === undefined ? 0 : Number(value) }))
}

/** @param before The cells as they were: those that stay keep their rings. */
function createCells<Member extends GroupMember>(
  app: PlacementApp,
  ring: Ring<Member>,
  before?: RingChange<Member> & { readonly group: Group<Member> },
): Pick<Group<Member>, 'cells' | 'cellOf' | 'shut'> {
  const fields = groupFields(app).map(({ field }) => field)
  const valuesOf = ({ node }: Member): string[] =>
    fields.map(field => attributeOf(node, field) ?? '')
  const zoneOf = ({ node }: Member): string => attributeOf(node, '@zone') ?? ''

  const keyOf = (values: readonly string[]): string =>
    fields.length === 0 ? '' : JSON.stringify(values)
  const wides = new Map(before?.group.cells.map(({ values, wide }) => [keyOf(values), wide]))
  const owns = new Map(
    before?.group.cells.map(cell => [`${keyOf(cell.values)}${cell.zone}`, cell.ring]),
  )
  const remake = (known: Ring<Member> | undefined, members: readonly Member[]): Ring<Member> => {
    if (known === undefined || before === undefined) return createRing(members)
    const isSame =
      known.members.length === members.length &&
      known.members.every((member, at) => member === members[at])
    return isSame ? known : changeRing(known, members, before.came)
  }

  const byValues = collect(
    ring,
    fields.length === 0 ? () => '' : member => keyOf(valuesOf(member)),
    (key, members) => remake(wides.get(key), members),
  )
  const cells: Cell<Member>[] = []
  for (const [key, wide] of byValues) {
    const byZone = collect(wide, zoneOf, (zone, members) =>
      remake(owns.get(`${key}${zone}`), members),
    )
    for (const [zone, own] of byZone) {
      const values = valuesOf(own.members[0]!)
      const shut = own.members.every(isShut)
      cells.push({ hash: hashText(`${key}${zone}`), ring: own, wide, values, zone, shut })
    }
  }
  const cellOf = new Map<Member, Cell<Member>>()
  if (cells.length > 1) {
    for (const cell of cells) for (const member of cell.ring.members) cellOf.set(member, cell)
  }
  return { cells, cellOf, shut: ring.members.filter(isShut) }
}

function isShut({ node }: GroupMember): boolean {
  return node.mode === 'cordoned'
}

/** A ring for each key that members have, made by `ringOf`; the same ring where all have the same. */
function collect<Member extends GroupMember>(
  ring: Ring<Member>,
  keyOf: (member: Member) => string,
  ringOf: (key: string, members: readonly Member[]) => Ring<Member>,
): Map<string, Ring<Member>> {
  const byKey = new Map<string, Member[]>()
  for (const member of ring.members) {
    const key = keyOf(member)
    const members = byKey.get(key)
    if (members === undefined) byKey.set(key, [member])
    else members.push(member)
  }
  const whole = byKey.size === 1 ? ring : undefined
  return new Map([...byKey].map(([key, members]) => [key, whole ?? ringOf(key, members)]))
}
