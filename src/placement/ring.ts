/**
 * Multi-probe scores (after Appleton and O'Reilly, arXiv 1505.00062).
 *
 * Every node has {@link POINTS} points on a ring of 2³² places, every slot has
 * {@link PROBES} probes. The distance of a slot and a node is the shortest way clockwise
 * from one of the probes to one of the points. It depends on nothing but the two, so
 * preferring the smallest is rendezvous hashing: free of order, and only what a
 * node held moves when it goes. Unlike with other scores, the nearest nodes are
 * found by looking next to the probes, not by scoring all of them.
 *
 * Chances of nodes differ by a standard deviation of 1/√((2 × probes + 1) × points), here
 * 12 %. With one point and 21 probes, as in the paper, it is 15 %, but nodes that
 * happen to lie just behind another get next to nothing.
 *
 * @module
 */

import { hashText, mix32 } from './hash.ts'

/** Probes per slot. Finding the nearest node takes as many looks at the ring. */
export const PROBES = 8

/** Points per node. The ring has as many times as many places to keep. */
export const POINTS = 4

/** More nodes than this would not fit beside a point in an exact integer. */
const OWNERS_MAX = 2 ** 20

/** From here down all members are scored, which is faster than walking. */
const SMALL_RING = 24

/** Where a slot's probes are: `start`, `start + stride`, … (mod 2³²). Both are signed, which is what V8 keeps without a box. */
export interface Probes {
  readonly start: number
  readonly stride: number
}

/** Something with points on the ring. The id settles ties, and must be unique. */
export interface RingMember {
  readonly id: string
  readonly points: Uint32Array
}

/** A member at its distance from some slot's probes. */
export interface Ranked<Member> {
  readonly member: Member
  readonly distance: number
}

/** Members with their points in order. */
export interface Ring<Member extends RingMember> {
  /** By id. */
  readonly members: readonly Member[]
  /** Worked out when first asked for: after most changes nobody asks a ring of which there are several. */
  readonly places: Places
  /** The places, if anybody has asked for them yet. */
  readonly placesSoFar: Places | undefined
}

/** The points of a ring in order, with an index into them. */
export interface Places {
  readonly points: Uint32Array
  /** Of each point, the member's position in the ring's list. */
  readonly owners: Uint32Array
  /** For each bucket of places, where its first point is. */
  readonly index: Uint32Array
  readonly shift: number
}

/** The member with the given id, if it is on the ring. */
export function memberOf<Member extends RingMember>(
  { members }: Ring<Member>,
  id: string,
): Member | undefined {
  let from = 0
  let to = members.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if (members[middle]!.id < id) from = middle + 1
    else to = middle
  }
  const found = members[from]
  return found?.id === id ? found : undefined
}

/** The points of the member with the given id. */
export function pointsOf(id: string): Uint32Array {
  const hash = hashText(id)
  return Uint32Array.from({ length: POINTS }, (_, at) => mix32(hash + Math.imul(at, 0x9e3779b1)))
}

/** Orders members by id. */
export function byId(one: RingMember, other: RingMember): number {
  return one.id < other.id ? -1 : Number(one.id > other.id)
}

/** Builds a ring of members that are in the order of {@link byId} already. */
export function createRing<Member extends RingMember>(members: readonly Member[]): Ring<Member> {
  return lazyRing(members, () => placesOf(members))
}

/**
 * The ring of `members`, which are those of another `ring` but for a few that went, and with those that `came`: what
 * {@link createRing} gives, but without sorting all points again.
 */
export function changeRing<Member extends RingMember>(
  ring: Ring<Member>,
  members: readonly Member[],
  came: ReadonlySet<Member>,
): Ring<Member> {
  const { placesSoFar, members: before } = ring
  if (placesSoFar === undefined) return createRing(members)
  return lazyRing(members, () => changedPlaces(placesSoFar, before, members, came))
}

function lazyRing<Member extends RingMember>(
  members: readonly Member[],
  make: () => Places,
): Ring<Member> {
  let places: Places | undefined
  let makeOnce: (() => Places) | undefined = make
  return {
    members,
    get places() {
      places ??= makeOnce!()
      // What it was made from must not be kept.
      makeOnce = undefined
      return places
    },
    get placesSoFar() {
      return places
    },
  }
}

function placesOf(members: readonly RingMember[]): Places {
  const count = members.length * POINTS
  // Point and owner packed into one exact integer: plain numbers sort much faster than objects.
  const packed = new Float64Array(count)
  for (let owner = 0; owner < members.length; owner++) {
    const { points } = members[owner]!
    for (let at = 0; at < POINTS; at++) {
      packed[owner * POINTS + at] = points[at]! * OWNERS_MAX + owner
    }
  }
  packed.sort() // oxlint-disable-line unicorn/no-array-sort -- its own copy, and large
  const points = new Uint32Array(count)
  const owners = new Uint32Array(count)
  for (let at = 0; at < count; at++) {
    const point = Math.floor(packed[at]! / OWNERS_MAX)
    points[at] = point
    owners[at] = packed[at]! - point * OWNERS_MAX
  }
  return indexed(points, owners)
}

