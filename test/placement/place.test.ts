import fc from 'fast-check'
import t from 'tap'
import type { Constraint } from '../../src/model/app.ts'
import type { NodeId, RevisionId, SlotId } from '../../src/model/ids.ts'
import type { PlacementApp, PlacementNode } from '../../src/placement/input.ts'
import { inputsHash, placementHash } from '../../src/placement/digest.ts'
import { place } from '../../src/placement/place.ts'
import { createRandom, shuffle } from '../../src/util/random.ts'
import { anyInput, app, moved, node, nodes, print, violations } from './cluster.ts'

/** How many slots each node got, the most first. */
function loads(apps: readonly PlacementApp[], all: readonly PlacementNode[]): number[] {
  const counts = new Map(all.map(({ id }) => [id, 0]))
  for (const on of place({ apps, nodes: all }).placed.values()) counts.set(on, counts.get(on)! + 1)
  return [...counts.values()].toSorted((one, other) => other - one)
}

t.test('place() breaks no rule', async () => {
  fc.assert(
    fc.property(anyInput, input => {
      const wrong = violations(input, place(input))
      if (wrong.length > 0) throw new Error(wrong.join('\n'))
    }),
    { numRuns: 1000 },
  )
})

t.test('place() and the digests do not depend on the order of the lists', async () => {
  fc.assert(
    fc.property(anyInput, fc.nat(), ({ apps, nodes: all }, seed) => {
      const random = createRandom(seed)
      const one = { apps, nodes: all }
      const other = structuredClone({ apps: shuffle(apps, random), nodes: shuffle(all, random) })
      const [first, second] = [place(one), place(other)]
      return (
        print(first) === print(second) &&
        inputsHash(one) === inputsHash(other) &&
        placementHash(first) === placementHash(second)
      )
    }),
  )
})

t.test('place() decides every slot, and only slots that there are', async () => {
  fc.assert(
    fc.property(anyInput, input => {
      const { placed, unplaced } = place(input)
      const wanted = input.apps
        .filter(({ mode }) => mode === 'replicated')
        .reduce((sum, { instances }) => sum + instances, 0)
      const got = [...placed.keys(), ...unplaced.keys()]
      const globals = new Set(
        input.apps.filter(({ mode }) => mode === 'global').map(({ id }): string => id),
      )
      return (
        got.filter(slot => !globals.has(slot.slice(0, slot.lastIndexOf('.')))).length === wanted &&
        new Set(got).size === got.length
      )
    }),
  )
})

t.test('place() moves only what a leaving node held, when there is room', async () => {
  const size = fc.integer({ min: 6, max: 40 })
  fc.assert(
    fc.property(size, fc.nat(39), fc.integer({ min: 1, max: 5 }), (count, at, instances) => {
      const all = nodes(count)
      const apps = Array.from({ length: 8 }, (_, index) => app(`/a${index}`, { instances }))
      const before = place({ apps, nodes: all })
      const gone = all[at % count]!
      const after = place({ apps, nodes: all.filter(each => each !== gone) })
      const others = moved(before, after).filter(slot => before.placed.get(slot) !== gone.id)
      // Siblings keep off one another's nodes, so a slot may push a sibling on, but never another app's slot.
      return others.every(slot =>
        [...before.placed].some(
          ([held, on]) =>
            on === gone.id &&
            held.slice(0, held.lastIndexOf('.')) === slot.slice(0, slot.lastIndexOf('.')),
        ),
      )
    }),
  )
})

t.test('place() moves nothing of an app when another is added, edited or removed', async t => {
  const apps = Array.from({ length: 30 }, (_, index) => app(`/a${index}`, { instances: 5 }))
  const all = nodes(20)
  const before = place({ apps, nodes: all })
  const edited = app('/a3', {
    instances: 9,
    revision: 'r2' as RevisionId,
    resources: { cpus: 1, memMb: 500, diskMb: 1, gpus: 0 },
  })
  for (const others of [
    [...apps, app('/new', { instances: 15 })],
    apps.map(each => (each.id === '/a3' ? edited : each)),
  ]) {
    t.strictSame(moved(before, place({ apps: others, nodes: all })), [])
  }
  const without = place({ apps: apps.slice(1), nodes: all })
  t.ok(moved(before, without).every(slot => slot.startsWith('/a0.')))
})

