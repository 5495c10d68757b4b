import { readFileSync } from 'node:fs'
import type { Exec } from 'dockerode'
import { dockerError } from './docker-error.ts'
import type { DockerLink } from './docker-link.ts'
import { RuntimeError } from './runtime.ts'

/** What {@link execInContainer} runs. */
export interface ContainerCommand {
  /** The container's full id. */
  readonly id: string
  /** A string goes through `/bin/sh -c`. */
  readonly command: string | readonly string[]
  readonly timeoutMs: number
  /** For errors: `run a command in /web.0@k3f9x1`. */
  readonly doing: string
}

/**
 * Runs a command inside a container, and gives its exit code.
 *
 * A command that takes too long is killed. The engine has no call for that, so the
 * process is killed from outside, which takes a daemon that is root; without, it stays
 * until its container ends.
 *
 * @throws {RuntimeError} `failed` after `timeoutMs`, or in the engine's words.
 */
export async function execInContainer(
  link: DockerLink,
  { id, command, timeoutMs, doing }: ContainerCommand,
): Promise<number> {
  const argv = typeof command === 'string' ? ['/bin/sh', '-c', command] : [...command]
  const exec = await link.ask(doing, link.answerMs, (docker, abortSignal) =>
    docker
      .getContainer(id)
      .exec({ Cmd: argv, AttachStdout: true, AttachStderr: true, abortSignal }),
  )
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    const stream = await link.ask(doing, timeoutMs + link.answerMs, () =>
      exec.start({ abortSignal: timeout }),
    )
    timeout.addEventListener('abort', () => stream.destroy(new Error('timeout')))
    // The stream ends when the command does. What it prints is for nobody.
    for await (const _ of stream);
  } catch (error) {
    if (!timeout.aborted) throw dockerError(error, doing)
  }
  if (timeout.aborted) {
    const killed = await kill(link, exec, id, doing)
    const message = `Command failed: took over ${timeoutMs} ms${killed ? '' : ', and may still run'}`
    throw new RuntimeError('failed', message, { temporary: true })
  }
  const { ExitCode: exitCode } = await inspect(link, exec, doing)
  return exitCode ?? 137
}

/** Kills what `exec` started, if that is possible. */
async function kill(link: DockerLink, exec: Exec, id: string, doing: string): Promise<boolean> {
  const { Running: running, Pid: pid } = await inspect(link, exec, doing)
  if (!running) return true
  try {
    // The engine may count in other process ids than we do: kill only what is in the container.
    if (pid <= 1 || !readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(id)) return false
    process.kill(pid, 'SIGKILL')
    return true
  } catch {
    return false // Not ours to kill, or gone: the caller says that it may still run.
  }
}

function inspect(link: DockerLink, exec: Exec, doing: string): ReturnType<Exec['inspect']> {
  return link.ask(doing, link.answerMs, (_, abortSignal) => exec.inspect({ abortSignal }))
}
