import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { StoreError } from './store.ts'

/** Makes the data folder, with its parents, or takes an existing one; nobody but its owner may look into it. */
export function makePrivateFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    chmodSync(dir, 0o700)
  } catch (cause) {
    throw storeErrorOf(cause, `Cannot use the folder ${dir}`)
  }
}

/** Reads a file whole; nothing when there is none. */
export function readPrivateFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined
    throw storeErrorOf(cause, `Cannot read ${path}`)
  }
}

/**
 * Writes a file that only its owner may read (0600). A crash at any moment leaves
 * either the old file or the new one, whole; on return the new one is on the disk.
 */
export function writePrivateFile(path: string, text: string): void {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    const file = openSync(draft, 'wx', 0o600)
    try {
      const bytes = Buffer.from(text)
      let written = 0
      while (written < bytes.length) written += writeSync(file, bytes, written)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(draft, path)
    syncFolder(dirname(path))
  } catch (cause) {
    rmSync(draft, { force: true })
    throw storeErrorOf(cause, `Cannot write ${path}`)
  }
}

/** Makes what was created or renamed in a folder durable. */
export function syncFolder(dir: string): void {
  const folder = openSync(dir, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Says of an error of the file system what the daemon can do about it. */
export function storeErrorOf(cause: unknown, what: string): StoreError {
  if (cause instanceof StoreError) return cause
  const code = codeOf(cause)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StoreError('disk-full', `${what}: the disk is full; free some space`, {
      temporary: true,
      cause,
    })
  }
  const why = cause instanceof Error ? cause.message : String(cause)
  return new StoreError('failed', `${what}: ${why}`, { temporary: false, cause })
}

function codeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !('code' in cause)) return undefined
  return typeof cause.code === 'string' ? cause.code : undefined
}
