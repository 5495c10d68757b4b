/**
 * Random networks of documents: edits anywhere, updates lost, late, twice and out of
 * order, nodes that restart from their disk. Whatever happened, once all have
 * exchanged what they know they say the same.
 */

import fc from 'fast-check'
import t from 'tap'
import type { Edit, Revision } from '../../src/model/desired.ts'
import type { AppId } from '../../src/model/ids.ts'
import { NODE_MODES } from '../../src/model/node-admin.ts'
import type { DesiredDoc } from '../../src/crdt/desired-doc.ts'
import { appOf, docOf, edit, exchange, keyOf, show } from './docs.ts'

const RUNS = Number(process.env['RUNS'] ?? 60)
const NODES = 4
const APPS = ['/a', '/b', '/c'] as AppId[]

const anApp = fc.constantFrom(...APPS)
const anEdit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .record({ app: anApp, image: fc.nat(5), instances: fc.integer({ min: 1, max: 3 }) })
      .map(({ app, image, instances }) => ({
        kind: 'apply' as const,
        specs: [appOf(app, { image: `web:${image}`, instances })],
        message: '',
      })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('scale' as const),
      app: anApp,
      instances: fc.nat(9),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), app: anApp }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('admit' as const),
      node: fc.constantFrom(keyOf(50).node, keyOf(51).node),
      name: fc.constantFrom('x', 'y'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('expel' as const),
      node: fc.constantFrom(keyOf(50).node, keyOf(51).node),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('label' as const),
      node: fc.constantFrom(keyOf(50).node, keyOf(51).node),
      set: fc.dictionary(fc.constantFrom('zone', 'disk', 'rack'), fc.constantFrom('a', 'b')),
      unset: fc.constantFrom([], [], ['rack'], ['zone', 'disk']),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('mode' as const),
      node: fc.constantFrom(keyOf(50).node, keyOf(51).node),
      mode: fc.constantFrom(...NODE_MODES),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('settings' as const),
      set: fc.record({
        moveBudgetPerMinute: fc.constantFrom(4, 9, 'default' as const),
      }),
    }),
  },
)

const aNode = fc.nat(NODES - 1)
const aStep = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('edit' as const), on: aNode, edit: anEdit }),
  },
  // Any update of the past, to anybody: late, twice, or before the one that it follows.
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('deliver' as const), which: fc.nat(999), to: aNode }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('sync' as const), from: aNode, to: aNode }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), on: aNode }) },
)
type Step = typeof aStep extends fc.Arbitrary<infer S> ? S : never

/** Plays the steps, and returns the documents and every revision that an edit was acknowledged for. */
function play(steps: readonly Step[]): { docs: DesiredDoc[]; made: Revision[] } {
  const docs = Array.from({ length: NODES }, (_, at) => docOf(at + 1))
  const updates: Uint8Array[] = []
  const made: Revision[] = []
  for (const step of steps) {
    switch (step.kind) {
      case 'edit': {
        const doc = docs[step.on]!
        const result = edit(doc, step.edit)
        if (!result.ok || result.update === undefined) break
        updates.push(result.update)
        if (step.edit.kind !== 'apply') break
        for (const { app, revision } of result.revisions) made.push(doc.revision(app, revision)!)
        break
      }
      case 'deliver': {
        const update = updates[step.which % Math.max(1, updates.length)]
        if (update !== undefined) assertOk(docs[step.to]!.apply(update))
        break
      }
      case 'sync': {
        const update = docs[step.from]!.since(docs[step.to]!.vector())
        if (update !== undefined) assertOk(docs[step.to]!.apply(update))
        break
      }
      case 'restart':
        docs[step.on] = docOf(step.on + 1, { saved: [docs[step.on]!.snapshot()] })
    }
  }
  return { docs, made }
}

t.test('documents that have exchanged everything say the same, conflicts included', async t => {
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 60 }), steps => {
      const { docs } = play(steps)
      exchange(...docs)
      for (const doc of docs.slice(1)) t.same(show(doc), show(docs[0]!))
      for (const doc of docs) {
        if (doc.stats().waitingBytes > 0) throw new Error('something still waits')
        if (doc.problems().length > 0) throw new Error(doc.problems().join('\n'))
      }
    }),
    { numRuns: RUNS },
  )
})

