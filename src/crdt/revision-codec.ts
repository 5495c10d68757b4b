import { z } from 'zod'
import { APP_SIZE_BYTES_MAX, appSchema, type AppSpec } from '../model/app.ts'
import type { Revision } from '../model/desired.ts'
import type { AppId, NodeId, RevisionId } from '../model/ids.ts'
import { digest, type Verify } from '../util/keys.ts'
import type { FactOf } from './entry.ts'

/** Longest message of a revision, in characters. */
export const MESSAGE_LENGTH_MAX = 1024

/** Largest revision, in bytes: its app, and room for the rest. */
export const REVISION_BYTES_MAX = APP_SIZE_BYTES_MAX + 16 * 1024

/** What an author makes a revision of. */
export interface RevisionDraft {
  readonly app: AppId
  readonly parent: RevisionId | null
  readonly generation: number
  readonly spec: AppSpec
  readonly author: NodeId
  readonly timeMs: number
  readonly message: string
}

/** What came of reading a stored revision. */
export type ParsedRevision =
  | { readonly ok: true; readonly revision: Revision }
  | { readonly ok: false; readonly reason: string }

const utf8 = new TextDecoder('utf-8', { fatal: true })

const content = z.strictObject({
  app: z.string(),
  parent: z.string().nullable(),
  generation: z.int().min(1),
  spec: appSchema,
  author: z.custom<NodeId>(value => typeof value === 'string' && value.length <= 64),
  timeMs: z.number(),
  message: z.string().max(MESSAGE_LENGTH_MAX),
})

/**
 * Makes a revision: its canonical bytes, what they are named by, and the signature
 * over them. Exactly these bytes are stored and sent, so that a signature never
 * depends on how somebody else's version would encode or complete the same app.
 */
export function signRevision(
  draft: RevisionDraft,
  sign: (bytes: Uint8Array) => Uint8Array,
): FactOf<'rev'> {
  const { app, parent, generation, spec, author, timeMs, message } = draft
  const bytes = canonicalBytes({ app, parent, generation, spec, author, timeMs, message })
  // A plain Uint8Array: yjs stores no Buffer.
  const signature = Uint8Array.from(sign(bytes))
  return {
    kind: 'rev',
    app,
    id: revisionIdOf(bytes),
    value: { bytes, signature, parent, generation },
  }
}

/**
 * Reads a stored revision, and believes it only when its name is the digest of its
 * bytes, its author signed them, and its app is valid.
 *
 * @param checked True when name and signature were checked before, by this node.
 */
export function parseRevision(
  { app, id, value }: FactOf<'rev'>,
  verify: Verify,
  checked: boolean,
): ParsedRevision {
  const refuse = (reason: string): ParsedRevision => ({
    ok: false,
    reason: `Cannot use revision ${id} of app "${app}": ${reason}`,
  })
  const { bytes, signature, parent, generation } = value
  if (bytes.length > REVISION_BYTES_MAX) return refuse(`it has ${bytes.length} bytes`)
  if (!checked && revisionIdOf(bytes) !== id)
    return refuse('its content is not what it is named by')
  let decoded: unknown
  try {
    decoded = JSON.parse(utf8.decode(bytes))
  } catch (cause) {
    return refuse(cause instanceof Error ? cause.message : String(cause))
  }
  const parsed = content.safeParse(decoded)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return refuse(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a revision'}`)
  }
  const { spec, author, timeMs, message } = parsed.data
  if (parsed.data.app !== app || spec.id !== app) return refuse('it is about another app')
  if (parsed.data.parent !== parent || parsed.data.generation !== generation) {
    return refuse('its place in the history is not what was signed')
  }
  if (!checked && !verify(author, bytes, signature)) {
    return refuse(`it is not signed by ${author}`)
  }
  const revision: Revision = {
    id,
    app,
    ...(parent !== null && { parent }),
    generation,
    spec,
    author,
    timeMs,
    message,
    signature: Buffer.from(signature).toString('base64'),
  }
  return { ok: true, revision }
}

/** Two apps are the same when their canonical bytes are. */
export function isSameSpec(one: AppSpec, other: AppSpec): boolean {
  return one === other || Buffer.compare(canonicalBytes(one), canonicalBytes(other)) === 0
}

/**
 * Plain data as canonical JSON (RFC 8785: sorted keys, no spaces, numbers as ECMAScript
 * prints them), in UTF-8. Not CBOR as elsewhere, because a start decodes the revision in
 * force of every app: measured here, `JSON.parse` takes a tenth of the time of cborg.
 */
function canonicalBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(sorted(value)))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1))
  return Object.fromEntries(entries.map(([key, part]) => [key, sorted(part)]))
}

function revisionIdOf(bytes: Uint8Array): RevisionId {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return digest(bytes) as RevisionId
}
