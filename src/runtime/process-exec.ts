import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { argumentsOf, type Program } from './process-program.ts'
import { signalProcess } from './process-identity.ts'
import { RuntimeError } from './runtime.ts'

/**
 * Runs a program to its end, and gives its exit code.
 *
 * @throws {RuntimeError} `bad-spec` when there is no such command; `failed`, with all that it started killed, when it takes over `timeoutMs`.
 */
export async function execProgram(program: Program, timeoutMs: number): Promise<number> {
  const [file = '', ...args] = argumentsOf(program)
  const { cwd, env, uid, gid } = program
  const child = spawn(file, args, {
    cwd,
    env,
    detached: true,
    stdio: 'ignore',
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  })
  try {
    await once(child, 'exit', { signal: AbortSignal.timeout(timeoutMs) })
    return child.exitCode ?? 137
  } catch (error) {
    // Not reaped yet, since its exit was not seen: the pid is still its own.
    if (child.pid !== undefined && child.exitCode === null) signalProcess(-child.pid, 'SIGKILL')
    const late = error instanceof Error && error.name === 'AbortError'
    const reason = late ? `took over ${timeoutMs} ms` : String(error)
    throw new RuntimeError('failed', `Command failed: ${reason}`, { temporary: late, cause: error })
  }
}
