/** What happens to real workers on loopback when something breaks: the worker, the network, the machine, the clock. */

import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as after } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { swimOptions } from '../../../src/gossip/liveness/swim-options.ts'
import type { ProbeAddress } from '../../../src/gossip/liveness/swim-message.ts'
import {
  COUNTERS,
  type FromWorker,
  type WorkerInit,
} from '../../../src/gossip/liveness/worker-protocol.ts'
import type { NodeId } from '../../../src/model/ids.ts'
import type { Verdict } from '../../../src/model/verdict.ts'
import {
  ADDRESS,
  agree,
  DEADLINE_MS,
  held,
  introduce,
  nodeOf,
  PSK,
  startPeer,
  startPeers,
  verdictsUntil,
  type Peer,
  type Tap,
} from './peers.ts'

/** The threads that this process has started, the latest last. */
const workers: Worker[] = []
process.on('worker', worker => workers.push(worker))

/** Waits until something holds that no event tells of, looking again and again. */
async function until(isDone: () => boolean, complaint: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!isDone()) {
    if (performance.now() > deadline) throw new Error(complaint)
    await after(5)
  }
}

t.test('a worker that breaks is started again, and goes on where it was', async t => {
  const peers = (await startPeers(t, 4)) as [Peer, Peer, Peer, Peer]
  const [one, two, ...others] = peers
  const nodes = peers.map(({ node }) => node)
  await agree(peers, nodes, 'alive')
  const { port } = one.liveness
  const brokenOnes = workers.length
  // The first of four was started first; a message that is none breaks it as a fault of ours would.
  // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window.
  workers.at(-4)!.postMessage({ kind: 'members', members: 42 })
  await two.liveness.close() // It dies while nobody here looks.
  await until(() => one.liveness.restarts() === 1, 'it was not started again')
  await agree([one, ...others], [two.node], 'dead')
  await agree([one, ...others], [one.node, ...others.map(({ node }) => node)], 'alive')
  t.equal(workers.length, brokenOnes + 1)
  t.equal(one.liveness.port, port, 'on the same port')
  t.match(one.log, [/worker broke: it is started again in 100 ms/, /runs again/])
  t.notOk(
    others.some(({ verdicts }) =>
      verdicts.some(({ node, kind }) => node === one.node && kind === 'dead'),
    ),
    'nobody missed it',
  )
})

t.test('a worker that is started again finds who died meanwhile by itself', async t => {
  const [one, two] = (await startPeers(t, 2)) as [Peer, Peer]
  await agree([one, two], [one.node, two.node], 'alive')
  await Promise.all([workers.at(-2)!.terminate(), two.liveness.close()])
  await agree([one], [two.node], 'dead')
  t.match(one.log.at(-1), /runs again/, 'not for want of a worker')
})

t.test('without a worker, all others are dead here, until there is one again', async t => {
  const peers = (await startPeers(t, 3)) as [Peer, Peer, Peer]
  const [one, ...others] = peers
  const nodes = peers.map(({ node }) => node)
  await agree(peers, nodes, 'alive')
  const squatter = createSocket('udp4')
  let isSquatted = true
  t.teardown(() => isSquatted && squatter.close())
  await workers.at(-3)!.terminate()
  squatter.bind(one.liveness.port, ADDRESS)
  await once(squatter, 'listening')
  await agree(
    [one],
    others.map(({ node }) => node),
    'dead',
  )
  await agree(others, [one.node], 'dead')
  t.match(one.log.join('\n'), /no liveness worker: all other nodes count as dead/)
  squatter.close()
  isSquatted = false
  await agree(peers, nodes, 'alive')
  t.match(one.log.at(-1), /runs again/)
})

