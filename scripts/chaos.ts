/**
 * Real Docker hosts on this machine through random faults, with edits and clients all the while; at the
 * end it checks that nothing acknowledged was lost and that all runs as it should. Needs root.
 *
 *     node scripts/chaos.ts [--minutes M] [--seed S] [--hosts N] [--json]
 *
 * What happens is told on standard error, the result on standard output. The exit code is 1 if something
 * did not hold: then the story of how it came to be is told, too. The same seed gives the same faults and edits.
 */

import { parseArgs } from 'node:util'
import { printReport } from './chaos/report.ts'
import { runChaos } from './chaos/run-chaos.ts'
import { removeAbandoned } from './testbed/testbed.ts'

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
})
const [minutes, seed, hosts] = [values.minutes, values.seed, values.hosts].map(Number)
if (!(minutes! > 0 && minutes! <= 24 * 60)) refuse(`--minutes must be 0 to 1440: ${values.minutes}`)
if (!Number.isInteger(seed)) refuse(`--seed must be a whole number: ${values.seed}`)
if (!Number.isInteger(hosts) || hosts! < 3 || hosts! > 20) {
  refuse(`--hosts must be 3 to 20: ${values.hosts}`)
}

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())
try {
  await removeAbandoned()
  const report = await runChaos({
    minutes: minutes!,
    seed: seed!,
    hosts: hosts!,
    onLine: line => process.stderr.write(`${line}\n`),
    signal: stop.signal,
  })
  const { story, ...figures } = report
  process.stdout.write(values.json ? `${JSON.stringify(figures, null, 2)}\n` : printReport(report))
  if (story.length > 0) process.stderr.write(`\nThe story:\n${story.join('\n')}\n`)
  process.exitCode = report.problems.length > 0 ? 1 : 0
} catch (error) {
  process.stderr.write(`chaos: ${error instanceof Error ? error.message : String(error)}\n`)
  // What was under way when it stopped would keep the process.
  process.exit(1)
}

function refuse(reason: string): never {
  process.stderr.write(`chaos: ${reason}\n`)
  process.exit(2)
}
