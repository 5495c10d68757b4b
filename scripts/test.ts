/**
 * Runs the tests: every `test/**\/*.test.ts`, or the files given, or those of some rooms.
 *
 *     npm test -- [--only ROOM]… [--jobs N] [--timeout SECONDS] [FILE…]
 *
 * The last line is the totals, `N passed, N failed, N skipped`; the exit code is 1 if a test failed.
 * `SHOAL_REQUIRE_ALL=1` turns every skip into a failure. Files run as processes of their own
 * rather than under tap's runner, which costs a second of start for each and prints no such line.
 */

import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { runFile, type FileResult } from './test/run-file.ts'
import { countOutcomes, describeFile, summarize } from './test/summary.ts'

const ROOT = join(import.meta.dirname, '..')

/**
 * Tests of real daemons, on this machine or on hosts of the test bed: they wait more than they work, so two
 * run side by side, but only after the others, so that they do not fail for want of a processor.
 */
const PAIRED = ['test/e2e/']

/** Tests that take minutes, and a busy machine as one more fault: they run beside the many small ones. */
const BESIDE = ['test/e2e/chaos']

/** Tests that measure on the test bed: each runs by itself, last of all. */
const ALONE = ['test/scripts/testbed']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', multiple: true, default: [] },
    jobs: { type: 'string', default: String(availableParallelism()) },
    timeout: { type: 'string', default: '300' },
  },
})

process.chdir(ROOT)
process.env['PATH'] = [join(ROOT, 'node_modules/.bin'), process.env['PATH']].join(delimiter)
process.env['NODE_COMPILE_CACHE'] ??= join(ROOT, 'node_modules/.cache/shoal')
process.exitCode = await run(chooseFiles(positionals, values.only))

/** The files to run, in order; throws if a name matches none, which would else pass falsely. */
function chooseFiles(named: readonly string[], rooms: readonly string[]): string[] {
  if (named.length > 0) return named.map(file => relative(ROOT, file))
  const all = globSync('test/**/*.test.ts').toSorted()
  if (rooms.length === 0) return all
  return rooms.flatMap(room => {
    const found = all.filter(file => file.startsWith(`test/${room}/`))
    if (found.length === 0) fail(`no tests in test/${room}`)
    return found
  })
}

async function run(files: readonly string[]): Promise<number> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())
  const options = {
    timeoutMs: readNumber('--timeout', values.timeout) * 1000,
    requireAll: process.env['SHOAL_REQUIRE_ALL'] === '1',
    signal: stop.signal,
  }

  const results: FileResult[] = []
  const work = async (queue: string[]): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      if (stop.signal.aborted) return
      // Each worker takes the next file only when it has finished one: that is the concurrency.
      // oxlint-disable-next-line eslint/no-await-in-loop
      const result = await runFile(file, options)
      results.push(result)
      print(describeFile(result))
    }
  }
  const beside = files.filter(file => isOf(BESIDE, file))
  const paired = files.filter(file => isOf(PAIRED, file) && !beside.includes(file))
  const others = files.filter(file => !paired.includes(file) && !beside.includes(file))
  const alone = others.filter(file => isOf(ALONE, file))
  const queue = others.filter(file => !alone.includes(file))
  const jobs = readNumber('--jobs', values.jobs)
  const inJobs = async (count: number, of: string[]): Promise<void> => {
    await Promise.all(Array.from({ length: count }, async () => await work(of)))
  }
  await Promise.all([inJobs(jobs, queue), work(beside)])
  await inJobs(Math.min(jobs, 2), paired)
  await work(alone)

  print(summarize(results))
  return stop.signal.aborted || countOutcomes(results).failed > 0 ? 1 : 0
}

function isOf(prefixes: readonly string[], file: string): boolean {
  return prefixes.some(prefix => file.startsWith(prefix))
}

function readNumber(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) fail(`${option} must be a whole number >= 1: ${text}`)
  return value
}

function fail(reason: string): never {
  process.stderr.write(`test: ${reason}\n`)
  process.exit(2)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
