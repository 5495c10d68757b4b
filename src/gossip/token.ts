import { createHash } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import { z } from 'zod'
import type { NodeId } from '../model/ids.ts'
import { fromBytes, toBytes } from '../util/bytes.ts'
import { isNodeId, type NodeKey, type Verify } from '../util/keys.ts'

/** What a join token says. Whoever holds one can join until it expires, so it is handled like a password. */
export interface Token {
  /** The cluster's id. */
  readonly cluster: string
  /** The cluster's pre-shared key, 32 bytes. */
  readonly psk: Uint8Array
  /** Multiaddrs of nodes to join through, with their ids. May be empty where discovery finds them. */
  readonly addresses: readonly string[]
  /** Not good after this, in milliseconds since 1970. */
  readonly expiresAtMs: number
  /** The node that made the token. */
  readonly inviter: NodeId
}

/** A token, or one line for the person who typed it. */
export type ParsedToken =
  | { readonly ok: true; readonly token: Token }
  | { readonly ok: false; readonly reason: string }

/** A token is still taken this long after its end, because clocks differ, in milliseconds. */
export const TOKEN_SKEW_MS = 60_000

/** Most addresses in a token. */
export const TOKEN_ADDRESSES_MAX = 16

const PREFIX = 'shoal1-'
const TEXT_LENGTH_MAX = 8192
const CHECKSUM_BYTES = 8
const DAMAGED = 'this token was altered or cut short: copy the whole of it again'

const content = z.strictObject({
  c: z.string().min(1).max(128),
  k: z.instanceof(Uint8Array).refine(({ length }) => length === 32),
  a: z.array(z.string().max(256)).max(TOKEN_ADDRESSES_MAX),
  // The last moment that a date can name.
  e: z.number().int().nonnegative().max(8.64e15),
  n: z.string().refine(isNodeId),
})
const envelope = z.strictObject({ t: content, s: z.instanceof(Uint8Array) })

/**
 * Makes a join token: `shoal1-` and the base58 of deterministic CBOR, signed by the inviter. Base58 has no
 * letters that look alike, nothing that a shell or a chat program changes, and is selected whole by a double click.
 *
 * @throws {RangeError} When the key has not 32 bytes or there are more than {@link TOKEN_ADDRESSES_MAX} addresses.
 */
export function createToken({
  cluster,
  psk,
  addresses,
  expiresAtMs,
  key,
}: Omit<Token, 'inviter'> & { readonly key: NodeKey }): string {
  const parsed = content.safeParse({
    c: cluster,
    k: psk,
    a: addresses,
    e: expiresAtMs,
    n: key.node,
  })
  if (!parsed.success) {
    throw new RangeError(`Cannot make a token: ${z.prettifyError(parsed.error)}`)
  }
  const bytes = toBytes({ t: parsed.data, s: key.sign(signedBytes(parsed.data)) })
  return PREFIX + base58btc.baseEncode(Buffer.concat([bytes, checksum(bytes)]))
}

/**
 * Reads a token that a person pasted; spaces and line breaks in it do not matter. Says whether it is whole, in time
 * and signed by the inviter it names; whether that inviter is a member is for the cluster to say, at the join.
 *
 * @param options `nowMs` is the time; a token is taken until {@link TOKEN_SKEW_MS} after its end.
 */
export function parseToken(
  text: string,
  { nowMs, verify }: { readonly nowMs: number; readonly verify: Verify },
): ParsedToken {
  const compact = text.replaceAll(/\s+/g, '')
  const version = /^shoal(\d+)-/.exec(compact)?.[1]
  if (version === undefined) {
    return refuse(
      'this is no join token: it starts with "shoal1-"; make one with `shoal token create`',
    )
  }
  if (version !== '1') {
    return refuse(
      `this token is of version ${version}, and this shoal reads version 1: use the same release on all nodes`,
    )
  }
  const opened = open(compact.slice(PREFIX.length))
  if (opened === undefined) return refuse(DAMAGED)
  const { t: said, s: signature } = opened
  if (!verify(said.n, signedBytes(said), signature)) return refuse(DAMAGED)
  if (nowMs > said.e + TOKEN_SKEW_MS) {
    const at = new Date(said.e).toISOString()
    return refuse(
      `this token expired ${ago(nowMs - said.e)} ago (at ${at}): make a new one with \`shoal token create\``,
    )
  }
  const { c: cluster, k: psk, a: addresses, e: expiresAtMs, n: inviter } = said
  return { ok: true, token: { cluster, psk, addresses, expiresAtMs, inviter } }
}

function refuse(reason: string): ParsedToken {
  return { ok: false, reason }
}

function open(text: string): z.infer<typeof envelope> | undefined {
  if (text.length > TEXT_LENGTH_MAX) return undefined
  try {
    const all = base58btc.baseDecode(text)
    const bytes = all.subarray(0, -CHECKSUM_BYTES)
    // The signature covers the content; the sum covers every character, so that no two texts are one token.
    if (!Buffer.from(all.subarray(-CHECKSUM_BYTES)).equals(checksum(bytes))) return undefined
    return envelope.safeParse(fromBytes(bytes)).data
  } catch {
    return undefined // Not base58 or not CBOR: the same answer as for a wrong sum.
  }
}

/** What the inviter signs. The first words keep the signature from being good for anything else. */
function signedBytes(said: z.infer<typeof content>): Uint8Array {
  return toBytes(['shoal join token 1', said])
}

function checksum(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, CHECKSUM_BYTES)
}

/** A length of time in its largest whole unit: `2 h`. */
function ago(ms: number): string {
  const seconds = Math.max(1, Math.floor(ms / 1000))
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
  ] as const) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`
  }
  return `${seconds} s`
}
