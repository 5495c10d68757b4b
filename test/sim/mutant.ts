import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Mutation } from './mutations.ts'

const ROOT = join(import.meta.dirname, '../..')

/** What became of one mutation. */
export interface MutantResult {
  /** True when the test failed, as it must. */
  readonly isCaught: boolean
  /** What went wrong otherwise: the text does not stand there once, the test did not run, or ran for too long. */
  readonly problem?: string
  readonly tookMs: number
}

/** A copy of the sources and tests in a temporary folder, for sources that are broken on purpose. */
export class MutantLab implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), 'shoal-mutant-'))

  constructor() {
    for (const part of ['src', 'test', 'package.json']) {
      cpSync(join(ROOT, part), join(this.#dir, part), { recursive: true })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.#dir, 'node_modules'))
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true })
  }

  /** Breaks a guard, runs its test, and puts the guard back. */
  async try(mutation: Mutation, timeoutMs: number): Promise<MutantResult> {
    const startMs = performance.now()
    const file = join(this.#dir, 'src', mutation.file)
    const source = readFileSync(file, 'utf8')
    const count = source.split(mutation.find).length - 1
    if (count !== 1) {
      const problem = `the guard's text stands ${count} times in src/${mutation.file}: it was changed, so change the mutation, too`
      return { isCaught: false, problem, tookMs: 0 }
    }
    writeFileSync(
      file,
      source.replace(mutation.find, () => mutation.put),
    )
    const { code, output } = await this.#run(mutation, timeoutMs)
    writeFileSync(file, source)
    const tookMs = performance.now() - startMs
    // What broke in another way than a test that fails proves nothing. A simulation that never ends is caught as well.
    const isRun = /^ +(?:not )?ok /m.test(output) || code === undefined
    if (!isRun)
      return { isCaught: false, problem: `the test did not run: ${output.slice(-600)}`, tookMs }
    return { isCaught: code !== 0, tookMs }
  }

  async #run(
    { test, story, seed, seeds }: Mutation,
    timeoutMs: number,
  ): Promise<{ readonly code: number | undefined; readonly output: string }> {
    const child = spawn(process.execPath, [join(this.#dir, 'test/sim', `${test}.test.ts`)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        TAP_BAIL: '1',
        NODE_COMPILE_CACHE: join(this.#dir, 'cache'),
        ...(story !== undefined && { TAP_GREP: `/${story}/` }),
        ...(seeds !== undefined && { SEEDS: String(seeds) }),
        ...(seed !== undefined && { SEED: String(seed) }),
      },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream
        .setEncoding('utf8')
        .on('data', (text: string) => (output = (output + text).slice(-20_000)))
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    const code = await new Promise<number | undefined>(resolve =>
      child.once('close', exit => resolve(exit ?? undefined)),
    )
    clearTimeout(timer)
    return { code, output }
  }
}
