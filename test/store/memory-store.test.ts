import t from 'tap'
import { createMemoryDisk, createMemoryStore } from '../../src/store/memory-store.ts'
import { storeConforms } from './conformance.ts'

storeConforms(t, 'the store in memory', async () => {
  const disk = createMemoryDisk()
  return async () => createMemoryStore(disk)
})