t.test('nodes that no datagram reaches are watched by stream', async t => {
  const peers = new Map<NodeId, Peer>()
  let cut: NodeId | undefined
  const start = async (index: number): Promise<Peer> => {
    const self = nodeOf(index)
    const peer = await startPeer(t, index, {
      stream: async function* carry(to, datagram) {
        if (to === cut || self === cut) throw new Error('no connection')
        yield* (await peers.get(to)?.liveness.takeStream(self, datagram)) ?? []
      },
    })
    peers.set(self, peer)
    return peer
  }
  const all = [await start(1), await start(2), await start(3)] as [Peer, Peer, Peer]
  const [one, two, three] = all
  const nodes = [...peers.keys()]
  const reached: string[] = []
  for (const { node, liveness } of all) {
    liveness.onReached((other, by) => reached.push(`${node} ${other} ${by}`))
  }
  // A firewall: whatever is sent to this socket is never heard of again.
  const hole = createSocket('udp4').bind(0, ADDRESS)
  t.teardown(() => hole.close())
  await once(hole, 'listening')
  const nowhere = { address: ADDRESS, port: hole.address().port }
  for (const { liveness } of all) {
    liveness.setMembers(new Map(nodes.map((node): [NodeId, ProbeAddress] => [node, nowhere])))
  }
  for (const { node, liveness } of all) {
    for (const other of nodes) if (other !== node) liveness.connectionUp(other)
  }
  await agree(all, nodes, 'alive')
  await until(() => reached.length === 6, 'not all say how the others are reached')
  t.ok(all.every(({ liveness }) => liveness.byStream().size === 2))
  t.ok(one.liveness.traffic().streamsReceived > 0)

  cut = three.node
  await agree([one, two], [three.node], 'dead')
  cut = undefined
  await agree(all, nodes, 'alive')

  introduce(all)
  await until(() => all.every(({ liveness }) => liveness.byStream().size === 0), 'streams for ever')
  t.notOk(all.some(peer => held(peer, one.node) === 'dead'))
})

t.test('takeStream() believes only the node at the other end', async t => {
  const [one, two] = (await startPeers(t, 2)) as [Peer, Peer]
  await agree([one, two], [one.node, two.node], 'alive')
  const sent: Uint8Array[] = []
  const three = await startPeer(t, 3, {
    stream: async function* carry(_to, datagram) {
      sent.push(datagram)
      yield new Uint8Array(5000)
    },
  })
  three.liveness.setMembers(new Map([[one.node, undefined]]))
  three.liveness.connectionUp(one.node)
  await until(() => sent.length > 0, 'nothing was sent')
  t.same(await one.liveness.takeStream(two.node, sent[0]!), [])
  t.equal(one.liveness.counters().forged, 1)
  t.same(await one.liveness.takeStream(two.node, new Uint8Array(5000)), [])
  t.same(await one.liveness.takeStream(three.node, new Uint8Array(100)), [])
  t.equal(one.liveness.counters().version, 1)
})

t.test('replayed datagrams change nothing, from wherever they come', async t => {
  const one = await startPeer(t, 1)
  const two = await startPeer(t, 2)
  const seen: Buffer[] = []
  // All that they say goes through this, which keeps a copy.
  const tap = createSocket('udp4').bind(0, ADDRESS)
  const elsewhere = createSocket('udp4').bind(0, ADDRESS)
  t.teardown(() => [tap, elsewhere].forEach(socket => socket.close()))
  await Promise.all([once(tap, 'listening'), once(elsewhere, 'listening')])
  tap.on('message', (datagram, { port }) => {
    seen.push(datagram)
    tap.send(datagram, port === one.liveness.port ? two.liveness.port : one.liveness.port, ADDRESS)
  })
  const address = { address: ADDRESS, port: tap.address().port }
  const members = new Map([one, two].map(({ node }) => [node, address] as const))
  for (const { liveness } of [one, two]) liveness.setMembers(members)
  await agree([one, two], [one.node, two.node], 'alive')
  await until(() => seen.length > 20, 'they do not talk')

  const copies = seen.slice(0, 20)
  const [before, verdicts] = [one.liveness.traffic().received, one.verdicts.length]
  for (const datagram of copies) elsewhere.send(datagram, one.liveness.port, ADDRESS)
  await until(() => one.liveness.traffic().received >= before + 20, 'not received')
  const { replayed, self } = one.liveness.counters()
  t.equal(replayed + self, 20, 'its own are known, too')
  t.equal(one.verdicts.length, verdicts)
})

