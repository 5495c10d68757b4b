import { join } from 'node:path'
import { z } from 'zod'
import { makePrivateFolder, readPrivateFile, writePrivateFile } from './private-file.ts'
import { StoreError } from './store.ts'

const schema = z.strictObject({
  /** The cluster's id. */
  cluster: z.string().min(1).max(255),
  /** The pre-shared key that closes the cluster's transport: 32 bytes, in hex. */
  psk: z.string().regex(/^[0-9a-f]{64}$/, { error: 'must be 64 hex digits' }),
  /** What people call the cluster. */
  name: z.string().max(255).optional(),
})

/** What makes this node a member of its cluster. Secret. */
export type ClusterFile = Readonly<z.output<typeof schema>>

/** The name of the file in the data folder. */
export const CLUSTER_FILE = 'cluster.json'

/**
 * Reads which cluster this node belongs to; nothing when it belongs to none yet.
 *
 * @throws {StoreError} `corrupt` when the file is damaged: it says what to do.
 */
export function readClusterFile(dir: string): ClusterFile | undefined {
  const path = join(dir, CLUSTER_FILE)
  const text = readPrivateFile(path)
  if (text === undefined) return undefined
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw new StoreError(
      'corrupt',
      `Cannot read ${path}: it is damaged; copy it from another node of the cluster, or remove it and join again with a token`,
      { temporary: false, cause },
    )
  }
}

/** Makes this node a member of a cluster. On the disk, whole, when this returns. */
export function writeClusterFile(dir: string, file: ClusterFile): void {
  makePrivateFolder(dir)
  writePrivateFile(join(dir, CLUSTER_FILE), `${JSON.stringify(schema.parse(file), undefined, 2)}\n`)
}
