import fc from 'fast-check'
import t from 'tap'
import type { NodeRecord, SignedRecord } from '../../../src/model/node-record.ts'
import {
  createRecordCheck,
  deltaBetween,
  ObservedBook,
} from '../../../src/node/machine/observed-book.ts'
import { toBytes } from '../../../src/util/bytes.ts'
import { nodeOf, signerOf, verify } from '../../sim/keys.ts'
import { anyRecord } from './any-record.ts'

function sign(record: NodeRecord, by = record.node): SignedRecord {
  return { record, signature: signerOf(by)(toBytes(record)) }
}

t.test('ObservedBook takes a change and has what the whole record says', async t => {
  fc.assert(
    fc.property(anyRecord, anyRecord, (before, next) => {
      const after = sign({ ...next, seq: 2 })
      const book = new ObservedBook(createRecordCheck(verify))
      book.merge(sign(before), 0)
      const result = book.mergeDelta(deltaBetween(before, after), 1)
      t.equal(result.kind, 'merged')
      t.strictSame(book.get(before.node), after.record)
    }),
  )
})

t.test(
  'ObservedBook ends with the newest version in whatever order and however often they come',
  async t => {
    const order = fc.array(fc.nat(5), { minLength: 12, maxLength: 30 })
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 6, maxLength: 6 }), order, (records, picks) => {
        const versions = records.map((record, index) => sign({ ...record, seq: index + 1 }))
        const book = new ObservedBook(createRecordCheck(verify))
        for (const pick of [...picks, 5]) {
          const earlier = versions[pick - 1]
          if (pick % 2 === 1 && earlier !== undefined) {
            book.mergeDelta(deltaBetween(earlier.record, versions[pick]!), 0)
          } else book.merge(versions[pick]!, 0)
        }
        book.merge(versions[5]!, 0)
        t.strictSame(book.get(nodeOf(0)), versions[5]!.record)
        const slots = new Set(records.flatMap(({ tasks }) => tasks.map(({ slot }) => slot)))
        const listed = [...slots].flatMap(slot => book.tasksOf(slot).map(({ task }) => task.id))
        t.same(new Set(listed), new Set(versions[5]!.record.tasks.map(({ id }) => id)))
      }),
      { numRuns: 50 },
    )
  },
)

t.test(
  'ObservedBook refuses what the owner did not sign, and asks where a version is missing',
  async t => {
    const [record] = fc.sample(anyRecord, 1)
    const book = new ObservedBook(createRecordCheck(verify))
    t.equal(book.merge(sign(record!, nodeOf(1)), 0).kind, 'forged')
    t.equal(book.get(nodeOf(0)), undefined)
    t.equal(book.merge(sign(record!), 0).kind, 'merged')
    t.equal(book.merge(sign(record!), 0).kind, 'old')
    const third = sign({ ...record!, seq: 3, name: 'c' })
    const second = { ...record!, seq: 2 }
    t.equal(book.mergeDelta(deltaBetween(second, third), 0).kind, 'gap')
    const altered = { ...deltaBetween(record!, third), fields: { name: 'evil' } }
    t.equal(book.mergeDelta(altered, 0).kind, 'forged')
    t.equal(book.get(nodeOf(0))?.name, record!.name)
  },
)

t.test('ObservedBook takes no change of a record that another run of its node wrote', async t => {
  const [sample] = fc.sample(anyRecord, { numRuns: 1, seed: 1 })
  const runOf = (id: string, seq: number): NodeRecord => ({
    ...sample!,
    seq,
    name: id,
    run: { id, startedAtMs: 0, atMs: seq, met: [] },
  })
  const book = new ObservedBook(createRecordCheck(verify))
  book.merge(sign(runOf('first', 1)), 0)
  // Two machines with one key count alike: the version before it is here, and is not what it was made from.
  const change = deltaBetween(runOf('second', 1), sign(runOf('second', 2)))
  t.equal(book.mergeDelta(change, 0).kind, 'gap', 'it is asked for, and nobody is called a liar')
  t.equal(book.merge(sign(runOf('second', 2)), 0).kind, 'merged')
})
