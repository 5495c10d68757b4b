import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { meetsTarget } from '../../scripts/bench/row.ts'
import { runBench, type BenchResult } from '../../scripts/bench/run-bench.ts'

const dir = mkdtempSync(join(tmpdir(), 'shoal-bench-'))
t.teardown(() => rmSync(dir, { recursive: true }))

async function run(name: string, code: string, timeoutMs = 20_000): Promise<BenchResult> {
  writeFileSync(join(dir, `${name}.ts`), code)
  return await runBench(join(dir, `${name}.ts`), timeoutMs)
}

t.test('meetsTarget() holds a figure to its bounds', async t => {
  const row = { name: 'x', value: 5, unit: 'ms' }
  t.equal(meetsTarget(row), undefined)
  t.equal(meetsTarget({ ...row, target: { max: 5 } }), true)
  t.equal(meetsTarget({ ...row, target: { max: 4.9 } }), false)
  t.equal(meetsTarget({ ...row, target: { min: 5.1 } }), false)
  t.equal(meetsTarget({ ...row, target: { min: 4, max: 6 } }), true)
})

t.test('runBench() gathers the rows of every bench in a file, and of nothing else', async t => {
  const code = `
    export async function benchOne() { return [{ name: 'a', value: 1, unit: 'ms' }] }
    export async function benchTwo() { return [{ name: 'b', value: 2, unit: 'ms' }] }
    export function benchmarkless() { throw new Error('not a bench') }
    setInterval(() => undefined, 1000)`
  const { bench, rows, problem } = await run('both', code)
  t.strictSame([bench, rows.map(({ name }) => name), problem], ['both', ['a', 'b'], undefined])
})

t.test('runBench() names what went wrong', async t => {
  const crash = await run('crash', `export async function benchIt() { process.exit(3) }`)
  t.match(crash, { rows: [], problem: 'ended with 3' })
  const hang = await run('hang', `export function benchIt() { for (;;); }`, 500)
  t.match(hang, { rows: [], problem: 'was killed after 0.5 s' })
})
