import { hash } from 'node:crypto'
import type { NodeId } from '../../src/model/ids.ts'
import { createNodeKey, type Verify } from '../../src/util/keys.ts'

const ids = new Map<number, NodeId>()

/** The id of simulated node `index`, 0 to 254: a real one, so that it passes every check of ids. */
export function nodeOf(index: number): NodeId {
  let id = ids.get(index)
  if (id === undefined) {
    id = createNodeKey(new Uint8Array(32).fill(index + 1)).node
    ids.set(index, id)
  }
  return id
}

/** Signs as `node` with a keyed hash: as long as an Ed25519 signature, and thirty times as fast. */
export function signerOf(node: NodeId): (bytes: Uint8Array) => Uint8Array {
  return bytes => hash('sha512', Buffer.concat([Buffer.from(node), bytes]), 'buffer')
}

/** Checks a signature of {@link signerOf}: false for another node's, and for other bytes. */
export const verify: Verify = (node, bytes, signature) =>
  Buffer.compare(signerOf(node)(bytes), signature) === 0
