import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { badSpec } from './runtime-errors.ts'
import { RuntimeError, type Launch } from './runtime.ts'

/** Where commands are looked for when the app sets no PATH. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What to run, and as whom. */
export interface Program {
  readonly command: string | readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly uid?: number | undefined
  readonly gid?: number | undefined
}

/** In each task's environment; by it the processes that left the task's group are found. */
export const MARK = 'SHOAL_TASK_DIR'

/**
 * The program of a launch, in a clean environment: the daemon's own may hold secrets.
 *
 * @throws {RuntimeError} `bad-spec`, when it can be no process.
 */
export function programOf(
  { task, spec, env }: Launch,
  { cwd, dir, uid, gid }: Pick<Program, 'cwd' | 'uid' | 'gid'> & { readonly dir: string },
): Program {
  if (spec.command === undefined) throw badSpec(task, 'it has no command, and a process needs one')
  if (!isAbsolute(cwd)) throw badSpec(task, `workdir must be an absolute path, got ${cwd}`)
  const unnameable = Object.keys(env).find(name => !/^[A-Za-z_]\w*$/.test(name))
  if (unnameable !== undefined) {
    throw badSpec(task, `a shell passes on no variable named ${JSON.stringify(unnameable)}`)
  }
  const clean = { PATH: DEFAULT_PATH, HOME: cwd, LANG: 'C.UTF-8' }
  return { command: spec.command, cwd, env: { ...clean, ...env, [MARK]: dir }, uid, gid }
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
