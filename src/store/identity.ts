import { randomBytes, randomInt } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { makePrivateFolder, readPrivateFile, writePrivateFile } from './private-file.ts'
import { StoreError } from './store.ts'

/** Who a node is, from its data folder. */
export interface Identity {
  /** 32 bytes: the node's key is made of them, and its id of the key. */
  readonly seed: Uint8Array
  /** Names this node's log in the document. */
  readonly clientId: number
  /** Counts the starts of this node's daemon. */
  readonly incarnation: number
  /** No fencing token above this was ever known here. */
  readonly fence: number
  /** How often the daemon was started in the ten minutes before. */
  readonly recentStarts: number
}

/** Starts so long ago no longer count as recent, in milliseconds. */
const RECENT_MS = 600_000

/** Most starts that are remembered. */
const STARTS_MAX = 16

const KEY_FILE = 'node.key'
const COUNTERS_FILE = 'node.json'
const CLIENT_ID_MAX = 2 ** 32 - 1

const counters = z.strictObject({
  clientId: z.int().min(1).max(CLIENT_ID_MAX),
  incarnation: z.int().min(1),
  fence: z.int().min(0).default(0),
  /** When the daemon was started lately, in milliseconds since 1970 by this machine's clock. */
  startsMs: z.array(z.number()).max(STARTS_MAX).default([]),
})

/**
 * Reads who this node is, or makes it up at the first start; counts one more start.
 * All of it is on the disk when this returns, so no two starts share an incarnation.
 * Open the store first: its lock keeps a second daemon from counting too.
 *
 * @throws {StoreError} `corrupt` when a file is damaged: it says which and what to do.
 */
export function openIdentity(dir: string): Identity {
  makePrivateFolder(dir)
  const oldSeed = readSeed(dir)
  const seed = oldSeed ?? makeSeed(dir)
  const last = readCounters(dir)
  const lastIncarnation = last?.incarnation ?? (oldSeed === undefined ? 0 : floorIncarnation())
  const nowMs = Date.now()
  const isRecent = (ms: number): boolean => ms <= nowMs && nowMs - ms < RECENT_MS
  const recent = last?.startsMs.filter(isRecent) ?? []
  const next = {
    clientId: last?.clientId ?? drawClientId(),
    incarnation: lastIncarnation + 1,
    fence: last?.fence ?? 0,
  }
  writeCounters(dir, { ...next, startsMs: [...recent, nowMs].slice(-STARTS_MAX) })
  return { seed, ...next, recentStarts: recent.length }
}

/**
 * Gives this node another log in the document, drawn at random from 1 to 2³² − 1.
 * After a restore from a backup the old log may be longer elsewhere than here, and
 * no place of a log may be written twice. On the disk when this returns.
 */
export function keepClientId(dir: string, clientId: number): void {
  writeCounters(dir, { ...lastCounters(dir), clientId })
}

/**
 * Keeps a number that no fencing token which this node knows of is above, so that
 * it gives none twice even if it forgets. On the disk when this returns.
 *
 * @throws When the disk does not take it.
 */
export function keepFence(dir: string, fence: number): void {
  writeCounters(dir, { ...lastCounters(dir), fence })
}

function lastCounters(dir: string): z.output<typeof counters> {
  const lost = { clientId: drawClientId(), incarnation: floorIncarnation(), fence: 0, startsMs: [] }
  return readCounters(dir) ?? lost
}

function readSeed(dir: string): Uint8Array | undefined {
  const path = join(dir, KEY_FILE)
  const text = readPrivateFile(path)?.trim()
  if (text === undefined) return undefined
  if (/^[0-9a-f]{64}$/.test(text)) return Uint8Array.from(Buffer.from(text, 'hex'))
  throw new StoreError(
    'corrupt',
    `Cannot read the node's key ${path}: it must be 64 hex digits; restore it from a backup, or remove it and join the cluster again as a new node`,
    { temporary: false },
  )
}

function makeSeed(dir: string): Uint8Array {
  const seed = Uint8Array.from(randomBytes(32))
  writePrivateFile(join(dir, KEY_FILE), `${Buffer.from(seed).toString('hex')}\n`)
  return seed
}

function readCounters(dir: string): z.output<typeof counters> | undefined {
  const path = join(dir, COUNTERS_FILE)
  const text = readPrivateFile(path)
  if (text === undefined) return undefined
  try {
    return counters.parse(JSON.parse(text))
  } catch (cause) {
    throw new StoreError(
      'corrupt',
      `Cannot read ${path}: it is damaged; remove it, and the node takes new numbers`,
      { temporary: false, cause },
    )
  }
}

function writeCounters(dir: string, next: z.output<typeof counters>): void {
  writePrivateFile(join(dir, COUNTERS_FILE), `${JSON.stringify(next)}\n`)
}

/** For a node that lost its counters: above what they said, since nobody starts a daemon once a second for ever. */
function floorIncarnation(): number {
  return Math.floor(Date.now() / 1_000)
}

function drawClientId(): number {
  return randomInt(1, CLIENT_ID_MAX + 1)
}
