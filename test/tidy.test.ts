/**
 * Checks the code itself: who may import whom, and what a pure folder may touch.
 * The rules are those of ARCHITECTURE.md; this file is what makes them true,
 * because the usual tools pass falsely under TypeScript 7.
 */

import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

/** Each room, and the rooms it may import. A room absent from a list is forbidden. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  model: [],
  util: ['model'],
  placement: ['model', 'util'],
  reconcile: ['model', 'util'],
  crdt: ['model', 'util'],
  formats: ['model', 'util'],
  dns: ['model', 'util'],
  gossip: ['model', 'util'],
  runtime: ['model', 'util'],
  store: ['model', 'util'],
  node: [
    'model',
    'util',
    'placement',
    'reconcile',
    'crdt',
    'formats',
    'dns',
    'gossip',
    'runtime',
    'store',
  ],
  api: ['model', 'util', 'formats', 'node'],
  cli: ['model', 'util', 'api'],
}

/** The one room that may import each heavy package. */
const OWNERS: Readonly<Record<string, string>> = {
  yjs: 'crdt',
  libp2p: 'gossip',
  '@libp2p': 'gossip',
  '@chainsafe': 'gossip',
  hyperswarm: 'gossip',
  hyperdht: 'gossip',
  dockerode: 'runtime',
  'dns-packet': 'dns',
  fastify: 'api',
  commander: 'cli',
}

/** Paths with no clock, no chance and no I/O: a simulation can replay them. */
const PURE = [
  'src/model/',
  'src/util/',
  'src/placement/',
  'src/reconcile/',
  'src/crdt/',
  'src/formats/',
  'src/gossip/liveness/swim',
  'src/dns/zone',
  'src/dns/own-zone',
  'src/dns/mesos-zone',
  'src/dns/reverse-zones',
  'src/dns/app-book',
  'src/dns/name-',
  'src/dns/task-',
  'src/dns/answer',
  'src/node/machine',
]
const IMPURE =
  /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|set(Timeout|Interval|Immediate)\(|process\.)/

const IMPORT = /^(?:import|export)\b[^'"]*?from '([^']+)'|^import '([^']+)'/gm

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts'))
  .map(name => ({
    path: join('src', name),
    folder: name.split('/')[0]!,
    text: readFileSync(join('src', name), 'utf8'),
  }))

/** Why `folder` may not import `target` from `path`, or nothing if it may. */
function complaint(path: string, folder: string, target: string): string | undefined {
  if (!target.startsWith('.')) {
    const owner = OWNERS[target.split('/')[0]!]
    return owner === undefined || owner === folder ? undefined : `only ${owner} may`
  }
  const to = normalize(join(dirname(path), target)).split('/')[1]!
  return to === folder || LAYERS[folder]?.includes(to) ? undefined : `${folder} is below ${to}`
}

t.test('tidy: every folder is in the map', async t => {
  t.ok(files.length > 0, 'found source files')
  for (const { path, folder } of files) t.ok(folder in LAYERS, path)
})

t.test('tidy: imports point one way', async t => {
  for (const { path, folder, text } of files) {
    for (const [, from, bare] of text.matchAll(IMPORT)) {
      const target = from ?? bare!
      t.equal(complaint(path, folder, target), undefined, `${path} imports ${target}`)
    }
  }
})

t.test('tidy: pure code touches no clock, no chance and no I/O', async t => {
  for (const { path, text } of files) {
    if (!PURE.some(prefix => path.startsWith(prefix))) continue
    const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    t.notMatch(code, IMPURE, path)
    t.notMatch(code, /from 'node:(?!crypto|assert|util)/, path)
  }
})

t.test('tidy: every export says what it is for', async t => {
  for (const { path, text } of files) {
    const lines = text.split('\n')
    for (const [index, line] of lines.entries()) {
      if (!/^export (?:async )?(?:function|class|interface|type|const)\b/.test(line)) continue
      t.match(lines[index - 1], /\*\/$/, `${path}:${index + 1} has a doc comment`)
    }
  }
})

t.test('tidy: no file is so long that a newcomer gets lost in it', async t => {
  for (const { path, text } of files) t.ok(text.split('\n').length <= 700, path)
})
