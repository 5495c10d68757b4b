/**
 * The names of things. Every id is a branded string that is minted here and
 * nowhere else, so that a slot can never be passed where an app is meant.
 *
 * @module
 */

/** A node: its libp2p peer id, derived from its stored key, never from a hostname or a clock. */
export type NodeId = string & { readonly __brand: 'NodeId' }

/** An app's path, with its leading slash: `/shop/web`. */
export type AppId = string & { readonly __brand: 'AppId' }

/** One copy that should exist: `/shop/web.2`. Counted from 0; in `global` apps the suffix is the node id. */
export type SlotId = string & { readonly __brand: 'SlotId' }

/** One run of a slot on a node: `/shop/web.2@k3f9x1`. Unique in the cluster for all time. */
export type TaskId = string & { readonly __brand: 'TaskId' }

/** One immutable whole version of an app: the first 16 hex digits of the SHA-256 of its content. */
export type RevisionId = string & { readonly __brand: 'RevisionId' }

/** Longest id of an app, in characters: what a DNS name has room for beside the other labels. */
export const APP_ID_LENGTH_MAX = 200

const SEGMENT = '(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])'
const APP_ID = new RegExp(`^(?:/${SEGMENT}(?:\\.${SEGMENT})*)+$`)

/** What an app id must look like, for messages to people. */
export const APP_ID_RULE =
  'a path of lower-case letters, digits, "-" and ".", such as /shop/web (no segment starts or ends with "-")'

const nodeIds = new Map<string, NodeId>()

/** Far more nodes than a cluster has; whoever sends more ids than that only costs the time to keep them. */
const NODE_IDS_MAX = 65_536

/**
 * The one string for a node's id, whatever message it came in. Ids are looked up in dozens of maps for each record that comes: two
 * strings that are identical are known to be equal without a look at their characters, and it is kept once.
 */
export function oneNodeId(id: NodeId): NodeId {
  const known = nodeIds.get(id)
  if (known !== undefined) return known
  if (nodeIds.size >= NODE_IDS_MAX) nodeIds.clear()
  nodeIds.set(id, id)
  return id
}

/** True for a whole, absolute app id. */
export function isAppId(text: string): text is AppId {
  return text.length <= APP_ID_LENGTH_MAX && APP_ID.test(text)
}

/**
 * Reads what a person typed for an app: `web` means `/web`.
 *
 * @returns Nothing when the text can be no app's id ({@link APP_ID_RULE}).
 */
export function parseAppId(text: string): AppId | undefined {
  const absolute = text.startsWith('/') ? text : `/${text}`
  return isAppId(absolute) ? absolute : undefined
}

/** Names slot `index` of `app`; for a `global` app, the slot of the node `index`. */
export function slotIdOf(app: AppId, index: number | NodeId): SlotId {
  return `${app}.${index}` as SlotId
}

/** The app that a slot belongs to. */
export function appOfSlot(slot: SlotId): AppId {
  return slot.slice(0, slot.lastIndexOf('.')) as AppId
}

/** A slot's place in its app: `2` of `/shop/web.2`, or the node id in a `global` app. */
export function slotSuffix(slot: SlotId): string {
  return slot.slice(slot.lastIndexOf('.') + 1)
}

/**
 * Names a new run of `slot`.
 *
 * @param nonce Letters and digits that no earlier task of the slot had.
 */
export function taskIdOf(slot: SlotId, nonce: string): TaskId {
  return `${slot}@${nonce}` as TaskId
}

/** The slot that a task runs. */
export function slotOfTask(task: TaskId): SlotId {
  return task.slice(0, task.lastIndexOf('@')) as SlotId
}
