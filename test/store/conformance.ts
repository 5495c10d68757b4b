/**
 * What every store must do. Each implementation runs it, the one in memory too: a
 * simulation on a store that forgives more than the disk does would prove nothing.
 */

import type t from 'tap'
import { StoreError, type Store } from '../../src/store/store.ts'

/** Opens the store of one place again and again, as a daemon that restarts does. */
export type Reopen = () => Promise<Store>

/** Runs the suite. `place` gives a fresh, empty place to keep a store in. */
export function storeConforms(test: typeof t, name: string, place: () => Promise<Reopen>): void {
  test.test(`${name} starts empty`, async t => {
    const store = await (await place())()
    t.strictSame(store.readUpdates(), [])
    t.equal(store.pendingBytes, 0)
    t.equal(store.get('peers'), undefined)
    await store.close()
  })

  test.test(`${name} has after a restart what was appended before`, async t => {
    const reopen = await place()
    const store = await reopen()
    await store.appendUpdate(bytes('one'))
    await Promise.all([store.appendUpdate(bytes('two')), store.appendUpdate(bytes('three'))])
    t.equal(store.pendingBytes, 11)
    await store.close()

    const again = await reopen()
    t.same(texts(again), ['one', 'three', 'two'])
    t.equal(again.pendingBytes, 11)
    await again.close()
  })

  test.test(`${name} replaces updates by a snapshot, and keeps later ones beside it`, async t => {
    const reopen = await place()
    const store = await reopen()
    await store.appendUpdate(bytes('one'))
    await store.compact(bytes('snapshot'))
    t.equal(store.pendingBytes, 0)
    await store.appendUpdate(bytes('two'))
    t.same(texts(store), ['snapshot', 'two'])
    t.equal(store.pendingBytes, 3)
    await store.close()

    const again = await reopen()
    t.same(texts(again), ['snapshot', 'two'])
    t.equal(again.pendingBytes, 3)
    await again.compact(bytes('later'))
    t.same(texts(again), ['later'])
    await again.close()
  })

  test.test(`${name} loses no update that comes while it compacts`, async t => {
    const reopen = await place()
    const store = await reopen()
    await store.appendUpdate(bytes('before'))
    const compacted = store.compact(bytes('snapshot'))
    const appended = store.appendUpdate(bytes('meanwhile'))
    await Promise.all([compacted, appended])
    await store.close()

    const again = await reopen()
    t.same(texts(again), ['meanwhile', 'snapshot'])
    await again.close()
  })

  test.test(`${name} keeps what it was given, not the caller's buffer`, async t => {
    const store = await (await place())()
    const update = bytes('same')
    await store.appendUpdate(update)
    update.fill(0)
    t.same(texts(store), ['same'])
    await store.close()
  })

  test.test(`${name} keeps empty and large updates`, async t => {
    const reopen = await place()
    const store = await reopen()
    const large = new Uint8Array(3_000_000).fill(7)
    await store.appendUpdate(new Uint8Array())
    await store.appendUpdate(large)
    await store.close()
    const again = await reopen()
    const sizes = again.readUpdates().map(update => update.length)
    t.same(sizes, [0, 3_000_000])
    t.strictSame(Buffer.compare(again.readUpdates()[1]!, large), 0)
    await again.close()
  })

  test.test(`${name} keeps values, the last one set of each key`, async t => {
    const reopen = await place()
    const store = await reopen()
    store.set('peers', '["a"]')
    store.set('peers', '["b"]')
    store.set('', 'the empty key')
    t.equal(store.get('peers'), '["b"]')
    await store.close()
    const again = await reopen()
    t.equal(again.get('peers'), '["b"]')
    t.equal(again.get(''), 'the empty key')
    await again.close()
  })

  test.test(`${name} takes nothing more once it is closed, and may be closed twice`, async t => {
    const store = await (await place())()
    const last = store.appendUpdate(bytes('last'))
    await store.close()
    await t.resolves(last, 'what was under way is finished')
    await t.rejects(store.appendUpdate(bytes('late')), StoreError)
    await t.rejects(store.compact(bytes('late')), StoreError)
    t.throws(() => store.set('late', ''), StoreError)
    await t.resolves(store.close())
  })
}

/** UTF-8 bytes of `text`. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** The updates of a store as texts, sorted: their order means nothing. */
export function texts(store: Store): string[] {
  return store
    .readUpdates()
    .map(update => new TextDecoder().decode(update))
    .toSorted()
}
