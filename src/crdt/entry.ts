import { z } from 'zod'
import { INSTANCES_MAX } from '../model/app.ts'
import { isAppId, type AppId, type NodeId, type RevisionId } from '../model/ids.ts'
import type { EntryPlace, RawEntry } from './entry-log.ts'

/**
 * Highest Lamport time. Entries beyond it are ignored, and our own stop there: since
 * a write deletes what it saw, times only ever decide between entries made at the
 * same time, so even a clock that stands still loses nothing.
 */
export const TIME_MAX = 2 ** 48

/** Longest name of a node, in characters. */
export const NODE_NAME_LENGTH_MAX = 255

/** An app's pointer: which revision is in force. */
export interface Pointer {
  /** Nothing when the app was removed. */
  readonly revision: RevisionId | null
  /** What the author saw in force; for a removal, what was removed. */
  readonly parent: RevisionId | null
}

/** A revision as it is stored: its signed bytes, with what is needed to walk a history without decoding each. */
export interface StoredRevision {
  readonly bytes: Uint8Array
  readonly signature: Uint8Array
  readonly parent: RevisionId | null
  readonly generation: number
}

/** A node's admission as it is stored; nothing when it was expelled. */
export type StoredAdmission = { readonly name: string; readonly timeMs: number } | null

/** What an entry is about, and what it says. */
export type Fact =
  | { readonly kind: 'app'; readonly app: AppId; readonly value: Pointer }
  | {
      readonly kind: 'rev'
      readonly app: AppId
      readonly id: RevisionId
      readonly value: StoredRevision
    }
  | { readonly kind: 'scale'; readonly app: AppId; readonly value: number }
  | { readonly kind: 'node'; readonly node: NodeId; readonly value: StoredAdmission }

/** A well-formed entry of a log. What it says of signatures is not believed yet. */
export type Entry<F extends Fact = Fact> = EntryPlace & {
  readonly fact: F
  /** Lamport time. */
  readonly time: number
  readonly author: NodeId
}

/** A fact of one kind. */
export type FactOf<K extends Fact['kind']> = Extract<Fact, { readonly kind: K }>

const revisionId = z.custom<RevisionId>(
  value => typeof value === 'string' && /^[0-9a-f]{16}$/.test(value),
)
const bytes = z.instanceof(Uint8Array)
const envelope = z.strictObject({
  k: z.string().max(1024),
  t: z.int().min(1).max(TIME_MAX),
  a: z.custom<NodeId>(value => typeof value === 'string' && value.length <= 64),
  v: z.unknown(),
})
const pointer = z.strictObject({ r: revisionId.nullable(), p: revisionId.nullable() })
const revision = z.strictObject({
  b: bytes,
  s: bytes,
  p: revisionId.nullable(),
  g: z.int().min(1),
})
const instances = z.int().min(0).max(INSTANCES_MAX)
const admission = z
  .strictObject({ n: z.string().max(NODE_NAME_LENGTH_MAX), m: z.number() })
  .nullable()

/** Reads an entry; nothing when it has a shape that no entry has, or a key of a kind that is not known here. */
export function parseEntry({ client, clock, value }: RawEntry): Entry | undefined {
  const parsed = envelope.safeParse(value)
  if (!parsed.success) return undefined
  const { k, t, a, v } = parsed.data
  const fact = parseFact(k, v)
  return fact && { client, clock, fact, time: t, author: a }
}

/** Writes an entry as the value that a log keeps; {@link parseEntry} reads it. */
export function printEntry(fact: Fact, time: number, author: NodeId): unknown {
  return { k: keyOf(fact), v: printValue(fact), t: time, a: author }
}

/**
 * Orders entries for one key: the winner first. By Lamport time, then author; the
 * place in the logs only sets apart what one author wrote in two logs at one time.
 */
export function compareEntries(one: Entry, other: Entry): number {
  if (one.time !== other.time) return other.time - one.time
  if (one.author !== other.author) return one.author < other.author ? 1 : -1
  return other.client - one.client || other.clock - one.clock
}

function parseFact(key: string, value: unknown): Fact | undefined {
  const slash = key.indexOf('/')
  const rest = key.slice(slash + 1)
  switch (key.slice(0, slash)) {
    case 'app': {
      const parsed = pointer.safeParse(value)
      if (!parsed.success || !isAppId(rest)) return undefined
      return { kind: 'app', app: rest, value: { revision: parsed.data.r, parent: parsed.data.p } }
    }
    case 'rev': {
      const parsed = revision.safeParse(value)
      const app = rest.slice(0, rest.lastIndexOf('/'))
      const id = revisionId.safeParse(rest.slice(app.length + 1))
      if (!parsed.success || !id.success || !isAppId(app)) return undefined
      const { b, s, p, g } = parsed.data
      const stored = { bytes: b, signature: s, parent: p, generation: g }
      return { kind: 'rev', app, id: id.data, value: stored }
    }
    case 'scale': {
      const parsed = instances.safeParse(value)
      if (!parsed.success || !isAppId(rest)) return undefined
      return { kind: 'scale', app: rest, value: parsed.data }
    }
    case 'node': {
      const parsed = admission.safeParse(value)
      if (!parsed.success || rest.length === 0 || rest.length > 64) return undefined
      const { data } = parsed
      const stored = data && { name: data.n, timeMs: data.m }
      return { kind: 'node', node: nodeIdOf(rest), value: stored }
    }
    default:
      return undefined
  }
}

function keyOf(fact: Fact): string {
  switch (fact.kind) {
    case 'app':
    case 'scale':
      return `${fact.kind}/${fact.app}`
    case 'rev':
      return `rev/${fact.app}/${fact.id}`
    case 'node':
      return `node/${fact.node}`
  }
}

function printValue(fact: Fact): unknown {
  switch (fact.kind) {
    case 'app':
      return { r: fact.value.revision, p: fact.value.parent }
    case 'rev': {
      const { bytes: b, signature: s, parent: p, generation: g } = fact.value
      return { b, s, p, g }
    }
    case 'scale':
      return fact.value
    case 'node':
      return fact.value && { n: fact.value.name, m: fact.value.timeMs }
  }
}

/** Admission is by key: an id that is none can sign nothing, so it needs no check here. */
function nodeIdOf(text: string): NodeId {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return text as NodeId
}
