/** Two minutes of `scripts/chaos.ts`: five real Docker hosts through every kind of fault. */

import t from 'tap'
import { FAULT_KINDS } from '../../scripts/chaos/fault-plan.ts'
import { printReport } from '../../scripts/chaos/report.ts'
import { runChaos } from '../../scripts/chaos/run-chaos.ts'
import { onDockerHosts } from './docker-cluster.ts'

t.test(
  'docker: five hosts through two minutes of faults, edits and clients',
  onDockerHosts(),
  async t => {
    const seed = Number(process.env['SEED'] ?? 1)
    t.comment(`SEED=${seed}`)
    const report = await runChaos({ minutes: 2, seed })
    for (const line of printReport(report).trimEnd().split('\n')) t.comment(line)
    for (const line of report.story) t.comment(line)
    t.strictSame(report.problems, [], 'nothing acknowledged is lost, and all runs as it should')
    t.ok(report.edits.acknowledged > 100, 'edits went on all the while')
    t.equal(
      new Set(report.faults.map(({ kind }) => kind)).size,
      FAULT_KINDS.length,
      'every kind of fault came',
    )
    // The app has six instances, of which two at most are struck: one more try finds another one.
    t.ok(report.availability.requests > 1_000, 'clients asked all the while')
    t.ok(report.availability.percentWithRetry > 98, 'the app was there for those who asked twice')
  },
)
