import t from 'tap'
import type { Admission, Desired } from '../../../src/model/desired.ts'
import type { NodeId } from '../../../src/model/ids.ts'
import { tellingsOfDesired } from '../../../src/node/machine/tellings.ts'

const pi = 'pi' as NodeId

function desired(over: Partial<Admission>, settings: Desired['settings'] = {}): Desired {
  const node = { node: pi, name: 'pi', by: pi, timeMs: 0, labels: {}, mode: 'active', ...over }
  return { apps: new Map(), nodes: new Map([[pi, node as Admission]]), settings }
}

t.test('tellingsOfDesired() tells what people say of a node, and settings', async t => {
  const labelled = desired({ labels: { zone: 'a', disk: 'ssd' } })
  const relabelled = desired({ labels: { zone: 'b' } })
  const cordoned = desired({ mode: 'cordoned' })
  const cases: readonly [Desired, Desired, readonly string[]][] = [
    [labelled, labelled, []],
    [desired({}), labelled, ['pi is labelled zone=a', 'pi is labelled disk=ssd']],
    [labelled, relabelled, ['pi is labelled zone=b', 'pi is labelled disk no more']],
    [desired({}), cordoned, ['pi is cordoned: it keeps what it runs, and takes nothing new']],
    [cordoned, desired({ mode: 'drained' }), ['pi is drained: its tasks are handed over']],
    [cordoned, desired({}), ['pi takes work again']],
    [desired({}), desired({}, { moveBudgetPerMinute: 9 }), ['settings moveBudgetPerMinute is 9']],
    [
      desired({}, { moveBudgetPerMinute: 9 }),
      desired({}),
      ['settings moveBudgetPerMinute is unset'],
    ],
  ]
  for (const [before, after, texts] of cases) {
    const told = tellingsOfDesired(before, after, 1)
    t.strictSame(
      told.map(({ subject, text }) => `${subject} ${text}`),
      texts,
    )
  }
})
