import type { NodeId } from './ids.ts'

/**
 * What the membership layer says of a node. `suspect` takes its tasks out of
 * DNS, `dead` lets others start replacements, `left` is a node's own good-bye.
 */
export type VerdictKind = 'alive' | 'suspect' | 'dead' | 'left'

/** A verdict, with the accused's incarnation that it speaks of: a higher one is newer. */
export interface Verdict {
  readonly node: NodeId
  readonly kind: VerdictKind
  readonly incarnation: number
}
