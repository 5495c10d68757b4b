import t from 'tap'
import { APP_SIZE_BYTES_MAX } from '../../src/model/app.ts'
import type { Admission, Edit } from '../../src/model/desired.ts'
import type { AppId, NodeId } from '../../src/model/ids.ts'
import { createVerify } from '../../src/util/keys.ts'
import type { DesiredDoc, EditResult } from '../../src/crdt/desired-doc.ts'
import { HISTORY_MAX } from '../../src/crdt/plan-edit.ts'
import { appOf, apply, docOf, edit, exchange, get, keyOf, show, updateOf } from './docs.ts'

const web = '/shop/web' as AppId

t.test('an edit on one node is read on another', async t => {
  const one = docOf(1)
  const other = docOf(2)
  const update = apply(one, web, { instances: 3 })
  t.match(other.apply(update), { ok: true, changed: true, waiting: false, newConflicts: [] })
  t.match(get(other, web), { instances: 3, generation: 1, spec: { image: 'web:1' } })
  t.same(show(other), show(one))
  t.match(other.apply(update), { ok: true, changed: false })
})

t.test('an update waits for what it follows, and for nothing else', async t => {
  const [one, other, reader] = [docOf(1), docOf(2), docOf(3)]
  const first = apply(one, web, { instances: 1 })
  const second = apply(one, web, { instances: 2 })
  const unrelated = apply(other, '/else')
  other.apply(first)
  const removal = updateOf(edit(other, { kind: 'remove', app: web }))
  t.match(reader.apply(second), { ok: true, waiting: true, changed: false })
  t.match(reader.apply(unrelated), { ok: true, waiting: false, changed: true })
  t.match(reader.apply(removal), { ok: true, waiting: true }, 'it takes away what is not there yet')
  t.match(reader.apply(first), { ok: true, waiting: false, changed: true })
  t.match(reader.apply(removal), { ok: true, waiting: false })
  t.equal(reader.stats().waitingBytes, 0)
})

t.test('read() gives the same object until something changed', async t => {
  const doc = docOf(1)
  const empty = doc.read()
  t.equal(doc.read(), empty)
  apply(doc, '/b')
  const before = doc.read()
  t.not(before, empty)
  t.equal(doc.read(), before)
  apply(doc, '/a')
  t.same([...doc.read().apps.keys()], ['/a', '/b'], 'in the order of ids')
  t.same([...before.apps.keys()], ['/b'], 'what was read stays as it was')
})

t.test('applying what is there already changes nothing', async t => {
  const doc = docOf(1)
  apply(doc, web, { env: { A: '1', B: '2' } })
  const before = get(doc, web)!
  const again = edit(doc, {
    kind: 'apply',
    specs: [appOf(web, { env: { B: '2', A: '1' } })],
    message: 'again',
  })
  t.strictSame(again, {
    ok: true,
    update: undefined,
    revisions: [{ app: web, revision: before.revision }],
  })
  t.equal(doc.history(web).line.length, 1)
})

t.test('a revision says whose it is, what it follows, and why', async t => {
  const doc = docOf(1)
  apply(doc, web)
  const [first] = doc.history(web).line
  doc.edit(
    { kind: 'apply', specs: [appOf(web, { image: 'web:2' })], message: 'new logo' },
    { timeMs: 1234 },
  )
  const { revision } = get(doc, web)!
  t.match(doc.revision(web, revision), {
    id: revision,
    app: web,
    parent: first!.id,
    generation: 2,
    author: keyOf(1).node,
    timeMs: 1234,
    message: 'new logo',
    spec: { image: 'web:2' },
  })
  t.equal(first!.parent, undefined)
  t.match(revision, /^[0-9a-f]{16}$/)
  t.equal(doc.revision(web, first!.id)?.spec.image, 'web:1')
  t.equal(doc.revision(web, '0000000000000000' as typeof revision), undefined)
})

