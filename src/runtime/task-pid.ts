import { existsSync, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { parseStat, type ProcessIdentity } from './process-identity.ts'

/** The file of a task folder in which the first line says who may run. See `process-wrapper.ts`. */
export const PID_FILE = 'pid'
/** The file of a task folder that holds the exit code, once there is one. */
export const EXIT_FILE = 'exit'

const ABANDONED = 'abandoned'

/** The process that won the right to run the task; nothing yet, or nothing ever if the task was abandoned. */
export function readPid(dir: string): ProcessIdentity | undefined {
  return parseStat(wholeLine(join(dir, PID_FILE)) ?? '')
}

/** The exit code, if the process has ended and lived to write it. */
export function readExit(dir: string): number | undefined {
  const line = wholeLine(join(dir, EXIT_FILE))
  return line === undefined || !/^\d+$/.test(line) ? undefined : Number(line)
}

/**
 * Settles whether a process that has not said its pid may still run: whoever
 * writes the first line of the pid file wins, and the wrapper that finds another's
 * line there ends without running anything.
 *
 * @returns The process, if it was first after all.
 */
export async function abandon(dir: string): Promise<ProcessIdentity | undefined> {
  const file = await open(join(dir, PID_FILE), 'a', 0o600)
  try {
    await file.write(`${ABANDONED}\n`)
  } finally {
    await file.close()
  }
  return readPid(dir)
}

/** The first line of a file, if all of it is there: one small write is seen whole or not at all, but a disk may be full. */
function wholeLine(path: string): string | undefined {
  if (!existsSync(path)) return undefined
  const text = readFileSync(path, 'utf8')
  const end = text.indexOf('\n')
  return end === -1 ? undefined : text.slice(0, end).trimEnd()
}
