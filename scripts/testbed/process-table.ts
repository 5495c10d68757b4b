import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs'

/** One process, told apart from a later one of the same number by its start time. */
export interface ProcessRef {
  readonly pid: number
  /** Clock ticks since boot, as /proc has it. */
  readonly startTime: string
}

/** What we read of a process. */
export interface ProcessEntry extends ProcessRef {
  readonly parent: number
  /** The network namespace it is in, as /proc names it: `net:[4026531840]`. */
  readonly network: string
}

/** The process with this number as it is now, or undefined if there is none (zombies are none). */
export function readProcess(pid: number): ProcessEntry | undefined {
  try {
    // The name, in brackets, may hold anything: the fields are counted from its end.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state = '', parent = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z' || state === 'X') return undefined
    return { pid, parent: Number(parent), startTime: rest[17] ?? '', network: readNetwork(pid) }
  } catch (error) {
    // It ended while we looked, or (ns/net) is ending: gone either way.
    if (isGone(error)) return undefined
    throw error
  }
}

/** Empty where we may not look, as at the first process inside a virtual machine. */
function readNetwork(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return ''
    throw error
  }
}

/** A reference to a process just started, to be kept for later; throws if it is gone already. */
export function refer(pid: number | undefined): ProcessRef {
  const entry = pid === undefined ? undefined : readProcess(pid)
  if (entry === undefined) throw new Error('Cannot refer to a process that has ended')
  return { pid: entry.pid, startTime: entry.startTime }
}

/** Whether the very process still runs. */
export function isRunning({ pid, startTime }: ProcessRef): boolean {
  return readProcess(pid)?.startTime === startTime
}

/** Sends a signal if the very process still runs; says whether it did. */
export function signalProcess(ref: ProcessRef, signal: NodeJS.Signals): boolean {
  if (!isRunning(ref)) return false
  try {
    process.kill(ref.pid, signal)
    return true
  } catch (error) {
    if (isGone(error)) return false
    throw error
  }
}

/** The processes that are asked for, and all that descend from them; never this one. */
export function findProcesses(isWanted: (entry: ProcessEntry) => boolean): readonly ProcessEntry[] {
  const all = readdirSync('/proc').flatMap(name => {
    const entry = /^\d+$/.test(name) ? readProcess(Number(name)) : undefined
    return entry === undefined ? [] : [entry]
  })
  const found = new Map(all.filter(isWanted).map(entry => [entry.pid, entry]))
  for (let size = -1; size < found.size;) {
    size = found.size
    for (const entry of all) if (found.has(entry.parent)) found.set(entry.pid, entry)
  }
  found.delete(process.pid)
  return [...found.values()]
}

/** The command line of a process, its words divided by spaces; empty if it has ended. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch (error) {
    if (isGone(error)) return ''
    throw error
  }
}

/** The name that /proc gives to a network namespace that is kept by this file, if it is there. */
export function networkOf(file: string): string | undefined {
  try {
    return `net:[${statSync(file).ino}]`
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

/** Kills processes hard and waits until they are gone; throws after `timeoutMs`. */
export async function killAll(
  find: () => readonly ProcessRef[],
  timeoutMs = 10_000,
): Promise<void> {
  await until('processes end after SIGKILL', timeoutMs, async () => {
    const left = find()
    for (const ref of left) signalProcess(ref, 'SIGKILL')
    return left.length === 0
  })
}

/** Asks again until the answer is yes; throws what was waited for when the time is over. */
export async function until(
  what: string,
  timeoutMs: number,
  ask: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs / 1000} s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')
}
