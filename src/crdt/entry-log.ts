/**
 * The replicated part of the desired document, and the one file that talks to yjs.
 *
 * Every writer has a log of its own: the yjs array at the root `w/<client id>`.
 * Only that writer appends to it, and only at the end; anybody may delete entries of
 * any log. So the deleted runs of a log are contiguous in clock and in place, yjs
 * merges each run into one struct of about 13 bytes, and the size of the document
 * follows what is alive, not what ever was. A `Y.Map` keeps the key of every
 * overwritten value for ever, and its array calls walk the whole list on every
 * append when one client wrote all of it; hence appending by struct here.
 *
 * @module
 */

import * as Y from 'yjs'
import { fromBytes, toBytes } from '../util/bytes.ts'
import { digest } from '../util/keys.ts'
import { complaintAbout, rootOf } from './update-grammar.ts'

/** Names an entry for all time: the writer's client id and the entry's number in its log. */
export interface EntryPlace {
  readonly client: number
  readonly clock: number
}

/** An entry as it came, not yet believed. */
export interface RawEntry extends EntryPlace {
  readonly value: unknown
}

/** What one transaction did to the live entries. */
export interface LogChange {
  readonly added: readonly RawEntry[]
  readonly removed: readonly EntryPlace[]
}

/** What became of an update from outside. */
export type LogApplied =
  /** `waiting` when a part of this very update waits for earlier ones, whatever else does. */
  | { readonly ok: true; readonly change: LogChange; readonly waiting: boolean }
  | { readonly ok: false; readonly reason: string }

/** Logs of entries that any number of replicas converge on. */
export interface EntryLog {
  /** Appends `values` to the log of `client` and deletes `places`, as one update. */
  write(
    client: number,
    values: readonly unknown[],
    places: readonly EntryPlace[],
  ): { readonly update: Uint8Array; readonly change: LogChange }
  /** Takes in an update; one that no honest replica can have made changes nothing. */
  apply(update: Uint8Array): LogApplied
  /** Takes in an update that {@link EntryLog.apply} or {@link EntryLog.write} had before: spares looking at it twice. */
  load(update: Uint8Array): LogApplied
  /** How many entries `client` has ever written, as far as is known here. */
  clock(client: number): number
  /** What is known here, for {@link EntryLog.since} of another replica. */
  vector(): Uint8Array
  /**
   * What a replica with `vector` lacks; nothing when it lacks nothing, deletions included.
   * At most about `bytesMax`: the rest comes when it asks again.
   */
  since(vector: Uint8Array, bytesMax: number): Uint8Array | undefined
  /** Everything, with what still waits for earlier updates. */
  encode(): Uint8Array
  readonly writers: number
  /** Bytes that wait for earlier updates. */
  readonly waitingBytes: number
}

/** Longest update that is looked at, in bytes. */
export const UPDATE_BYTES_MAX = 16 * 1024 * 1024

/**
 * Most bytes that wait for earlier updates. Beyond it the waiting ones are dropped:
 * the vector never promised them, so anti-entropy brings them again.
 */
const WAITING_BYTES_MAX = 2 * UPDATE_BYTES_MAX
const WAITING_DELETES_BYTES_MAX = 1024 * 1024

/** Bytes of a digest of one writer's deletions. Only accidents matter: a liar could as well keep silent. */
const DIGEST_HEX = 12

