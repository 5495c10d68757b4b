/**
 * What people say of a node, in the document: its labels and what it may take. What the
 * node says of itself is in its record.
 *
 * @module
 */

/**
 * What a node may run: `active` anything, `cordoned` only the slots that it has now,
 * `drained` nothing: its tasks are handed over.
 */
export const NODE_MODES = ['active', 'cordoned', 'drained'] as const

/** One of {@link NODE_MODES}. */
export type NodeMode = (typeof NODE_MODES)[number]

/** Most labels that people may give one node. */
export const NODE_LABELS_MAX = 64

/** Longest value of a node's label, in characters: as long as a constraint's. */
export const NODE_LABEL_VALUE_MAX = 1024

/** What the key of a node's label must look like, for messages to people. */
export const NODE_LABEL_KEY_RULE =
  'at most 255 letters, digits, ".", "_", "/" and "-", with a letter or digit first and last'

const KEY = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,253}[A-Za-z0-9])?$/

/** True for a text that may be the key of a node's label ({@link NODE_LABEL_KEY_RULE}). */
export function isNodeLabelKey(text: string): boolean {
  return KEY.test(text)
}

/** True for a text that may be the value of a node's label: short enough, and on one line of a table. */
export function isNodeLabelValue(text: string): boolean {
  return text.length <= NODE_LABEL_VALUE_MAX && !/\p{Cc}/u.test(text)
}
