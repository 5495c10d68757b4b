import fc from 'fast-check'
import t from 'tap'
import type { SlotId } from '../../src/model/ids.ts'
import { explain } from '../../src/placement/explain.ts'
import { place } from '../../src/placement/place.ts'
import type { PlacementApp, PlacementNode } from '../../src/placement/input.ts'
import { anyInput, app, node, nodes } from './cluster.ts'

t.test('explain() chooses as place() does, and names every node once', async () => {
  fc.assert(
    fc.property(anyInput, input => {
      const { placed, unplaced } = place(input)
      for (const slot of [...placed.keys(), ...unplaced.keys()]) {
        const all = explain(input, slot)
        const chosen = all.filter(({ verdict }) => verdict === 'chosen').map(({ node: on }) => on)
        const expected = placed.get(slot)
        if (chosen.join() !== (expected ?? ''))
          throw new Error(`${slot}: ${chosen.join()}, not ${expected}`)
        if (new Set(all.map(({ node: on }) => on)).size !== input.nodes.length)
          throw new Error('nodes')
        if (expected === undefined && all.some(({ verdict }) => verdict === 'eligible')) {
          throw new Error(`${slot} has no node, but one is eligible`)
        }
      }
    }),
    { numRuns: 300 },
  )
})

t.test('explain() names the next node as the one that takes over', async t => {
  const input = { apps: [app('/a', { instances: 3 })], nodes: nodes(8) }
  const [chosen, next] = explain(input, '/a.0' as SlotId)
  t.equal(chosen?.verdict, 'chosen')
  t.equal(next?.verdict, 'eligible')
  const without = input.nodes.filter(({ id }) => id !== chosen?.node)
  t.equal(place({ ...input, nodes: without }).placed.get('/a.0' as SlotId), next?.node)
})

const zoned = (over: Partial<PlacementApp>): PlacementApp => app('/web', over)
const reasons: { apps: PlacementApp[]; node: PlacementNode; reason: string }[] = [
  {
    apps: [
      zoned({ resources: { cpus: 0, memMb: 4096, diskMb: 0, gpus: 0 } }),
      app('/big', { mode: 'global', resources: { cpus: 0, memMb: 6800, diskMb: 0, gpus: 0 } }),
    ],
    node: node('n0', { capacity: { cpus: 4, memMb: 8000, diskMb: 0, gpus: 0 } }),
    reason: 'needs 4096 MB of memory, 1200 of 8000 are free',
  },
  {
    apps: [zoned({ constraints: [{ field: '@zone', operator: 'IS', value: 'eu-1' }] })],
    node: node('n0', { labels: { zone: 'us-2' } }),
    reason: 'constraint @zone IS eu-1: this node has us-2',
  },
  {
    apps: [
      zoned({ fixedPorts: ['tcp 9001'] }),
      app('/lb', { mode: 'global', fixedPorts: ['tcp 9001'] }),
    ],
    node: node('n0'),
    reason: 'host port tcp 9001 is taken by /lb.n0',
  },
  {
    apps: [zoned({})],
    node: node('n0', {
      refusals: [
        { slot: '/web.0' as SlotId, revision: zoned({}).revision, reason: 'image not found' },
      ],
    }),
    reason: 'refuses: image not found',
  },
  {
    apps: [zoned({ runtime: 'docker' })],
    node: node('n0', { runtimes: { docker: false, process: true } }),
    reason: 'has no Docker engine',
  },
  {
    apps: [zoned({})],
    node: node('n0', { mode: 'drained' }),
    reason: 'is drained, and takes nothing',
  },
  {
    apps: [zoned({ constraints: [{ field: 'a', operator: 'LIKE', value: '(?=b)' }] })],
    node: node('n0', { labels: { a: 'b' } }),
    reason:
      'constraint a LIKE (?=b): cannot read the pattern (no lookaround, back references or \\b)',
  },
]
for (const { apps, node: only, reason } of reasons) {
  t.test(`explain() says: ${reason}`, async t => {
    const [verdict] = explain({ apps, nodes: [only] }, '/web.0' as SlotId)
    t.match(verdict, { verdict: 'refused', reason })
  })
}

t.test('explain() says that slots go to different nodes first', async t => {
  const input = { apps: [app('/web', { instances: 2 })], nodes: nodes(2) }
  const [, other] = explain(input, '/web.0' as SlotId)
  t.equal(other?.reason, 'already runs /web.1 (slots go to different nodes first)')
})

t.test('explain() has nothing to say of a slot that is not there', async t => {
  t.strictSame(explain({ apps: [app('/a')], nodes: nodes(2) }, '/a.1' as SlotId), [])
})