t.test(
  'two edits of one app at once: one whole revision is in force, the other is a conflict',
  async t => {
    const one = docOf(1)
    const other = docOf(2)
    apply(one, web)
    exchange(one, other)
    const ours = apply(one, web, { image: 'web:ours', env: { OURS: '1' } })
    const theirs = apply(other, web, { image: 'web:theirs', env: { THEIRS: '1' } })
    const lostId = get(one, web)!.revision
    const first = one.apply(theirs)
    const second = other.apply(ours)
    t.same(show(one), show(other))
    const kept = get(one, web)!
    t.match(kept.spec, { image: 'web:theirs' }, 'at equal times, the higher client id')
    t.strictSame(kept.spec.env, { THEIRS: '1' })
    const conflict = { app: web, kept: kept.revision, lost: lostId, lostAuthor: keyOf(1).node }
    t.strictSame(one.conflicts(), [conflict])
    t.match(first, { newConflicts: [conflict] })
    t.match(second, { newConflicts: [conflict] })
    t.match(one.apply(theirs), { newConflicts: [] }, 'news only once')
    t.same(
      one.history(web).lost.map(({ spec }) => spec.image),
      ['web:ours'],
    )
    t.same(
      one.history(web).line.map(({ spec }) => spec.image),
      ['web:theirs', 'web:1'],
    )
  },
)

t.test('the same app applied on two nodes at once is no conflict', async t => {
  const one = docOf(1)
  const other = docOf(2)
  apply(one, web)
  exchange(one, other)
  apply(one, web, { image: 'web:2' })
  apply(other, web, { image: 'web:2' })
  exchange(one, other)
  t.same(show(one), show(other))
  t.strictSame(one.conflicts(), [])
  t.equal(one.history(web).line.length, 2)
})

t.test('a losing line of several revisions is lost whole, and each is reported', async t => {
  const one = docOf(1)
  const other = docOf(2)
  apply(one, web)
  exchange(one, other)
  apply(one, web, { image: 'web:one' })
  apply(other, web, { image: 'web:a' })
  apply(other, web, { image: 'web:b' })
  exchange(one, other)
  t.equal(get(one, web)!.spec.image, 'web:b', 'the one whose author had seen more edits')
  t.same(
    one.history(web).lost.map(({ spec }) => spec.image),
    ['web:one'],
  )
  apply(one, web, { image: 'web:c' })
  exchange(one, other)
  t.equal(other.conflicts().length, 1, 'a later edit does not hide what was lost')
  t.same(show(one), show(other))
})

t.test('a conflict ends when the lost revision falls out of the history', async t => {
  const one = docOf(1)
  const other = docOf(2)
  apply(one, web, { image: 'web:one' })
  apply(other, web, { image: 'web:other' })
  exchange(one, other)
  t.equal(one.conflicts().length, 1)
  for (let version = 2; version <= HISTORY_MAX; version++) {
    apply(one, web, { image: `web:${version}` })
  }
  t.strictSame(one.conflicts(), [])
  exchange(one, other)
  t.strictSame(other.conflicts(), [])
})

t.test('the history keeps the last 10 revisions', async t => {
  const doc = docOf(1)
  for (let version = 1; version <= 25; version++) apply(doc, web, { image: `web:${version}` })
  const { line } = doc.history(web)
  t.same(
    line.map(({ spec }) => spec.image),
    Array.from({ length: HISTORY_MAX }, (_, at) => `web:${25 - at}`),
  )
  t.equal(get(doc, web)!.generation, 25)
  t.equal(doc.stats().entries, HISTORY_MAX + 1)
})

t.test('scale', async t => {
  await t.test(
    'makes no revision, and outlives a new one that leaves the number alone',
    async t => {
      const doc = docOf(1)
      apply(doc, web, { instances: 2 })
      const { revision } = get(doc, web)!
      t.match(scale(doc, 7), { ok: true, revisions: [{ app: web, revision }] })
      t.match(get(doc, web), { instances: 7, revision, spec: { instances: 2 } })
      apply(doc, web, { instances: 2, image: 'web:2' })
      t.equal(get(doc, web)!.instances, 7)
    },
  )

  await t.test('gives way to a new revision that changes the number', async t => {
    const doc = docOf(1)
    apply(doc, web, { instances: 2 })
    scale(doc, 7)
    apply(doc, web, { instances: 3 })
    t.equal(get(doc, web)!.instances, 3)
  })

  await t.test('at the same time as an apply: both hold', async t => {
    const one = docOf(1)
    const other = docOf(2)
    apply(one, web, { instances: 2 })
    exchange(one, other)
    apply(one, web, { instances: 2, image: 'web:2' })
    scale(other, 9)
    exchange(one, other)
    for (const doc of [one, other]) {
      t.match(get(doc, web), { instances: 9, spec: { image: 'web:2' } })
      t.strictSame(doc.conflicts(), [])
    }
  })

  await t.test(
    'set by two applies at once: the number is that of the revision in force',
    async t => {
      const one = docOf(1)
      const other = docOf(2)
      apply(one, web, { instances: 2 })
      exchange(one, other)
      apply(one, web, { instances: 3, image: 'web:3' })
      apply(other, web, { instances: 5, image: 'web:5' })
      exchange(one, other)
      t.match(get(one, web), { instances: 5, spec: { image: 'web:5', instances: 5 } })
      t.same(show(one), show(other))
    },
  )

  await t.test('to what it is changes nothing', async t => {
    const doc = docOf(1)
    apply(doc, web, { instances: 2 })
    t.match(scale(doc, 2), { ok: true, update: undefined })
  })

  await t.test('is forgotten when the app is removed', async t => {
    const doc = docOf(1)
    apply(doc, web, { instances: 2 })
    scale(doc, 7)
    edit(doc, { kind: 'remove', app: web })
    apply(doc, web, { instances: 2 })
    t.equal(get(doc, web)!.instances, 2)
  })
})

