import { createHash, hkdfSync } from 'node:crypto'
import HyperDht from 'hyperdht'
import createTestnet from 'hyperdht/testnet.js'
import Hyperswarm from 'hyperswarm'
import t from 'tap'
import { startDhtDiscovery } from '../../src/gossip/dht-discovery.ts'
import { startLibp2pTransport } from '../../src/gossip/libp2p-transport.ts'
import type { NodeId } from '../../src/model/ids.ts'
import { createNodeKey } from '../../src/util/keys.ts'
import { createRecorder } from './recorder.ts'

const seedOf = (n: number): Uint8Array => new Uint8Array(32).fill(n)
const psk = new Uint8Array(32).fill(42)

async function withTestnet(run: (bootstrap: string[]) => Promise<void>): Promise<void> {
  const testnet = await createTestnet(3)
  try {
    await run(testnet.bootstrap.map(({ host, port }) => `${host}:${port}`))
  } finally {
    await testnet.destroy()
  }
}

t.test('dht: a node that is given no address finds the cluster and joins its gossip', t =>
  withTestnet(async bootstrap => {
    const nodes = await Promise.all(
      [1, 2].map(async n => {
        const recorder = createRecorder()
        const transport = await startLibp2pTransport({
          cluster: 'test',
          seed: seedOf(n),
          psk,
          listen: { address: '127.0.0.1', port: 0 },
          advertise: '127.0.0.1',
          listener: recorder.listener,
          admitted: new Set([1, 2].map(each => createNodeKey(seedOf(each)).node)),
          discovery: { dht: { bootstrap } },
        })
        transport.setAdmitted(new Set([1, 2].map(each => createNodeKey(seedOf(each)).node)))
        return { ...recorder, transport }
      }),
    )
    const [a, b] = nodes
    await b!.until('found', ({ kind }) => kind === 'found', 15_000)
    for (const node of nodes) {
      await node.until('connected', ({ kind }) => kind === 'connected', 15_000)
    }
    a!.transport.publish('desired', Buffer.from('hello'))
    await b!.until('gossip', told => told.kind === 'published' && told.text === 'hello')
    const found = b!.told.find(({ kind }) => kind === 'found')
    t.strictSame(found, {
      kind: 'found',
      node: a!.transport.self,
      multiaddrs: a!.transport.multiaddrs(),
    })
    await Promise.all(nodes.map(({ transport }) => transport.close()))
  }),
)

t.test('dht: whoever knows the topic but not the key learns nothing', t =>
  withTestnet(async bootstrap => {
    const found: NodeId[] = []
    const lines = Promise.withResolvers<string>()
    const discovery = await startDhtDiscovery({
      psk,
      self: createNodeKey(seedOf(1)).node,
      multiaddrs: () => ['/ip4/192.0.2.1/tcp/7450'],
      bootstrap,
      host: '127.0.0.1',
      onFound: node => found.push(node),
      log: line => lines.resolve(line),
    })
    // The topic is seen by whoever runs a node of the DHT, so the spy is given it.
    const topic = Buffer.from(hkdfSync('sha256', psk, 'shoal dht 1', 'topic', 32))
    const spy = new Hyperswarm({ dht: new HyperDht({ bootstrap, host: '127.0.0.1' }) })
    const heard: Buffer[] = []
    const closed = new Promise<void>(resolve => {
      spy.on('connection', stream => {
        stream.on('error', () => undefined)
        stream.on('data', (chunk: Buffer) => heard.push(chunk))
        stream.on('close', () => resolve())
        // A nonce, then a proof that is only a guess.
        for (const guess of ['nonce', 'proof']) {
          const bytes = createHash('sha256').update(guess).digest()
          stream.write(Buffer.concat([Buffer.from([0, bytes.length]), bytes]))
        }
      })
    })
    spy.join(topic, { server: true, client: true })
    t.match(await lines.promise, /did not prove/)
    await closed
    await discovery.close()
    await spy.destroy()
    t.strictSame(found, [])
    // A nonce and a proof, with their lengths: no id and no address.
    t.ok(
      heard.reduce((sum, { length }) => sum + length, 0) <= 68,
      'it heard two fixed-size messages',
    )
  }),
)

t.test('dht: clusters with other keys do not meet', async t => {
  const topics = [psk, new Uint8Array(32)].map(key =>
    Buffer.from(hkdfSync('sha256', key, 'shoal dht 1', 'topic', 32)).toString('hex'),
  )
  t.not(topics[0], topics[1])
})
