/**
 * What is said when a node joins: one call of the service `join`.
 *
 * The newcomer connects to a node named in its token; noise proves the ids of both. It sends the token's
 * text and what it wants to be called. The inviter checks the token ({@link checkJoin}), writes the newcomer
 * into the desired document as admitted, and answers with that document, so that the newcomer can
 * talk to everybody at once.
 *
 * @module
 */

import { z } from 'zod'
import type { NodeId } from '../model/ids.ts'
import { fromBytes, toBytes } from '../util/bytes.ts'
import { isNodeId, type Verify } from '../util/keys.ts'
import { parseToken, type Token } from './token.ts'

/** What a newcomer sends. */
export interface JoinRequest {
  /** The token's text. */
  readonly token: string
  /** The name that it wants; the cluster may already have one. */
  readonly name: string
  /** Where it can be dialled. */
  readonly multiaddrs: readonly string[]
  /** The release that it runs, for the inviter's log. */
  readonly version: string
}

/** What the inviter answers. */
export interface JoinAnswer {
  /** The cluster's id, to compare with the token's. */
  readonly cluster: string
  /** A snapshot of the desired document, the newcomer's admission in it. At most 64 MiB. */
  readonly document: Uint8Array
  /** All who are admitted, the newcomer included. */
  readonly admitted: readonly NodeId[]
  /** Where they were last seen. */
  readonly addresses: ReadonlyMap<NodeId, readonly string[]>
}

/** What was parsed, or one line that says what is wrong with it. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string }

/** Most nodes in an answer; the design's largest cluster. */
const NODES_MAX = 10_000

const node = z.string().refine(isNodeId, 'is not a node id')
const multiaddrs = z.array(z.string().max(256)).max(16)
const request = z.strictObject({
  token: z.string().max(8192),
  name: z.string().min(1).max(63),
  multiaddrs,
  version: z.string().max(64),
})
const answer = z.strictObject({
  cluster: z.string().min(1).max(128),
  document: z.instanceof(Uint8Array),
  admitted: z.array(node).min(1).max(NODES_MAX),
  addresses: z.array(z.tuple([node, multiaddrs])).max(NODES_MAX),
})

/** The request as bytes of a call's body. */
export function encodeJoinRequest(said: JoinRequest): Uint8Array {
  return toBytes({ ...said })
}

/** Reads the body of a `join` call, which a stranger wrote. */
export function parseJoinRequest(bytes: Uint8Array): Parsed<JoinRequest> {
  return parse(request, bytes, 'join request')
}

/** The answer as bytes; give them as one piece. */
export function encodeJoinAnswer(said: JoinAnswer): Uint8Array {
  return toBytes({ ...said, addresses: [...said.addresses] })
}

/** Reads the answer to a `join` call. */
export function parseJoinAnswer(bytes: Uint8Array): Parsed<JoinAnswer> {
  const parsed = parse(answer, bytes, 'answer to the join')
  if (!parsed.ok) return parsed
  return { ok: true, value: { ...parsed.value, addresses: new Map(parsed.value.addresses) } }
}

/**
 * Decides whether the bearer of `token` may join: whole, in time, of this cluster, with its key, and made by a node that is
 * admitted now — removing a node from the cluster takes back all tokens that it made.
 */
export function checkJoin(
  token: string,
  cluster: {
    readonly cluster: string
    readonly psk: Uint8Array
    readonly admitted: ReadonlySet<NodeId>
    readonly nowMs: number
    readonly verify: Verify
  },
): Parsed<Token> {
  const parsed = parseToken(token, cluster)
  if (!parsed.ok) return parsed
  const said = parsed.token
  if (said.cluster !== cluster.cluster || !Buffer.from(said.psk).equals(cluster.psk)) {
    return { ok: false, reason: 'this token is for another cluster' }
  }
  if (!cluster.admitted.has(said.inviter)) {
    return {
      ok: false,
      reason: `the node that made this token (${said.inviter}) is not in the cluster: make a new one with \`shoal token create\``,
    }
  }
  return { ok: true, value: said }
}

function parse<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): Parsed<T> {
  try {
    const parsed = schema.safeParse(fromBytes(bytes))
    if (parsed.success) return { ok: true, value: parsed.data }
    const [issue] = parsed.error.issues
    return {
      ok: false,
      reason: `wrong ${what}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
    }
  } catch {
    return { ok: false, reason: `wrong ${what}: not CBOR` }
  }
}
