import fc from 'fast-check'
import t from 'tap'
import {
  byId,
  changeRing,
  createRing,
  pointsOf,
  type RingMember,
} from '../../src/placement/ring.ts'

const MEMBERS = Array.from({ length: 40 }, (_, index): RingMember => {
  const id = `node-${index}`
  return { id, points: pointsOf(id) }
}).toSorted(byId)

/** Members of which each has the same points as another: ties, which ids settle. */
const TWINS = MEMBERS.map((member, index) => ({ ...member, points: MEMBERS[index >> 1]!.points }))

t.test('changeRing() gives what createRing() gives, whoever came and went', async t => {
  const some = fc.uniqueArray(fc.nat({ max: MEMBERS.length - 1 }))
  fc.assert(
    fc.property(some, some, fc.boolean(), (before, after, areTwins) => {
      const all = areTwins ? TWINS : MEMBERS
      const [old, members] = [before, after].map(picked =>
        all.filter((_, index) => picked.includes(index)),
      )
      const came = new Set(members!.filter(member => !old!.includes(member)))
      const [ring, unasked] = [createRing(old!), createRing(old!)]
      t.ok(ring.places)
      const wanted = createRing(members!)
      for (const from of [ring, unasked]) {
        const changed = changeRing(from, members!, came)
        t.strictSame(changed.members, wanted.members)
        t.strictSame(changed.places, wanted.places)
      }
    }),
    { numRuns: 300 },
  )
})
