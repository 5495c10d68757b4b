import t from 'tap'
import { DIALS_PER_NODE, dialTargets, FULL_MESH_NODES_MAX } from '../../src/gossip/mesh.ts'
import type { NodeId } from '../../src/model/ids.ts'

const nodes = (count: number): NodeId[] =>
  Array.from({ length: count }, (_, index) => `node-${index}` as NodeId)
const nobody = new Set<NodeId>()

t.test('dialTargets() is everybody else in a small cluster', async t => {
  const few = nodes(FULL_MESH_NODES_MAX)
  t.strictSame(dialTargets(few[0]!, few, nobody), new Set(few.slice(1)))
})

t.test('dialTargets() is bounded in a large one, and all stay in one piece', async t => {
  const many = nodes(300)
  const links = new Map(many.map(node => [node, new Set<NodeId>()]))
  for (const node of many) {
    const targets = dialTargets(node, many, nobody)
    t.equal(targets.size, DIALS_PER_NODE)
    for (const target of targets) {
      links.get(node)!.add(target)
      links.get(target)!.add(node)
    }
  }
  // Half of them vanish at once.
  const left = many.filter((_, index) => index % 2 === 0)
  const reached = new Set([left[0]!])
  for (const node of reached) {
    for (const next of links.get(node)!) if (left.includes(next)) reached.add(next)
  }
  t.equal(reached.size, left.length)
  t.ok(Math.max(...[...links.values()].map(({ size }) => size)) <= 3 * DIALS_PER_NODE)
})

t.test(
  'dialTargets() does not depend on the order, and moves little when one node goes',
  async t => {
    const many = nodes(100)
    const before = dialTargets(many[0]!, many, nobody)
    t.strictSame(dialTargets(many[0]!, many.toReversed(), nobody), before)
    const [gone] = before
    const after = dialTargets(
      many[0]!,
      many.filter(node => node !== gone),
      nobody,
    )
    t.equal([...after].filter(node => !before.has(node)).length, 1)
  },
)

t.test('dialTargets() makes up for the unreachable, and goes on trying them', async t => {
  const many = nodes(100)
  const before = dialTargets(many[0]!, many, nobody)
  const dead = new Set([...before].slice(0, 3))
  const after = dialTargets(many[0]!, many, dead)
  t.equal(after.size, before.size + dead.size)
  for (const node of before) t.ok(after.has(node))
  const all = dialTargets(many[0]!, many, new Set(many))
  t.equal(all.size, 2 * DIALS_PER_NODE, 'but not without end')
})
