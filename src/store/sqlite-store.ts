/**
 * The store of a daemon: one SQLite database in its data folder.
 *
 * Commits go to the write-ahead log without a sync (`synchronous=NORMAL`), which
 * takes 20 µs; the log is then synced from the thread pool, and only after that is
 * an append acknowledged. With `synchronous=FULL` SQLite itself would sync on the
 * main thread, once per commit, and a slow disk would stall the daemon. What is
 * appended while a sync runs shares the next one.
 *
 * The connection holds its lock from open to close (`locking_mode=EXCLUSIVE`), so a
 * second daemon on the folder is refused, and the kernel drops the lock of a killed one.
 *
 * @module
 */

import { closeSync, existsSync, fdatasync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { promisify } from 'node:util'
import {
  makePrivateFolder,
  readPrivateFile,
  storeErrorOf,
  syncFolder,
  writePrivateFile,
} from './private-file.ts'
import { StoreError, type Store } from './store.ts'

/** Options for {@link openStore}. */
export interface SqliteStoreOptions {
  /** The data folder; made if absent, and closed to other users. */
  readonly dir: string
  /**
   * Largest size of the database, in bytes. At it, appends fail as on a full disk.
   *
   * @default 4 GiB The document is bounded long before.
   */
  readonly maxBytes?: number
  /** Makes the write-ahead log durable. Replaced in tests. @default fdatasync(2) */
  readonly sync?: (file: number) => Promise<void>
}

/** The name of the database in the data folder. */
export const DATABASE_FILE = 'shoal.db'

const HOLDER_FILE = 'daemon.pid'
const SCHEMA_VERSION = 1
const PAGE_BYTES = 4096
const SCHEMA = `
  CREATE TABLE updates (seq INTEGER PRIMARY KEY, snapshot INTEGER NOT NULL, bytes BLOB NOT NULL);
  CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/** SQLite's primary result codes (https://sqlite.org/rescode.html). */
const RESULT = { BUSY: 5, LOCKED: 6, CORRUPT: 11, FULL: 13, NOTADB: 26 } as const

/**
 * Opens the store of a data folder.
 *
 * @throws {StoreError} `locked` when another daemon has it, `newer-version` when a later
 *   Shoal wrote it, `corrupt` when it cannot be read, `disk-full` or `failed` otherwise.
 */
export async function openStore(options: SqliteStoreOptions): Promise<Store> {
  const { dir, maxBytes = 4 * 1024 ** 3, sync = promisify(fdatasync) } = options
  makePrivateFolder(dir)
  const path = join(dir, DATABASE_FILE)
  let db: DatabaseSync | undefined
  try {
    // SQLite would make it readable for others; the write-ahead log inherits the mode.
    if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600))
    db = new DatabaseSync(path)
    prepareDatabase(db, path, maxBytes)
    writePrivateFile(join(dir, HOLDER_FILE), `${process.pid}\n`)
    const wal = openSync(`${path}-wal`, 'r+')
    const store = new SqliteStore(db, path, wal, sync)
    syncFolder(dir)
    await sync(wal)
    return store
  } catch (cause) {
    db?.close()
    throw sqliteErrorOf(cause, dir)
  }
}

function prepareDatabase(db: DatabaseSync, path: string, maxBytes: number): void {
  db.exec(`
    PRAGMA busy_timeout = 0;
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA max_page_count = ${Math.ceil(maxBytes / PAGE_BYTES)};
  `)
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      'newer-version',
      `Cannot open ${path}: it has version ${version}, and this Shoal reads up to ${SCHEMA_VERSION}; upgrade Shoal on this node`,
      { temporary: false },
    )
  }
  // A write even when nothing is to be created: it takes the lock, and makes the write-ahead log.
  db.exec(`BEGIN IMMEDIATE; ${version === 0 ? SCHEMA : `PRAGMA user_version = ${version};`} COMMIT`)
}

class SqliteStore implements Store {
  readonly #db: DatabaseSync
  readonly #path: string
  readonly #wal: number
  readonly #sync: (file: number) => Promise<void>
  readonly #insert: StatementSync
  readonly #read: StatementSync
  readonly #put: StatementSync
  readonly #queue: {
    readonly update: Uint8Array
    readonly done: () => void
    readonly fail: (cause: unknown) => void
  }[] = []
  #flushing: Promise<void> | undefined
  #pendingBytes: number
  #broken: StoreError | undefined
  #closed = false

  constructor(db: DatabaseSync, path: string, wal: number, sync: (file: number) => Promise<void>) {
    this.#db = db
    this.#path = path
    this.#wal = wal
    this.#sync = sync
    this.#insert = db.prepare('INSERT INTO updates (snapshot, bytes) VALUES (?, ?)')
    this.#read = db.prepare('SELECT value FROM kv WHERE key = ?')
    this.#put = db.prepare('INSERT OR REPLACE INTO kv (key, value) VALUES (?, ?)')
    const sum = 'SELECT coalesce(sum(length(bytes)), 0) AS size FROM updates WHERE snapshot = 0'
    this.#pendingBytes = Number(db.prepare(sum).get()?.['size'])
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  readUpdates(): Uint8Array[] {
    return this.#try(() =>
      this.#db
        .prepare('SELECT bytes FROM updates ORDER BY seq')
        .all()
        .map(({ bytes }) => bytes)
        .filter(bytes => bytes instanceof Uint8Array),
    )
  }

  async appendUpdate(update: Uint8Array): Promise<void> {
    this.#mustBeOpen()
    return new Promise<void>((done, fail) => {
      this.#queue.push({ update, done, fail })
      this.#flushing ??= this.#flush()
    })
  }

  async compact(snapshot: Uint8Array): Promise<void> {
    this.#mustBeOpen()
    // At once, not after a wait: what is in the database now is in the snapshot,
    // while an update that comes during a wait would not be, and would be lost.
    this.#try(() => {
      this.#transact(() => {
        this.#db.exec('DELETE FROM updates')
        this.#insert.run(1, snapshot)
      })
      this.#pendingBytes = 0
      // Copies the log into the database, with syncs of its own, and starts the log again.
      this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    })
    await this.#syncWal()
  }

  get(key: string): string | undefined {
    const value = this.#try(() => this.#read.get(key)?.['value'])
    return typeof value === 'string' ? value : undefined
  }

  set(key: string, value: string): void {
    this.#mustBeOpen()
    this.#try(() => void this.#put.run(key, value))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#flushing
    try {
      // The last connection copies the log into the database, syncs it, and removes the log.
      this.#db.close()
    } catch (cause) {
      throw sqliteErrorOf(cause, this.#path)
    } finally {
      closeSync(this.#wal)
    }
  }

  /** Commits and syncs what is queued, until nothing is. Never rejects: each append gets its own answer. */
  async #flush(): Promise<void> {
    // The callers of this turn come first, so that they share one transaction.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0)
      try {
        this.#mustWork()
        this.#try(() => {
          this.#transact(() => {
            for (const { update } of batch) this.#insert.run(0, update)
          })
        })
        for (const { update } of batch) this.#pendingBytes += update.length
        // oxlint-disable-next-line eslint/no-await-in-loop -- batches are synced one after another
        await this.#syncWal()
        for (const { done } of batch) done()
      } catch (cause) {
        for (const { fail } of batch) fail(cause)
      }
    }
    this.#flushing = undefined
  }

  async #syncWal(): Promise<void> {
    try {
      await this.#sync(this.#wal)
    } catch (cause) {
      // The kernel may have dropped the pages that it could not write, so trying again would
      // wrongly succeed (Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
      const why = cause instanceof Error ? cause.message : String(cause)
      this.#broken = new StoreError(
        'failed',
        `Cannot sync ${this.#path}: ${why}; check the disk and restart the daemon`,
        { temporary: false, cause },
      )
      throw this.#broken
    }
  }

  #transact(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#db.exec('COMMIT')
    } catch (cause) {
      // SQLite rolls back by itself on a full disk.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw cause
    }
  }

  #try<T>(work: () => T): T {
    try {
      return work()
    } catch (cause) {
      throw sqliteErrorOf(cause, this.#path)
    }
  }

  #mustBeOpen(): void {
    if (this.#closed) {
      throw new StoreError('failed', `Cannot write ${this.#path}: it is closed`, {
        temporary: false,
      })
    }
    this.#mustWork()
  }

  #mustWork(): void {
    if (this.#broken !== undefined) throw this.#broken
  }
}

/** Says of an error of SQLite what the daemon can do about it. */
function sqliteErrorOf(cause: unknown, path: string): StoreError {
  const result = cause instanceof Error && 'errcode' in cause ? Number(cause.errcode) & 0xff : 0
  switch (result) {
    case RESULT.BUSY:
    case RESULT.LOCKED: {
      const pid = readPrivateFile(join(path, HOLDER_FILE))?.trim() ?? 'unknown'
      return new StoreError(
        'locked',
        `Cannot open ${path}: the daemon with pid ${pid} uses it; stop that one, or give another folder with --data`,
        { temporary: true, cause },
      )
    }
    case RESULT.FULL:
      return new StoreError(
        'disk-full',
        `Cannot write ${path}: the disk is full; free some space`,
        {
          temporary: true,
          cause,
        },
      )
    case RESULT.CORRUPT:
    case RESULT.NOTADB:
      return new StoreError(
        'corrupt',
        `Cannot read ${path}: the database is damaged; move ${DATABASE_FILE} and ${DATABASE_FILE}-wal away and start again, and this node gets the document from the others`,
        { temporary: false, cause },
      )
    default:
      return storeErrorOf(cause, `Cannot use ${path}`)
  }
}
