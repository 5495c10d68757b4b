import { fromBytes, toBytes } from '../util/bytes.ts'
import type { EntryPlace } from './entry-log.ts'

/** A piece of a saved document. */
export interface Saved {
  readonly update: Uint8Array
  /** The entries whose signatures were checked before it was saved. */
  readonly checked: readonly EntryPlace[]
}

/** Starts a snapshot. To yjs these two bytes are an empty update, so no update starts with them. */
const SNAPSHOT_MARK = Uint8Array.of(0, 0)
const NUMBER_BYTES = 8

/** Writes a document for this node's own disk, with what needs no second check; {@link parseSaved} reads it. */
export function printSnapshot(update: Uint8Array, checked: Iterable<EntryPlace>): Uint8Array {
  return Buffer.concat([SNAPSHOT_MARK, toBytes({ update, checked: printPlaces(checked) })])
}

/** Reads what the store kept: a snapshot, or an update as it came. */
export function parseSaved(piece: Uint8Array): Saved {
  const asUpdate = { update: piece, checked: [] }
  if (piece.length <= SNAPSHOT_MARK.length || piece[0] !== 0 || piece[1] !== 0) return asUpdate
  let decoded: unknown
  try {
    decoded = fromBytes(piece.subarray(SNAPSHOT_MARK.length))
  } catch {
    return asUpdate // Damaged; loading it as an update says so.
  }
  if (typeof decoded !== 'object' || decoded === null) return asUpdate
  if (!('update' in decoded) || !(decoded.update instanceof Uint8Array)) return asUpdate
  const checked: unknown = 'checked' in decoded ? decoded.checked : undefined
  return {
    update: decoded.update,
    checked: checked instanceof Uint8Array ? readPlaces(checked) : [],
  }
}

/** Clients and clocks by turns, as 64-bit floats: a list of numbers would take longer to read than what it spares. */
function printPlaces(places: Iterable<EntryPlace>): Uint8Array {
  const numbers = [...places].flatMap(({ client, clock }) => [client, clock])
  const bytes = Buffer.alloc(numbers.length * NUMBER_BYTES)
  for (const [at, number] of numbers.entries()) bytes.writeDoubleLE(number, at * NUMBER_BYTES)
  return bytes
}

function readPlaces(printed: Uint8Array): EntryPlace[] {
  const view = new DataView(printed.buffer, printed.byteOffset, printed.byteLength)
  const places: EntryPlace[] = []
  for (let at = 0; at + 2 * NUMBER_BYTES <= printed.length; at += 2 * NUMBER_BYTES) {
    places.push({
      client: view.getFloat64(at, true),
      clock: view.getFloat64(at + NUMBER_BYTES, true),
    })
  }
  return places
}
