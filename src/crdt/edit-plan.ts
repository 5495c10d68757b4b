import type { AppId, NodeId, RevisionId } from '../model/ids.ts'
import type { InForce } from './app-history.ts'
import type { EntryPlace } from './entry-log.ts'
import type { Fact } from './entry.ts'
import type { FactIndex } from './fact-index.ts'

/** Most removed apps, and most expelled nodes, that are remembered; the oldest are forgotten first. */
export const TOMBSTONES_MAX = 10_000

/** Which revision an app has after an edit. */
export interface EditedRevision {
  readonly app: AppId
  readonly revision: RevisionId
}

/** What an edit comes to: facts to write, and the entries that they supersede. */
export type EditPlan =
  | {
      readonly ok: true
      readonly facts: readonly Fact[]
      readonly drops: readonly EntryPlace[]
      readonly revisions: readonly EditedRevision[]
    }
  | { readonly ok: false; readonly reason: string }

/** What a plan is made from. */
export interface EditScene {
  readonly index: FactIndex
  readonly inForce: (app: AppId) => InForce | undefined
  readonly self: NodeId
  readonly sign: (bytes: Uint8Array) => Uint8Array
  readonly timeMs: number
  /** The bound of {@link TOMBSTONES_MAX}; lower in tests. */
  readonly tombstonesMax: number
}

/** The plan of an edit that cannot be made, and why, in one line. */
export function refuse(reason: string): EditPlan {
  return { ok: false, reason }
}
