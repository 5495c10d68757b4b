/**
 * Multi-probe scores (Appleton and O'Reilly, arXiv 1505.00062).
 *
 * Every node has one point on a ring of 2³² places, every slot has {@link PROBES}
 * probes on it. The distance of a slot and a node is the shortest way clockwise
 * from one of the probes to the point. It depends on nothing but the two, so
 * preferring the smallest is rendezvous hashing: free of order, and only what a
 * node held moves when it goes. Unlike with other scores, the nearest nodes are
 * found by looking next to the probes, not by scoring all of them.
 *
 * @module
 */

import { mix32 } from './hash.ts'

/** Probes per slot. More even out the chances of nodes (largest over mean: about 1 + 1/(probes − 1)), and cost as much more time. */
export const PROBES = 21

/** From here down all members are scored, which is faster than walking. */
const SMALL_RING = 24

/** Where a slot's probes are: `start`, `start + stride`, … (mod 2³²). Both are signed, which is what V8 keeps without a box. */
export interface Probes {
  readonly start: number
  readonly stride: number
}

/** Something with a point on the ring. The id settles ties, and must be unique. */
export interface RingMember {
  readonly id: string
  readonly point: number
}

/** A member at its distance from some slot's probes. */
export interface Ranked<Member> {
  readonly member: Member
  readonly distance: number
}

/** Members in ring order, with an index into it. */
export interface Ring<Member extends RingMember> {
  readonly members: readonly Member[]
  readonly points: Uint32Array
  /** For each bucket of places, where its first member is. */
  readonly index: Uint32Array
  readonly shift: number
}

/** Orders members as the ring does: by point, and where points collide by id. */
export function byPoint(one: RingMember, other: RingMember): number {
  return one.point - other.point || (one.id < other.id ? -1 : 1)
}

/** Builds a ring of members that are in the order of {@link byPoint} already. */
export function createRing<Member extends RingMember>(members: readonly Member[]): Ring<Member> {
  const bits = Math.min(20, 33 - Math.clz32(members.length))
  const shift = 32 - bits
  const points = Uint32Array.from(members, ({ point }) => point)
  const index = new Uint32Array(2 ** bits + 1)
  let at = 0
  for (let bucket = 0; bucket < 2 ** bits; bucket++) {
    while (at < points.length && points[at]! >>> shift < bucket) at++
    index[bucket] = at
  }
  index[2 ** bits] = points.length
  return { members, points, index, shift }
}

/** The probes of what has the given hash. */
export function probesOf(hash: number): Probes {
  return { start: mix32(hash ^ 0x3c6ef372) | 0, stride: mix32(hash ^ 0x1b873593) | 1 }
}

/** The score of a slot and a node: 0 to 2³² − 1, the smaller the better. */
export function distanceOf({ start, stride }: Probes, point: number): number {
  let best = 0xffffffff
  let gap = (point - start) | 0
  for (let probe = 0; probe < PROBES; probe++) {
    const distance = gap >>> 0
    if (distance < best) best = distance
    gap = (gap - stride) | 0
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
  const { members, points, index, shift } = ring
  const size = points.length
  let place = probes.start >>> 0
  let best = -1
  let distance = 0xffffffff
  for (let probe = 0; probe < PROBES; probe++) {
    let at = index[place >>> shift]!
    while (at < size && points[at]! < place) at++
    if (at === size) at = 0
    const other = (points[at]! - place) >>> 0
    if (other < distance || (other === distance && isBefore(members, at, best))) {
      best = at
      distance = other
    }
    place = (place + probes.stride) >>> 0
  }
  return members[best]!
}

function isBefore(members: readonly RingMember[], at: number, best: number): boolean {
  return best < 0 || members[at]!.id < members[best]!.id
}

/** Position of the first member at `place` or after it. */
function seek({ points, index, shift }: Ring<RingMember>, place: number): number {
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
    .map(member => ({ member, distance: distanceOf(probes, member.point) }))
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
  const places: number[] = []
  const ats: number[] = []
  for (
    let probe = 0, place = start >>> 0;
    probe < PROBES;
    probe++, place = (place + stride) >>> 0
  ) {
    places.push(place)
    ats.push(seek(ring, place))
  }
  const found: Ranked<Member>[] = []
  const seen = new Set<Member>()
  while (found.length < count) {
    let next = 0
    let distance = Infinity
    for (let probe = 0; probe < PROBES; probe++) {
      const other = (ring.points[ats[probe]!]! - places[probe]!) >>> 0
      if (other > distance) continue
      if (other === distance && ring.members[ats[probe]!]!.id >= ring.members[ats[next]!]!.id)
        continue
      next = probe
      distance = other
    }
    const member = ring.members[ats[next]!]!
    ats[next] = (ats[next]! + 1) % ring.members.length
    if (seen.has(member)) continue
    seen.add(member)
    found.push({ member, distance })
  }
  return found
}
