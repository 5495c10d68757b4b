import type { NodeMachine } from './machine/node-machine.ts'

/**
 * Returns what says whether the document, a node's record, a verdict or the placement has changed since it was asked last.
 *
 * Most events of an idle node are comparisons with others that find nothing new. What follows the machine
 * (DNS, addresses) makes all its views anew to find that out; this compares two objects, which are replaced when they change
 * and never written to, and two counters, so it costs the same among a thousand nodes as among three.
 */
export function createNewsCheck(
  machine: Pick<NodeMachine, 'doc' | 'book' | 'members' | 'placed'>,
): () => boolean {
  let seen: readonly unknown[] = []
  return () => {
    const { doc, book, members, placed } = machine
    const facts = [doc.read(), placed.placement, book.changes, members.changes]
    const isNews = facts.some((fact, at) => fact !== seen[at])
    seen = facts
    return isNews
  }
}
