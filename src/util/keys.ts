import {
  createHash,
  createPrivateKey,
  createPublicKey,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import { oneNodeId, type NodeId } from '../model/ids.ts'

/** Length of an Ed25519 seed, in bytes. */
export const SEED_BYTES = 32

// DER prefixes of RFC 8410 that turn a bare Ed25519 key into what node:crypto reads.
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
// A libp2p peer id is the identity multihash (0x00, 36 bytes) of the protobuf {1: Ed25519, 2: 32 bytes}.
const PEER_ID_PREFIX = Buffer.from('002408011220', 'hex')

/** A node's key pair, able to sign. */
export interface NodeKey {
  readonly node: NodeId
  /** Signs with Ed25519 (RFC 8032); 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array
}

/** Checks that `node` signed `bytes`. */
export type Verify = (node: NodeId, bytes: Uint8Array, signature: Uint8Array) => boolean

/** Makes a node's key from its stored 32-byte seed. */
export function createNodeKey(seed: Uint8Array): NodeKey {
  if (seed.length !== SEED_BYTES) throw new RangeError(`A seed has 32 bytes, got ${seed.length}`)
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: 'der',
    type: 'pkcs8',
  })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const publicKey = spki.subarray(SPKI_PREFIX.length)
  return {
    node: oneNodeId(nodeOfRawKey(publicKey)),
    sign: bytes => sign(null, bytes, key),
  }
}

/** True when `text` is a node id: the base58 peer id of an Ed25519 key, as libp2p writes it. */
export function isNodeId(text: string): text is NodeId {
  return publicKeyOf(text) !== undefined
}

/** The 32-byte public key that a node's id stands for: the compact form for the wire. Nothing when the text is no node's id. */
export function rawKeyOf(node: string): Uint8Array | undefined {
  if (node.length > 64) return undefined
  try {
    const bytes = Buffer.from(base58btc.baseDecode(node))
    const { length } = PEER_ID_PREFIX
    if (bytes.length !== length + 32 || !bytes.subarray(0, length).equals(PEER_ID_PREFIX)) {
      return undefined
    }
    return bytes.subarray(length)
  } catch {
    return undefined // Not base58.
  }
}

/** The node id that a 32-byte public key makes: the inverse of {@link rawKeyOf}. */
export function nodeOfRawKey(key: Uint8Array): NodeId {
  if (key.length !== 32) throw new RangeError(`A public key has 32 bytes, got ${key.length}`)
  // The one place where node ids are minted.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return base58btc.baseEncode(Buffer.concat([PEER_ID_PREFIX, key])) as NodeId
}

/** Checks an Ed25519 signature; false for whatever is not one. Remembers keys, up to 10,000. */
export function createVerify(): Verify {
  const keys = new Map<NodeId, KeyObject | undefined>()
  return (node, bytes, signature) => {
    if (!keys.has(node)) {
      if (keys.size >= 10_000) keys.clear()
      keys.set(node, publicKeyOf(node))
    }
    const key = keys.get(node)
    return key !== undefined && signature.length === 64 && verify(null, bytes, key, signature)
  }
}

/** The first `length` hex digits of the SHA-256 of `bytes`. */
export function digest(bytes: Uint8Array | string, length = 16): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, length)
}

function publicKeyOf(node: string): KeyObject | undefined {
  const key = rawKeyOf(node)
  if (key === undefined) return undefined
  try {
    const der = Buffer.concat([SPKI_PREFIX, key])
    return createPublicKey({ key: der, format: 'der', type: 'spki' })
  } catch {
    return undefined // No point of the curve: no node has this id.
  }
}
