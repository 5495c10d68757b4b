import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { DATABASE_FILE, openStore } from '../../src/store/sqlite-store.ts'
import { createRandom } from '../../src/util/random.ts'
import { bytes, storeConforms, texts } from './conformance.ts'

const root = mkdtempSync(join(tmpdir(), 'shoal-store-'))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const freshDir = (): string => join(mkdtempSync(join(root, 'case-')), 'data')

storeConforms(t, 'the SQLite store', async () => {
  const dir = freshDir()
  return async () => openStore({ dir })
})

t.test('openStore() shows the folder and its files to nobody else', async t => {
  const dir = freshDir()
  const store = await openStore({ dir })
  await store.appendUpdate(bytes('secret'))
  t.equal(modeOf(dir), '700')
  const files = readdirSync(dir)
  t.ok(files.includes(DATABASE_FILE))
  for (const file of files) t.equal(modeOf(join(dir, file)), '600', file)
  await store.close()
})

t.test('openStore() refuses a folder that a daemon uses, and names that daemon', async t => {
  const dir = freshDir()
  const store = await openStore({ dir })
  await t.rejects(openStore({ dir }), {
    name: 'StoreError',
    code: 'locked',
    message: new RegExp(`pid ${process.pid} `),
  })
  await store.appendUpdate(bytes('still mine'))
  await store.close()
  const next = await openStore({ dir })
  t.same(texts(next), ['still mine'])
  await next.close()
})

t.test('openStore() refuses what a later version wrote, and leaves it alone', async t => {
  const dir = freshDir()
  const store = await openStore({ dir })
  await store.close()
  const path = join(dir, DATABASE_FILE)
  const db = new DatabaseSync(path)
  db.exec('PRAGMA user_version = 99')
  db.close()
  await t.rejects(openStore({ dir }), { code: 'newer-version', message: /upgrade Shoal/ })
  const after = new DatabaseSync(path)
  t.equal(after.prepare('PRAGMA user_version').get()?.['user_version'], 99)
  after.close()
})

t.test('openStore() says what to do about a damaged database', async t => {
  const dir = freshDir()
  const store = await openStore({ dir })
  await store.close()
  writeFileSync(
    join(dir, DATABASE_FILE),
    'this is not a database, whatever its name says'.repeat(99),
  )
  await t.rejects(openStore({ dir }), {
    code: 'corrupt',
    temporary: false,
    message: /move shoal.db/,
  })
})

t.test('a full disk is temporary, and loses nothing that was acknowledged', async t => {
  const dir = freshDir()
  const store = await openStore({ dir, maxBytes: 256 * 1024 })
  const kept: string[] = []
  let full: unknown
  for (let number = 0; number < 200 && full === undefined; number++) {
    const text = `${number} `.padEnd(4_000, '.')
    try {
      // oxlint-disable-next-line eslint/no-await-in-loop -- the next only when this one fits
      await store.appendUpdate(bytes(text))
      kept.push(text)
    } catch (error) {
      full = error
    }
  }
  t.match(full, { name: 'StoreError', code: 'disk-full', temporary: true })
  t.ok(kept.length > 10, 'some did fit')
  await store.compact(bytes('small'))
  await t.resolves(store.appendUpdate(bytes('fits again')))
  t.same(texts(store), ['fits again', 'small'])
  await store.close()
})

t.test('one append that does not fit fails alone: the next one is tried anew', async t => {
  const dir = freshDir()
  const store = await openStore({ dir, maxBytes: 256 * 1024 })
  await t.rejects(store.appendUpdate(new Uint8Array(1_000_000)), { code: 'disk-full' })
  await t.resolves(store.appendUpdate(bytes('small')))
  t.same(texts(store), ['small'])
  await store.close()
})

t.test('appends of one turn, and those made during a sync, share one sync', async t => {
  let syncs = 0
  const gate = Promise.withResolvers<void>()
  const store = await openStore({
    dir: freshDir(),
    sync: async () => {
      syncs++
      if (syncs === 2) await gate.promise
    },
  })
  t.equal(syncs, 1, 'opening synced once')
  const early = [store.appendUpdate(bytes('1')), store.appendUpdate(bytes('2'))]
  await new Promise(setImmediate)
  t.equal(syncs, 2)
  const late = Array.from({ length: 50 }, async (_, at) => store.appendUpdate(bytes(`late ${at}`)))
  gate.resolve()
  await Promise.all([...early, ...late])
  t.equal(syncs, 3)
  t.equal(store.readUpdates().length, 52)
  await store.close()
})