t.test('a node that is stopped and goes on accuses nobody', async t => {
  const peers = (await startPeers(t, 3)) as [Peer, Peer, Peer]
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'peer-process.ts'), '9', PSK.toString('hex')],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const frozen = nodeOf(9)
  const verdicts: Verdict[] = []
  const port = Promise.withResolvers<number>()
  createInterface({ input: child.stdout }).on('line', line => {
    const said = JSON.parse(line) as { port?: number; verdict?: Verdict }
    if (said.port !== undefined) port.resolve(said.port)
    if (said.verdict !== undefined) verdicts.push(said.verdict)
  })
  const ports = new Map(peers.map(({ node, liveness }) => [node, liveness.port]))
  ports.set(frozen, await port.promise)
  child.stdin.write(`${JSON.stringify([...ports])}\n`)
  const members = new Map(
    Array.from(ports, ([node, one]): [NodeId, ProbeAddress] => [
      node,
      { address: ADDRESS, port: one },
    ]),
  )
  for (const { liveness } of peers) liveness.setMembers(members)
  await agree(peers, [...ports.keys()], 'alive')
  await until(() => verdicts.length === 3, 'it does not see the others')

  child.kill('SIGSTOP')
  await agree(peers, [frozen], 'dead')
  child.kill('SIGCONT')
  await agree(peers, [frozen], 'alive')
  // It goes on to watch: the death of another one is the first thing that it has to say.
  const [gone, ...others] = peers
  await gone.liveness.close()
  await agree(others, [gone.node], 'dead')
  await until(() => verdicts.some(({ kind }) => kind === 'dead'), 'it sees no death')
  t.same(
    verdicts.filter(({ node, kind }) => node !== gone.node && kind !== 'alive'),
    [],
  )
})

t.test('a wall clock that jumps a day, both ways, changes no verdict', async t => {
  const self = nodeOf(9)
  const peers = (await startPeers(t, 2)) as [Peer, Peer]
  const { port, verdicts } = await startJumping(t, self)
  const members = new Map(
    [
      ...peers.map(({ node, liveness }) => [node, liveness.port] as const),
      [self, port] as const,
    ].map(([node, one]): [NodeId, ProbeAddress] => [node, { address: ADDRESS, port: one }]),
  )
  for (const { liveness } of peers) liveness.setMembers(members)
  // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window.
  workers.at(-1)!.postMessage({ kind: 'members', members })
  await agree(peers, [...members.keys()], 'alive')
  const [one] = peers
  const from = one.liveness.traffic().received
  await until(() => one.liveness.traffic().received > from + 30, 'nothing was said')
  const wrong = [...peers.flatMap(peer => peer.verdicts), ...verdicts].filter(
    ({ kind }) => kind !== 'alive',
  )
  t.same(wrong, [])
  await one.liveness.close()
  await verdictsUntil(
    [peers[1]],
    () => held(peers[1], one.node) === 'dead',
    'deaths are not seen any more',
  )
})

/** The worker of a node whose wall clock is a day ahead or behind, in turn, whenever it is read. */
async function startJumping(
  t: Tap,
  self: NodeId,
): Promise<{ readonly port: number; readonly verdicts: readonly Verdict[] }> {
  const init: WorkerInit = {
    self,
    psk: PSK,
    bind: { address: ADDRESS, port: 0 },
    incarnation: 1,
    options: swimOptions('local'),
    seed: undefined,
    counters: new SharedArrayBuffer(COUNTERS.length * Float64Array.BYTES_PER_ELEMENT),
  }
  const worker = new Worker(new URL('jumping-worker.ts', import.meta.url), { workerData: init })
  t.teardown(() => worker.terminate())
  const verdicts: Verdict[] = []
  const listening = Promise.withResolvers<number>()
  worker.on('error', listening.reject)
  worker.on('message', (message: FromWorker) => {
    if (message.kind === 'listening') listening.resolve(message.port)
    if (message.kind === 'verdict') verdicts.push(message.verdict)
  })
  return { port: await listening.promise, verdicts }
}
