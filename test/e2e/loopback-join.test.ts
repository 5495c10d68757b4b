import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import createTestnet from 'hyperdht/testnet.js'
import t from 'tap'
import type { EventLine } from '../../src/api/shapes.ts'
import { startLibp2pTransport } from '../../src/gossip/libp2p-transport.ts'
import { createToken } from '../../src/gossip/token.ts'
import { createNodeKey } from '../../src/util/keys.ts'
import { readClusterFile } from '../../src/store/cluster-file.ts'
import { Daemon, DEADLINE_MS, LoopbackCluster, shoal, until } from './loopback-cluster.ts'

/** Starts a daemon that must not come up; the one line that it ends with. */
async function refusal(daemon: Daemon, ...flags: readonly string[]): Promise<string> {
  await daemon.begin(...flags)
  await until(`${daemon.name} ends`, DEADLINE_MS, () => (daemon.isRunning ? undefined : true))
  const code = await daemon.exited()
  if (code !== 1) throw new Error(`it exited with ${code}: ${daemon.log.join('\n')}`)
  const said = daemon.log.filter(line => line.startsWith('shoal: '))
  if (said.length !== 1) throw new Error(`not one line: ${daemon.log.join('\n')}`)
  return said[0]!
}

t.test('who may not join is told why in one line, and exits with 1', async t => {
  const cluster = LoopbackCluster.prepare(t, 3)
  const [first, second, third] = cluster.daemons as [Daemon, Daemon, Daemon]
  await Promise.all([first.start(), third.start()])
  const token = (await first.must('token', 'create')).trim()

  const middle = Math.floor(token.length / 2)
  const other = token[middle] === 'a' ? 'b' : 'a'
  const altered = token.slice(0, middle) + other + token.slice(middle + 1)
  t.match(await refusal(second, '--join', altered), /altered or cut short: copy the whole/)
  t.match(await refusal(second, '--join', 'hello'), /no join token: it starts with "shoal1-"/)

  const { psk } = readClusterFile(first.dir)!
  const key = createNodeKey(new Uint8Array(32).fill(9))
  const { multiaddr } = await addressOf(first)
  const made = {
    cluster: first.cluster,
    psk: Buffer.from(psk, 'hex'),
    addresses: [multiaddr],
    expiresAtMs: Date.now() + 60_000,
    key,
  }
  const expired = createToken({ ...made, expiresAtMs: Date.now() - 3_600_000 })
  t.match(await refusal(second, '--join', expired), /expired 1 h ago .* make a new one/)
  t.match(
    await refusal(second, '--join', createToken(made)),
    /Cannot join: .*/,
    'a token of somebody who is not a member',
  )
  t.match(
    await refusal(second, '--join', token, '--name', 'n1'),
    /has a node called n1 already: choose another name with --name/,
  )

  t.notOk(existsSync(join(second.dir, 'cluster.json')), 'nothing of it stays')
  await second.start('--join', token)
  await until('two nodes', DEADLINE_MS, async () => (await first.nodes()).length === 2 || undefined)

  await second.end('SIGTERM')
  const elsewhere = (await third.must('token', 'create')).trim()
  t.match(
    await refusal(second, '--join', elsewhere),
    /is in the cluster .* already, and the token is for .*/,
    'a token of another cluster',
  )
  await second.start('--join', token)
  t.equal(second.cluster, first.cluster, 'a token of its own cluster does no harm')
})

t.test('join takes a running lone daemon over, and no other', async t => {
  const cluster = LoopbackCluster.prepare(t, 3)
  const [first, second, third] = cluster.daemons as [Daemon, Daemon, Daemon]
  await Promise.all([first.start(), second.start(), third.start()])
  const old = second.cluster
  const token = (await first.must('token', 'create')).trim()

  const joined = await second.shoal('join', token)
  t.match(joined, { status: 0, stdout: /^joined [0-9a-f]+ as n2: 2 nodes\n$/ })
  t.equal((await second.status()).cluster, first.cluster)
  t.not(first.cluster, old)
  await until('both see both', DEADLINE_MS, async () => {
    const seen = await Promise.all([first, second].map(async daemon => await daemon.status()))
    return seen.every(({ nodes }) => nodes.alive === 2) || undefined
  })

  const again = await second.shoal('join', (await third.must('token', 'create')).trim())
  t.match(again, { status: 1, stdout: '', stderr: /^shoal: this node is in a cluster .*\n$/ })
  const damaged = await third.shoal('join', token.slice(0, -4))
  t.match(damaged, { status: 1, stderr: /^shoal: this token was altered .*\n$/ })

  await first.must('run', '--name', 'one', '--', 'sleep', '1000')
  await third.must('run', '--name', 'two', '--', 'sleep', '1000')
  const busy = await third.shoal('join', token)
  t.match(busy, { status: 1, stderr: /^shoal: this node .* apps already: .*\n$/ })
})

