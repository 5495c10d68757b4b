import fc from 'fast-check'
import t from 'tap'
import type { PlacementInput } from '../../src/placement/input.ts'
import { place } from '../../src/placement/place.ts'
import { createPlacer } from '../../src/placement/placer.ts'
import { anyApp, anyInput, anyNode, print, violations } from './cluster.ts'

const change = fc.oneof(
  fc.record({ kind: fc.constant('node' as const), node: anyNode }),
  fc.record({ kind: fc.constant('no node' as const), at: fc.nat(20) }),
  fc.record({ kind: fc.constant('app' as const), app: anyApp }),
  fc.record({ kind: fc.constant('no app' as const), at: fc.nat(20) }),
)

function apply(
  { apps, nodes }: PlacementInput,
  by: typeof change extends fc.Arbitrary<infer C> ? C : never,
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
  }
}

t.test('Placer gives the answer of place() after any changes', async () => {
  fc.assert(
    fc.property(anyInput, fc.array(change, { maxLength: 12 }), (input, changes) => {
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
    { numRuns: 2000 },
  )
})
