import t from 'tap'
import type { AppId } from '../../src/model/ids.ts'
import { createRandom, pick } from '../../src/util/random.ts'
import { HISTORY_MAX } from '../../src/crdt/plan-edit.ts'
import { apply, docOf, edit, exchange } from './docs.ts'

const EDITS = 2_000
const APPS = Array.from({ length: 20 }, (_, at) => `/app-${at}` as AppId)

t.test('a document stays at the size of what lives, however often it is edited', async t => {
  const doc = docOf(1)
  for (let round = 0; round < EDITS; round++) {
    apply(doc, APPS[round % APPS.length]!, { image: `web:${round}` })
  }
  // The same last revisions, made by nodes that never made any other.
  const fresh = docOf(2)
  for (let round = EDITS - APPS.length * HISTORY_MAX; round < EDITS; round++) {
    apply(fresh, APPS[round % APPS.length]!, { image: `web:${round}` })
  }
  const { sizeBytes, entries } = doc.stats()
  t.equal(entries, APPS.length * (HISTORY_MAX + 1))
  const ratio = sizeBytes / fresh.stats().sizeBytes
  t.ok(ratio < 1.2, `${ratio.toFixed(3)} of the live size`)
})

t.test(
  'a document stays small when many writers take turns, at once and after one another',
  async t => {
    const random = createRandom(4)
    const docs = [1, 2, 3, 4].map(number => docOf(number))
    for (let round = 0; round < EDITS; round++) {
      const doc = pick(docs, random)!
      const app = pick(APPS, random)!
      if (random() < 0.3) edit(doc, { kind: 'scale', app, instances: Math.floor(random() * 100) })
      else apply(doc, app, { image: `web:${round}` })
      if (random() < 0.05) exchange(...docs)
    }
    exchange(...docs)
    for (const app of APPS) apply(docs[0]!, app, { image: 'web:last' })
    exchange(...docs)
    for (const doc of docs) {
      const { entries, sizeBytes } = doc.stats()
      t.ok(entries <= APPS.length * (HISTORY_MAX + 2), `${entries} entries`)
      // A revision has about 700 bytes, and its share of all else is small.
      t.ok(sizeBytes < entries * 1_000, `${sizeBytes} bytes`)
    }
  },
)

t.test('a scale that changes all the time leaves nothing behind', async t => {
  const doc = docOf(1)
  apply(doc, '/a')
  const before = doc.stats().sizeBytes
  for (let round = 0; round < EDITS; round++) {
    edit(doc, { kind: 'scale', app: '/a' as AppId, instances: round % 100 })
  }
  const grown = doc.stats().sizeBytes - before
  t.ok(grown < 100, `${grown} bytes more after ${EDITS} edits`)
})
