import { INSTANCES_MAX } from '../model/app.ts'
import { isAppId, oneNodeId, type AppId, type NodeId, type RevisionId } from '../model/ids.ts'
import { isNodeLabelKey, isNodeLabelValue, type NodeMode } from '../model/node-admin.ts'
import { isSettingValue, settingRuleOf, type SettingName } from '../model/settings.ts'
import type { EntryPlace, RawEntry } from './entry-log.ts'

/**
 * Highest Lamport time. Entries beyond it are ignored, and our own stop there: since
 * a write deletes what it saw, times only ever decide between entries made at the
 * same time, so even a clock that stands still loses nothing.
 */
export const TIME_MAX = 2 ** 48

/** Longest name of a node, in characters. */
export const NODE_NAME_LENGTH_MAX = 255

const KEY_LENGTH_MAX = 1024
const NODE_ID_LENGTH_MAX = 64
const REVISION_ID = /^[0-9a-f]{16}$/

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
export type StoredAdmission = {
  readonly by: NodeId
  readonly name: string
  readonly timeMs: number
} | null

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
  /** Without an entry, the node does not have the label by anybody's word but its own. */
  | {
      readonly kind: 'label'
      readonly node: NodeId
      readonly key: string
      readonly value: string
    }
  /** Without an entry, the node is `active`. */
  | { readonly kind: 'mode'; readonly node: NodeId; readonly value: Exclude<NodeMode, 'active'> }
  /** Without an entry, the setting's default holds. */
  | { readonly kind: 'setting'; readonly name: SettingName; readonly value: number }

/** A well-formed entry of a log, with its Lamport time. What it says of signatures is not believed yet. */
export type Entry<K extends Fact['kind'] = Fact['kind']> = FactOf<K> &
  EntryPlace & { readonly time: number }

/** A fact of one kind. */
export type FactOf<K extends Fact['kind']> = Extract<Fact, { readonly kind: K }>

/**
 * Reads an entry; nothing when it has a shape that no entry has, or a key of a kind
 * that is not known here. By hand, because a document has tens of thousands of
 * entries and is read at each start; what a revision contains goes through the schema.
 *
 * @param isKnown True for ids of apps that were read before, which need no second look.
 */
export function parseEntry(
  { client, clock, value }: RawEntry,
  isKnown: (app: string) => app is AppId = isAppId,
): Entry | undefined {
  if (!Array.isArray(value)) return undefined
  const [key, time, ...parts] = value as readonly unknown[]
  if (typeof key !== 'string' || key.length > KEY_LENGTH_MAX) return undefined
  if (!isCount(time) || time > TIME_MAX) return undefined
  const fact = parseFact(key, parts, (app): app is AppId => isKnown(app) || isAppId(app))
  return fact && { ...fact, client, clock, time }
}

/**
 * Writes an entry as the value that a log keeps; {@link parseEntry} reads it. A flat
 * list `[key, time, …]`, because names of fields, once per entry, would be most of
 * what loading a document has to decode.
 */
export function printEntry(fact: Fact, time: number): readonly unknown[] {
  switch (fact.kind) {
    case 'app':
      return [`app/${fact.app}`, time, fact.value.revision, fact.value.parent]
    case 'rev': {
      const { bytes, signature, parent, generation } = fact.value
      return [`rev/${fact.app}/${fact.id}`, time, parent, generation, bytes, signature]
    }
    case 'scale':
      return [`scale/${fact.app}`, time, fact.value]
    case 'node':
      return fact.value === null
        ? [`node/${fact.node}`, time]
        : [`node/${fact.node}`, time, fact.value.by, fact.value.name, fact.value.timeMs]
    case 'label':
      return [`label/${fact.node}/${fact.key}`, time, fact.value]
    case 'mode':
      return [`mode/${fact.node}`, time, fact.value]
    case 'setting':
      return [`setting/${fact.name}`, time, fact.value]
  }
}

/**
 * Orders entries for one key: the winner first. By Lamport time, then by the client
 * id of the writer, which no two writers share.
 */
export function compareEntries(one: Entry, other: Entry): number {
  return other.time - one.time || other.client - one.client || other.clock - one.clock
}

function parseFact(
  key: string,
  parts: readonly unknown[],
  isApp: (text: string) => text is AppId,
): Fact | undefined {
  const slash = key.indexOf('/')
  const rest = key.slice(slash + 1)
  switch (key.slice(0, slash)) {
    case 'app': {
      const [revision, parent] = parts
      if (!isApp(rest) || !isRevisionOrNull(revision) || !isRevisionOrNull(parent)) {
        return undefined
      }
      return { kind: 'app', app: rest, value: { revision, parent } }
    }
    case 'rev': {
      const app = rest.slice(0, rest.lastIndexOf('/'))
      const id = rest.slice(app.length + 1)
      const [parent, generation, bytes, signature] = parts
      if (!isApp(app) || !isRevisionId(id)) return undefined
      if (!isRevisionOrNull(parent) || !isCount(generation)) return undefined
      if (!(bytes instanceof Uint8Array) || !(signature instanceof Uint8Array)) return undefined
      return { kind: 'rev', app, id, value: { bytes, signature, parent, generation } }
    }
    case 'scale': {
      const [value] = parts
      if (!isApp(rest) || typeof value !== 'number') return undefined
      const valid = Number.isInteger(value) && value >= 0 && value <= INSTANCES_MAX
      return valid ? { kind: 'scale', app: rest, value } : undefined
    }
    case 'node': {
      const [by, name, timeMs] = parts
      if (!isNodeName(rest)) return undefined
      const node = oneNodeId(rest)
      if (parts.length === 0) return { kind: 'node', node, value: null }
      if (!isNodeName(by) || typeof name !== 'string' || typeof timeMs !== 'number') {
        return undefined
      }
      if (name.length > NODE_NAME_LENGTH_MAX) return undefined
      return { kind: 'node', node, value: { by: oneNodeId(by), name, timeMs } }
    }
    case 'label': {
      const node = rest.slice(0, Math.max(0, rest.indexOf('/')))
      const labelKey = rest.slice(node.length + 1)
      const [value] = parts
      if (!isNodeName(node) || !isNodeLabelKey(labelKey)) return undefined
      if (typeof value !== 'string' || !isNodeLabelValue(value)) return undefined
      return { kind: 'label', node: oneNodeId(node), key: labelKey, value }
    }
    case 'mode': {
      const [value] = parts
      if (!isNodeName(rest) || (value !== 'cordoned' && value !== 'drained')) return undefined
      return { kind: 'mode', node: oneNodeId(rest), value }
    }
    case 'setting': {
      const rule = settingRuleOf(rest)
      const [value] = parts
      if (rule === undefined || !isSettingValue(rule, value)) return undefined
      return { kind: 'setting', name: rule.name, value }
    }
    default:
      return undefined
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1
}

function isRevisionId(value: unknown): value is RevisionId {
  return typeof value === 'string' && REVISION_ID.test(value)
}

function isRevisionOrNull(value: unknown): value is RevisionId | null {
  return value === null || isRevisionId(value)
}

/** Only the length: an id that is no key can sign and say nothing, so it harms nobody. */
function isNodeName(value: unknown): value is NodeId {
  return typeof value === 'string' && value.length > 0 && value.length <= NODE_ID_LENGTH_MAX
}