t.test('place() moves about what has to move on a full cluster', async t => {
  const all = nodes(201, { maxSlots: 13 })
  const apps = Array.from({ length: 200 }, (_, index) => app(`/a${index}`, { instances: 10 }))
  const before = place({ apps, nodes: all.slice(0, 200) })
  let total = 0
  let needed = 0
  for (let at = 0; at < 20; at++) {
    const gone = all[at]!
    total += moved(
      before,
      place({ apps, nodes: all.slice(0, 200).filter(each => each !== gone) }),
    ).length
    needed += [...before.placed.values()].filter(on => on === gone.id).length
  }
  t.ok(total / needed <= 1.3, `${total} moved, ${needed} had to`)
})

const spreads = [
  { name: 'different nodes first', count: 5, instances: 5, expected: [1, 1, 1, 1, 1] },
  { name: 'doubling up evenly', count: 3, instances: 8, expected: [3, 3, 2] },
  { name: 'doubling up evenly at large shares', count: 3, instances: 100, expected: [34, 33, 33] },
  { name: 'no more than instances', count: 4, instances: 2, expected: [1, 1, 0, 0] },
]
for (const { name, count, instances, expected } of spreads) {
  t.test(`place() spreads an app: ${name}`, async t => {
    t.strictSame(loads([app('/a', { instances })], nodes(count)), expected)
  })
}

t.test(
  'place() spreads over zones before it uses one twice, and over nodes before zones',
  async t => {
    const all = Array.from({ length: 9 }, (_, index) =>
      node(`n${index}`, { labels: { zone: index < 5 ? 'a' : index < 8 ? 'b' : 'c' } }),
    )
    const zones = (instances: number): string => {
      const counts = { a: 0, b: 0, c: 0 }
      for (const on of place({ apps: [app('/x', { instances })], nodes: all }).placed.values()) {
        counts[all.find(({ id }) => id === on)!.labels['zone'] as 'a' | 'b' | 'c']++
      }
      return Object.values(counts).join()
    }
    t.equal(zones(3), '1,1,1')
    t.equal(zones(5), '2,2,1')
    t.equal(zones(9), '5,3,1')
  },
)

const labelled = [
  node('n0', { labels: { zone: 'z1', disk: 'ssd', mem: '1.0' } }),
  node('n1', { labels: { zone: 'z1', disk: 'hdd', mem: '1.0004' } }),
  node('n2', { labels: { zone: 'z2', disk: 'ssd', mem: '2' } }),
  node('n3', { labels: {} }),
]
const operators: { constraint: Constraint; instances: number; placed: number; on?: string[] }[] = [
  {
    constraint: { field: 'disk', operator: 'IS', value: 'ssd' },
    instances: 2,
    placed: 2,
    on: ['n0', 'n2'],
  },
  {
    constraint: { field: 'mem', operator: 'IS', value: '1' },
    instances: 2,
    placed: 2,
    on: ['n0', 'n1'],
  },
  { constraint: { field: 'disk', operator: 'LIKE', value: 's' }, instances: 2, placed: 0, on: [] },
  {
    constraint: { field: 'disk', operator: 'LIKE', value: 's+d' },
    instances: 2,
    placed: 2,
    on: ['n0', 'n2'],
  },
  {
    constraint: { field: 'disk', operator: 'LIKE', value: '.*' },
    instances: 3,
    placed: 3,
    on: ['n0', 'n1', 'n2'],
  },
  {
    constraint: { field: 'disk', operator: 'UNLIKE', value: 'ssd' },
    instances: 2,
    placed: 2,
    on: ['n1', 'n3'],
  },
  {
    constraint: { field: '@hostname', operator: 'CLUSTER', value: 'n3' },
    instances: 2,
    placed: 2,
    on: ['n3'],
  },
  {
    constraint: { field: '@zone', operator: 'CLUSTER', value: 'z1' },
    instances: 2,
    placed: 2,
    on: ['n0', 'n1'],
  },
  { constraint: { field: '@zone', operator: 'UNIQUE' }, instances: 3, placed: 2 },
  { constraint: { field: 'hostname', operator: 'UNIQUE' }, instances: 6, placed: 4 },
  { constraint: { field: '@hostname', operator: 'MAX_PER', value: '2' }, instances: 9, placed: 8 },
  { constraint: { field: '@zone', operator: 'MAX_PER', value: '2' }, instances: 9, placed: 4 },
  {
    constraint: { field: '@zone', operator: 'GROUP_BY' },
    instances: 4,
    placed: 4,
    on: ['n0', 'n1', 'n2'],
  },
  { constraint: { field: '@zone', operator: 'GROUP_BY', value: '3' }, instances: 4, placed: 2 },
  { constraint: { field: 'hostname', operator: 'GROUP_BY', value: '5' }, instances: 6, placed: 4 },
  { constraint: { field: '@region', operator: 'GROUP_BY' }, instances: 1, placed: 0, on: [] },
]
for (const { constraint, instances, placed, on } of operators) {
  const { field, operator, value = '' } = constraint
  t.test(`place() honours ${field} ${operator} ${value} for ${instances}`, async t => {
    const found = place({
      apps: [app('/a', { instances, constraints: [constraint] })],
      nodes: labelled,
    })
    t.equal(found.placed.size, placed)
    t.equal(found.unplaced.size, instances - placed)
    if (on !== undefined) t.strictSame([...new Set(found.placed.values())].toSorted(), on)
  })
}

