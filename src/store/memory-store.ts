import { StoreError, type Store } from './store.ts'

/** What a {@link createMemoryStore} keeps. It outlives the store, as a disk outlives a daemon. */
export interface MemoryDisk {
  updates: readonly Uint8Array[]
  pendingBytes: number
  readonly values: Map<string, string>
}

/** Makes an empty disk. */
export function createMemoryDisk(): MemoryDisk {
  return { updates: [], pendingBytes: 0, values: new Map() }
}

/**
 * A store in memory, for the simulator and for tests: it passes the conformance suite
 * of the port. A crash is dropping the store; a restart is a new one on the same disk.
 */
export function createMemoryStore(disk: MemoryDisk = createMemoryDisk()): Store {
  let closed = false
  const mustBeOpen = (): void => {
    if (closed) throw new StoreError('failed', 'Cannot write: it is closed', { temporary: false })
  }
  return {
    readUpdates: () => [...disk.updates],
    async appendUpdate(update) {
      mustBeOpen()
      disk.updates = [...disk.updates, Uint8Array.from(update)]
      disk.pendingBytes += update.length
    },
    get pendingBytes() {
      return disk.pendingBytes
    },
    async compact(snapshot) {
      mustBeOpen()
      disk.updates = [Uint8Array.from(snapshot)]
      disk.pendingBytes = 0
    },
    get: key => disk.values.get(key),
    set(key, value) {
      mustBeOpen()
      disk.values.set(key, value)
    },
    async close() {
      closed = true
    },
  }
}