t.test('remove', async t => {
  await t.test('takes the app away, and its next revision goes on from where it was', async t => {
    const doc = docOf(1)
    apply(doc, web)
    apply(doc, web, { image: 'web:2' })
    const last = get(doc, web)!.revision
    t.match(edit(doc, { kind: 'remove', app: web }), { ok: true, revisions: [] })
    t.equal(get(doc, web), undefined)
    t.same(
      doc.history(web).line.map(({ id }) => id),
      [last],
      'the last revision is kept',
    )
    apply(doc, web, { image: 'web:3' })
    t.match(get(doc, web), { generation: 3 })
    t.equal(doc.history(web).line[1]?.id, last)
  })

  await t.test('before an edit that did not see it: the edit wins', async t => {
    const one = docOf(1)
    const other = docOf(2)
    apply(one, web)
    exchange(one, other)
    edit(one, { kind: 'remove', app: web })
    apply(other, web, { image: 'web:2' })
    exchange(one, other)
    t.equal(get(one, web)?.spec.image, 'web:2', 'at equal times, the higher client id')
    t.same(show(one), show(other))
  })

  await t.test('that wins over an edit reports the edit', async t => {
    const one = docOf(1)
    const other = docOf(2)
    apply(one, web)
    exchange(one, other)
    const removed = get(one, web)!.revision
    apply(one, web, { image: 'web:2' })
    const lost = get(one, web)!.revision
    edit(other, { kind: 'remove', app: web })
    exchange(one, other)
    t.equal(get(one, web), undefined)
    t.match(one.conflicts(), [{ app: web, kept: removed, lost }])
    t.same(show(one), show(other))
  })

  await t.test('is remembered for a bounded number of apps, the latest ones', async t => {
    const doc = docOf(1, { tombstonesMax: 3 })
    for (let number = 0; number < 8; number++) {
      apply(doc, `/app-${number}`)
      edit(doc, { kind: 'remove', app: `/app-${number}` as AppId })
    }
    t.equal(doc.stats().entries, 3 * 2, 'a pointer and a revision each')
    t.equal(doc.history('/app-7' as AppId).line.length, 1)
    t.equal(doc.history('/app-4' as AppId).line.length, 0)
  })
})

t.test('nodes', async t => {
  const { node } = keyOf(9)

  await t.test('are admitted, renamed and expelled', async t => {
    const doc = docOf(1)
    edit(doc, { kind: 'admit', node, name: 'pi' })
    t.match(doc.read().nodes.get(node), { node, name: 'pi', by: keyOf(1).node })
    t.match(edit(doc, { kind: 'admit', node, name: 'pi' }), { update: undefined })
    edit(doc, { kind: 'admit', node, name: 'pi-4' })
    t.equal(doc.read().nodes.get(node)?.name, 'pi-4')
    edit(doc, { kind: 'expel', node })
    t.equal(doc.read().nodes.size, 0)
    edit(doc, { kind: 'admit', node, name: 'back' })
    t.equal(doc.read().nodes.get(node)?.name, 'back')
  })

  await t.test('that were expelled are remembered in a bounded number', async t => {
    const doc = docOf(1, { tombstonesMax: 2 })
    for (let number = 10; number < 16; number++) {
      edit(doc, { kind: 'admit', node: keyOf(number).node, name: '' })
      edit(doc, { kind: 'expel', node: keyOf(number).node })
    }
    t.equal(doc.stats().entries, 2)
  })
})