/** Makes an empty log. */
export function createEntryLog(): EntryLog {
  // Client 0 is no writer: yjs would rename a document that hears its own client from outside, as on each start.
  const doc = new Y.Doc()
  doc.clientID = 0
  let change: { added: RawEntry[]; removed: EntryPlace[] } = { added: [], removed: [] }
  const digests = new Map<number, string>()
  /** Kept until something is written or deleted: it is compared with others' every second, and edits are rare. */
  let ownVector: Uint8Array | undefined

  doc.on('afterTransaction', transaction => {
    ownVector = undefined
    change = changeOf(transaction)
    for (const client of transaction.deleteSet.clients.keys()) digests.delete(client)
  })

  /** A digest of what is deleted in the log of `client`; empty when nothing is. */
  function deletionsDigest(client: number): string {
    let known = digests.get(client)
    if (known === undefined) {
      const ranges = deletedRanges(doc, client)
      known = ranges.length === 0 ? '' : digest(bytesOf(ranges), DIGEST_HEX)
      digests.set(client, known)
    }
    return known
  }

  function load(update: Uint8Array): LogApplied {
    change = { added: [], removed: [] }
    try {
      Y.applyUpdate(doc, update)
    } catch (cause) {
      return { ok: false, reason: `yjs refused it: ${String(cause)}` }
    }
    const { pendingStructs, pendingDs } = doc.store
    if (pendingStructs !== null && pendingStructs.update.length > WAITING_BYTES_MAX) {
      doc.store.pendingStructs = null
    }
    if (pendingDs !== null && pendingDs.length > WAITING_DELETES_BYTES_MAX) {
      doc.store.pendingDs = null
    }
    const isCalm = pendingStructs === null && pendingDs === null
    return { ok: true, change, waiting: !isCalm && waits(doc, update) }
  }

  return {
    write(client, values, places) {
      change = { added: [], removed: [] }
      let written: Uint8Array = new Uint8Array([0, 0])
      const keep = (update: Uint8Array): void => {
        written = update
      }
      doc.on('update', keep)
      doc.transact(transaction => {
        append(transaction, client, values)
        remove(transaction, places)
      })
      doc.off('update', keep)
      return { update: written, change }
    },

    apply(update) {
      const reason = complaintAbout(update, UPDATE_BYTES_MAX)
      return reason === undefined ? load(update) : { ok: false, reason }
    },

    load,

    clock: client => Y.getState(doc.store, client),

    vector() {
      if (ownVector === undefined) {
        const clients = [...doc.store.clients.keys()].toSorted((one, other) => one - other)
        ownVector = toBytes(
          clients.map(client => [client, Y.getState(doc.store, client), deletionsDigest(client)]),
        )
      }
      return ownVector
    },

    since(vector, bytesMax) {
      const theirs = parseVector(vector)
      const clients = [...doc.store.clients.keys()].toSorted((one, other) => other - one)
      const behind = clients
        .map(client => ({ client, clock: theirs.get(client)?.clock ?? 0 }))
        .filter(({ client, clock }) => Y.getState(doc.store, client) > clock)
      const differing = clients.filter(
        client => deletionsDigest(client) !== (theirs.get(client)?.deletions ?? ''),
      )
      if (behind.length === 0 && differing.length === 0) return undefined
      return encodeParts(doc, behind, differing, bytesMax)
    },

    encode: () => Y.encodeStateAsUpdate(doc),

    get writers() {
      return doc.store.clients.size
    },

    get waitingBytes() {
      const { pendingStructs, pendingDs } = doc.store
      return (pendingStructs?.update.length ?? 0) + (pendingDs?.length ?? 0)
    },
  }
}

/** True when the document lacks something that the update wrote or deleted. */
function waits(doc: Y.Doc, update: Uint8Array): boolean {
  const { structs, ds } = Y.decodeUpdate(update)
  const lacks = (client: number, end: number): boolean => Y.getState(doc.store, client) < end
  return (
    structs.some(
      struct =>
        !(struct instanceof Y.Skip) && lacks(struct.id.client, struct.id.clock + struct.length),
    ) ||
    [...ds.clients].some(([client, ranges]) =>
      ranges.some(({ clock, len }) => lacks(client, clock + len)),
    )
  )
}

/** Appends to the end of the log of `client`: what `Y.Array.push` does, without its walk over the whole list. */
function append(transaction: Y.Transaction, client: number, values: readonly unknown[]): void {
  if (values.length === 0) return
  const { doc } = transaction
  const last = doc.store.clients.get(client)?.at(-1)
  const left = last instanceof Y.Item ? last : null
  const id = Y.createID(client, Y.getState(doc.store, client))
  const parent = doc.get(rootOf(client))
  const content = new Y.ContentAny([...values])
  new Y.Item(id, left, left && left.lastId, null, null, parent, null, content).integrate(
    transaction,
    0,
  )
}

/** Deletes entries by name, wherever they stand; those that are gone already stay gone. */
function remove(transaction: Y.Transaction, places: readonly EntryPlace[]): void {
  const doomed = Y.createDeleteSet()
  const inOrder = places.toSorted((one, other) => one.clock - other.clock)
  for (const { client, clock } of inOrder) {
    const ranges = doomed.clients.get(client) ?? []
    ranges.push({ clock, len: 1 })
    doomed.clients.set(client, ranges)
  }
  Y.iterateDeletedStructs(transaction, doomed, struct => {
    if (struct instanceof Y.Item) struct.delete(transaction)
  })
}

/** The entries that a transaction brought and took. Called before yjs merges structs, so the bounds are clean. */
function changeOf(transaction: Y.Transaction): { added: RawEntry[]; removed: EntryPlace[] } {
  const added: RawEntry[] = []
  for (const [client, after] of transaction.afterState) {
    const before = transaction.beforeState.get(client) ?? 0
    if (after === before) continue
    const structs = transaction.doc.store.clients.get(client) ?? []
    for (let at = Y.findIndexSS(structs, before); at < structs.length; at++) {
      const struct = structs[at]
      if (!(struct instanceof Y.Item) || struct.deleted) continue
      if (!(struct.content instanceof Y.ContentAny)) continue
      for (const [index, value] of struct.content.arr.entries()) {
        added.push({ client, clock: struct.id.clock + index, value: value as unknown })
      }
    }
  }
  const removed: EntryPlace[] = []
  for (const [client, ranges] of transaction.deleteSet.clients) {
    const before = transaction.beforeState.get(client) ?? 0
    for (const { clock, len } of ranges) {
      // What arrived deleted was never an entry here, and its runs can be of any length.
      for (let at = clock; at < Math.min(clock + len, before); at++) {
        removed.push({ client, clock: at })
      }
    }
  }
  return { added, removed }
}