t.test('who has the key but is not admitted is refused, and that is told', async t => {
  const cluster = LoopbackCluster.prepare(t, 2)
  const [first, intruder] = cluster.daemons as [Daemon, Daemon]
  await first.start()
  // As from a stolen disk: the cluster's key and document, but not the node's own key.
  await first.end('SIGTERM')
  mkdirSync(intruder.dir, { mode: 0o700 })
  for (const file of ['cluster.json', 'shoal.db']) {
    copyFileSync(join(first.dir, file), join(intruder.dir, file))
  }
  await first.start()
  const { psk, cluster: id } = readClusterFile(first.dir)!
  const stranger = await startLibp2pTransport({
    cluster: id,
    seed: new Uint8Array(32).fill(5),
    psk: Buffer.from(psk, 'hex'),
    listen: { address: '127.0.0.2', port: 0 },
    advertise: '127.0.0.2',
    listener: silent,
    admitted: new Set(),
    log: () => undefined,
    discovery: {},
  })
  t.teardown(async () => await stranger.close())
  const { node, multiaddr } = await addressOf(first)
  stranger.setAdmitted(new Set([node]))
  stranger.setAddresses(new Map([[node, [multiaddr]]]))
  const refused = await until('the refusal is told', DEADLINE_MS, async () => {
    const events = await first.api.get<EventLine[]>('/v1/events')
    return events.find(({ kind, subject }) => kind === 'refused' && subject === stranger.self)
  })
  t.match(refused.text, /not admitted/)
  t.ok(
    first.log.some(line => line.includes(stranger.self) && line.includes('not admitted')),
    'and logged',
  )
  await t.rejects(async () => {
    const signal = AbortSignal.timeout(5_000)
    const call = stranger.call({ multiaddr }, 'logs', new Uint8Array(), {
      signal,
      timeoutMs: 2_000,
    })
    for await (const piece of call) t.notOk(piece, 'nothing is told to a stranger')
  }, 'no service but joining is open to it')

  t.match(await refusal(intruder), /not admitted .*--join/)
  t.equal((await first.nodes()).length, 1)
})

t.test('who has not the key cannot speak at all', async t => {
  const cluster = LoopbackCluster.prepare(t, 1)
  const [first] = cluster.daemons as [Daemon]
  await first.start()
  const { node, multiaddr } = await addressOf(first)
  const stranger = await startLibp2pTransport({
    cluster: first.cluster,
    seed: new Uint8Array(32).fill(5),
    psk: new Uint8Array(32).fill(6),
    listen: { address: '127.0.0.2', port: 0 },
    advertise: '127.0.0.2',
    listener: silent,
    admitted: new Set([node]),
    log: () => undefined,
    discovery: {},
  })
  t.teardown(async () => await stranger.close())
  await t.rejects(async () => {
    const signal = AbortSignal.timeout(10_000)
    const call = stranger.call({ multiaddr }, 'join', new Uint8Array(), {
      signal,
      timeoutMs: 3_000,
    })
    for await (const piece of call) t.notOk(piece)
  })

  const socket = connect(first.ports.gossip, first.address)
  const heard: Buffer[] = []
  socket.on('data', (piece: Buffer) => heard.push(piece))
  // Hanging up on us may be as rude as it likes.
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  const closed = new Promise(resolve => void socket.once('close', resolve))
  socket.write(Buffer.alloc(4096, 'GET / HTTP/1.1\r\n\r\n'))
  await closed
  t.notMatch(Buffer.concat(heard).toString('latin1'), /noise|multistream|shoal|yamux/)
  t.equal((await first.status()).nodes.alive, 1, 'the daemon does not mind')
})

t.test('a node that is given no address at all finds its cluster through a DHT', async t => {
  const testnet = await createTestnet(3)
  t.teardown(async () => await testnet.destroy())
  const bootstrap = testnet.bootstrap.map(({ host, port }) => `${host}:${port}`)
  // On one address: hyperdht punches its holes between two, and that takes it many tries here.
  const cluster = LoopbackCluster.prepare(t, 2, '127.0.0.1')
  const [first, second] = cluster.daemons as [Daemon, Daemon]
  await first.start('--dht', ...bootstrap)
  const token = (await first.must('token', 'create', '--no-addresses')).trim()
  t.ok(token.length < (await first.must('token', 'create')).trim().length)
  await second.start('--dht', ...bootstrap, '--join', token)
  await cluster.whole()
  await second.must('run', '--name', 'one', '--', 'sleep', '1000')
  await first.serving('one', 1)
})

t.test('init makes a cluster once, and up goes on with it', async t => {
  const cluster = LoopbackCluster.prepare(t, 1)
  const [first] = cluster.daemons as [Daemon]
  const flags = ['--data', first.dir, 'init', '--name', 'n1', '--advertise', '127.0.0.1']
  const made = await shoal(flags)
  t.match(made, { status: 0, stdout: /^[0-9a-f]{16}\n$/ })
  const again = await shoal(flags)
  t.match(again, { status: 0, stderr: /has the cluster [0-9a-f]{16} already/ })
  await first.start()
  t.equal(first.cluster, made.stdout.trim())
})

const silent = {
  onPublished: (): void => undefined,
  onSent: (): void => undefined,
  onConnected: (): void => undefined,
  onDisconnected: (): void => undefined,
  onRefused: (): void => undefined,
  onFound: (): void => undefined,
  // eslint-disable-next-line require-yield
  async *onCall(): AsyncIterable<Uint8Array> {
    throw new Error('a stranger serves nothing')
  },
}

async function addressOf(daemon: Daemon) {
  const { node } = await daemon.status()
  const multiaddr = `/ip4/${daemon.address}/tcp/${daemon.ports.gossip}/p2p/${node}`
  return { node, multiaddr }
}
