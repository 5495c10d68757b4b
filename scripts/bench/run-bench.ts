import { spawn } from 'node:child_process'
import { basename, resolve as resolvePath } from 'node:path'
import type { BenchRow } from './row.ts'

/** What one bench file gave, or why it gave nothing. */
export interface BenchResult {
  readonly bench: string
  readonly rows: readonly BenchRow[]
  readonly elapsedMs: number
  readonly problem?: string
}

/**
 * What a bench wants of V8. A thousand simulated nodes need more than the 4 GB that it allows itself, and make so much that
 * lives for some virtual milliseconds that young generations of its usual size cost a tenth of the time.
 */
const V8_FLAGS: Readonly<Record<string, readonly string[]>> = {
  simulation: [
    '--max-old-space-size=12000',
    '--min-semi-space-size=128',
    '--max-semi-space-size=128',
  ],
}

/**
 * Runs the benches of one file in a process of their own, so that none inherits another's heap, warm
 * code or open sockets. What it prints goes to our stderr; a crash or a hang is a problem in the
 * result.
 */
export async function runBench(file: string, timeoutMs: number): Promise<BenchResult> {
  const started = performance.now()
  const bench = basename(file, '.ts')
  const own = V8_FLAGS[bench] ?? []
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning', ...own]
  const child = spawn(process.execPath, [...flags, import.meta.filename, resolvePath(file)], {
    detached: true,
    stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
  })
  let rows: readonly BenchRow[] | undefined
  child.on('message', message => (rows = message as readonly BenchRow[]))
  const limit = AbortSignal.timeout(timeoutMs)
  limit.addEventListener('abort', () => endGroup(child.pid))
  const stop = (): void => endGroup(child.pid)
  process.on('exit', stop)
  const [code, signal] = await new Promise<readonly [number | null, string | null]>(resolve => {
    child.once('exit', (...end) => resolve(end))
  })
  process.off('exit', stop)
  endGroup(child.pid)

  const result = { bench, rows: rows ?? [], elapsedMs: performance.now() - started }
  if (limit.aborted) return { ...result, problem: `was killed after ${timeoutMs / 1000} s` }
  if (rows === undefined || code !== 0)
    return { ...result, problem: `ended with ${code ?? signal}` }
  return result
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

type Bench = () => Promise<readonly BenchRow[]>

if (import.meta.main) {
  const [, , file = ''] = process.argv
  const exports = (await import(file)) as Readonly<Record<string, Bench>>
  const rows: BenchRow[] = []
  for (const [name, bench] of Object.entries(exports)) {
    if (/^bench[A-Z]/.test(name)) rows.push(...(await bench()))
  }
  process.send?.(rows, () => process.exit(0))
}
