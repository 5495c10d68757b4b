/**
 * Slots that stay where they are: those of sticky apps, and those on a cordoned node. Who
 * holds what is an input, so every test plays a step of a cluster's life: place, let the
 * nodes hold what was placed, change something, place again.
 */

import fc from 'fast-check'
import t from 'tap'
import type { Constraint } from '../../src/model/app.ts'
import { appOfSlot, type NodeId, type SlotId } from '../../src/model/ids.ts'
import { inputsHash } from '../../src/placement/digest.ts'
import { explain } from '../../src/placement/explain.ts'
import type { Placement, PlacementInput, PlacementNode } from '../../src/placement/input.ts'
import { place } from '../../src/placement/place.ts'
import { createPlacer } from '../../src/placement/placer.ts'
import {
  anyInput,
  anyNode,
  app,
  holding,
  moved,
  node,
  nodes,
  print,
  unheld,
  violations,
} from './cluster.ts'

/** Every app sticky, and held by nobody yet. */
function sticky({ apps, nodes: all }: PlacementInput): PlacementInput {
  return { nodes: all, apps: apps.map(each => unheld(each, true)) }
}

t.test(
  'place() moves no sticky slot when nodes come, nor those of the nodes that stay',
  async () => {
    fc.assert(
      fc.property(
        anyInput,
        fc.array(anyNode, { maxLength: 6 }),
        fc.array(fc.nat(11), { maxLength: 6 }),
        (input, others, gone) => {
          const first = sticky(input)
          const before = place(first)
          const came = others.filter(({ id }) => input.nodes.every(each => each.id !== id))
          const changed = new Set<string>(gone.map(at => input.nodes[at]?.id ?? ''))
          const after = place({
            ...holding(first, before),
            nodes: [
              ...input.nodes.filter(({ id }) => !changed.has(id)),
              ...new Map(came.map(each => [each.id, each])).values(),
            ],
          })
          // How many slots GROUP_BY over host names allows on a node depends on how many nodes there are.
          const floats = input.apps.filter(({ constraints }) =>
            constraints.some(
              ({ field, operator }) => field === 'hostname' && operator === 'GROUP_BY',
            ),
          )
          for (const [slot, on] of before.placed) {
            if (changed.has(on) || floats.some(({ id }) => id === appOfSlot(slot))) continue
            if (after.placed.get(slot) !== on) {
              throw new Error(`${slot} moved from ${on} to ${after.placed.get(slot)}`)
            }
          }
        },
      ),
      { numRuns: 700 },
    )
  },
)

/** The input without the apps that have no room: cordoned or not, their slots change numbers with every change. */
function roomy(input: PlacementInput): PlacementInput {
  const crowded = new Set([...place(input).unplaced.keys()].map(slot => appOfSlot(slot)))
  if (crowded.size === 0) return input
  return roomy({ ...input, apps: input.apps.filter(({ id }) => !crowded.has(id)) })
}

function cordon(all: readonly PlacementNode[], id: string | undefined): PlacementNode[] {
  return all.map(each => (each.id === id ? { ...each, mode: 'cordoned' } : each))
}

t.test(
  'place() moves nothing when a node is cordoned, and then puts nothing new on it',
  async () => {
    let cordons = 0
    fc.assert(
      fc.property(anyInput, fc.nat(11), fc.array(anyNode, { maxLength: 3 }), (any, at, others) => {
        const input = roomy({
          apps: any.apps.map(each => unheld(each, false)),
          nodes: any.nodes.map(each => ({ ...each, mode: 'active' })),
        })
        const before = place(input)
        const { id } = input.nodes[at % input.nodes.length] ?? {}
        const cordoned = holding({ ...input, nodes: cordon(input.nodes, id) }, before)
        const after = place(cordoned)
        if (print(before) !== print(after)) {
          throw new Error(`before\n${print(before)}\nafter\n${print(after)}`)
        }
        const ids = new Set<string>(others.map(each => each.id))
        const kept = cordoned.nodes.filter(each => each.id === id || !ids.has(each.id))
        const came = [...new Map(others.map(each => [each.id, each])).values()]
        const changed = { ...cordoned, nodes: [...kept, ...came.filter(each => each.id !== id)] }
        const later = place(changed)
        const wrong = violations(changed, later)
        if (wrong.length > 0) throw new Error(wrong.join('\n'))
        const on = (placement: Placement): string[] =>
          [...placement.placed]
            .filter(([, where]) => where === id)
            .map(([slot]) => slot)
            .toSorted()
        // GROUP_BY alone may take from it what would be uneven now, and rules that count nodes.
        const plain = input.apps.every(({ constraints }) => constraints.length === 0)
        if (plain && on(before).join() !== on(later).join()) {
          throw new Error(`had ${on(before).join()}, has ${on(later).join()}`)
        }
        cordons += on(before).length
      }),
      { numRuns: 700 },
    )
    if (cordons < 200)
      throw new Error(`only ${cordons} slots were on a cordoned node: it proves little`)
  },
)

