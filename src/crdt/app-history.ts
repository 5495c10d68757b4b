import type { Conflict, Revision } from '../model/desired.ts'
import type { RevisionId } from '../model/ids.ts'
import type { Entry } from './entry.ts'
import type { AppFacts } from './fact-index.ts'
import { isSameSpec } from './revision-codec.ts'

/** Reads a stored revision; nothing when it cannot be believed. */
export type ReadRevision = (entry: Entry<'rev'>) => Revision | undefined

/** What is in force for an app. */
export interface InForce {
  readonly pointer: Entry<'app'>
  /** Nothing when the app was removed. */
  readonly revision: Revision | undefined
}

/**
 * Finds what is in force: the highest pointer that says the app was removed, or that
 * points to a revision that can be believed.
 */
export function inForce(facts: AppFacts, read: ReadRevision): InForce | undefined {
  for (const pointer of facts.pointers) {
    const { revision: id } = pointer.value
    if (id === null) return { pointer, revision: undefined }
    const revision = find(facts, id, read)
    if (revision !== undefined) return { pointer, revision }
  }
  return undefined
}

/** The revision in force and its ancestors, as far as they are kept, newest first. For a removed app: of what was removed. */
export function lineOf(facts: AppFacts, { pointer }: InForce, read: ReadRevision): Revision[] {
  const line: Revision[] = []
  let next = pointer.value.revision ?? pointer.value.parent
  while (next !== null) {
    const revision = find(facts, next, read)
    if (revision === undefined || isLoop(line, revision)) break
    line.push(revision)
    next = revision.parent ?? null
  }
  return line
}

/**
 * Finds the revisions that lost: those beside the line of the one in force. Every
 * replica with the same entries finds the same, whoever made them and in whatever
 * order they came.
 *
 * Below the oldest kept generation of the line nothing can be said, since the ancestor
 * may have been pruned; such a revision is no conflict. Nor is one whose app is the
 * same as that of the revision that took its place: both authors got what they asked for.
 */
export function conflictsOf(
  facts: AppFacts,
  force: InForce,
  read: ReadRevision,
): readonly Conflict[] {
  if (!mayHaveConflicts(facts, force)) return []
  const line = lineOf(facts, force, read)
  const head = line[0]
  const oldest = line.at(-1)
  if (head === undefined || oldest === undefined) return []
  const onLine = new Set(line.map(({ id }) => id))
  const byGeneration = new Map(line.map(revision => [revision.generation, revision]))
  return [...facts.revisions.keys()]
    .filter(id => !onLine.has(id))
    .map(id => find(facts, id, read))
    .filter(lost => lost !== undefined)
    .filter(({ generation }) => generation >= oldest.generation)
    .map(lost => ({ lost, kept: byGeneration.get(lost.generation) ?? head }))
    .filter(({ lost, kept }) => !isSameSpec(lost.spec, kept.spec))
    .map(({ lost, kept }) => ({
      app: lost.app,
      kept: kept.id,
      lost: lost.id,
      lostAuthor: lost.author,
    }))
    .toSorted((one, other) => (one.lost < other.lost ? -1 : 1))
}

/** Without decoding anything: false when every kept revision is plainly on the line. */
function mayHaveConflicts(facts: AppFacts, { pointer }: InForce): boolean {
  let left = facts.revisions.size
  let next = pointer.value.revision ?? pointer.value.parent
  while (next !== null && left > 0) {
    const entry = facts.revisions.get(next)?.[0]
    if (entry === undefined) break
    left--
    next = entry.value.parent
  }
  return left > 0
}

/** A name is a digest of its content and its parent's name, so a loop takes a broken digest. */
function isLoop(line: readonly Revision[], revision: Revision): boolean {
  const child = line.at(-1)
  return child !== undefined && revision.generation >= child.generation
}

function find(facts: AppFacts, id: RevisionId, read: ReadRevision): Revision | undefined {
  for (const entry of facts.revisions.get(id) ?? []) {
    const revision = read(entry)
    if (revision !== undefined) return revision
  }
  return undefined
}
