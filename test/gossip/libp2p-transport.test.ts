import { connect as connectTcp } from 'node:net'
import t from 'tap'
import { GUESTS_MAX } from '../../src/gossip/guests.ts'
import {
  startLibp2pTransport,
  type Libp2pTransportOptions,
} from '../../src/gossip/libp2p-transport.ts'
import type { Transport } from '../../src/gossip/transport.ts'
import { createNodeKey } from '../../src/util/keys.ts'
import { createRecorder, type Recorder } from './recorder.ts'
import { join, meet, testTransport, type Bed } from './transport-conformance.ts'

const PSK = new Uint8Array(32).fill(42)
const seedOf = (n: number): Uint8Array => new Uint8Array(32).fill(n)

async function createBed(options: Partial<Libp2pTransportOptions> = {}): Promise<Bed> {
  const open = new Set<Transport>()
  const ports = new Map<number, number>()
  return {
    start: async (n, { listener }: Recorder) => {
      const transport = await startLibp2pTransport({
        cluster: 'test',
        seed: seedOf(n),
        psk: PSK,
        listen: { address: '127.0.0.1', port: ports.get(n) ?? 0 },
        advertise: '127.0.0.1',
        listener,
        ...options,
      })
      open.add(transport)
      ports.set(n, Number(/tcp\/(\d+)/.exec(transport.multiaddrs()[0]!)![1]))
      return transport
    },
    close: async () => {
      await Promise.all([...open].map(transport => transport.close()))
    },
  }
}

testTransport(t, 'libp2p', () => createBed())

t.test('libp2p: a node has the id of its key', async t => {
  const bed = await createBed()
  const a = await join(bed, 9)
  t.equal(a.id, createNodeKey(seedOf(9)).node)
  t.match(a.transport.multiaddrs(), [new RegExp(`^/ip4/127.0.0.1/tcp/[0-9]+/p2p/${a.id}$`)])
  await bed.close()
})

t.test('libp2p: who has not the key cannot speak at all', async t => {
  const [bed, other] = [await createBed(), await createBed({ psk: new Uint8Array(32).fill(43) })]
  const [a, stranger] = [await join(bed, 1), await join(other, 2)]
  a.transport.setAdmitted(new Set([a.id, stranger.id]))
  const [address] = a.transport.multiaddrs()
  const call = stranger.transport.call({ multiaddr: address! }, 'join', new Uint8Array(), {
    signal: new AbortController().signal,
    timeoutMs: 3000,
  })
  await t.rejects(call[Symbol.asyncIterator]().next(), { code: 'unreachable' })
  t.strictSame(a.told, [], 'nothing of it is told')
  await Promise.all([bed.close(), other.close()])
})

t.test('libp2p: garbage on the port disturbs nobody', async t => {
  const bed = await createBed()
  const [a, b] = [await join(bed, 1), await join(bed, 2)]
  await meet(a, b)
  const port = Number(/tcp\/(\d+)/.exec(a.transport.multiaddrs()[0]!)![1])
  const socket = connectTcp(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(Buffer.alloc(100_000, 'GET / HTTP/1.1\r\n'))
  await new Promise(resolve => socket.on('close', resolve))
  b.transport.send(a.id, Buffer.from('still here'))
  await a.until('sent', told => told.kind === 'sent')
  t.strictSame(a.transport.connected(), [b.id])
  await bed.close()
})

t.test('libp2p: a stranger that has the key and says nothing is put out and reported', async t => {
  const bed = await createBed({ guestMs: 200 })
  const [a, stranger] = [await join(bed, 1), await join(bed, 2)]
  a.transport.setAdmitted(new Set([a.id]))
  const [address] = a.transport.multiaddrs()
  const call = stranger.transport.call({ multiaddr: address! }, 'join', new Uint8Array(), {
    signal: new AbortController().signal,
    timeoutMs: 3000,
  })
  await call[Symbol.asyncIterator]().next()
  await a.until('refused', ({ kind }) => kind === 'refused')
  t.strictSame(a.transport.connected(), [])
  await bed.close()
})

t.test(
  'libp2p: strangers with the key have few connections, and members are not affected',
  async t => {
    const bed = await createBed()
    const [a, b] = [await join(bed, 1), await join(bed, 2)]
    a.transport.setAdmitted(new Set([a.id, b.id]))
    const [address] = a.transport.multiaddrs()
    const options = { signal: new AbortController().signal, timeoutMs: 5000 }
    for (let n = 0; n < GUESTS_MAX; n++) {
      const guest = await join(bed, 10 + n)
      for await (const _ of guest.transport.call(
        { multiaddr: address! },
        'join',
        Buffer.from('x'),
        options,
      ));
    }
    const oneMore = await join(bed, 30)
    const call = oneMore.transport.call({ multiaddr: address! }, 'join', Buffer.from('x'), options)
    await t.rejects(call[Symbol.asyncIterator]().next(), { code: 'unreachable' })
    await meet(a, b)
    t.strictSame(a.transport.connected(), [b.id])
    await bed.close()
  },
)

t.test('libp2p: two nodes that dial each other at once keep one connection', async t => {
  const bed = await createBed()
  const [a, b] = [await join(bed, 1), await join(bed, 2)]
  a.transport.setAdmitted(new Set([a.id, b.id]))
  b.transport.setAdmitted(new Set([a.id, b.id]))
  a.transport.setAddresses(new Map([[b.id, b.transport.multiaddrs()]]))
  b.transport.setAddresses(new Map([[a.id, a.transport.multiaddrs()]]))
  a.transport.redial(b.id)
  b.transport.redial(a.id)
  await Promise.all([
    a.until('up', ({ kind }) => kind === 'connected'),
    b.until('up', ({ kind }) => kind === 'connected'),
  ])
  // Long enough for the second connection to be closed. What was on its way over it may be lost; nothing else, and nothing twice.
  for (let index = 0; index < 25; index++) {
    a.transport.publish('desired', Buffer.from(`a ${index}`))
    b.transport.publish('desired', Buffer.from(`b ${index}`))
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  await b.until('all', told => told.kind === 'published' && told.text === 'a 24')
  await a.until('all', told => told.kind === 'published' && told.text === 'b 24')
  for (const { told } of [a, b]) {
    const texts = told.flatMap(each => (each.kind === 'published' ? [each.text] : []))
    t.equal(new Set(texts).size, texts.length)
    t.ok(texts.length >= 23, `${texts.length} of 25`)
  }
  t.notOk([...a.told, ...b.told].some(({ kind }) => kind === 'disconnected'))
  await bed.close()
})

t.test('libp2p: a listen address in use fails with the reason', async t => {
  const bed = await createBed()
  const a = await join(bed, 1)
  const port = Number(/tcp\/(\d+)/.exec(a.transport.multiaddrs()[0]!)![1])
  await t.rejects(
    startLibp2pTransport({
      cluster: 'test',
      seed: seedOf(2),
      psk: PSK,
      listen: { address: '127.0.0.1', port },
      listener: createRecorder().listener,
    }),
    { message: /EADDRINUSE|listen/ },
  )
  await bed.close()
})