function slotsOf(input: PlacementInput): string[] {
  const { placed, unplaced } = place(input)
  return [...placed.keys(), ...unplaced.keys()].toSorted()
}

function hashOf(...pairs: readonly (readonly [string, readonly string[]])[]): string {
  const held = new Map(pairs.map(([slot, on]) => [slot as SlotId, on as NodeId[]]))
  return inputsHash({ apps: [app('/web', { sticky: true, held })], nodes: nodes(2) })
}

/** A slot, and the nodes that hold it. */
function heldBy(slot: SlotId, ...on: string[]): ReadonlyMap<SlotId, readonly NodeId[]> {
  return new Map([[slot, on as NodeId[]]])
}

t.test(
  'place() leaves a sticky slot alone when a better node comes, and takes any other there',
  async t => {
    const slot = '/web.0' as SlotId
    const all = nodes(8)
    const best = place({ apps: [app('/web')], nodes: all }).placed.get(slot)!
    const without = all.filter(({ id }) => id !== best)
    const second = place({ apps: [app('/web')], nodes: without }).placed.get(slot)!
    const held = heldBy(slot, second)
    const where = (over: Parameters<typeof app>[1], on = all): string | undefined =>
      place({ apps: [app('/web', over)], nodes: on }).placed.get(slot)
    t.equal(where({}), best)
    t.equal(where({ sticky: true, held }), second)
    t.equal(
      where({ sticky: true, held: heldBy(slot, best, second) }),
      best,
      'of two holders the score decides',
    )
    t.equal(where({ sticky: true, held }, without), second)
    for (const over of [
      { mode: 'drained' },
      { mode: 'leaving' },
      { refusals: [{ slot, revision: 'r1' as never, reason: 'no image' }] },
      { capacity: { cpus: 64, memMb: 1, diskMb: 0, gpus: 0 } },
      { runtimes: { docker: false, process: false } },
    ] as const) {
      const changed = all.map(each => (each.id === second ? { ...each, ...over } : each))
      t.equal(
        where({ sticky: true, held }, changed),
        best,
        `not on one that ${JSON.stringify(over)}`,
      )
    }
  },
)

t.test('place() gives a holder its room before all others, but no more than there is', async t => {
  const small = node('n0', { capacity: { cpus: 64, memMb: 256, diskMb: 0, gpus: 0 } })
  const held = new Map(
    [0, 1, 2].map(index => [`/web.${index}` as SlotId, ['n0' as NodeId]] as const),
  )
  const others = [
    app('/agent', { mode: 'global' }),
    ...Array.from({ length: 9 }, (_, at) => app(`/a${at}`)),
  ]
  const { placed } = place({
    apps: [...others, app('/web', { instances: 3, sticky: true, held })],
    nodes: [small],
  })
  t.equal(placed.size, 2, '256 MB for 128 each')
  t.ok(
    [...placed.keys()].every(slot => appOfSlot(slot) === '/web'),
    [...placed.keys()].join(),
  )
})

