import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runFile, type FileResult } from '../../scripts/test/run-file.ts'
import { until } from '../../scripts/testbed/process-table.ts'
import { describeFile, summarize } from '../../scripts/test/summary.ts'

const dir = mkdtempSync(join(tmpdir(), 'shoal-run-file-'))
t.teardown(() => rmSync(dir, { recursive: true }))

interface Case {
  readonly name: string
  readonly code: string
  readonly want: readonly string[]
  readonly requireAll?: boolean
  readonly timeoutMs?: number
}

const cases: readonly Case[] = [
  { name: 'passes', code: `console.log('ok 1 - a\\n1..1')`, want: ['passed a'] },
  {
    name: 'dies',
    code: `console.log('ok 1 - a')`,
    want: ['passed a', 'failed ended before its tests did'],
  },
  { name: 'is empty', code: `console.log('1..0')`, want: ['failed has no tests'] },
  {
    name: 'exits badly',
    code: `console.log('ok 1 - a\\n1..1'); process.exitCode = 3`,
    want: ['passed a', 'failed exited with 3 though no test failed'],
  },
  {
    name: 'is killed',
    code: `process.kill(process.pid, 'SIGKILL')`,
    want: ['failed was ended by SIGKILL'],
  },
  {
    name: 'hangs',
    code: `process.on('SIGTERM', () => process.exit(1)); setInterval(() => {}, 1000)`,
    timeoutMs: 400,
    want: ['failed hung: was killed after 0.4 s'],
  },
  { name: 'skips', code: `console.log('ok 1 - a # SKIP no root\\n1..1')`, want: ['skipped a'] },
  {
    name: 'skips where all is required',
    code: `console.log('ok 1 - a # SKIP no root\\n1..1')`,
    requireAll: true,
    want: ['failed a'],
  },
]

async function run({
  name,
  code,
  requireAll = false,
  timeoutMs = 20_000,
}: Case): Promise<FileResult> {
  const file = join(dir, `${name.replaceAll(' ', '-')}.ts`)
  writeFileSync(file, code)
  return await runFile(file, { requireAll, timeoutMs, signal: new AbortController().signal })
}

for (const one of cases) {
  t.test(`runFile() of a file that ${one.name}`, async t => {
    const { outcomes } = await run(one)
    t.strictSame(
      outcomes.map(({ kind, name }) => `${kind} ${name}`),
      one.want,
    )
  })
}

const onLinux = existsSync('/proc/self/stat') ? {} : { skip: 'needs /proc' }

t.test('runFile() ends what a hanging file started', onLinux, async () => {
  const pidFile = join(dir, 'pid')
  const child = `require('fs').writeFileSync('${pidFile}', String(process.pid)); setInterval(() => {}, 1000)`
  const code = `import { spawn } from 'node:child_process'
    spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' })`
  await run({ name: 'leaves a child', code, timeoutMs: 2000, want: [] })
  // A signal is on its way for a moment, also when the sender has ended.
  await until('the child has ended', 5_000, () =>
    Promise.resolve(!isRunning(readFileSync(pidFile, 'utf8'))),
  )
})

/** Whether a process runs; one that ended and waits for its parent does not. */
function isRunning(pid: string): boolean {
  const stat = `/proc/${pid}/stat`
  return existsSync(stat) && !/\) [ZX] /.test(readFileSync(stat, 'utf8'))
}

t.test(
  'runFile() shows what a failing file printed, and the totals stand alone at the end',
  async t => {
    const code = `console.log('not ok 1 - a\\n1..1'); console.error('from stderr'); console.log('stray')`
    const result = await run({ name: 'prints', code, want: [] })
    const shown = describeFile(result)
    t.match(shown, /^FAIL .*: 0 passed, 1 failed\n {5}✗ a\n/)
    t.match(shown, 'stray')
    t.match(shown, 'from stderr')
    t.match(summarize([result]), /Failed:\n {2}\S+: a\n\n0 passed, 1 failed, 0 skipped$/)
  },
)
