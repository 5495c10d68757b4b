import * as Y from 'yjs'

/** The root array that holds the log of `client`. */
export function rootOf(client: number): string {
  return `w/${client}`
}

/** No log grows beyond this many entries: far more than a million a second for a century. */
const CLOCK_MAX = 2 ** 48

/** How deep values may nest: an entry is flat, and recursion in yjs must have an end. */
const DEPTH_MAX = 8

/**
 * Says what is wrong with an update from outside, or nothing when any honest replica
 * may have written it.
 *
 * yjs takes far more than we ever write: nested documents, texts, inserts in the
 * middle, foreign roots. Each is a way to harm a document or to burn its time, so
 * an update passes only when every struct appends plain values to its writer's own
 * log. It is decoded whole here, before yjs touches the document, because yjs fails
 * half-way on bytes that are cut off.
 */
export function complaintAbout(update: Uint8Array, bytesMax: number): string | undefined {
  if (update.length > bytesMax) return `it has ${update.length} bytes, more than ${bytesMax}`
  try {
    const { structs, ds } = Y.decodeUpdate(update)
    for (const struct of structs) {
      const complaint = complaintAboutStruct(struct)
      if (complaint !== undefined) return complaint
    }
    for (const [client, ranges] of ds.clients) {
      const sane = ranges.every(({ clock, len }) => len > 0 && clock + len <= CLOCK_MAX)
      if (!sane || client < 1) return `it deletes what cannot be in the log of ${client}`
    }
  } catch (cause) {
    return `it is no update: ${cause instanceof Error ? cause.message : String(cause)}`
  }
  return undefined
}

function complaintAboutStruct(struct: Y.Item | Y.GC | Y.Skip): string | undefined {
  const { client, clock } = struct.id
  const where = `entry ${clock} of ${client}`
  if (client < 1 || struct.length < 1 || clock + struct.length > CLOCK_MAX) {
    return `${where} is out of bounds`
  }
  if (struct instanceof Y.Skip) return undefined
  if (!(struct instanceof Y.Item)) return `${where} is no entry`
  const { origin, rightOrigin, content } = struct
  const parent: unknown = struct.parent
  const placed =
    clock === 0
      ? origin === null && parent === rootOf(client)
      : origin !== null && origin.client === client && origin.clock === clock - 1
  if (!placed || rightOrigin !== null || struct.parentSub !== null) {
    return `${where} does not stand at the end of its log`
  }
  if (content instanceof Y.ContentDeleted) return undefined
  if (!(content instanceof Y.ContentAny)) return `${where} is no plain value`
  const deep = content.arr.some(value => depthOf(value, DEPTH_MAX) > DEPTH_MAX)
  return deep ? `${where} nests deeper than ${DEPTH_MAX}` : undefined
}

/** How deep `value` nests; looks no deeper than one more than `limit`. */
function depthOf(value: unknown, limit: number): number {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0
  if (limit < 0) return 1
  let deepest = 0
  for (const part of Object.values(value)) deepest = Math.max(deepest, depthOf(part, limit - 1))
  return 1 + deepest
}
