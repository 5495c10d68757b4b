import t from 'tap'
import { appSchema } from '../../../src/model/app.ts'
import type { RevisionId } from '../../../src/model/ids.ts'
import { CheckRun } from '../../../src/node/machine/check-run.ts'

const REVISION = 'r1' as RevisionId
const TIMES = { nowMs: 1_000, startedAtMs: 0 }
const well = (check: number): { check: number; healthy: boolean; message: string } => ({
  check,
  healthy: true,
  message: '',
})

/** A run of so many checks that begins at 0. */
function makeRun(count: number): CheckRun {
  const check = { kind: 'command', command: 'check', interval: '10s' } as const
  const spec = appSchema.parse({
    id: '/web',
    command: 'serve',
    health: Array.from({ length: count }, () => check),
  })
  return new CheckRun({ revision: REVISION, spec }, 0)
}

t.test('a check is probed once at a time, and then after its interval', async t => {
  const run = makeRun(2)
  t.strictSame(run.takeDue(0), [0, 1])
  t.strictSame([run.takeDue(0), run.wakeAtMs], [[], Infinity])
  run.probed(well(1), TIMES)
  t.strictSame([run.wakeAtMs, run.health], [11_000, 'unknown'])
  run.probed(well(0), TIMES)
  t.equal(run.health, 'healthy')
})

t.test('a probe that nobody sent, or of a check that is not there, says nothing', async t => {
  const run = makeRun(1)
  run.probed(well(0), TIMES)
  run.probed(well(7), TIMES)
  t.strictSame([run.health, run.wakeAtMs], ['unknown', 0])
})
