import {
  existsSync,
  linkSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { identify, isAlive, readBootId, type ProcessIdentity } from './process-identity.ts'

/** Who is the watchdog of a folder. */
export interface Holder extends ProcessIdentity {
  /** Of which version it is: see `SHEET_VERSION`. */
  readonly version: number
}

/** The lock of a folder, held. */
export interface HeldLock {
  /** Gives it back. Whoever looks from now on finds it free. */
  release(): void
}

const PREFIX = 'lock.'

/**
 * Makes this process the one watchdog of a folder.
 *
 * A lock is a file that says whose it is, by pid, start time, boot and folder, so that one whose
 * holder was killed is free at once. Who finds the newest file free makes the *next*, by
 * link(2), which only one can; nobody ever takes a file away from somebody else, as
 * two who both find one free might.
 *
 * @returns Nothing when another watchdog runs.
 */
export function takeLock(dir: string, version: number): HeldLock | undefined {
  const self = identify(process.pid)
  if (self === undefined) throw new Error('Cannot tell who this process is: there is no /proc')
  const draft = join(dir, `draft.${self.pid}`)
  const text = `${version} ${self.pid} ${self.startTicks} ${placeOf(dir)}\n`
  for (;;) {
    const numbers = lockNumbers(dir)
    const newest = numbers[0] ?? 0
    if (holderOf(dir, newest) !== undefined) return undefined
    const path = join(dir, `${PREFIX}${newest + 1}`)
    writeFileSync(draft, text, { mode: 0o600 })
    const isMine = link(draft, path)
    rmSync(draft)
    if (!isMine) continue
    for (const older of numbers) rmSync(join(dir, `${PREFIX}${older}`), { force: true })
    return { release: () => giveBack(draft, path) }
  }
}

/** The watchdog of a folder that runs now; nothing if none does, or if there is no such folder. */
export function findHolder(dir: string): Holder | undefined {
  if (!existsSync(dir)) return undefined
  const [newest = 0] = lockNumbers(dir)
  return holderOf(dir, newest)
}

/** The numbers of the lock files, the newest first. */
function lockNumbers(dir: string): number[] {
  return readdirSync(dir)
    .filter(name => name.startsWith(PREFIX))
    .map(name => Number(name.slice(PREFIX.length)))
    .filter(Number.isSafeInteger)
    .toSorted((one, other) => other - one)
}

function holderOf(dir: string, number: number): Holder | undefined {
  const text = readIfThere(join(dir, `${PREFIX}${number}`)) ?? ''
  const [, version, pid, startTicks, place] = /^(\d+) (\d+) (\d+) (\S+)\n$/.exec(text) ?? []
  if (startTicks === undefined || place !== placeOf(dir)) return undefined
  const holder = { version: Number(version), pid: Number(pid), startTicks }
  return isAlive(holder) ? holder : undefined
}

/** The boot, and the folder itself: the lock in a copy of a folder is not held by the original's watchdog. */
function placeOf(dir: string): string {
  return `${readBootId()}/${statSync(dir).ino}`
}

/** Not by removing the file: its number must never be given to two. */
function giveBack(draft: string, path: string): void {
  writeFileSync(draft, 'free\n', { mode: 0o600 })
  renameSync(draft, path)
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    // Somebody newer has tidied it away: then it is not the newest, and not held.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
