import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { createCodec } from '../../../src/gossip/liveness/codec.ts'
import { startLiveness, type Liveness } from '../../../src/gossip/liveness/start-liveness.ts'
import type { NodeId } from '../../../src/model/ids.ts'
import type { Verdict } from '../../../src/model/verdict.ts'
import { nodeOfRawKey } from '../../../src/util/keys.ts'

const PSK = Buffer.alloc(32, 7)
const ADDRESS = '127.0.0.1'
const DEADLINE_MS = 15_000

/** A node with its worker, and what it was told. */
interface Peer {
  readonly node: NodeId
  readonly liveness: Liveness
  readonly verdicts: Verdict[]
}

/** Some nodes on loopback that know each other's addresses. Closed when the test ends. */
async function startPeers(t: Tap, count: number): Promise<Peer[]> {
  const starting = Array.from({ length: count }, (_, index) => startPeer(t, index + 1, 1))
  const peers = await Promise.all(starting)
  introduce(peers)
  return peers
}

type Tap = Pick<typeof t, 'teardown' | 'fail'>

async function startPeer(t: Tap, index: number, incarnation: number): Promise<Peer> {
  const node = nodeOfRawKey(Buffer.alloc(32, index))
  const liveness = await startLiveness({
    self: node,
    psk: PSK,
    bind: { address: ADDRESS, port: 0 },
    incarnation,
    preset: 'local',
    onError: error => t.fail(error.message),
  })
  t.teardown(() => liveness.close())
  const verdicts: Verdict[] = []
  liveness.onVerdict(verdict => verdicts.push(verdict))
  return { node, liveness, verdicts }
}

function introduce(peers: readonly Peer[]): void {
  const members = new Map(
    peers.map(({ node, liveness: { port } }) => [node, { address: ADDRESS, port }] as const),
  )
  for (const { liveness } of peers) liveness.setMembers(members)
}

/** What a peer holds of a node now: the last that it was told. */
function held({ verdicts }: Peer, node: NodeId): string | undefined {
  return verdicts.findLast(verdict => verdict.node === node)?.kind
}

/** Waits until every one of `peers` holds `node` for `kind`, by listening to their verdicts. */
async function agree(
  peers: readonly Peer[],
  nodes: readonly NodeId[],
  kind: string,
): Promise<void> {
  const isAgreed = (): boolean =>
    peers.every(peer => nodes.every(node => node === peer.node || held(peer, node) === kind))
  if (isAgreed()) return
  const agreed = Promise.withResolvers<void>()
  const deadline = setTimeout(
    () => agreed.reject(new Error(`Not all hold ${nodes.length} nodes for ${kind}`)),
    DEADLINE_MS,
  )
  for (const { liveness } of peers) {
    liveness.onVerdict(() => {
      if (isAgreed()) agreed.resolve()
    })
  }
  await agreed.promise.finally(() => clearTimeout(deadline))
}

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

  const again = await startPeer(t, 1, 2)
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
  const stranger = createCodec({ self: nodeOfRawKey(Buffer.alloc(32, 9)), psk: PSK })
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
  const one = await startPeer(t, 1, 1)
  const two = await startPeer(t, 2, 1)
  const members = new Map([
    [two.node, { address: ADDRESS, port: two.liveness.port }],
    [nodeOfRawKey(Buffer.alloc(32, 3)), { address: ADDRESS, port: 1 }],
    [nodeOfRawKey(Buffer.alloc(32, 4)), { address: 'name.invalid', port: 7 }],
    [nodeOfRawKey(Buffer.alloc(32, 5)), { address: '::1', port: 7 }],
    [nodeOfRawKey(Buffer.alloc(32, 6)), { address: ADDRESS, port: 70_000 }],
    [nodeOfRawKey(Buffer.alloc(32, 7)), undefined],
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
    self: nodeOfRawKey(Buffer.alloc(32, 1)),
    psk: PSK,
    bind: { address: ADDRESS, port },
    incarnation: 1,
    onError: () => {},
  })
  await t.rejects(starting, {
    message: /Cannot listen for probes on UDP 127\.0\.0\.1 port \d+: .*EADDRINUSE/,
  })
})

t.test('startLiveness() reports a worker that breaks', async t => {
  const broken = Promise.withResolvers<Error>()
  const liveness = await startLiveness({
    self: nodeOfRawKey(Buffer.alloc(32, 1)),
    psk: PSK,
    bind: { address: ADDRESS, port: 0 },
    incarnation: 1,
    onError: broken.resolve,
  })
  t.teardown(() => liveness.close())
  liveness.setMembers(42 as never)
  t.match(await broken.promise, { message: /keys is not a function/ })
  await liveness.leave()
})
