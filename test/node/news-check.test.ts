import t from 'tap'
import { createNewsCheck } from '../../src/node/news-check.ts'
import type { NodeEvent } from '../../src/node/machine/events.ts'
import { nodeOf } from '../sim/keys.ts'
import { makeMachine, recordOf, signedBy } from './machine/make-machine.ts'

const ONE = nodeOf(1)

const received = (seq: number): NodeEvent => {
  const message = { kind: 'record', signed: signedBy(recordOf(1, { seq })) } as const
  return { kind: 'received', from: ONE, message }
}

const judged = (kind: 'alive' | 'suspect', incarnation: number): NodeEvent => ({
  kind: 'verdict-came',
  verdict: { node: ONE, kind, incarnation },
})

void t.test('a news check says no until something changed that others are to see', async t => {
  const machine = makeMachine(2)
  let nowMs = 0
  const happens = (event: NodeEvent): void => void machine.handle(event, ++nowMs)
  happens({ kind: 'ticked' })
  const isNews = createNewsCheck(machine)
  t.equal(isNews(), true, 'the first look is news')
  t.equal(isNews(), false)

  const changes: readonly (readonly [string, NodeEvent])[] = [
    ['a record', received(1)],
    ['its next version', received(2)],
    ['a verdict', judged('alive', 65_536)],
    ['a doubt', judged('suspect', 65_536)],
    ['a new life', judged('suspect', 131_072)],
    [
      'an edit',
      { kind: 'edited', request: 1, edit: { kind: 'mode', node: ONE, mode: 'cordoned' } },
    ],
  ]
  for (const [what, event] of changes) {
    happens(event)
    t.equal(isNews(), true, `${what} is news`)
    happens(received(1))
    t.equal(isNews(), false, `${what} is news once, and what is old is none`)
  }
})
