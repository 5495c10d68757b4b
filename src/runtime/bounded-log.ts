import { ftruncateSync, readSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'

/** A piece of a log and where the next one begins. */
export interface LogPiece {
  readonly data: Uint8Array
  /** Give it to the next {@link BoundedLog.read}. */
  readonly next: number
}

const BLOCK_BYTES = 64 * 1024

/**
 * One output stream of a process: a file that the process itself appends to, so
 * that it can go on writing while no daemon runs, and an older part beside it.
 *
 * {@link BoundedLog.cut} keeps each of the two near `maxBytes`: it copies the end of
 * the file to the older part and truncates the file. That is safe for the writer
 * because its descriptor is in append mode; what it writes in the microseconds
 * between the last copy and the truncation is lost. Positions count every byte that
 * was there since this object was made, so a reader keeps its place over a cut. On a full
 * disk nothing is copied: the log is emptied, which makes room.
 */
export class BoundedLog {
  readonly #path: string
  readonly #maxBytes: number
  /** Position of the first byte of the current file. Before it lie `#olderBytes` of the older part. */
  #base: number
  #olderBytes: number
  /** Reading and cutting take turns. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(path: string, { maxBytes }: { readonly maxBytes: number }) {
    this.#path = path
    this.#maxBytes = maxBytes
    this.#olderBytes = sizeOf(this.#olderPath)
    this.#base = this.#olderBytes
  }

  /** Opens the file for the process to append to. */
  openForProcess(): Promise<FileHandle> {
    return open(this.#path, 'a', 0o600)
  }

  /** Makes room when the file is over its limit; cheap when it is not. */
  async cut(): Promise<void> {
    if (sizeOf(this.#path) <= this.#maxBytes) return
    await this.#inTurn(() => this.#cut())
  }

  /** What stands at `position`, at most 64 KiB; empty at the end. A position that was cut away moves up to the oldest byte. */
  read(position: number): Promise<LogPiece> {
    return this.#inTurn(() => this.#read(position))
  }

  /** The position after the last byte. */
  get end(): number {
    return this.#base + sizeOf(this.#path)
  }

  /** Where the last `lines` lines begin; the oldest byte kept, if there are not so many or no number is given. */
  async startOf(lines?: number): Promise<number> {
    const oldest = this.#base - this.#olderBytes
    if (lines === undefined) return oldest
    const { end } = this
    if (lines === 0) return end
    let found = 0
    for (let to = end; to > oldest;) {
      const from = Math.max(oldest, to - BLOCK_BYTES, to > this.#base ? this.#base : 0)
      // oxlint-disable-next-line no-await-in-loop -- block by block from the end, until there are enough lines
      const { data } = await this.read(from)
      for (let at = Math.min(data.length, to - from) - 1; at >= 0; at--) {
        // The newline that closes the very last line does not begin another.
        if (data[at] === 0x0a && from + at < end - 1 && ++found === lines) return from + at + 1
      }
      to = from
    }
    return oldest
  }

  get #olderPath(): string {
    return `${this.#path}.1`
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined) // Whoever asked hears of it; the next in turn does not care.
    return done
  }

  async #read(position: number): Promise<LogPiece> {
    const from = Math.max(position, this.#base - this.#olderBytes)
    const older = from < this.#base
    const path = older ? this.#olderPath : this.#path
    const offset = older ? from - (this.#base - this.#olderBytes) : from - this.#base
    const file = await openIfThere(path)
    if (file === undefined) return { data: new Uint8Array(), next: from }
    try {
      const { buffer, bytesRead } = await file.read(
        Buffer.allocUnsafe(BLOCK_BYTES),
        0,
        BLOCK_BYTES,
        offset,
      )
      return { data: buffer.subarray(0, bytesRead), next: from + bytesRead }
    } finally {
      await file.close()
    }
  }

  async #cut(): Promise<void> {
    const current = await open(this.#path, 'r+')
    try {
      await this.#moveToOlder(current)
    } catch (error) {
      if (!isDiskFull(error)) throw error
      this.#giveUp(current)
    } finally {
      await current.close()
    }
  }

  /** Where there is no room for a copy, the log makes some: what it has is lost, and the task writes on. */
  #giveUp(current: FileHandle): void {
    rmSync(`${this.#olderPath}.new`, { force: true })
    rmSync(this.#olderPath, { force: true })
    this.#base += sizeOf(this.#path)
    this.#olderBytes = 0
    ftruncateSync(current.fd, 0)
  }

  async #moveToOlder(current: FileHandle): Promise<void> {
    const older = await open(`${this.#olderPath}.new`, 'w', 0o600)
    try {
      const { size } = await current.stat()
      const from = Math.max(0, size - this.#maxBytes)
      const block = Buffer.allocUnsafe(BLOCK_BYTES)
      let at = from
      while (at < size) {
        // oxlint-disable-next-line no-await-in-loop -- a copy goes block by block
        const { bytesRead } = await current.read(block, 0, BLOCK_BYTES, at)
        if (bytesRead === 0) break
        // oxlint-disable-next-line no-await-in-loop
        await older.write(block, 0, bytesRead)
        at += bytesRead
      }
      // What came meanwhile, without giving way, so that as little as possible is lost before the truncation.
      const last = at + this.#maxBytes
      for (let read = 1; read > 0 && at < last; at += read) {
        read = readSync(current.fd, block, 0, BLOCK_BYTES, at)
        writeSync(older.fd, block, 0, read)
      }
      // In this order, a crash between the two leaves lines twice rather than not at all.
      renameSync(`${this.#olderPath}.new`, this.#olderPath)
      ftruncateSync(current.fd, 0)
      this.#base += at
      this.#olderBytes = at - from
    } finally {
      await older.close()
    }
  }
}

function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  return error.code === 'ENOSPC' || error.code === 'EDQUOT'
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
