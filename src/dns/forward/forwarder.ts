import type { Relayed } from '../answerer.ts'
import type { Client } from '../clients.ts'

/**
 * Asks others a question about another domain.
 *
 * @param query Kept until the reply.
 * @param reply Called once, before this returns where the answer is known; never after the forwarder was closed.
 */
export type Forward = (
  query: Buffer,
  client: Client,
  reply: (relayed: Relayed, source: 'cache' | 'forward') => void,
) => void