t.test('an append whose sync failed is not acknowledged, nor is any later one', async t => {
  let failing = false
  const store = await openStore({
    dir: freshDir(),
    sync: async () => {
      if (failing) throw new Error('EIO: i/o error')
    },
  })
  await store.appendUpdate(bytes('fine'))
  failing = true
  await t.rejects(store.appendUpdate(bytes('lost')), { code: 'failed', message: /check the disk/ })
  failing = false
  await t.rejects(store.appendUpdate(bytes('after')), { code: 'failed', temporary: false })
  await store.close()
})

t.test('a torn or overwritten end of the log costs only what was not synced', async t => {
  const dir = freshDir()
  const store = await openStore({ dir })
  await store.appendUpdate(bytes('one'))
  await store.appendUpdate(bytes('two'))
  const wal = `${DATABASE_FILE}-wal`
  const whole = statSync(join(dir, wal)).size
  await store.appendUpdate(bytes('three'))
  const cases = {
    garbage: (path: string) => appendFileSync(path, Buffer.alloc(5_000, 0xa5)),
    zeros: (path: string) => appendFileSync(path, Buffer.alloc(70_000)),
    torn: (path: string) => truncateSync(path, whole + 100),
  }
  for (const [name, damage] of Object.entries(cases)) {
    const copy = freshDir()
    // oxlint-disable-next-line eslint/no-await-in-loop -- one case after another
    const made = await openStore({ dir: copy })
    // oxlint-disable-next-line eslint/no-await-in-loop -- one case after another
    await made.close()
    for (const file of [DATABASE_FILE, wal]) copyFileSync(join(dir, file), join(copy, file))
    damage(join(copy, wal))
    // oxlint-disable-next-line eslint/no-await-in-loop -- one case after another
    const opened = await openStore({ dir: copy })
    t.match(texts(opened).join(' '), name === 'torn' ? /^one two$/ : /^one three two$/, name)
    // oxlint-disable-next-line eslint/no-await-in-loop -- one case after another
    await t.resolves(opened.appendUpdate(bytes('next')))
    // oxlint-disable-next-line eslint/no-await-in-loop -- one case after another
    await opened.close()
  }
  await store.close()
})

t.test('kill -9 at any moment loses no acknowledged update', async t => {
  const dir = freshDir()
  const random = createRandom(20)
  let acknowledged = -1
  for (let round = 0; round < 20; round++) {
    // oxlint-disable no-await-in-loop -- one life of the daemon after another
    const last = await appendUntilKilled(dir, acknowledged + 1, Math.floor(random() * 150))
    acknowledged = Math.max(acknowledged, last)
    const store = await openStore({ dir })
    const found = numbersOf(store.readUpdates())
    for (let number = 0; number <= acknowledged; number++) {
      if (!found.has(number)) t.fail(`round ${round}: update ${number} is lost`)
    }
    await store.close()
    // oxlint-enable no-await-in-loop
  }
  t.ok(acknowledged > 100, `${acknowledged} updates were acknowledged`)
})

/** Lets a child append from `first` on, kills it after `count` acknowledgements, and returns the last one seen. */
async function appendUntilKilled(dir: string, first: number, count: number): Promise<number> {
  const script = join(import.meta.dirname, 'append-forever.ts')
  const child = spawn(process.execPath, [script, dir, `${first}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let last = first - 1
  let seen = 0
  for await (const line of createInterface(child.stdout)) {
    if (line !== 'open') last = Number(line)
    if (seen++ === count) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return last
}

function numbersOf(updates: readonly Uint8Array[]): Set<number> {
  const all = Buffer.concat(updates)
  const numbers = new Set<number>()
  for (let at = 0; at < all.length; at += 512) numbers.add(all.readUInt32BE(at))
  return numbers
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8)
}