t.test(
  'an acknowledged revision is in force, in the line, lost and reported, or pruned by ten later ones',
  async () => {
    fc.assert(
      fc.property(fc.array(aStep, { maxLength: 60 }), steps => {
        const { docs, made } = play(steps)
        exchange(...docs)
        const doc = docs[0]!
        for (const { id, app, spec, generation } of made) {
          const { line, lost } = doc.history(app)
          const current = doc.read().apps.get(app)
          // A removal forgets the history on purpose.
          if (current === undefined || wasRemoved(steps, app)) continue
          if ([...line, ...lost].some(revision => revision.id === id)) continue
          // The same app asked for twice at once: one of the two revisions stands for both.
          const same = line.some(other => JSON.stringify(other.spec) === JSON.stringify(spec))
          const pruned = made.filter(other => other.app === app).length > 10
          if (!same && !pruned) throw new Error(`revision ${generation} of ${app} is lost`)
        }
      }),
      { numRuns: RUNS },
    )
  },
)

t.test('a scale that nobody contradicts holds, whatever happens to the revisions', async () => {
  const images = fc.array(fc.tuple(aNode, fc.nat(20)), { maxLength: 20 })
  fc.assert(
    fc.property(images, aNode, fc.integer({ min: 2, max: 99 }), (edits, on, instances) => {
      const docs = Array.from({ length: NODES }, (_, at) => docOf(at + 1))
      edit(docs[0]!, { kind: 'apply', specs: [appOf('/a')], message: '' })
      exchange(...docs)
      edit(docs[on]!, { kind: 'scale', app: '/a' as AppId, instances })
      for (const [node, image] of edits) {
        edit(docs[node]!, {
          kind: 'apply',
          specs: [appOf('/a', { image: `web:${image}` })],
          message: '',
        })
      }
      exchange(...docs)
      return docs.every(doc => doc.read().apps.get('/a' as AppId)?.instances === instances)
    }),
    { numRuns: RUNS },
  )
})

t.test('updates in any order and any number give the same document', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(aNode, anEdit), { minLength: 1, maxLength: 20 }),
      fc.array(fc.nat(), { minLength: 20, maxLength: 60 }),
      (edits, order) => {
        const docs = Array.from({ length: NODES }, (_, at) => docOf(at + 1))
        const updates: Uint8Array[] = []
        for (const [on, what] of edits) {
          const result = edit(docs[on]!, what)
          if (result.ok && result.update !== undefined) updates.push(result.update)
        }
        exchange(...docs)
        const late = docOf(99)
        for (const at of order) {
          const update = updates[at % Math.max(1, updates.length)]
          if (update !== undefined) assertOk(late.apply(update))
        }
        for (const update of updates.toReversed()) assertOk(late.apply(update))
        return JSON.stringify(show(late)) === JSON.stringify(show(docs[0]!))
      },
    ),
    { numRuns: RUNS },
  )
})

t.test('what since() gives changes nothing the second time, and ends', async t => {
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 40 }), steps => {
      const { docs } = play(steps)
      const [one, other] = [docs[0]!, docs[1]!]
      const update = one.since(other.vector())
      if (update !== undefined) {
        assertOk(other.apply(update))
        const again = other.apply(update)
        if (!again.ok || again.changed) throw new Error('a repeated update changed something')
      }
      exchange(one, other)
      if (one.stats().waitingBytes + other.stats().waitingBytes > 0) return
      t.same(show(one), show(other))
    }),
    { numRuns: RUNS },
  )
})

function wasRemoved(steps: readonly Step[], app: AppId): boolean {
  return steps.some(
    step => step.kind === 'edit' && step.edit.kind === 'remove' && step.edit.app === app,
  )
}

function assertOk(result: { readonly ok: boolean; readonly reason?: string }): void {
  if (!result.ok) throw new Error(result.reason)
}