t.test('place() evens zones out around the slots that are held', async t => {
  const zoned = nodes(9).map((each, at) => ({ ...each, labels: { zone: `z${at % 3}` } }))
  const zoneOf = new Map(zoned.map(({ id, labels }) => [id, labels.zone]))
  for (const constraints of [[], [{ field: '@zone', operator: 'GROUP_BY' }]] as Constraint[][]) {
    // Slots 2 and 5 are in one zone, 4 in another, and the third has none.
    const held = new Map([
      ['/web.2' as SlotId, ['n0' as NodeId]],
      ['/web.4' as SlotId, ['n1' as NodeId]],
      ['/web.5' as SlotId, ['n3' as NodeId]],
    ])
    const { placed } = place({
      apps: [app('/web', { instances: 6, sticky: true, held, constraints })],
      nodes: zoned,
    })
    const counts = new Map<string, number>()
    for (const on of placed.values()) {
      counts.set(zoneOf.get(on)!, (counts.get(zoneOf.get(on)!) ?? 0) + 1)
    }
    t.strictSame([...counts.values()], [2, 2, 2])
    for (const [slot, [on]] of held) t.equal(placed.get(slot), on)
  }
})

t.test('place() breaks no GROUP_BY for the second of two holders', async t => {
  const constraints: Constraint[] = [{ field: '@zone', operator: 'GROUP_BY' }]
  const slot = '/web.0' as SlotId
  const two = ['n0', 'n1', 'n2', 'n3'].map((id, at) => node(id, { labels: { zone: `z${at % 2}` } }))
  const where = (on: readonly PlacementNode[]): string =>
    place({
      apps: [app('/web', { sticky: true, constraints, held: heldBy(slot, 'n0', 'n1') })],
      nodes: on,
    }).placed.get(slot)!
  const first = where(two)
  t.ok(first === 'n0' || first === 'n1', 'one of the two')
  // The one that comes first has no room: the slot stays in its zone, and that is not the other's.
  const small = { cpus: 64, memMb: 1, diskMb: 0, gpus: 0 }
  const next = where(two.map(each => (each.id === first ? { ...each, capacity: small } : each)))
  t.equal(next, first === 'n0' ? 'n2' : 'n3')
})

t.test('place() stays in the value of CLUSTER that the holders have', async t => {
  const constraints: Constraint[] = [{ field: '@zone', operator: 'CLUSTER' }]
  const two = ['z0', 'z1'].flatMap(zone =>
    [0, 1, 2].map(at => node(`${zone}${at}`, { labels: { zone } })),
  )
  const web4 = app('/web', { instances: 4, constraints })
  const chosen = place({ apps: [web4], nodes: two })
    .placed.get('/web.0' as SlotId)!
    .slice(0, 2)
  const other = chosen === 'z0' ? 'z1' : 'z0'
  const held = heldBy('/web.1' as SlotId, `${other}2`)
  const { placed } = place({ apps: [{ ...web4, sticky: true, held }], nodes: two })
  t.equal(placed.get('/web.1' as SlotId), `${other}2`)
  t.strictSame([...new Set([...placed.values()].map(on => on.slice(0, 2)))], [other])
})

t.test('place() leaves no slot waiting for a zone that is cordoned', async t => {
  const constraints: Constraint[] = [{ field: '@zone', operator: 'GROUP_BY' }]
  const three = [0, 1, 2].map(at => node(`n${at}`, { labels: { zone: `z${at}` } }))
  const before = place({ apps: [app('/web', { instances: 3, constraints })], nodes: three })
  const cordoned = holding(
    { apps: [app('/web', { instances: 9, constraints })], nodes: cordon(three, 'n1') },
    before,
  )
  const after = place(cordoned)
  t.strictSame(moved(before, after), [])
  const on = [...after.placed.values()].toSorted()
  t.equal(on.join(), 'n0,n0,n0,n0,n1,n2,n2,n2,n2', 'the rest even over the others')
  t.equal(place({ ...cordoned, nodes: cordon(cordoned.nodes.slice(1, 2), 'n1') }).placed.size, 1)
})

