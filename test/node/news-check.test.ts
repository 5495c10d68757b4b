import t from 'tap'
import { createNewsCheck } from '../../src/node/news-check.ts'

type Machine = Parameters<typeof createNewsCheck>[0]

interface Parts {
  desired: object
  record: object
  verdict: { kind: string; incarnation: number }
  placement: object
}

/** A machine of one node whose parts can be replaced one by one. */
function machineOf(parts: Parts): Machine {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only what the check looks at
  return {
    doc: { read: () => parts.desired },
    book: { records: () => [parts.record] },
    members: { verdict: () => ({ ...parts.verdict }) },
    get placed() {
      return { placement: parts.placement }
    },
  } as unknown as Machine
}

void t.test('a news check says no until a part is replaced', async t => {
  const alive = { kind: 'alive', incarnation: 1 }
  const parts: Parts = { desired: {}, record: { node: 'a' }, verdict: alive, placement: {} }
  const isNews = createNewsCheck(machineOf(parts))
  t.equal(isNews(), true, 'the first look is news')
  t.equal(isNews(), false)

  const changes: readonly (readonly [string, () => unknown])[] = [
    ['a document', () => (parts.desired = {})],
    ['a record', () => (parts.record = { node: 'a' })],
    ['a verdict', () => (parts.verdict = { kind: 'suspect', incarnation: 1 })],
    ['a new life', () => (parts.verdict = { kind: 'suspect', incarnation: 2 })],
    ['a placement', () => (parts.placement = {})],
  ]
  for (const [what, change] of changes) {
    change()
    t.equal(isNews(), true, `${what} is news`)
    t.equal(isNews(), false, `${what} is news once`)
  }
})
