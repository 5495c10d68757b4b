import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import type { NodeId } from '../../model/ids.ts'
import { MessageBytes } from './message-bytes.ts'
import { ReplayWindow } from './replay-window.ts'
import { DATAGRAM_BYTES_MAX, type SwimMessage } from './swim-message.ts'

/**
 * Why a datagram was thrown away.
 *
 * - `oversized`: longer than any that is sent.
 * - `truncated`: too short to be one.
 * - `version`: of another version of this protocol, or no datagram of ours at all.
 * - `forged`: not sealed with this cluster's key (so those of other clusters too), or changed on the way.
 * - `replayed`: seen before, or too old to know.
 * - `malformed`: genuine, but not a message: a fault of its sender.
 * - `self`: this node's own, come back.
 */
export type DropReason =
  | 'oversized'
  | 'truncated'
  | 'version'
  | 'forged'
  | 'replayed'
  | 'malformed'
  | 'self'

/** What came out of a datagram. */
export type Opened =
  | { readonly from: NodeId; readonly message: SwimMessage }
  | { readonly dropped: DropReason }

/** Turns messages into sealed datagrams and back. */
export interface Codec {
  /** At most {@link DATAGRAM_BYTES_MAX} bytes. */
  seal(message: SwimMessage): Buffer
  /** Never throws, whatever the bytes. */
  open(datagram: Uint8Array): Opened
}

const VERSION = 1
const SALT_BYTES = 12
const COUNTER_BYTES = 4
const TAG_BYTES = 16
const HEADER_BYTES = 1 + SALT_BYTES + COUNTER_BYTES
const CIPHER = 'chacha20-poly1305'
const CLUSTER_INFO = 'shoal liveness v1'
const SESSION_INFO = 'shoal liveness session v1'
const FIRST_BLOCK = Buffer.of(1)
const COUNTER_MAX = 2 ** 32 - 1
/** Sessions that are remembered, the latest heard of: one per node and start of its daemon. About 400 bytes each. */
const SESSIONS_MAX = 4096

interface Session {
  readonly key: Buffer
  readonly seen: ReplayWindow
  readonly from: NodeId
}

/**
 * Makes the codec of one node. A datagram is version, salt, counter, and the message sealed with
 * ChaCha20-Poly1305 (RFC 8439). Each start of a node draws a salt, from which and the cluster's key the
 * key of its session is derived (HKDF, RFC 5869); the counter is the nonce. So no nonce is used twice without
 * anything to remember over restarts, and who is speaking is not seen on the wire.
 *
 * Who holds the cluster's key can speak in any node's name: the key makes a member, and
 * members are trusted (docs/decisions/0005-liveness.md).
 *
 * @param psk The cluster's pre-shared key; any length.
 */
export function createCodec({
  self,
  psk,
}: {
  readonly self: NodeId
  readonly psk: Uint8Array
}): Codec {
  const bytes = new MessageBytes()
  const clusterKey = new Uint8Array(hkdfSync('sha256', psk, '', CLUSTER_INFO, 32))
  const sessions = new Map<string, Session>()
  let salt = randomBytes(SALT_BYTES)
  let key = sessionKey(clusterKey, salt)
  let counter = 0

  function seal(message: SwimMessage): Buffer {
    if (counter > COUNTER_MAX) {
      salt = randomBytes(SALT_BYTES)
      key = sessionKey(clusterKey, salt)
      counter = 0
    }
    const plain = bytes.encode(self, message)
    const datagram = Buffer.allocUnsafe(HEADER_BYTES + plain.length + TAG_BYTES)
    assert(datagram.length <= DATAGRAM_BYTES_MAX, `A datagram has ${datagram.length} bytes`)
    datagram.writeUInt8(VERSION, 0)
    datagram.set(salt, 1)
    datagram.writeUInt32BE(counter, 1 + SALT_BYTES)
    const cipher = createCipheriv(CIPHER, key, nonceOf(counter), { authTagLength: TAG_BYTES })
    counter++
    cipher.setAAD(datagram.subarray(0, HEADER_BYTES), { plaintextLength: plain.length })
    datagram.set(cipher.update(plain), HEADER_BYTES)
    cipher.final()
    datagram.set(cipher.getAuthTag(), HEADER_BYTES + plain.length)
    return datagram
  }

  function open(raw: Uint8Array): Opened {
    if (raw.length > DATAGRAM_BYTES_MAX) return { dropped: 'oversized' }
    if (raw.length < HEADER_BYTES + TAG_BYTES) return { dropped: 'truncated' }
    const datagram = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
    if (datagram[0] !== VERSION) return { dropped: 'version' }
    const name = datagram.toString('latin1', 1, 1 + SALT_BYTES)
    const known = sessions.get(name)
    const count = datagram.readUInt32BE(1 + SALT_BYTES)
    if (known !== undefined && !known.seen.isFresh(count)) return { dropped: 'replayed' }
    const theirKey = known?.key ?? sessionKey(clusterKey, datagram.subarray(1, 1 + SALT_BYTES))
    const plain = unseal(datagram, theirKey, count)
    if (plain === undefined) return { dropped: 'forged' }
    const decoded = bytes.decode(plain)
    if (decoded === undefined) return { dropped: 'malformed' }
    const { from } = decoded
    if (from === self) return { dropped: 'self' }
    const session = known ?? { key: theirKey, seen: new ReplayWindow(), from }
    if (session.from !== from) return { dropped: 'malformed' }
    session.seen.mark(count)
    remember(name, session)
    return decoded
  }

  /** Keeps the sessions in the order they were last heard in. */
  function remember(name: string, session: Session): void {
    sessions.delete(name)
    sessions.set(name, session)
    if (sessions.size <= SESSIONS_MAX) return
    for (const oldest of sessions.keys()) {
      sessions.delete(oldest)
      return
    }
  }

  return { seal, open }
}

/**
 * One block of HKDF-Expand (RFC 5869, section 2.3), by hand: datagrams that nobody of the cluster sent cost a derivation
 * each, and `hkdfSync` takes several times as long.
 */
function sessionKey(clusterKey: Uint8Array, salt: Uint8Array): Buffer {
  const hmac = createHmac('sha256', clusterKey)
  return hmac.update(SESSION_INFO).update(salt).update(FIRST_BLOCK).digest()
}

function nonceOf(counter: number): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(counter, 8)
  return nonce
}

function unseal(datagram: Buffer, key: Buffer, counter: number): Buffer | undefined {
  const end = datagram.length - TAG_BYTES
  const options = { authTagLength: TAG_BYTES }
  const decipher = createDecipheriv(CIPHER, key, nonceOf(counter), options)
  decipher.setAAD(datagram.subarray(0, HEADER_BYTES), { plaintextLength: end - HEADER_BYTES })
  decipher.setAuthTag(datagram.subarray(end))
  const plain = decipher.update(datagram.subarray(HEADER_BYTES, end))
  try {
    decipher.final()
    return plain
  } catch {
    return undefined // The tag does not match: that is what final() throws for, and the only thing.
  }
}