t.test('place() keeps GROUP_BY even', async t => {
  const constraints: Constraint[] = [{ field: '@zone', operator: 'GROUP_BY' }]
  const { placed } = place({ apps: [app('/a', { instances: 6, constraints })], nodes: labelled })
  t.equal([...placed.values()].filter(on => on === 'n2').length, 3, 'as many in z2 as in z1')
})

t.test('place() puts all slots of CLUSTER without a value together', async t => {
  for (const name of ['/a', '/b', '/c', '/d', '/e', '/f']) {
    const constraints: Constraint[] = [{ field: '@zone', operator: 'CLUSTER' }]
    const { placed } = place({ apps: [app(name, { instances: 4, constraints })], nodes: labelled })
    t.equal(placed.size, 4)
    t.equal(new Set([...placed.values()].map(on => (on === 'n2' ? 'z2' : 'z1'))).size, 1)
  }
})

t.test('place() gives a fixed port to one holder per node', async t => {
  const apps = ['/a', '/b'].map(id => app(id, { instances: 2, fixedPorts: ['tcp 80'] }))
  const { placed, unplaced } = place({ apps, nodes: nodes(3) })
  t.equal(placed.size, 3)
  t.match([...unplaced.values()][0]?.summary, /3 × host port tcp 80 is taken/)
})

t.test('place() gives a slot that is refused to the next node', async t => {
  const apps = [app('/a')]
  const all = nodes(3)
  const first = place({ apps, nodes: all }).placed.get('/a.0' as SlotId)!
  const refuse = (revision: string): NodeId | undefined => {
    const refusals = [
      { slot: '/a.0' as SlotId, revision: revision as RevisionId, reason: 'no image' },
    ]
    const told = all.map(each => (each.id === first ? { ...each, refusals } : each))
    return place({ apps, nodes: told }).placed.get('/a.0' as SlotId)
  }
  t.not(refuse('r1'), first)
  t.equal(refuse('r0'), first, 'a refusal of another revision does not count')
})

t.test('place() gives a global app one slot on each node that may run it', async t => {
  const all = [
    node('n0'),
    node('n1', { mode: 'drained' }),
    node('n2', { runtimes: { docker: true, process: false } }),
  ]
  const { placed } = place({ apps: [app('/a', { mode: 'global' })], nodes: all })
  t.strictSame([...placed], [['/a.n0', 'n0']])
})

t.test('place() says why nothing is placed', async t => {
  const apps = [app('/a', { resources: { cpus: 0, memMb: 100_000, diskMb: 0, gpus: 0 } })]
  const { unplaced } = place({
    apps,
    nodes: [...nodes(2), node('x', { runtimes: { docker: true, process: false } })],
  })
  t.equal(
    unplaced.get('/a.0' as SlotId)?.summary,
    'no node can take it: 2 × has too little memory; 1 × runs no plain processes',
  )
  t.equal(place({ apps, nodes: [] }).unplaced.get('/a.0' as SlotId)?.summary, 'there is no node')
})

t.test('place() leaves the highest numbers waiting where there is not room for all', async t => {
  const three = nodes(3)
  for (const instances of [3, 4, 7]) {
    const before = place({
      apps: [app('/web', { instances: 3, fixedPorts: ['tcp 80'] })],
      nodes: three,
    })
    const after = place({
      apps: [app('/web', { instances, fixedPorts: ['tcp 80'] })],
      nodes: three,
    })
    t.strictSame([...after.unplaced.keys()].toSorted(), slotsFrom('/web', 3, instances))
    t.strictSame(moved(before, after), [], 'nothing that runs has to move')
  }
})

function slotsFrom(id: string, from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `${id}.${from + index}`)
}
