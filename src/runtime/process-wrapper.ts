import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { EXIT_FILE, PID_FILE } from './task-dir.ts'
import { RuntimeError } from './runtime.ts'
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

/** Where commands are looked for when the app sets no PATH. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What to run, and as whom. */
export interface Program {
  readonly command: string | readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly uid?: number | undefined
  readonly gid?: number | undefined
}

/** The files of a task that its process writes. */
export interface ProgramFiles {
  readonly dir: string
  readonly stdout: BoundedLog
  readonly stderr: BoundedLog
}

/**
 * The arguments for {@link Program.command}: a string goes through `/bin/sh -c`, and
 * the first of a list is looked up in the program's own PATH.
 *
 * @throws {RuntimeError} `bad-spec`, when there is no such command.
 */
export function argumentsOf({ command, cwd, env }: Program): string[] {
  if (typeof command === 'string') return ['/bin/sh', '-c', command]
  const [name = '', ...rest] = command
  const folders = name.includes('/') ? [''] : (env['PATH'] ?? DEFAULT_PATH).split(delimiter)
  // Whole paths, because the wrapper would take a bare `exit` or `test` for its own.
  const found = folders.map(folder => resolve(cwd, join(folder, name))).find(isExecutable)
  if (found === undefined) {
    throw new RuntimeError(
      'bad-spec',
      `Cannot run ${JSON.stringify(name)}: no such executable file in ${folders.join(delimiter) || cwd}`,
      { temporary: false },
    )
  }
  return [found, ...rest]
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
 * Finds the numbers of `user`: a name or number, alone or as `user:group`.
 *
 * @throws {RuntimeError} `bad-spec`, when there is no such user, or when only root could become it.
 */
export function resolveUser(user: string): { readonly uid: number; readonly gid: number } {
  const bad = (why: string): RuntimeError =>
    new RuntimeError('bad-spec', `Cannot run as user ${JSON.stringify(user)}: ${why}`, {
      temporary: false,
    })
  const [name = '', group] = user.split(':')
  const passwd = readTable('/etc/passwd').find(([login, , uid]) => login === name || uid === name)
  const uid = passwd?.[2] ?? name
  const gid =
    group === undefined
      ? (passwd?.[3] ?? uid)
      : (readTable('/etc/group').find(([title]) => title === group)?.[2] ?? group)
  if (!/^\d{1,9}$/.test(uid)) throw bad('this node has no such user')
  if (!/^\d{1,9}$/.test(gid)) throw bad('this node has no such group')
  const own = { uid: process.getuid?.(), gid: process.getgid?.() }
  if (own.uid !== 0 && (Number(uid) !== own.uid || Number(gid) !== own.gid)) {
    throw bad('the daemon does not run as root, so it cannot change users')
  }
  return { uid: Number(uid), gid: Number(gid) }
}

function readTable(path: string): string[][] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .map(line => line.split(':'))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false // Not there, or not for us to run: look in the next folder.
  }
}
