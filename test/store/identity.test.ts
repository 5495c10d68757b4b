import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readClusterFile, writeClusterFile } from '../../src/store/cluster-file.ts'
import { openIdentity, keepClientId, keepFence } from '../../src/store/identity.ts'
import { createNodeKey } from '../../src/util/keys.ts'

const root = mkdtempSync(join(tmpdir(), 'shoal-identity-'))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const freshDir = (): string => join(mkdtempSync(join(root, 'case-')), 'data')

t.test('openIdentity() makes a key once, and counts each start', async t => {
  const dir = freshDir()
  const first = openIdentity(dir)
  const second = openIdentity(dir)
  const third = openIdentity(dir)
  t.same(second.seed, first.seed)
  t.equal(second.clientId, first.clientId)
  t.equal(second.incarnation, first.incarnation + 1)
  t.equal(third.incarnation, first.incarnation + 2)
  t.match(createNodeKey(first.seed).node, /^12D3KooW/)
  t.ok(first.clientId >= 1 && first.clientId < 2 ** 32)
})

t.test('openIdentity() gives each folder another key and another log', async t => {
  const one = openIdentity(freshDir())
  const other = openIdentity(freshDir())
  t.notSame(one.seed, other.seed)
  t.not(one.clientId, other.clientId)
})

t.test('openIdentity() leaves private files and nothing else', async t => {
  const dir = freshDir()
  openIdentity(dir)
  openIdentity(dir)
  t.same(readdirSync(dir).toSorted(), ['node.json', 'node.key'])
  for (const file of ['node.json', 'node.key']) {
    t.equal(statSync(join(dir, file)).mode & 0o777, 0o600, file)
  }
  t.equal(statSync(dir).mode & 0o777, 0o700)
})

t.test('openIdentity() closes a folder that others could read', async t => {
  const dir = mkdtempSync(join(root, 'open-'))
  chmodSync(dir, 0o755)
  openIdentity(dir)
  t.equal(statSync(dir).mode & 0o777, 0o700)
})

t.test(
  'openIdentity() starts above every earlier incarnation when the counters are lost',
  async t => {
    const dir = freshDir()
    openIdentity(dir)
    const before = openIdentity(dir)
    rmSync(join(dir, 'node.json'))
    const after = openIdentity(dir)
    t.same(after.seed, before.seed)
    t.not(after.clientId, before.clientId)
    t.equal(before.incarnation, 2)
    t.ok(after.incarnation > 1_000_000)
    writeFileSync(join(dir, 'node.json'), JSON.stringify({ clientId: 7, incarnation: 4 }))
    t.equal(openIdentity(dir).incarnation, 5)
  },
)

t.test('openIdentity() says which file is damaged, and what to do', async t => {
  const cases = [
    { file: 'node.key', text: 'beef', message: /node\.key.*restore it from a backup/ },
    { file: 'node.key', text: '', message: /node\.key/ },
    { file: 'node.json', text: '{"clientId":', message: /node\.json.*remove it/ },
    { file: 'node.json', text: '{"clientId":0,"incarnation":1}', message: /node\.json/ },
    { file: 'node.json', text: '{"clientId":1,"incarnation":1,"x":1}', message: /node\.json/ },
  ]
  for (const { file, text, message } of cases) {
    const dir = freshDir()
    openIdentity(dir)
    writeFileSync(join(dir, file), text)
    t.throws(() => openIdentity(dir), { name: 'StoreError', code: 'corrupt', message }, text)
    t.equal(readFileSync(join(dir, file), 'utf8'), text, 'the damaged file is left for a person')
  }
})

t.test('keepClientId() changes the log, and neither the key nor the count', async t => {
  const dir = freshDir()
  const before = openIdentity(dir)
  keepClientId(dir, 12_345)
  t.same(openIdentity(dir), {
    seed: before.seed,
    clientId: 12_345,
    incarnation: before.incarnation + 1,
    fence: 0,
    recentStarts: 1,
  })
})

t.test('keepFence() keeps the number, and nothing else changes', async t => {
  const dir = freshDir()
  const before = openIdentity(dir)
  t.equal(before.fence, 0)
  t.equal(before.recentStarts, 0)
  keepFence(dir, 1_700_000_000_000)
  t.same(openIdentity(dir), {
    ...before,
    incarnation: before.incarnation + 1,
    fence: 1_700_000_000_000,
    recentStarts: 1,
  })
  t.equal(openIdentity(dir).recentStarts, 2)
})

t.test('the cluster file comes back as it was written, for its owner only', async t => {
  const dir = freshDir()
  t.equal(readClusterFile(dir), undefined)
  const psk = 'ab'.repeat(32)
  writeClusterFile(dir, { cluster: 'c1', psk })
  t.same(readClusterFile(dir), { cluster: 'c1', psk })
  writeClusterFile(dir, { cluster: 'c2', psk, name: 'lab' })
  t.same(readClusterFile(dir), { cluster: 'c2', psk, name: 'lab' })
  t.equal(statSync(join(dir, 'cluster.json')).mode & 0o777, 0o600)
  t.same(readdirSync(dir), ['cluster.json'])
})

t.test('readClusterFile() says what to do about a damaged file', async t => {
  const dir = freshDir()
  writeClusterFile(dir, { cluster: 'c1', psk: 'ab'.repeat(32) })
  for (const text of ['', '{', '[]', '{"cluster":"c1"}', '{"cluster":"c1","psk":"short"}']) {
    writeFileSync(join(dir, 'cluster.json'), text)
    t.throws(() => readClusterFile(dir), { code: 'corrupt', message: /join again/ }, text)
  }
})
