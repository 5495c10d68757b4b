import t from 'tap'
import { createMemoryNetwork } from '../../src/gossip/memory-transport.ts'
import type { Transport } from '../../src/gossip/transport.ts'
import { createNodeKey } from '../../src/util/keys.ts'
import { join, meet, testTransport, type Bed } from './transport-conformance.ts'

async function createBed(): Promise<Bed & { network: ReturnType<typeof createMemoryNetwork> }> {
  const network = createMemoryNetwork()
  const transports: Transport[] = []
  return {
    network,
    start: async (n, { listener }) => {
      const { node } = createNodeKey(new Uint8Array(32).fill(n))
      const transport = network.start({ node, listener, place: `${n}` })
      transports.push(transport)
      return transport
    },
    close: async () => {
      await Promise.all(transports.map(transport => transport.close()))
    },
  }
}

testTransport(t, 'memory', createBed)

t.test('memory: gossip goes round a cut cable, messages do not', async t => {
  const bed = await createBed()
  const [a, b, c] = [await join(bed, 1), await join(bed, 2), await join(bed, 3)]
  await meet(a, b, c)
  bed.network.cut(a.id, b.id)
  await b.until('down', ({ kind }) => kind === 'disconnected')
  a.transport.send(b.id, Buffer.from('sent'))
  a.transport.publish('desired', Buffer.from('published'))
  await b.until('gossip', told => told.kind === 'published')
  t.notOk(b.told.some(({ kind }) => kind === 'sent'))
  t.equal(a.transport.dropped(), 1)
  b.clear()
  bed.network.heal(a.id, b.id)
  await b.until('up', ({ kind }) => kind === 'connected')
  await bed.close()
})
