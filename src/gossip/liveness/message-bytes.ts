import { nodeOfRawKey, rawKeyOf } from '../../util/keys.ts'
import type { NodeId } from '../../model/ids.ts'
import { updateBytes, type SwimMessage, type SwimUpdate } from './swim-message.ts'

// On the wire: sender (32), kind (1), seq (4), incarnation (6), target (32, in `ask` only), then updates to the
// end. An update: kind (1), node (32), incarnation (6), accuser (32, in `suspect` only).
const KEY_BYTES = 32
const MESSAGE_KINDS = ['probe', 'ack', 'nack', 'gossip', 'ask'] as const
const UPDATE_KINDS = ['alive', 'suspect', 'dead', 'left'] as const
/** Ids are remembered in their other form; each node of a cluster takes about 200 bytes. */
const NAMES_MAX = 20_000

/** Writes and reads messages as bytes, with ids as raw keys. Holds a bounded memory of ids. */
export class MessageBytes {
  readonly #keys = new Map<NodeId, Uint8Array>()
  readonly #nodes = new Map<string, NodeId>()

  /** Encodes a message from `from`. */
  encode(from: NodeId, message: SwimMessage): Buffer {
    let size = KEY_BYTES + 11 + (message.kind === 'ask' ? KEY_BYTES : 0)
    for (const update of message.updates) size += updateBytes(update)
    const bytes = Buffer.allocUnsafe(size)
    let at = this.#writeNode(bytes, 0, from)
    at = bytes.writeUInt8(MESSAGE_KINDS.indexOf(message.kind), at)
    at = bytes.writeUInt32BE(message.seq, at)
    at = bytes.writeUIntBE(message.incarnation, at, 6)
    if (message.kind === 'ask') at = this.#writeNode(bytes, at, message.target)
    for (const update of message.updates) {
      at = bytes.writeUInt8(UPDATE_KINDS.indexOf(update.kind), at)
      at = this.#writeNode(bytes, at, update.node)
      at = bytes.writeUIntBE(update.incarnation, at, 6)
      if (update.kind === 'suspect') at = this.#writeNode(bytes, at, update.by)
    }
    return bytes
  }

  /** Decodes what {@link encode} made; nothing when the bytes are anything else. */
  decode(bytes: Buffer): { readonly from: NodeId; readonly message: SwimMessage } | undefined {
    if (bytes.length < KEY_BYTES + 11) return undefined
    const from = this.#readNode(bytes, 0)
    const kind = MESSAGE_KINDS[bytes.readUInt8(KEY_BYTES)]
    const seq = bytes.readUInt32BE(KEY_BYTES + 1)
    const incarnation = bytes.readUIntBE(KEY_BYTES + 5, 6)
    const at = KEY_BYTES + 11
    if (kind === undefined) return undefined
    if (kind !== 'ask') {
      const updates = this.#readUpdates(bytes, at)
      return updates && { from, message: { kind, seq, incarnation, updates } }
    }
    if (bytes.length < at + KEY_BYTES) return undefined
    const target = this.#readNode(bytes, at)
    const updates = this.#readUpdates(bytes, at + KEY_BYTES)
    return updates && { from, message: { kind, seq, incarnation, target, updates } }
  }

  #readUpdates(bytes: Buffer, start: number): SwimUpdate[] | undefined {
    const updates: SwimUpdate[] = []
    let at = start
    while (at < bytes.length) {
      const kind = UPDATE_KINDS[bytes.readUInt8(at)]
      const size = 1 + KEY_BYTES + 6 + (kind === 'suspect' ? KEY_BYTES : 0)
      if (kind === undefined || at + size > bytes.length) return undefined
      const node = this.#readNode(bytes, at + 1)
      const incarnation = bytes.readUIntBE(at + 1 + KEY_BYTES, 6)
      updates.push(
        kind === 'suspect'
          ? { kind, node, incarnation, by: this.#readNode(bytes, at + size - KEY_BYTES) }
          : { kind, node, incarnation },
      )
      at += size
    }
    return updates
  }

  #writeNode(bytes: Buffer, at: number, node: NodeId): number {
    let key = this.#keys.get(node)
    if (key === undefined) {
      key = rawKeyOf(node)
      if (key === undefined) throw new RangeError(`Not a node's id: ${node}`)
      if (this.#keys.size >= NAMES_MAX) this.#keys.clear()
      this.#keys.set(node, key)
    }
    bytes.set(key, at)
    return at + KEY_BYTES
  }

  #readNode(bytes: Buffer, at: number): NodeId {
    const text = bytes.toString('latin1', at, at + KEY_BYTES)
    let node = this.#nodes.get(text)
    if (node === undefined) {
      node = nodeOfRawKey(bytes.subarray(at, at + KEY_BYTES))
      if (this.#nodes.size >= NAMES_MAX) this.#nodes.clear()
      this.#nodes.set(text, node)
    }
    return node
  }
}
