import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CLUSTER_FILE } from '../store/cluster-file.ts'
import { DATABASE_FILE } from '../store/sqlite-store.ts'

/** What ties a node's folder to its cluster; the node's key stays. */
const FILES = [CLUSTER_FILE, DATABASE_FILE, `${DATABASE_FILE}-wal`, `${DATABASE_FILE}-shm`]

const ASIDE = 'before-join'

/** Makes the folder of a node that does not run forget its cluster. */
export async function forgetCluster(dataDir: string): Promise<void> {
  await Promise.all(FILES.map(file => rm(join(dataDir, file), { force: true })))
}

/** Puts the cluster of a folder aside, so that the node can join another; {@link putClusterBack} undoes it. */
export async function putClusterAside(dataDir: string): Promise<void> {
  await rm(join(dataDir, ASIDE), { recursive: true, force: true })
  await mkdir(join(dataDir, ASIDE), { mode: 0o700 })
  await moveAll(dataDir, join(dataDir, ASIDE))
}

/** Takes the cluster back that was put aside. */
export async function putClusterBack(dataDir: string): Promise<void> {
  await forgetCluster(dataDir)
  await moveAll(join(dataDir, ASIDE), dataDir)
}

async function moveAll(from: string, to: string): Promise<void> {
  for (const file of FILES) {
    try {
      await rename(join(from, file), join(to, file))
    } catch (error) {
      // The write-ahead log is there only while it is needed.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
}