t.test('what people say of a node', async t => {
  const { node } = keyOf(9)
  const label = (
    doc: DesiredDoc,
    set: Record<string, string>,
    unset: readonly string[] = [],
  ): EditResult => edit(doc, { kind: 'label', node, set, unset })
  const nodeIn = (doc: DesiredDoc): Admission | undefined => doc.read().nodes.get(node)
  const admitted = (number: number): DesiredDoc => {
    const doc = docOf(number)
    edit(doc, { kind: 'admit', node, name: 'pi' })
    return doc
  }

  await t.test('is labels, key by key', async t => {
    const doc = admitted(1)
    t.strictSame(nodeIn(doc)?.labels, {})
    label(doc, { zone: 'a', disk: 'ssd' })
    t.match(label(doc, { zone: 'a' }), { update: undefined })
    label(doc, { zone: 'b', rack: '7' }, ['disk'])
    t.strictSame(nodeIn(doc)?.labels, { rack: '7', zone: 'b' })
    t.match(label(doc, {}, ['disk']), { update: undefined }, 'gone already')
    t.equal(doc.stats().entries, 3, 'the admission and a label each: nothing remembers the rest')
  })

  await t.test('is a mode, active by default', async t => {
    const doc = admitted(1)
    t.equal(nodeIn(doc)?.mode, 'active')
    for (const mode of ['cordoned', 'drained'] as const) {
      edit(doc, { kind: 'mode', node, mode })
      t.equal(nodeIn(doc)?.mode, mode)
      t.match(edit(doc, { kind: 'mode', node, mode }), { update: undefined })
    }
    t.not(edit(doc, { kind: 'mode', node, mode: 'active' }), undefined)
    t.equal(nodeIn(doc)?.mode, 'active')
    t.equal(doc.stats().entries, 1)
  })

  await t.test('by two at once, is what both say of different keys', async t => {
    const one = admitted(1)
    const other = docOf(2)
    exchange(one, other)
    label(one, { zone: 'a', row: '1' })
    label(other, { disk: 'ssd', row: '2' })
    edit(other, { kind: 'mode', node, mode: 'cordoned' })
    exchange(one, other)
    t.same(show(one), show(other))
    t.match(nodeIn(one), { labels: { zone: 'a', disk: 'ssd' }, mode: 'cordoned' })
    t.match(nodeIn(one)?.labels['row'], /^[12]$/)
  })

  await t.test('stays where one sets it while another unsets it', async t => {
    const one = admitted(1)
    const other = docOf(2)
    label(one, { zone: 'a' })
    edit(one, { kind: 'mode', node, mode: 'cordoned' })
    exchange(one, other)
    label(one, { zone: 'b' })
    edit(one, { kind: 'mode', node, mode: 'drained' })
    label(other, {}, ['zone'])
    edit(other, { kind: 'mode', node, mode: 'active' })
    t.match(nodeIn(other), { labels: {}, mode: 'active' })
    exchange(one, other)
    t.same(show(one), show(other))
    t.match(nodeIn(one), { labels: { zone: 'b' }, mode: 'drained' })
  })

  await t.test('is forgotten with the node, also what came at the same time', async t => {
    const one = admitted(1)
    const other = docOf(2)
    label(one, { zone: 'a' })
    exchange(one, other)
    edit(one, { kind: 'expel', node })
    t.equal(one.stats().entries, 1, 'the tombstone')
    label(other, { disk: 'ssd' })
    exchange(one, other)
    t.equal(nodeIn(one), undefined)
    edit(one, { kind: 'admit', node, name: 'back' })
    t.strictSame(nodeIn(one)?.labels, {})
    t.equal(one.stats().entries, 1)
  })

  await t.test('has bounds', async t => {
    const doc = admitted(1)
    const many = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`l${at}`, '']))
    t.match(label(doc, many), { ok: true })
    for (const [set, unset, reason] of [
      [{ more: '' }, [], /65 labels, more than 64/],
      [{ '@zone': 'a' }, [], /a key must be .* got @zone/],
      [{ ['__proto__']: 'a' }, [], /a key must be/],
      [{ 'a-': 'a' }, [], /a key must be/],
      [{ l1: 'x'.repeat(1025) }, [], /the value of l1 must be one line of at most 1024/],
      [{ l1: 'a\nb' }, [], /the value of l1 must be one line/],
      [{ l1: 'a' }, ['l1'], /set and unset at once/],
    ] as const) {
      t.match(label(doc, set, unset), { ok: false, reason })
    }
    t.match(label(doc, { more: '' }, ['l1']), { ok: true }, 'one for another')
  })
})

