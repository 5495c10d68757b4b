/**
 * What a broken or hostile node may send: it must harm no document, stop no node, and
 * every document that heard it must still agree with the others.
 */

import fc from 'fast-check'
import t from 'tap'
import * as Y from 'yjs'
import type { AppId, NodeId } from '../../src/model/ids.ts'
import { createEntryLog, UPDATE_BYTES_MAX } from '../../src/crdt/entry-log.ts'
import { printEntry, TIME_MAX, type Fact } from '../../src/crdt/entry.ts'
import { signRevision } from '../../src/crdt/revision-codec.ts'
import { appOf, apply, docOf, edit, exchange, get, keyOf, show } from './docs.ts'

const web = '/web' as AppId
const MALLORY = 666

/** An update that appends `values` to Mallory's log, whatever they are. */
function forge(...values: readonly unknown[]): Uint8Array {
  return createEntryLog().write(MALLORY, values, []).update
}

/** A revision as a fact, signed by node 7. */
function revisionFact(
  fields: Partial<Parameters<typeof signRevision>[0]> = {},
): Extract<Fact, { kind: 'rev' }> {
  const key = keyOf(7)
  return signRevision(
    {
      app: web,
      parent: null,
      generation: 1,
      spec: appOf(web, { image: 'evil:1' }),
      author: key.node,
      timeMs: 0,
      message: '',
      ...fields,
    },
    bytes => key.sign(bytes),
  )
}

function pointerTo(revision: Extract<Fact, { kind: 'rev' }>): Fact {
  return { kind: 'app', app: web, value: { revision: revision.id, parent: null } }
}

t.test('bytes that are no update are refused, and leave the document as it was', async t => {
  const doc = docOf(1)
  const update = apply(doc, web)
  const before = doc.snapshot()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      doc.apply(bytes)
      doc.since(bytes)
    }),
    { numRuns: 500 },
  )
  for (let length = 0; length < update.length; length += 7) {
    t.equal(docOf(2).apply(update.subarray(0, length)).ok, false, `cut off at ${length}`)
  }
  t.equal(doc.apply(new Uint8Array(UPDATE_BYTES_MAX + 1)).ok, false)
  t.same(doc.snapshot(), before)
})

t.test('an update with flipped bytes never throws, and never stops later ones', async () => {
  const source = docOf(1)
  const update = apply(source, web)
  fc.assert(
    fc.property(fc.nat(update.length - 1), fc.nat(255), (at, byte) => {
      const doc = docOf(2)
      const flipped = Uint8Array.from(update)
      flipped[at] = byte
      doc.apply(flipped)
      doc.read()
      doc.conflicts()
      const later = apply(doc, '/later')
      const other = docOf(3)
      other.apply(later)
      return get(other, '/later') !== undefined
    }),
    { numRuns: 300 },
  )
})

t.test('structures that no honest node writes are refused whole', async t => {
  const make = (change: (doc: Y.Doc) => void): Uint8Array => {
    const doc = new Y.Doc()
    doc.clientID = MALLORY
    change(doc)
    return Y.encodeStateAsUpdate(doc)
  }
  const list = `w/${MALLORY}`
  let deep: unknown = 1
  for (let depth = 0; depth < 50; depth++) deep = [deep]
  const cases: Record<string, Uint8Array> = {
    'another root': make(doc => doc.getArray('apps').push([1])),
    'the log of another': make(doc => doc.getArray('w/1').push([1])),
    'a map': make(doc => doc.getMap(list).set('a', 1)),
    'a text': make(doc => doc.getText(list).insert(0, 'text')),
    'a nested type': make(doc => doc.getArray(list).push([new Y.Map()])),
    'a nested document': make(doc => doc.getArray(list).push([new Y.Doc()])),
    'bytes without an entry': make(doc => doc.getArray(list).push([new Uint8Array(3)])),
    'an insert in the middle': make(doc => {
      doc.getArray(list).push([1, 2])
      doc.getArray(list).insert(1, [3])
    }),
    'values that nest too deep': make(doc => doc.getArray(list).push([deep])),
    // One run of deleted entries, from 0 on, longer than any log can be.
    'a log without end': Uint8Array.of(
      1,
      1,
      9,
      0,
      1,
      1,
      3,
      119,
      47,
      57,
      255,
      255,
      255,
      255,
      255,
      255,
      255,
      15,
      0,
    ),
  }
  for (const [name, update] of Object.entries(cases)) {
    const doc = docOf(1)
    const before = doc.snapshot()
    t.match(doc.apply(update), { ok: false, reason: String }, name)
    t.same(doc.snapshot(), before, name)
  }
})

