import t from 'tap'
import { MutantLab } from './mutant.ts'
import { MUTATIONS } from './mutations.ts'

/** Longer than any of these tests takes on the busiest machine: a simulation that never ends is killed. */
const TIMEOUT_MS = 120_000

t.test('the simulator notices when a guard is broken', async t => {
  using lab = new MutantLab()
  for (const mutation of MUTATIONS) {
    const { isCaught, problem } = await lab.try(mutation, TIMEOUT_MS)
    t.ok(isCaught, mutation.guard, { ...(problem !== undefined && { problem }), ...mutation })
  }
})