function setBudget(doc: DesiredDoc, value: number | 'default'): EditResult {
  return edit(doc, { kind: 'settings', set: { moveBudgetPerMinute: value } })
}

t.test('settings', async t => {
  await t.test('are set, and follow their default again', async t => {
    const doc = docOf(1)
    t.strictSame(doc.read().settings, {})
    setBudget(doc, 30)
    t.strictSame(doc.read().settings, { moveBudgetPerMinute: 30 })
    t.match(setBudget(doc, 30), { update: undefined })
    const other = docOf(2)
    exchange(doc, other)
    updateOf(setBudget(other, 'default'))
    exchange(doc, other)
    t.strictSame(doc.read().settings, {})
    t.match(setBudget(doc, 'default'), { update: undefined })
    t.equal(doc.stats().entries, 0)
  })

  await t.test('have bounds', async t => {
    const doc = docOf(1)
    for (const value of [0, -1, 1.5, 10_001, NaN]) {
      t.match(setBudget(doc, value), {
        ok: false,
        reason: /whole number from 1 to 10000, or default/,
      })
    }
    const unknown = { kind: 'settings', set: { speed: 3 } } as unknown as Edit
    t.match(edit(doc, unknown), { ok: false, reason: /Cannot set speed: there is no such setting/ })
    t.equal(doc.stats().entries, 0)
  })
})

t.test('an edit that cannot be made says why, and changes nothing', async t => {
  const doc = docOf(1)
  apply(doc, '/global', { mode: 'global' })
  apply(doc, web)
  const before = doc.snapshot()
  const huge = appOf(web, {
    labels: Object.fromEntries(
      Array.from({ length: 70 }, (_, at) => [`label-${at}`, 'x'.repeat(4_000)]),
    ),
  })
  const { node } = keyOf(9)
  const cases = [
    {
      what: { kind: 'scale', app: '/nope' as AppId, instances: 1 },
      reason: /"\/nope".*no such app/,
    },
    { what: { kind: 'scale', app: '/global' as AppId, instances: 1 }, reason: /is global/ },
    { what: { kind: 'scale', app: web, instances: -1 }, reason: /got -1/ },
    { what: { kind: 'scale', app: web, instances: 1.5 }, reason: /got 1.5/ },
    { what: { kind: 'scale', app: web, instances: 10_001 }, reason: /from 0 to 10000/ },
    { what: { kind: 'remove', app: '/nope' as AppId }, reason: /no such app/ },
    { what: { kind: 'expel', node }, reason: /not admitted/ },
    { what: { kind: 'admit', node, name: 'x'.repeat(256) }, reason: /at most 255/ },
    { what: { kind: 'label', node, set: { a: 'b' }, unset: [] }, reason: /not admitted/ },
    { what: { kind: 'mode', node, mode: 'drained' }, reason: /not admitted/ },
    {
      what: { kind: 'apply', specs: [appOf('/a'), appOf('/a')], message: '' },
      reason: /given twice/,
    },
    {
      what: { kind: 'apply', specs: [appOf('/a'), huge], message: '' },
      reason: new RegExp(`at most ${APP_SIZE_BYTES_MAX} bytes`),
    },
    { what: { kind: 'apply', specs: [appOf('/a')], message: 'x'.repeat(1025) }, reason: /message/ },
  ] as const
  for (const { what, reason } of cases) t.match(edit(doc, what), { ok: false, reason })
  t.same(doc.snapshot(), before)
})

t.test('several apps in one edit come as one update', async t => {
  const one = docOf(1)
  const other = docOf(2)
  const result = edit(one, {
    kind: 'apply',
    specs: [appOf('/a'), appOf('/b'), appOf('/c')],
    message: '',
  })
  other.apply(updateOf(result))
  t.same([...other.read().apps.keys()], ['/a', '/b', '/c'])
})

t.test(
  'a document comes back from its snapshot and the updates beside it, in any order',
  async t => {
    const doc = docOf(1)
    apply(doc, '/a')
    const snapshot = doc.snapshot()
    const updates = [apply(doc, '/b'), apply(doc, '/b', { image: 'web:2' }), apply(doc, '/c')]
    const pieces = [snapshot, ...updates]
    for (const saved of [pieces, pieces.toReversed(), [...pieces, ...pieces]]) {
      const back = docOf(1, { saved })
      t.same(show(back), show(doc))
      t.equal(back.since(doc.vector()), undefined)
      const next = apply(back, '/d')
      t.match(docOf(2, { saved: pieces }).apply(next), { ok: true, waiting: false })
    }
  },
)

