import type { NodeMachine } from './machine/node-machine.ts'

/**
 * Returns what says whether the document, a node's record, a verdict or the placement has changed since it was asked last.
 *
 * Most events of an idle node are comparisons with others that find nothing new. What follows the machine
 * (DNS, addresses) makes all its views anew to find that out; this compares by identity, since every part of
 * the state is replaced when it changes and never written to.
 */
export function createNewsCheck(
  machine: Pick<NodeMachine, 'doc' | 'book' | 'members' | 'placed'>,
): () => boolean {
  let seen: readonly unknown[] = []
  return () => {
    const { doc, book, members, placed } = machine
    const facts: unknown[] = [doc.read(), placed.placement]
    for (const record of book.records()) {
      const { kind, incarnation } = members.verdict(record.node) ?? {}
      facts.push(record, kind, incarnation)
    }
    const isNews = facts.length !== seen.length || facts.some((fact, at) => fact !== seen[at])
    seen = facts
    return isNews
  }
}
