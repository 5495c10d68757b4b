import t from 'tap'
import { createNewsCheck } from '../../src/node/news-check.ts'

type Machine = Parameters<typeof createNewsCheck>[0]

/** A machine of one node whose parts can be replaced one by one. */
function machineOf(parts: { desired: object; record: object; isAlive: boolean }): Machine {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only what the check looks at
  return {
    doc: { read: () => parts.desired },
    book: { records: () => [parts.record] },
    members: { isAlive: () => parts.isAlive },
  } as unknown as Machine
}

void t.test('a news check says no until a part is replaced', async t => {
  const parts = { desired: {}, record: { node: 'a' }, isAlive: true }
  const isNews = createNewsCheck(machineOf(parts))
  t.equal(isNews(), true, 'the first look is news')
  t.equal(isNews(), false)

  const changes: readonly (readonly [string, () => unknown])[] = [
    ['a document', () => (parts.desired = {})],
    ['a record', () => (parts.record = { node: 'a' })],
    ['a verdict', () => (parts.isAlive = false)],
  ]
  for (const [what, change] of changes) {
    change()
    t.equal(isNews(), true, `${what} is news`)
    t.equal(isNews(), false, `${what} is news once`)
  }
})