t.test('a snapshot spares checking signatures again, and updates do not', async t => {
  const doc = docOf(1)
  const update = apply(doc, web)
  let checks = 0
  const verify = createVerify()
  const counting = { verify: (...all: Parameters<typeof verify>) => (checks++, verify(...all)) }
  docOf(2, { saved: [doc.snapshot()], ...counting }).read()
  t.equal(checks, 0)
  docOf(2, { saved: [update], ...counting }).read()
  t.equal(checks, 1)
})

t.test('a saved piece that is damaged is a problem, and the rest is loaded', async t => {
  const doc = docOf(1)
  const good = apply(doc, web)
  const damaged = doc.snapshot().subarray(0, 40)
  const back = docOf(1, { saved: [damaged, new Uint8Array([9, 9, 9]), good] })
  t.ok(get(back, web))
  t.match(back.problems(), [/Cannot load a saved update/])
})

t.test('since() answers nothing to a document that has everything, deletions included', async t => {
  const one = docOf(1)
  const other = docOf(2)
  apply(one, '/a')
  const lost = edit(one, { kind: 'remove', app: '/a' as AppId })
  t.ok(lost.ok)
  exchange(one, other)
  t.equal(one.since(other.vector()), undefined)
  // Scale entries of a removed app are deleted with nothing written in their place.
  apply(other, '/b', { instances: 1 })
  edit(other, { kind: 'scale', app: '/b' as AppId, instances: 2 })
  exchange(one, other)
  edit(other, { kind: 'remove', app: '/b' as AppId })
  const update = other.since(one.vector())!
  t.ok(update.length < 200, `${update.length} bytes: only what is new`)
  one.apply(update)
  t.equal(other.since(one.vector()), undefined)
  t.equal(one.since(other.vector()), undefined)
  t.ok(one.since(new Uint8Array([1, 2, 3])), 'a malformed vector gets everything')
})

t.test('since() gives a large document in parts', async t => {
  const one = docOf(1)
  for (let number = 0; number < 40; number++)
    apply(one, `/app-${number % 20}`, { instances: number })
  edit(one, { kind: 'remove', app: '/app-3' as AppId })
  const other = docOf(2)
  let parts = 0
  for (;;) {
    const update = one.since(other.vector(), 5_000)
    if (update === undefined) break
    t.ok(update.length < 7_000, `${update.length} bytes`)
    t.match(other.apply(update), { ok: true, changed: true, waiting: false })
    parts++
  }
  t.ok(parts > 3, `${parts} parts`)
  t.same(show(other), show(one))
})

t.test('an update that comes before what it follows waits for it', async t => {
  const one = docOf(1)
  const other = docOf(2)
  const first = apply(one, web)
  const second = apply(one, web, { image: 'web:2' })
  t.match(other.apply(second), { ok: true, changed: false, waiting: true })
  t.equal(get(other, web), undefined)
  t.ok(other.stats().waitingBytes > 0)
  t.same(show(docOf(2, { saved: [other.snapshot(), first] })), show(one), 'a snapshot keeps it')
  t.match(other.apply(first), { ok: true, changed: true, waiting: false })
  t.same(show(other), show(one))
  t.equal(other.stats().waitingBytes, 0)
})

t.test('a node whose disk is older than what it once said is told so', async t => {
  const one = docOf(1)
  const other = docOf(2)
  const old = one.snapshot()
  exchange(one, other)
  apply(one, web)
  exchange(one, other)
  const restored = docOf(1, { saved: [old] })
  t.match(other.apply(apply(other, '/x')), { logWasBehind: false })
  t.match(restored.apply(other.since(restored.vector())!), { logWasBehind: true })
  restored.useClientId(77)
  other.apply(apply(restored, '/after'))
  t.same(show(restored), show(other))
  t.ok(get(other, '/after'))
})

t.test('the author of an admission is the node it was made on', async t => {
  const doc = docOf(3)
  edit(doc, { kind: 'admit', node: 'someone' as NodeId, name: 's' })
  t.equal(doc.read().nodes.get('someone' as NodeId)?.by, keyOf(3).node)
})

function scale(doc: DesiredDoc, instances: number): EditResult {
  return edit(doc, { kind: 'scale', app: web, instances })
}
