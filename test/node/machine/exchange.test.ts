import t from 'tap'
import type { NodeId } from '../../../src/model/ids.ts'
import type { NodeMachine } from '../../../src/node/machine/node-machine.ts'
import { deltaBetween } from '../../../src/node/machine/observed-book.ts'
import { nodeOf } from '../../sim/keys.ts'
import { makeMachine, recordOf, signedBy } from './make-machine.ts'

/** Whom the machine asks for what it lacks when a change of node 1's record comes of which it has no earlier version. */
function askedAfterGap(machine: NodeMachine, nowMs: number): NodeId[] {
  const before = recordOf(1, { seq: 5 })
  const change = deltaBetween(before, signedBy(recordOf(1, { seq: 6, name: 'other' })))
  return machine
    .handle({ kind: 'received', from: nodeOf(1), message: change }, nowMs)
    .flatMap(effect =>
      effect.kind === 'send' && effect.message.kind === 'have' ? [effect.to] : [],
    )
}

t.test('a machine asks the node whose record has a gap, once a second', async t => {
  const machine = makeMachine(4)
  for (const index of [1, 2]) machine.handle({ kind: 'connected', node: nodeOf(index) }, 0)
  t.strictSame(askedAfterGap(machine, 10), [nodeOf(1)])
  t.strictSame(askedAfterGap(machine, 900), [], 'it was asked just now')
  t.strictSame(askedAfterGap(machine, 1_100), [nodeOf(1)])
})

t.test('a machine asks others where gossip came a long way round, each once a second', async t => {
  const machine = makeMachine(4)
  t.strictSame(askedAfterGap(machine, 10), [], 'nobody can be reached')
  for (const index of [2, 3]) machine.handle({ kind: 'connected', node: nodeOf(index) }, 20)
  const asked = [30, 40, 50].map(nowMs => askedAfterGap(machine, nowMs))
  t.strictSame(asked.flat().toSorted(), [nodeOf(2), nodeOf(3)].toSorted())
  t.strictSame(asked[2], [])
})