t.test('entries of any other shape are ignored and counted', async t => {
  const values = [
    null, 1, '', [], {}, ['app//web'], ['app//web', 1], ['app//web', 1, 'xyz', null],
    ['app//web', '1', null, null], ['app//Web', 1, null, null], ['app/', 1, null, null],
    ['scale//web', 1, -1], ['scale//web', 1, 1e9], ['scale//web', 1, 1.5], ['scale//web', 0, 1],
    ['scale//web', TIME_MAX + 1, 1], ['node/', 1, 'a', 'b', 1], ['node/x', 1, 'a'],
    ['rev//web/0123456789abcdef', 1, null, 1, 'no bytes', 'none'],
    ['label/x/zone', 1], ['label/x/zone', 1, 5], ['label/x/zone', 1, 'x'.repeat(1025)],
    ['label/x/zone', 1, 'a\nb'], ['label/x/@zone', 1, 'a'], ['label/x/', 1, 'a'],
    ['label/x', 1, 'a'], ['label//zone', 1, 'a'], [`label/${'x'.repeat(65)}/zone`, 1, 'a'],
    ['label/x/__proto__', 1, 'a'], ['mode/x', 1], ['mode/x', 1, 'active'], ['mode/', 1, 'drained'],
    ['setting/moveBudgetPerMinute', 1, 0], ['setting/moveBudgetPerMinute', 1, '9'],
    ['setting/moveBudgetPerMinute', 1, 10_001], ['setting/speed', 1, 9],
    ['later-version//web', 1, { anything: true }], ['__proto__', 1, null], ['k'.repeat(2000), 1],
  ] // prettier-ignore
  const doc = docOf(1)
  apply(doc, web, { instances: 2 })
  const before = doc.read()
  t.match(doc.apply(forge(...values)), { ok: true })
  t.same(doc.read(), before)
  t.equal(doc.stats().ignoredEntries, values.length)
  const other = docOf(2)
  exchange(doc, other)
  t.same(show(other), show(doc))
})

t.test('a revision that its author did not sign is never in force', async t => {
  const good = revisionFact()
  const signature = Uint8Array.from(good.value.signature)
  signature[0]! ^= 1
  const cases: Record<string, Fact> = {
    'a wrong signature': { ...good, value: { ...good.value, signature } },
    'no signature': { ...good, value: { ...good.value, signature: new Uint8Array() } },
    'the name of another author': revisionFact({ author: keyOf(8).node }),
    'an author that is no key': revisionFact({ author: 'root' as NodeId }),
    'other content than its name': { ...good, id: '0123456789abcdef' as typeof good.id },
    'another parent than was signed': { ...good, value: { ...good.value, parent: good.id } },
    'another generation than was signed': { ...good, value: { ...good.value, generation: 9 } },
    'an app of another name': revisionFact({ spec: appOf('/other') }),
    'an invalid app': revisionFact({ spec: { ...appOf(web), instances: -1 } }),
    'bytes that are no revision': { ...good, value: { ...good.value, bytes: new Uint8Array(9) } },
  }
  for (const [name, fact] of Object.entries(cases)) {
    if (fact.kind !== 'rev') throw new Error('not a revision')
    const doc = docOf(1)
    apply(doc, web, { image: 'good:1' })
    const update = forge(printEntry(fact, 5000), printEntry(pointerTo(fact), 5000))
    t.match(doc.apply(update), { ok: true, newConflicts: [] }, name)
    t.equal(get(doc, web)?.spec.image, 'good:1', name)
    t.match(doc.problems(), [/^Cannot use revision/], name)
    const other = docOf(2)
    exchange(doc, other)
    t.same(show(other), show(doc), name)
    const again = docOf(1, { saved: [doc.snapshot()] })
    t.same(show(again), show(doc), `${name}, after a restart`)
  }
})

