import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isAlive, readChildren, readCommandLine, type ProcessIdentity } from './process-identity.ts'
import { argumentsOf, type Program } from './process-program.ts'
import { EXIT_FILE, PID_FILE } from './task-pid.ts'
import type { BoundedLog } from './bounded-log.ts'

/**
 * What stands between the daemon and a task's process: a POSIX shell that leads the
 * task's session and process group, and that writes down what a daemon that was away
 * must know. It costs about 1 MB; it needs nothing but /bin/sh.
 *
 * - It says who it is before it runs anything, in the first line of the pid file. If
 *   another line is first there, a new daemon has given this start up: it ends.
 * - It survives the signals that ask the task to end (a handler, unlike ignoring, is
 *   not inherited), because it must see how the task ends.
 * - It writes the exit code, and takes with it what the task left behind in the group.
 *
 * It is given open files (3: pid, append; 4: exit; 5: pid, read) rather than paths,
 * since a task of another user may not reach the folder.
 */
const WRAPPER = `
trap : HUP INT QUIT TERM USR1 USR2
read -r self < /proc/$$/stat
echo "$self" >&3
read -r first <&5
[ "$first" = "$self" ] || exit 125
"$@" 3>&- 4>&- 5<&-
echo "$?" >&4
kill -KILL 0
`

/** The files of a task that its process writes. */
export interface ProgramFiles {
  readonly dir: string
  readonly stdout: BoundedLog
  readonly stderr: BoundedLog
}

/** Starts the program in a session of its own, so that it outlives the daemon. Resolves when it was forked, before it has said its pid. */
export async function spawnWrapped(
  program: Program,
  { dir, stdout, stderr }: ProgramFiles,
): Promise<ChildProcess> {
  const args = argumentsOf(program)
  await using files = new AsyncDisposableStack()
  const out = files.use(await stdout.openForProcess())
  const err = files.use(await stderr.openForProcess())
  const pid = files.use(await open(join(dir, PID_FILE), 'a', 0o600))
  const exit = files.use(await open(join(dir, EXIT_FILE), 'a', 0o600))
  const pidToRead = files.use(await open(join(dir, PID_FILE), 'r'))
  const child = spawn('/bin/sh', ['-c', WRAPPER, 'shoal-task', ...args], {
    cwd: program.cwd,
    env: program.env,
    detached: true,
    stdio: ['ignore', out.fd, err.fd, pid.fd, exit.fd, pidToRead.fd],
    ...(program.uid === undefined ? {} : { uid: program.uid }),
    ...(program.gid === undefined ? {} : { gid: program.gid }),
  })
  await once(child, 'spawn')
  child.unref()
  return child
}

/**
 * Waits until the wrapper runs the program rather than being about to. Between its fork
 * and its exec a shell's child would swallow a signal, and a task that is stopped right
 * after its start would live on to the end of its grace.
 */
export async function waitForExec(wrapper: ProcessIdentity): Promise<void> {
  while (isAlive(wrapper)) {
    const children = readChildren(wrapper.pid)
    if (children === undefined) return // This kernel does not tell: the grace bounds the harm.
    const [child] = children
    const cmdline = child === undefined ? WRAPPER : readCommandLine(child)
    if (cmdline?.includes(WRAPPER) !== true) return
    // oxlint-disable-next-line no-await-in-loop -- nothing announces an exec
    await wait(1)
  }
}
