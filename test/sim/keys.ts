import { hash } from 'node:crypto'
import type { NodeId } from '../../src/model/ids.ts'
import type { NodeRecord } from '../../src/model/node-record.ts'
import {
  createRecordCheck,
  type RecordCheck,
  type RecordFault,
} from '../../src/node/machine/observed-book.ts'
import { createNodeKey, type Verify } from '../../src/util/keys.ts'

const ids = new Map<number, NodeId>()

/** The id of simulated node `index`, 0 to 65,534: a real one, so that it passes every check of ids. */
export function nodeOf(index: number): NodeId {
  let id = ids.get(index)
  if (id === undefined) {
    const seed = Buffer.alloc(32, (index + 1) & 255)
    seed.writeUInt16BE(index + 1)
    id = createNodeKey(seed).node
    ids.set(index, id)
  }
  return id
}

/** Signs as `node` with a keyed hash: as long as an Ed25519 signature, and thirty times as fast. */
export function signerOf(node: NodeId): (bytes: Uint8Array) => Uint8Array {
  return bytes => hash('sha512', Buffer.concat([Buffer.from(node), bytes]), 'buffer')
}

const found = new WeakMap<
  NodeRecord,
  { readonly signature: Uint8Array; readonly fault: RecordFault | undefined }
>()

/** Checks a record once for all simulated nodes that have the same one. */
export const checkRecord: RecordCheck = signed => {
  const { record, signature } = signed
  const known = found.get(record)
  if (known?.signature === signature) return known.fault
  const fault = check(signed)
  found.set(record, { signature, fault })
  return fault
}

/** Checks a signature of {@link signerOf}: false for another node's, and for other bytes. */
export const verify: Verify = (node, bytes, signature) =>
  Buffer.compare(signerOf(node)(bytes), signature) === 0

const check = createRecordCheck(verify)