/** What is deleted in the log of `client` before `until`: first clocks and lengths, by turns. */
function deletedRanges(doc: Y.Doc, client: number, until = Infinity): number[] {
  const ranges: number[] = []
  let end = -1
  for (const { deleted, id, length } of doc.store.clients.get(client) ?? []) {
    if (id.clock >= until) break
    if (!deleted) continue
    if (id.clock === end) ranges[ranges.length - 1]! += length
    else ranges.push(id.clock, length)
    end = id.clock + length
  }
  return ranges
}

/** Writes an update with the entries from each clock on, and the deletions of `deletions`: the V1 format of yjs. */
function encodeParts(
  doc: Y.Doc,
  behind: readonly EntryPlace[],
  deletions: readonly number[],
  bytesMax: number,
): Uint8Array {
  let room = bytesMax
  const ends = new Map<number, number>()
  const logs: { readonly place: EntryPlace; readonly structs: (Y.Item | Y.GC)[] }[] = []
  for (const place of behind) {
    const { client, clock } = place
    const all = doc.store.clients.get(client) ?? []
    const structs: (Y.Item | Y.GC)[] = []
    for (const struct of piecesOf(all, Y.findIndexSS(all, clock), clock)) {
      if (room <= 0) break
      structs.push(struct)
      room -= sizeOf(struct)
      ends.set(client, struct.id.clock + struct.length)
    }
    if (structs.length > 0) logs.push({ place, structs })
    else ends.set(client, clock)
  }

  const encoder = new Y.UpdateEncoderV1()
  encoder.writeLen(logs.length)
  for (const { place, structs } of logs) {
    encoder.writeLen(structs.length)
    encoder.writeClient(place.client)
    encoder.writeLen(place.clock)
    for (const struct of structs) struct.write(encoder, Math.max(0, place.clock - struct.id.clock))
  }
  const parts = deletions
    .map(client => ({ client, ranges: deletedRanges(doc, client, ends.get(client)) }))
    .filter(({ ranges }) => ranges.length > 0)
  encoder.writeLen(parts.length)
  for (const { client, ranges } of parts) {
    encoder.writeLen(client)
    encoder.writeLen(ranges.length / 2)
    for (const number of ranges) encoder.writeLen(number)
  }
  return encoder.toUint8Array()
}

/** The structs of a log from `clock` on, with live runs cut into single entries, so that an update can end at any. */
function* piecesOf(
  structs: readonly (Y.Item | Y.GC)[],
  first: number,
  clock: number,
): Generator<Y.Item | Y.GC> {
  for (let at = first; at < structs.length; at++) {
    const struct = structs[at]!
    if (!(struct instanceof Y.Item) || !(struct.content instanceof Y.ContentAny)) {
      yield struct
      continue
    }
    const { client } = struct.id
    for (const [index, value] of struct.content.arr.entries()) {
      const here = struct.id.clock + index
      if (here < clock) continue
      const origin = here === 0 ? null : Y.createID(client, here - 1)
      const parent = here === 0 ? struct.parent : null
      const content = new Y.ContentAny([value])
      yield new Y.Item(Y.createID(client, here), null, origin, null, null, parent, null, content)
    }
  }
}

/** About how many bytes a struct takes: entries are flat, and what is large in them is bytes. */
function sizeOf(struct: Y.Item | Y.GC): number {
  if (!(struct instanceof Y.Item) || !(struct.content instanceof Y.ContentAny)) return 20
  let sizeBytes = 20
  for (const value of struct.content.arr) {
    for (const part of Array.isArray(value) ? (value as unknown[]) : [value]) {
      const isLong = part instanceof Uint8Array || typeof part === 'string'
      sizeBytes += isLong ? part.length : 20
    }
  }
  return sizeBytes
}

/** Reads a vector of another replica. One that cannot be read counts as empty: its owner gets everything. */
function parseVector(vector: Uint8Array): Map<number, { clock: number; deletions: string }> {
  const rows = new Map<number, { clock: number; deletions: string }>()
  let parsed: unknown
  try {
    parsed = fromBytes(vector)
  } catch {
    return rows // Not CBOR: everything is new to whoever sent this.
  }
  if (!Array.isArray(parsed)) return rows
  for (const row of parsed as unknown[]) {
    if (!Array.isArray(row)) continue
    const [client, clock, deletions] = row as unknown[]
    if (typeof client !== 'number' || typeof deletions !== 'string') continue
    if (!Number.isSafeInteger(clock) || Number(clock) < 0) continue
    rows.set(client, { clock: Number(clock), deletions })
  }
  return rows
}

function bytesOf(numbers: readonly number[]): Uint8Array {
  return new Uint8Array(new Float64Array(numbers).buffer)
}
