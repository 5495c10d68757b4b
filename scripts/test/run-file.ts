import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { KEPT_LINES, TapReader, type Outcome } from './tap-reader.ts'

/** How one test file is run. */
export interface RunFileOptions {
  /** How long the file may take, in milliseconds; then its whole process group is killed. */
  readonly timeoutMs: number
  /** Turns skipped tests into failures, for a machine that is set up to run everything. */
  readonly requireAll: boolean
  /** Ends the run early: the file's process group is killed. */
  readonly signal: AbortSignal
}

/** What became of one test file. */
export interface FileResult {
  readonly file: string
  readonly outcomes: readonly Outcome[]
  readonly elapsedMs: number
}

/** What a test gets after SIGTERM to remove what it made, before SIGKILL, in milliseconds. */
const GRACE_MS = 5000

/**
 * Runs one test file in a process group of its own and counts its tests. Whatever goes wrong outside
 * of a test (a crash, no plan, no tests, a hang) is one failed outcome that bears the file's name, so
 * that a broken file can never look like a passing one.
 */
export async function runFile(file: string, options: RunFileOptions): Promise<FileResult> {
  const started = performance.now()
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', file], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    // The time limit is ours: tap's own (30 s for a file) would cut the slow ones.
    env: { ...process.env, TAP_TIMEOUT: String(Math.ceil(options.timeoutMs / 1000) + 60) },
  })
  const reader = new TapReader()
  const errors: string[] = []
  const reading = Promise.all([
    eachLine(child.stdout, line => reader.readLine(line)),
    eachLine(child.stderr, line => {
      errors.push(line)
      if (errors.length > KEPT_LINES) errors.shift()
    }),
  ])
  const end = await settle(child, options)
  // A grandchild that kept the pipes open must not keep the run.
  await Promise.race([reading, new Promise(resolve => setTimeout(resolve, 1000).unref())])

  const { outcomes, stray, complete } = reader.end()
  const complaint = complain(end, { outcomes, complete })
  const all = options.requireAll ? outcomes.map(forbidSkip) : [...outcomes]
  if (complaint !== undefined) all.push({ kind: 'failed', name: complaint, detail: [] })
  const failed = all.findLastIndex(({ kind }) => kind === 'failed')
  return {
    file,
    outcomes: all.map((outcome, index) =>
      index === failed ? { ...outcome, detail: [...outcome.detail, ...stray, ...errors] } : outcome,
    ),
    elapsedMs: performance.now() - started,
  }
}

interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Set when we ended it: why. */
  readonly killed?: string
}

async function settle(child: ChildProcess, { timeoutMs, signal }: RunFileOptions): Promise<End> {
  const exited = new Promise<End>(resolve => {
    child.once('exit', (code, by) => resolve({ code, signal: by }))
  })
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const aborted = once(limit, 'abort').then(() => undefined)
  const end = limit.aborted ? undefined : await Promise.race([exited, aborted])
  if (end !== undefined) {
    killGroup(child, 'SIGKILL')
    return end
  }
  killGroup(child, 'SIGTERM')
  const grace = setTimeout(() => killGroup(child, 'SIGKILL'), GRACE_MS)
  const late = await exited
  clearTimeout(grace)
  killGroup(child, 'SIGKILL')
  const killed = signal.aborted
    ? 'was stopped with the run'
    : `hung: was killed after ${timeoutMs / 1000} s`
  return { ...late, killed }
}

/** Signals the process and all it started that did not leave its group. */
function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function complain(
  { code, signal, killed }: End,
  { outcomes, complete }: { outcomes: readonly Outcome[]; complete: boolean },
): string | undefined {
  if (killed !== undefined) return killed
  if (signal !== null) return `was ended by ${signal}`
  const failed = outcomes.some(({ kind }) => kind === 'failed')
  if (code !== 0 && !failed) return `exited with ${code} though no test failed`
  if (!complete) return 'ended before its tests did'
  return outcomes.length === 0 ? 'has no tests' : undefined
}

function forbidSkip(outcome: Outcome): Outcome {
  if (outcome.kind !== 'skipped') return outcome
  const why = `was skipped, and SHOAL_REQUIRE_ALL is set: ${outcome.detail.join(' ')}`
  return { ...outcome, kind: 'failed', detail: [why] }
}

async function eachLine(
  stream: NodeJS.ReadableStream,
  take: (line: string) => void,
): Promise<void> {
  for await (const line of createInterface({ input: stream })) take(line)
}
