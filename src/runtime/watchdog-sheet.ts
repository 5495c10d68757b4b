import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { parseSheet, type Sheet } from './watchdog-orders.ts'

/** Version of the two files. A reader of another version refuses them. */
export const SHEET_VERSION = 1

const MAGIC = 'shoal-watchdog'
/** What a file grows by, so that a renewal, which says nearly the same, never needs room. */
const BLOCK_BYTES = 4_096
/** Room for the first line, with the largest numbers. */
const HEAD_BYTES = 80

/** What was found in the two files. */
export type FoundSheet =
  | { readonly kind: 'none' }
  | { readonly kind: 'sheet'; readonly seq: number; readonly sheet: Sheet }
  | { readonly kind: 'bad'; readonly reason: string }

/**
 * Reads the newest whole sheet in a folder.
 *
 * The sheet lies in one of two files that are written in turn, in place: whoever dies while
 * it writes leaves the other one whole, and **a disk that is full refuses no renewal**, as
 * it would refuse a new file under another name. Each has a line in front, with the version, a
 * number that grows, the length and a checksum; what stands behind that length is left
 * over.
 */
export function readSheet(dir: string): FoundSheet {
  return newestOf([0, 1].map(half => readHalf(pathOf(dir, half))))
}

/** Reads the sheets of one folder again and again; one that did not change costs no more than its first line. */
export class SheetReader {
  readonly #dir: string
  #heads = ''
  #last: FoundSheet | undefined

  constructor(dir: string) {
    this.#dir = dir
  }

  /** As {@link readSheet}. */
  read(): FoundSheet {
    const heads = [0, 1].map(half => readHead(pathOf(this.#dir, half))).join('\n')
    if (this.#last !== undefined && heads === this.#heads) return this.#last
    const halves = [0, 1].map(half => readHalf(pathOf(this.#dir, half)))
    const found = newestOf(halves)
    // What is damaged may be on its way, under the same first line.
    const isWhole = halves.every(({ kind }) => kind === 'sheet' || kind === 'none')
    this.#last = isWhole ? found : undefined
    this.#heads = heads
    return found
  }
}

function newestOf(found: readonly Half[]): FoundSheet {
  const foreign = found.find(({ kind }) => kind === 'foreign')
  if (foreign?.kind === 'foreign') return { kind: 'bad', reason: foreign.reason }
  const [newest] = found
    .filter(one => one.kind === 'sheet')
    .toSorted((one, other) => other.seq - one.seq)
  if (newest !== undefined) return newest
  const bad = found.find(one => one.kind === 'bad')
  return bad ?? { kind: 'none' }
}

/** Writes the sheets of one daemon. There must be only one writer to a folder. */
export class SheetWriter {
  readonly #files: readonly number[]
  readonly #sizes: number[]
  #seq: number

  /**
   * Goes on where the last writer ended. What no reader of this version understands is emptied.
   *
   * @throws {Error} When the folder cannot be made, or its files not opened.
   */
  constructor(dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const last = readSheet(dir)
    this.#seq = last.kind === 'sheet' ? last.seq : 0
    const flags = constants.O_RDWR | constants.O_CREAT
    this.#files = [0, 1].map(half => openSync(pathOf(dir, half), flags, 0o600))
    if (last.kind === 'bad') for (const file of this.#files) ftruncateSync(file)
    this.#sizes = this.#files.map(file => fstatSync(file).size)
  }

  /**
   * Replaces the sheet, for all who read it from now on. Not synced to the disk: after a loss of
   * power nothing runs that it could be about.
   *
   * @throws {Error} When it cannot; then the last one stands.
   */
  write(sheet: Sheet): void {
    const seq = this.#seq + 1
    const bytes = encode(seq, sheet)
    // First room in both, so that the next renewal has it, too.
    for (const half of [0, 1]) this.#reserve(half, bytes.length)
    writeAll(this.#files[seq % 2]!, bytes, 0)
    this.#seq = seq
  }

  close(): void {
    for (const file of this.#files) closeSync(file)
  }

  #reserve(half: number, bytes: number): void {
    const size = this.#sizes[half]!
    const wanted = Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
    if (size >= wanted) return
    writeAll(this.#files[half]!, Buffer.alloc(wanted - size), size)
    this.#sizes[half] = wanted
  }
}

function pathOf(dir: string, half: number): string {
  return join(dir, `orders.${half}`)
}

function encode(seq: number, sheet: Sheet): Buffer {
  const body = Buffer.from(JSON.stringify(sheet))
  const head = `${MAGIC} ${SHEET_VERSION} ${seq} ${body.length} ${checksum(seq, body)}\n`
  return Buffer.concat([Buffer.from(head), body])
}

/** One of the two files. `foreign`: of another version, which nobody may overlook for an older one of this version. */
type Half = FoundSheet | { readonly kind: 'foreign'; readonly reason: string }

function readHalf(path: string): Half {
  try {
    return decode(readFileSync(path), path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { kind: 'none' }
    return { kind: 'bad', reason: `Cannot read ${path}: ${String(error)}` }
  }
}

/** The first bytes of a file, which hold its first line; nothing for one that cannot be read. */
function readHead(path: string): string {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return '' // `readHalf` says why.
  }
  try {
    const bytes = Buffer.alloc(HEAD_BYTES)
    return bytes.toString('latin1', 0, readSync(file, bytes, 0, HEAD_BYTES, 0))
  } finally {
    closeSync(file)
  }
}

function decode(bytes: Buffer, path: string): Half {
  // Made, or room made in it, and nothing written yet.
  if (bytes.length === 0 || bytes[0] === 0) return { kind: 'none' }
  const end = bytes.indexOf(0x0a)
  const [magic, version, ...numbers] = bytes.subarray(0, Math.max(0, end)).toString().split(' ')
  const bad = (why: string): Half => ({ kind: 'bad', reason: `Cannot read ${path}: ${why}` })
  if (magic !== MAGIC) return bad('it holds no orders of a watchdog')
  if (version !== String(SHEET_VERSION)) {
    const reason = `Cannot read ${path}: it is of version ${version}, and this program knows version ${SHEET_VERSION}`
    return { kind: 'foreign', reason }
  }
  const [seq, length = 0] = numbers.slice(0, 2).map(Number)
  const body = bytes.subarray(end + 1, end + 1 + length)
  if (seq === undefined || !Number.isSafeInteger(seq)) return bad('its first line is damaged')
  if (body.length !== length || checksum(seq, body) !== numbers[2]) {
    return bad('it is damaged, or was not written to its end')
  }
  const sheet = parseSheet(body.toString())
  return sheet === undefined ? bad('what it says is not valid') : { kind: 'sheet', seq, sheet }
}

function checksum(seq: number, body: Uint8Array): string {
  return crc32(String(seq), crc32(body)).toString(16)
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, bytes.length - done, position + done)
  }
}
