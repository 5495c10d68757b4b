import fc from 'fast-check'
import t from 'tap'
import { slotIdOf } from '../../src/model/ids.ts'
import type { PlacementInput } from '../../src/placement/input.ts'
import { placementHash } from '../../src/placement/digest.ts'
import { place } from '../../src/placement/place.ts'
import { createPlacer } from '../../src/placement/placer.ts'
import {
  anyApp,
  anyInput,
  anyNode,
  app,
  node,
  nodes as makeNodes,
  print,
  unheld,
  violations,
} from './cluster.ts'

const anyChange = fc.oneof(
  fc.record({ kind: fc.constant('node' as const), node: anyNode }),
  fc.record({ kind: fc.constant('no node' as const), at: fc.nat(20) }),
  fc.record({ kind: fc.constant('app' as const), app: anyApp }),
  fc.record({ kind: fc.constant('no app' as const), at: fc.nat(20) }),
  fc.record({ kind: fc.constant('holders' as const), app: anyApp }),
)

function apply(
  { apps, nodes }: PlacementInput,
  by: typeof anyChange extends fc.Arbitrary<infer C> ? C : never,
): PlacementInput {
  switch (by.kind) {
    case 'node':
      return { apps, nodes: [...nodes.filter(({ id }) => id !== by.node.id), by.node] }
    case 'no node':
      return { apps, nodes: nodes.filter((_, index) => index !== by.at % nodes.length) }
    case 'app':
      return { nodes, apps: [...apps.filter(({ id }) => id !== by.app.id), by.app] }
    case 'no app':
      return { nodes, apps: apps.filter((_, index) => index !== by.at % apps.length) }
    case 'holders': {
      const { held } = by.app
      return {
        nodes,
        apps: apps.map(each =>
          each.id === by.app.id && held !== undefined
            ? { ...each, held }
            : by.app.sticky === true
              ? unheld(each)
              : each,
        ),
      }
    }
  }
}

t.test('Placer gives the answer of place() after any changes', async () => {
  fc.assert(
    fc.property(anyInput, fc.array(anyChange, { maxLength: 12 }), (input, changes) => {
      const placer = createPlacer()
      let now = input
      placer.place(now)
      for (const each of changes) {
        now = apply(now, each)
        const expected = place(now)
        const wrong = violations(now, expected)
        if (wrong.length > 0) throw new Error(wrong.join('\n'))
        const actual = placer.place(now)
        if (print(actual) !== print(expected)) {
          throw new Error(`expected\n${print(expected)}\ngot\n${print(actual)}`)
        }
      }
    }),
    { numRuns: 700 },
  )
})

t.test(
  'Placer lets the highest slots wait where there is not room for all, as place() does',
  async t => {
    const [small, large] = [500, 1000].map((memMb, at) =>
      node(`n${at}`, {
        labels: { zone: `z${3 - 2 * at}` },
        capacity: { cpus: 2, memMb, diskMb: 0, gpus: 0 },
      }),
    )
    const resources = { cpus: 0, memMb: 900, diskMb: 0, gpus: 0 }
    const constraints = [{ field: '@zone', operator: 'GROUP_BY' as const }]
    const web = app('/a', { instances: 2, resources, constraints })
    const placer = createPlacer()
    const steps: PlacementInput[] = [
      { apps: [], nodes: [small!, large!] },
      { apps: [web], nodes: [small!, large!] },
      { apps: [web, app('/b', { instances: 1 })], nodes: [small!, large!] },
      { apps: [app('/b', { instances: 1 })], nodes: [small!, large!] },
    ]
    for (const step of steps) t.equal(print(placer.place(step)), print(place(step)))
    t.equal(place(steps[1]!).placed.get(slotIdOf(web.id, 0)), large!.id)
  },
)

t.test('Placer gives the answer of place() on a crowded cluster', async () => {
  // Hardly any room and hardly any rule, so that one change pushes slots on from node to node.
  const sizes = [128, 128, 128, 256, 700]
  const apps = Array.from({ length: 60 }, (_, index) =>
    app(`/a${index}`, {
      instances: 1 + (index % 7),
      resources: { cpus: 0.1, memMb: sizes[index % 5]!, diskMb: 0, gpus: 0 },
      fixedPorts: index % 9 === 0 ? ['tcp 80'] : [],
    }),
  )
  const steps = fc.array(fc.record({ node: fc.nat(59), app: fc.nat(59), both: fc.boolean() }), {
    minLength: 5,
    maxLength: 10,
  })
  fc.assert(
    fc.property(steps, fc.boolean(), (changes, zoned) => {
      const all = makeNodes(60).map((each, index) =>
        node(each.id, {
          capacity: { cpus: 64, memMb: 1400 + (index % 3) * 128, diskMb: 0, gpus: 0 },
          labels: zoned ? { zone: `z${index % 3}` } : {},
        }),
      )
      const placer = createPlacer()
      const there = new Set(all.slice(0, 50))
      const wanted = new Set(apps.slice(0, 50))
      placer.place({ apps: [...wanted], nodes: [...there] })
      for (const change of changes) {
        toggle(there, all[change.node]!)
        if (change.both) toggle(wanted, apps[change.app]!)
        const input = { apps: [...wanted], nodes: [...there] }
        const [expected, actual] = [place(input), placer.place(input)]
        if (print(actual) !== print(expected)) throw new Error('not the same')
        if (placementHash(actual) !== placementHash(expected))
          throw new Error('not the same digest')
      }
    }),
    { numRuns: 60 },
  )
})

t.test('Placer gives the same object when nothing changed', async t => {
  const placer = createPlacer()
  const input = { apps: [app('/a')], nodes: makeNodes(3) }
  const first = placer.place(input)
  t.equal(placer.place(structuredClone(input)), first)
  t.not(placer.place({ ...input, nodes: makeNodes(2) }), first)
})

t.test('Placer leaves earlier answers as they were', async t => {
  const placer = createPlacer()
  const apps = [app('/a', { instances: 30 })]
  const before = placer.place({ apps, nodes: makeNodes(100) })
  const text = print(before)
  for (let count = 99; count > 60; count--) placer.place({ apps, nodes: makeNodes(count) })
  t.equal(print(before), text)
})

function toggle<Item>(set: Set<Item>, item: Item): void {
  if (!set.delete(item)) set.add(item)
}
