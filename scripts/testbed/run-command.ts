import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { refer, type ProcessRef } from './process-table.ts'

/** How a command ended and what it printed. */
export interface CommandResult {
  /** The exit code; 128 or more where a signal ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** What a command gets. */
export interface CommandOptions {
  /** The command is killed, and the call throws, after this long. @default 10000 ms */
  readonly timeoutMs?: number
  /** Text for its standard input. */
  readonly input?: string
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** Where root's tools are on systems that keep them off a user's PATH. */
export const TOOL_PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`

/** Output beyond this is cut, in characters of each stream: no command here has more to say. */
const MAX_OUTPUT = 4 * 1024 * 1024

/** Runs a command to its end. Throws if it cannot be started or outlives its deadline. */
export async function runCommand(
  argv: readonly string[],
  { timeoutMs = 10_000, input = '', env = {} }: CommandOptions = {},
): Promise<CommandResult> {
  const [file = '', ...args] = argv
  const child = spawn(file, args, { env: { ...process.env, PATH: TOOL_PATH, ...env } })
  const limit = AbortSignal.timeout(timeoutMs)
  const kill = (): void => void child.kill('SIGKILL')
  limit.addEventListener('abort', kill)
  // A command that does not read its input closes the pipe: that is its right.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const [stdout, stderr, code] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    new Promise<number>((resolve, reject) => {
      child.once('error', cause =>
        reject(new Error(`Cannot run ${file}: ${cause.message}`, { cause })),
      )
      child.once('close', (exit, signal) => resolve(exit ?? (signal === null ? 1 : 128)))
    }),
  ])
  limit.removeEventListener('abort', kill)
  if (limit.aborted) throw new Error(`${argv.join(' ')}: was killed after ${timeoutMs / 1000} s`)
  return { code, stdout, stderr }
}

/** {@link runCommand} for a command that must succeed: gives its output, throws what it complained of. */
export async function mustRun(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await runCommand(argv, options)
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}: ${(stderr || stdout).trim()}`)
  return stdout
}

/**
 * Starts a command that outlives this process, in a group of its own, its output appended to a file.
 */
export function startDetached(
  argv: readonly string[],
  log: string,
  env: Readonly<Record<string, string>> = {},
): ProcessRef {
  const [file = '', ...args] = argv
  const output = openSync(log, 'a', 0o600)
  try {
    const child = spawn(file, args, {
      detached: true,
      stdio: ['ignore', output, output],
      env: { ...process.env, PATH: TOOL_PATH, ...env },
    })
    // A command that is not there has no pid: refer() throws, and the event says nothing more.
    child.on('error', () => undefined)
    child.unref()
    return refer(child.pid)
  } finally {
    closeSync(output)
  }
}

async function collect(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  stream.setEncoding('utf8')
  for await (const chunk of stream) {
    if (text.length < MAX_OUTPUT) text += String(chunk)
  }
  return text
}