t.test('a Lamport time at its limit wedges nothing', async t => {
  const one = docOf(1)
  const other = docOf(2)
  apply(one, web, { image: 'good:1', instances: 2 })
  const evil = revisionFact()
  one.apply(
    forge(
      printEntry(evil, TIME_MAX),
      printEntry(pointerTo(evil), TIME_MAX),
      printEntry({ kind: 'scale', app: web, value: 5_000 }, TIME_MAX),
    ),
  )
  exchange(one, other)
  t.match(get(other, web), { instances: 5_000, spec: { image: 'evil:1' } })
  apply(other, web, { image: 'good:2', instances: 3 })
  exchange(one, other)
  t.match(get(one, web), { instances: 3, spec: { image: 'good:2' } })
  edit(one, { kind: 'scale', app: web, instances: 4 })
  apply(one, web, { image: 'good:3', instances: 3 })
  exchange(one, other)
  t.match(get(other, web), { instances: 4, spec: { image: 'good:3' } })
  t.same(show(one), show(other))
})

t.test('forged entries end the same everywhere, in whatever order they come', async () => {
  const evil = revisionFact()
  const aFact: fc.Arbitrary<Fact> = fc.oneof(
    fc.constant(evil),
    fc.constant(pointerTo(evil)),
    fc.constant<Fact>({ kind: 'app', app: web, value: { revision: null, parent: evil.id } }),
    fc.nat(9).map<Fact>(value => ({ kind: 'scale', app: web, value })),
    fc.constant<Fact>({ kind: 'label', node: keyOf(1).node, key: 'zone', value: 'evil' }),
    fc.constant<Fact>({ kind: 'mode', node: keyOf(1).node, value: 'drained' }),
    fc.constant<Fact>({ kind: 'setting', name: 'moveBudgetPerMinute', value: 10_000 }),
  )
  const anEntry = fc
    .tuple(aFact, fc.constantFrom(1, 2, 1000, TIME_MAX))
    .map(([fact, time]) => printEntry(fact, time))
  const aValue = fc.oneof({ weight: 3, arbitrary: anEntry }, fc.jsonValue({ maxDepth: 3 }))
  fc.assert(
    fc.property(fc.array(aValue, { minLength: 1, maxLength: 8 }), fc.boolean(), (values, edits) => {
      const one = docOf(1)
      const other = docOf(2)
      apply(one, web)
      edit(one, { kind: 'admit', node: keyOf(1).node, name: 'pi' })
      exchange(one, other)
      one.apply(forge(...values))
      if (edits) apply(other, web, { image: 'web:2' })
      if (edits) edit(other, { kind: 'mode', node: keyOf(1).node, mode: 'cordoned' })
      exchange(one, other)
      apply(one, '/other')
      exchange(one, other)
      return JSON.stringify(show(one)) === JSON.stringify(show(other))
    }),
    { numRuns: 100 },
  )
})

t.test('updates that wait for ever are bounded', async t => {
  const source = createEntryLog()
  source.write(MALLORY, ['never sent'], [])
  const doc = docOf(1)
  const part = new Uint8Array(15 * 1024 * 1024)
  for (let round = 0; round < 4; round++) {
    doc.apply(source.write(MALLORY, [[part]], []).update)
    t.ok(doc.stats().waitingBytes <= 2 * UPDATE_BYTES_MAX)
  }
  t.ok(doc.since(docOf(2).vector()) === undefined, 'what waits is not sent on')
})
