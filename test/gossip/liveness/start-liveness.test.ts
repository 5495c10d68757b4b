import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { createCodec } from '../../../src/gossip/liveness/codec.ts'
import { startLiveness } from '../../../src/gossip/liveness/start-liveness.ts'
import {
  ADDRESS,
  agree,
  DEADLINE_MS,
  introduce,
  nodeOf,
  PSK,
  startPeer,
  startPeers,
  type Peer,
} from './peers.ts'

t.test('startLiveness() finds who is there, who dies, who leaves and who returns', async t => {
  const peers = await startPeers(t, 5)
  const nodes = peers.map(({ node }) => node)
  await agree(peers, nodes, 'alive')

  const [first, second, ...others] = peers as [Peer, Peer, ...Peer[]]
  await first.liveness.close()
  await agree([second, ...others], [first.node], 'dead')

  await second.liveness.leave()
  await agree(others, [second.node], 'left')
  await second.liveness.close()

  const again = await startPeer(t, 1, { incarnation: 2 })
  introduce([again, ...others])
  await agree([again, ...others], [again.node, ...others.map(({ node }) => node)], 'alive')
  t.ok(again.liveness.traffic().received > 0)
})

t.test('startLiveness() answers while the main thread is stalled', async t => {
  const peers = await startPeers(t, 5)
  await agree(
    peers,
    peers.map(({ node }) => node),
    'alive',
  )
  const before = peers.map(({ liveness }) => liveness.traffic().received)
  // The worker threads run on; nothing of this thread does, as in a long computation.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000)
  for (const [index, { liveness }] of peers.entries()) {
    const received = liveness.traffic().received - before[index]!
    t.ok(received >= 10, `${received} datagrams were received meanwhile`)
  }
  // Verdicts that were given meanwhile are delivered before the answer to this.
  await Promise.all(peers.map(({ liveness }) => liveness.leave()))
  const deaths = peers.flatMap(({ verdicts }) => verdicts.filter(({ kind }) => kind === 'dead'))
  t.same(deaths, [])
})

t.test('startLiveness() drops what is not for it, counts it, and goes on', async t => {
  const [one, two] = (await startPeers(t, 2)) as [Peer, Peer]
  await agree([one, two], [one.node, two.node], 'alive')
  const socket = createSocket('udp4')
  t.teardown(() => socket.close())
  const stranger = createCodec({ self: nodeOf(9), psk: PSK })
  const other = createCodec({ self: two.node, psk: Buffer.alloc(32, 8) })
  const probe = { kind: 'probe', seq: 1, incarnation: 1, updates: [] } as const
  const good = stranger.seal(probe)
  for (const datagram of [Buffer.alloc(2000), Buffer.from('hi'), good, good, other.seal(probe)]) {
    socket.send(datagram, one.liveness.port, ADDRESS)
  }
  const expected = { oversized: 1, truncated: 1, stranger: 1, replayed: 1, forged: 1 }
  const deadline = performance.now() + DEADLINE_MS
  while (one.liveness.counters().forged < 1 && performance.now() < deadline) await nextTurn()
  t.match(one.liveness.counters(), expected)
  await two.liveness.leave()
  await agree([one], [two.node], 'left')
})

t.test('startLiveness() survives members that cannot be reached or sent to', async t => {
  const one = await startPeer(t, 1)
  const two = await startPeer(t, 2)
  const members = new Map([
    [two.node, { address: ADDRESS, port: two.liveness.port }],
    [nodeOf(3), { address: ADDRESS, port: 1 }],
    [nodeOf(4), { address: 'name.invalid', port: 7 }],
    [nodeOf(5), { address: '::1', port: 7 }],
    [nodeOf(6), { address: ADDRESS, port: 70_000 }],
    [nodeOf(7), undefined],
  ])
  one.liveness.setMembers(members)
  two.liveness.setMembers(new Map([[one.node, undefined]])) // It learns the address from the probe.
  await agree([one], [two.node], 'alive')
  await agree([two], [one.node], 'alive')
  t.ok(one.liveness.traffic().sendErrors >= 2)
})

t.test('startLiveness() says clearly when it cannot listen', async t => {
  const socket = createSocket('udp4').bind(0, ADDRESS)
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  const { port } = socket.address()
  const starting = startLiveness({
    self: nodeOf(1),
    psk: PSK,
    bind: { address: ADDRESS, port },
    incarnation: 1,
    log: () => {},
  })
  await t.rejects(starting, {
    message: /Cannot listen for probes on UDP 127\.0\.0\.1 port \d+: .*EADDRINUSE/,
  })
})
