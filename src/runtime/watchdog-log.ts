import { appendFileSync, renameSync, statSync } from 'node:fs'

/** The log, and the older part beside it, have at most so many bytes and a line. */
const LOG_BYTES_MAX = 256 * 1024

/**
 * Returns what appends lines, each with its time, to a file of at most 256 KiB; what was before is in
 * `PATH.1`. A line that cannot be written is lost: a full disk must not keep a
 * watchdog from its work.
 */
export function createWatchdogLog(path: string): (message: string) => void {
  return message => {
    try {
      const { size = 0 } = statSync(path, { throwIfNoEntry: false }) ?? {}
      if (size > LOG_BYTES_MAX) renameSync(path, `${path}.1`)
      appendFileSync(path, `${new Date().toISOString()} ${message}\n`, { mode: 0o600 })
    } catch {
      // There is nowhere else to say it: who started this process may be gone.
    }
  }
}