t.test(
  'place() gives a cordoned node no slot of a global app, but leaves it the one it has',
  async t => {
    const three = cordon(nodes(3), 'n1')
    const agent = app('/agent', { mode: 'global' })
    t.strictSame(slotsOf({ apps: [agent], nodes: three }), ['/agent.n0', '/agent.n2'])
    const held = heldBy('/agent.n1' as SlotId, 'n1')
    t.strictSame(slotsOf({ apps: [{ ...agent, held }], nodes: three }), [
      '/agent.n0',
      '/agent.n1',
      '/agent.n2',
    ])
  },
)

t.test('explain() says why a slot stays, and why a cordoned node takes none', async t => {
  const slot = '/web.0' as SlotId
  const held = heldBy(slot, 'n1')
  const reason = (input: PlacementInput, of: string): string | undefined =>
    explain(input, slot).find(({ node: on }) => on === of)?.reason
  const stuck = { apps: [app('/web', { sticky: true, held })], nodes: nodes(3) }
  t.equal(reason(stuck, 'n1'), 'stays here (placement: sticky)')
  t.equal(reason(stuck, 'n2'), 'can take over')
  const cordoned = { apps: [app('/web', { held })], nodes: cordon(nodes(3), 'n1') }
  t.equal(reason(cordoned, 'n1'), 'stays here (the node is cordoned, and keeps what it has)')
  t.equal(
    reason({ ...cordoned, apps: [app('/web')] }, 'n1'),
    'is cordoned: it keeps what it has, and takes nothing new',
  )
  const alone = place({ apps: [app('/web')], nodes: cordon(nodes(1), 'n0') })
  t.equal(alone.unplaced.get(slot)?.summary, 'no node can take it: 1 × is cordoned')
})

t.test('inputsHash() covers who holds what, in whatever order it was noticed', async t => {
  const [first, second] = [
    ['/web.0', ['n0']],
    ['/web.1', ['n1']],
  ] as const
  t.equal(hashOf(first, second), hashOf(second, first))
  t.not(hashOf(first), hashOf(first, second))
  t.not(hashOf(first), hashOf(['/web.0', ['n1']]))
})

t.test('Placer takes changes of holders one by one, and gives the answer of place()', async () => {
  const apps = Array.from({ length: 40 }, (_, at) =>
    app(`/a${at}`, {
      instances: 1 + (at % 6),
      sticky: at % 4 > 0,
      resources: { cpus: 0.1, memMb: [128, 256, 500][at % 3]!, diskMb: 0, gpus: 0 },
    }),
  )
  const change = fc.record({ app: fc.nat(39), slot: fc.nat(5), on: fc.nat(24), node: fc.nat(24) })
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 4, maxLength: 12 }),
      fc.boolean(),
      (changes, zoned) => {
        const all = nodes(25).map((each, at) => ({
          ...each,
          capacity: { cpus: 64, memMb: 2000, diskMb: 0, gpus: 0 },
          labels: zoned ? { zone: `z${at % 3}` } : {},
        }))
        const wanted = [...apps]
        const modes = new Map<number, PlacementNode>()
        const away = new Set<number>()
        const placer = createPlacer()
        placer.place({ apps: wanted, nodes: all })
        for (const { app: which, slot, on, node: at } of changes) {
          const { held, ...rest } = wanted[which]!
          const next = new Map(held)
          if (!next.delete(`${rest.id}.${slot}` as SlotId)) {
            next.set(`${rest.id}.${slot}` as SlotId, [`n${on}` as NodeId])
          }
          wanted[which] = { ...rest, held: next }
          if (at % 4 === 0)
            modes.set(at, { ...all[at]!, mode: modes.has(at) ? 'active' : 'cordoned' })
          else if (at % 4 === 1 && !away.delete(at)) away.add(at)
          else if (!away.delete(on)) away.add(on)
          const input = {
            apps: [...wanted],
            nodes: all.flatMap((each, index) =>
              away.has(index) ? [] : [modes.get(index) ?? each],
            ),
          }
          const [expected, actual] = [place(input), placer.place(input)]
          if (print(actual) !== print(expected)) {
            throw new Error(`expected\n${print(expected)}\ngot\n${print(actual)}`)
          }
        }
      },
    ),
    { numRuns: 100 },
  )
})