/** The places after a change: the old ones without those of members that went, and the new ones in their order between them. */
function changedPlaces(
  old: Places,
  before: readonly RingMember[],
  members: readonly RingMember[],
  came: ReadonlySet<RingMember>,
): Places {
  // Where each of the members from before is now; those that went are nowhere.
  const positions = new Int32Array(before.length).fill(-1)
  for (let from = 0, position = 0; position < members.length; position++) {
    const member = members[position]!
    if (came.has(member)) continue
    while (before[from] !== member) from++
    positions[from++] = position
  }
  const added = members
    .flatMap((member, owner) =>
      came.has(member) ? Array.from(member.points, point => ({ point, owner })) : [],
    )
    .toSorted((one, other) => one.point - other.point || one.owner - other.owner)
  const count = members.length * POINTS
  const points = new Uint32Array(count)
  const owners = new Uint32Array(count)
  let at = 0
  let next = 0
  const put = (point: number, owner: number): void => {
    points[at] = point
    owners[at++] = owner
  }
  for (let from = 0; from < old.points.length; from++) {
    const owner = positions[old.owners[from]!]!
    if (owner === -1) continue
    const point = old.points[from]!
    for (; next < added.length; next++) {
      const other = added[next]!
      if (other.point > point || (other.point === point && other.owner > owner)) break
      put(other.point, other.owner)
    }
    put(point, owner)
  }
  for (const { point, owner } of added.slice(next)) put(point, owner)
  return indexed(points, owners)
}

/** Adds the index to points that are in order. */
function indexed(points: Uint32Array, owners: Uint32Array): Places {
  const count = points.length
  const bits = Math.min(20, 33 - Math.clz32(count))
  const shift = 32 - bits
  const index = new Uint32Array(2 ** bits + 1)
  for (let bucket = 0, at = 0; bucket <= 2 ** bits; bucket++) {
    while (at < count && points[at]! >>> shift < bucket) at++
    index[bucket] = at
  }
  return { points, owners, index, shift }
}

/** The probes of what has the given hash. */
export function probesOf(hash: number): Probes {
  return { start: mix32(hash ^ 0x3c6ef372) | 0, stride: mix32(hash ^ 0x1b873593) | 1 }
}

/** The score of a slot and a node: 0 to 2³² − 1, the smaller the better. */
export function distanceOf({ start, stride }: Probes, points: Uint32Array): number {
  let best = 0xffffffff
  for (let at = 0; at < POINTS; at++) {
    let gap = (points[at]! - start) | 0
    for (let probe = 0; probe < PROBES; probe++) {
      const distance = gap >>> 0
      if (distance < best) best = distance
      gap = (gap - stride) | 0
    }
  }
  return best
}

/** The `count` nearest members, the nearest first; fewer only where the ring has fewer. */
export function nearest<Member extends RingMember>(
  ring: Ring<Member>,
  probes: Probes,
  count: number,
): Ranked<Member>[] {
  const size = ring.members.length
  if (size === 0) return []
  if (size <= SMALL_RING || count * 4 >= size) return scoreAll(ring, probes, count)
  return walk(ring, probes, count)
}

/** The nearest member of a ring that is not empty: what {@link nearest} gives first, but faster. */
export function closest<Member extends RingMember>(ring: Ring<Member>, probes: Probes): Member {
  const { members } = ring
  const { points, owners, index, shift } = ring.places
  const count = points.length
  let place = probes.start >>> 0
  let best = members.length
  let distance = 0xffffffff
  for (let probe = 0; probe < PROBES; probe++) {
    let at = index[place >>> shift]!
    while (at < count && points[at]! < place) at++
    if (at === count) at = 0
    const other = (points[at]! - place) >>> 0
    // Members are by id and points that collide by owner, so the lower position wins a tie.
    if (other < distance || (other === distance && owners[at]! < best)) {
      best = owners[at]!
      distance = other
    }
    place = (place + probes.stride) >>> 0
  }
  return members[best]!
}

/** Position of the first point at `place` or after it. */
function seek({ points, index, shift }: Places, place: number): number {
  let at = index[place >>> shift]!
  while (at < points.length && points[at]! < place) at++
  return at === points.length ? 0 : at
}

function scoreAll<Member extends RingMember>(
  { members }: Ring<Member>,
  probes: Probes,
  count: number,
): Ranked<Member>[] {
  return members
    .map(member => ({ member, distance: distanceOf(probes, member.points) }))
    .toSorted(byDistance)
    .slice(0, count)
}

function byDistance(one: Ranked<RingMember>, other: Ranked<RingMember>): number {
  return one.distance - other.distance || (one.member.id < other.member.id ? -1 : 1)
}

/** Follows all probes at once, always the one that is closest to its next member. */
function walk<Member extends RingMember>(
  ring: Ring<Member>,
  { start, stride }: Probes,
  count: number,
): Ranked<Member>[] {
  const { points, owners } = ring.places
  const places: number[] = []
  const ats: number[] = []
  for (
    let probe = 0, place = start >>> 0;
    probe < PROBES;
    probe++, place = (place + stride) >>> 0
  ) {
    places.push(place)
    ats.push(seek(ring.places, place))
  }
  const found: Ranked<Member>[] = []
  const seen = new Set<number>()
  while (found.length < count) {
    let next = 0
    let distance = Infinity
    for (let probe = 0; probe < PROBES; probe++) {
      const at = ats[probe]!
      const other = (points[at]! - places[probe]!) >>> 0
      if (other > distance) continue
      if (other === distance && owners[at]! >= owners[ats[next]!]!) continue
      next = probe
      distance = other
    }
    const owner = owners[ats[next]!]!
    ats[next] = (ats[next]! + 1) % points.length
    if (seen.has(owner)) continue
    seen.add(owner)
    found.push({ member: ring.members[owner]!, distance })
  }
  return found
}
