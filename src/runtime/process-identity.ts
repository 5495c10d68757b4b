import { readFileSync, readdirSync } from 'node:fs'

/**
 * Which process is meant. A pid alone is not enough: the kernel gives it to
 * somebody else after its owner has ended. The pid and the start time together
 * name one process for as long as the machine is up.
 */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks between the boot and the start of the process. */
  readonly startTicks: string
}

/** Reads a line of `/proc/PID/stat` (proc(5)); nothing when it is not a whole one. */
export function parseStat(
  line: string,
): (ProcessIdentity & { readonly state: string }) | undefined {
  // The name in parentheses may itself hold spaces and parentheses: count from the last one.
  const [pid] = line.split(' ', 1)
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const [state, startTicks] = [fields[0], fields[19]]
  if (!/^[1-9]\d*$/.test(pid ?? '') || state === undefined) return undefined
  if (startTicks === undefined || !/^\d+$/.test(startTicks)) return undefined
  return { pid: Number(pid), state, startTicks }
}

/** True while exactly this process runs. A zombie has ended: only its parent has not asked yet. */
export function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  const stat = parseStat(readProc(`${pid}/stat`) ?? '')
  return stat?.startTicks === startTicks && stat.state !== 'Z' && stat.state !== 'X'
}

/** Names this boot of the machine. Pids and start times mean nothing after the next one. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

/** The environment that a process was started with; nothing when it is gone or not ours to read. */
export function readEnvironment(pid: number): Record<string, string> | undefined {
  const text = readProc(`${pid}/environ`)
  if (text === undefined || text === '') return undefined
  const pairs = text.split('\0').filter(pair => pair.includes('='))
  return Object.fromEntries(pairs.map(pair => splitOnce(pair, '=')))
}

/** The children of a process; nothing when it is gone, or on a kernel without `CONFIG_PROC_CHILDREN`. */
export function readChildren(pid: number): number[] | undefined {
  return readProc(`${pid}/task/${pid}/children`)?.split(' ').filter(Boolean).map(Number)
}

/** Where a process is in the kernel's tree of control groups (cgroups(7)); nothing when it is gone. */
export function readCgroup(pid: number): string | undefined {
  return readProc(`${pid}/cgroup`)
}

/** The process that has a pid now; nothing when none has. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = parseStat(readProc(`${pid}/stat`) ?? '')
  return stat === undefined ? undefined : { pid: stat.pid, startTicks: stat.startTicks }
}

/** The arguments of a process, NUL after each; nothing when it is gone. */
export function readCommandLine(pid: number): string | undefined {
  return readProc(`${pid}/cmdline`)
}

/**
 * The processes that were started with `name=value` in their environment, and
 * those that they started in turn. Reads every process of the machine that this
 * user may see, so it is for rare moments.
 */
export function findByEnvironment(name: string, value: string): number[] {
  const pair = `${name}=${value}`
  const pids = readdirSync('/proc').filter(entry => /^[1-9]\d*$/.test(entry))
  return pids
    .filter(pid => (readProc(`${pid}/environ`) ?? '').split('\0').includes(pair))
    .map(Number)
}

/** Sends a signal to a process, or to a group as a negative number. One that has just ended needs none. */
export function signalProcess(pid: number, signal: 'SIGTERM' | 'SIGKILL' | number): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** A file of `/proc`; nothing when the process is gone or belongs to somebody else. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return undefined // Gone, or not ours: either way there is nothing to read, which is the answer.
  }
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return [text.slice(0, at), text.slice(at + separator.length)]
}
