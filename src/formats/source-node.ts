/**
 * A document as it was written: plain data that still knows its lines. JSON and
 * YAML are both read into it, so that everything after has one kind of input.
 *
 * @module
 */

import type { Problem } from '../model/problem.ts'
import type { Path } from './path.ts'

/** Longest file that is read, in UTF-16 units: a thousand apps are a tenth of it. */
export const FILE_LENGTH_MAX = 4 * 1024 * 1024

/** Deepest nesting of maps and lists. The deepest real manifest has about 15. */
export const DEPTH_MAX = 64

/** Most values in one file, aliases counted as often as they are used: what stops an alias bomb. */
export const VALUES_MAX = 250_000

/** A value and the line, counted from 1, that it starts on. */
export type SourceNode =
  | {
      readonly kind: 'scalar'
      readonly line: number
      readonly value: string | number | boolean | null
    }
  | { readonly kind: 'list'; readonly line: number; readonly items: readonly SourceNode[] }
  | { readonly kind: 'map'; readonly line: number; readonly entries: ReadonlyMap<string, Entry> }

/** A value of a map, and the line of its key. */
export interface Entry {
  readonly line: number
  readonly node: SourceNode
}

/** What reading a file's text gave: its documents, or why it has none. */
export interface ParsedSource {
  readonly documents: readonly SourceNode[]
  readonly problems: readonly Problem[]
}

/** The document as plain data. Aliased parts are copied, so that nothing is shared. */
export function toValue(node: SourceNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value
    case 'list':
      return node.items.map(toValue)
    case 'map':
      return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toValue(entry.node)]))
  }
}

/** The line of what `path` leads to, or of the nearest thing above it that is there. */
export function lineAt(root: SourceNode, path: Path): number {
  let node = root
  let line = root.line
  for (const segment of path) {
    if (node.kind === 'map' && typeof segment === 'string') {
      const entry = node.entries.get(segment)
      if (entry === undefined) return line
      line = entry.line
      node = entry.node
    } else if (node.kind === 'list' && typeof segment === 'number') {
      const item = node.items[segment]
      if (item === undefined) return line
      line = item.line
      node = item
    } else return line
  }
  return line
}
