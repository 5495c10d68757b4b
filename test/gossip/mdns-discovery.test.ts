import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import t from 'tap'
import { startLibp2pTransport } from '../../src/gossip/libp2p-transport.ts'
import type { NodeId } from '../../src/model/ids.ts'
import { createNodeKey } from '../../src/util/keys.ts'
import { createRecorder, type Recorder } from './recorder.ts'

const seedOf = (n: number): Uint8Array => new Uint8Array(32).fill(n)
const admitted = new Set<NodeId>([1, 2].map(n => createNodeKey(seedOf(n)).node))

async function start(n: number, recorder: Recorder, log?: (line: string) => void) {
  return startLibp2pTransport({
    cluster: 'mdns-test',
    seed: seedOf(n),
    psk: new Uint8Array(32).fill(42),
    listen: { address: '127.0.0.1', port: 0 },
    advertise: '127.0.0.1',
    admitted,
    listener: recorder.listener,
    ...(log !== undefined && { log }),
    discovery: { mdns: true },
  })
}

/** Multicast to oneself works here. */
async function hasMulticast(): Promise<boolean> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  try {
    socket.bind(5353)
    await once(socket, 'listening', { signal: AbortSignal.timeout(1000) })
    socket.addMembership('224.0.0.251', '127.0.0.1')
    socket.setMulticastLoopback(true)
    const heard = once(socket, 'message', { signal: AbortSignal.timeout(1000) })
    socket.send('?', 5353, '224.0.0.251')
    await heard
    return true
  } catch {
    return false
  } finally {
    socket.close()
  }
}

t.test('mdns: two nodes on a LAN find each other without an address', async t => {
  if (!(await hasMulticast())) {
    t.comment('SKIPPED: multicast does not reach this machine itself')
    return t.skip('no multicast here')
  }
  const [first, second] = [createRecorder(), createRecorder()]
  const a = await start(1, first)
  a.setAdmitted(admitted)
  const b = await start(2, second)
  b.setAdmitted(admitted)
  await second.until('found', told => told.kind === 'found' && told.node === a.self)
  await second.until('connected', ({ kind }) => kind === 'connected')
  await Promise.all([a.close(), b.close()])
})

t.test('mdns: where it cannot work, the node says so once and goes on', async t => {
  // Somebody has the port and does not share it.
  const holder = createSocket({ type: 'udp4', reuseAddr: false })
  holder.bind(5353)
  try {
    await Promise.race([once(holder, 'listening'), once(holder, 'error')])
  } catch {
    holder.close()
    return t.skip('port 5353 is in use')
  }
  const lines: string[] = []
  const logged = Promise.withResolvers<void>()
  const node = await start(1, createRecorder(), line => {
    lines.push(line)
    logged.resolve()
  })
  await logged.promise
  t.match(lines, [/^mDNS discovery does not work here \(.*\)/])
  t.ok(node.multiaddrs().length > 0)
  await node.close()
  holder.close()
})
