import { mkdir } from 'node:fs/promises'
import type { Logger } from 'pino'
import { parseToken } from '../gossip/token.ts'
import { readClusterFile, writeClusterFile, type ClusterFile } from '../store/cluster-file.ts'
import { openIdentity, type Identity } from '../store/identity.ts'
import { openStore } from '../store/sqlite-store.ts'
import type { Store } from '../store/store.ts'
import { createVerify } from '../util/keys.ts'
import { foundCluster, joinCluster, JoinError } from './found-cluster.ts'
import type { NodeOptions } from './options.ts'

/** A node's folder, open: its key, its document, and the cluster it belongs to. */
export interface OpenFolder {
  readonly store: Store
  readonly identity: Identity
  readonly cluster: ClusterFile
}

/**
 * Opens a node's folder, and makes or joins a cluster if it has none yet.
 *
 * @throws {StoreError} When the folder cannot be used: locked, damaged, full.
 * @throws {JoinError} When the token is no good or nobody answers.
 */
export async function openFolder(options: NodeOptions, log: Logger): Promise<OpenFolder> {
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 })
  const store = await openStore({ dir: options.dataDir })
  try {
    const identity = openIdentity(options.dataDir)
    const cluster =
      existingCluster(options, log) ?? (await newCluster(options, identity, store, log))
    return { store, identity, cluster }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Prepares a folder for a new cluster without starting anything: `shoal init`. */
export async function initCluster(
  options: NodeOptions,
  log: Logger,
): Promise<{ readonly cluster: string; readonly isNew: boolean }> {
  const existing = readClusterFile(options.dataDir)
  if (existing !== undefined) return { cluster: existing.cluster, isNew: false }
  const { store, cluster } = await openFolder({ ...options, join: undefined }, log)
  await store.close()
  return { cluster: cluster.cluster, isNew: true }
}

function existingCluster(options: NodeOptions, log: Logger): ClusterFile | undefined {
  const existing = readClusterFile(options.dataDir)
  if (existing === undefined || options.join === undefined) return existing
  const asked = tokenCluster(options.join)
  if (asked !== undefined && asked !== existing.cluster) {
    throw new JoinError(
      `the node in ${options.dataDir} is in the cluster ${existing.cluster} already, and the token is for ${asked}: run \`shoal leave\` first, or give another --data`,
    )
  }
  log.info(
    { cluster: existing.cluster },
    'this node is in the cluster of the token already: the token is not used',
  )
  return existing
}

/** The cluster of a token that may have expired since it was used: nothing for one that cannot be read. */
function tokenCluster(text: string): string | undefined {
  const parsed = parseToken(text, { nowMs: 0, verify: createVerify() })
  return parsed.ok ? parsed.token.cluster : undefined
}

async function newCluster(
  options: NodeOptions,
  identity: Identity,
  store: Store,
  log: Logger,
): Promise<ClusterFile> {
  const { join } = options
  const cluster =
    join === undefined
      ? await foundCluster(identity, store, options.name)
      : await joinCluster(identity, store, { ...options, join }, line => log.info(line))
  writeClusterFile(options.dataDir, cluster)
  log.info(
    { cluster: cluster.cluster },
    join === undefined ? 'made a new cluster' : 'joined the cluster',
  )
  return cluster
}
