import t, { type Test } from 'tap'
import type { AppId, NodeId } from '../../src/model/ids.ts'
import { slotIdOf, slotSuffix, type SlotId } from '../../src/model/ids.ts'
import { rolloutBlocker } from '../../src/reconcile/rollout.ts'

const WEB = '/web' as AppId

const no = (): boolean => false

const indexOf = (slot: SlotId): number => Number(slotSuffix(slot))

/** Slots by number: `d` is done, `u` has no node, `.` is on its way or before it, and `l` was left on its way by another rollout. */
function check(t: Test, slots: string, parallelism: number, expected: string): void {
  const blockers = Array.from(slots, (_, index) => {
    const blocker = rolloutBlocker(WEB, slotIdOf(WEB, index), {
      parallelism,
      isDone: slot => slots[indexOf(slot)] === 'd',
      isUnplaced: slot => slots[indexOf(slot)] === 'u',
      isLeftOnItsWay: slot => slots[indexOf(slot)] === 'l',
      exists: slot => indexOf(slot) < slots.length,
    })
    return blocker === undefined ? '-' : String(indexOf(blocker))
  })
  t.equal(blockers.join(''), expected, `${slots} by ${parallelism}`)
}

t.test('rolloutBlocker() lets one slot go after the other', async t => {
  check(t, '....', 1, '-000')
  check(t, 'd...', 1, '--11')
  check(t, 'ddd.', 1, '----')
})

t.test('rolloutBlocker() lets as many go as may be on their way', async t => {
  check(t, '.....', 2, '--111')
  check(t, 'd.d..', 2, '----3')
})

t.test('rolloutBlocker() does not wait for a slot that no node can run', async t => {
  check(t, 'uu..', 1, '---2')
})

t.test('rolloutBlocker() counts what an earlier rollout left on its way', async t => {
  check(t, '..l', 1, '200')
  check(t, 'd.l.', 1, '2211')
  check(t, '..l.l', 2, '42111')
})

t.test('rolloutBlocker() never holds a global app', async t => {
  const view = { parallelism: 1, isDone: no, isUnplaced: no, isLeftOnItsWay: no, exists: no }
  t.equal(rolloutBlocker(WEB, slotIdOf(WEB, '12D3KooW' as NodeId), view), undefined)
})
