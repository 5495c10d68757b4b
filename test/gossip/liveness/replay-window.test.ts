import fc from 'fast-check'
import t from 'tap'
import { REPLAY_WINDOW, ReplayWindow } from '../../../src/gossip/liveness/replay-window.ts'

t.test('isFresh() agrees with a set that remembers everything, within the window', async () => {
  const counters = fc.array(fc.oneof(fc.nat(3000), fc.nat(50), fc.nat(2 ** 32 - 1)), {
    maxLength: 300,
  })
  fc.assert(
    fc.property(counters, list => {
      const replays = new ReplayWindow()
      const seen = new Set<number>()
      let highest = -1
      for (const counter of list) {
        const isTooOld = counter <= highest - REPLAY_WINDOW
        if (replays.isFresh(counter) !== (!seen.has(counter) && !isTooOld)) return false
        if (!replays.isFresh(counter)) continue
        replays.mark(counter)
        seen.add(counter)
        highest = Math.max(highest, counter)
      }
      return true
    }),
    { numRuns: 500 },
  )
})
