import { Readable } from 'node:stream'
import { startLibp2pTransport } from '../../src/gossip/libp2p-transport.ts'
import { DIALS_PER_NODE } from '../../src/gossip/mesh.ts'
import type { Transport, TransportListener } from '../../src/gossip/transport.ts'
import type { BenchRow } from './row.ts'

const NODES = 50
const ROUNDS = 100
const IDLE_MS = 3000
const MESSAGE_BYTES = 300

/**
 * Fifty transports in this one process, on loopback: how long an edit takes to reach the other 49, and what
 * a node costs when nothing happens. All share the CPU, so real clusters are faster.
 */
export async function benchGossip(): Promise<BenchRow[]> {
  const arrivals: ((ms: number) => void)[] = []
  const rssBefore = process.memoryUsage().rss
  const nodes = await startNodes((round, atMs) => arrivals[round]?.(atMs))
  try {
    await connectAll(nodes)
    const cpuBefore = process.cpuUsage()
    await wait(IDLE_MS)
    const { user, system } = process.cpuUsage(cpuBefore)
    const idlePercent = (user + system) / 10 / IDLE_MS / NODES
    const rssMb = (process.memoryUsage().rss - rssBefore) / 1e6 / NODES

    const cpuAtStart = process.cpuUsage()
    const each: number[] = []
    const whole: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const startMs = performance.now()
      let missing = NODES - 1
      const done = Promise.withResolvers<void>()
      arrivals[round] = atMs => {
        each.push(atMs - startMs)
        if (--missing === 0) {
          whole.push(atMs - startMs)
          done.resolve()
        }
      }
      const bytes = Buffer.alloc(MESSAGE_BYTES)
      bytes.writeUInt32BE(round)
      nodes[round % NODES]?.publish('desired', bytes)
      const late = setTimeout(() => done.resolve(), 5000)
      // oxlint-disable-next-line no-await-in-loop -- one edit after the other
      await done.promise
      clearTimeout(late)
    }
    const spent = process.cpuUsage(cpuAtStart)
    const cpuMs = (spent.user + spent.system) / 1000 / ROUNDS
    const lost = ROUNDS * (NODES - 1) - each.length
    return [
      row('gossip, publish → one node, p50', percentile(each, 0.5), 'ms'),
      {
        ...row(`gossip, publish → one node, p99, ${NODES} nodes`, percentile(each, 0.99), 'ms'),
        target: { max: 150 },
        note: 'all nodes in one process',
      },
      row('gossip, publish → all nodes, p50', percentile(whole, 0.5), 'ms'),
      {
        ...row('gossip, publish → all nodes, p99', percentile(whole, 0.99), 'ms'),
        target: { max: 150 },
      },
      { ...row('gossip, lost', lost, 'messages'), target: { max: 0 } },
      {
        ...row(`gossip, CPU of one edit on all ${NODES} nodes`, cpuMs, 'ms'),
        note: 'all copies, signatures and heartbeats together: above 150, the latencies measure this CPU',
      },
      row('gossip, idle CPU of a node', idlePercent, '% of a core'),
      row('gossip, memory of a node', rssMb, 'MB'),
    ]
  } finally {
    await Promise.all(nodes.map(node => node.close()))
  }
}

async function startNodes(onArrival: (round: number, atMs: number) => void): Promise<Transport[]> {
  const listener: TransportListener = {
    onPublished: (_topic, _from, bytes) =>
      onArrival(Buffer.from(bytes).readUInt32BE(), performance.now()),
    onSent: () => undefined,
    onConnected: () => undefined,
    onDisconnected: () => undefined,
    onRefused: () => undefined,
    onCall: () => Readable.from([]),
  }
  return Promise.all(
    Array.from({ length: NODES }, (_, index) =>
      startLibp2pTransport({
        cluster: 'bench',
        seed: new Uint8Array(32).fill(index + 1),
        psk: new Uint8Array(32).fill(1),
        listen: { address: '127.0.0.1', port: 0 },
        listener,
      }),
    ),
  )
}

/** Waits until every node has its connections, and gossipsub's meshes have formed. */
async function connectAll(nodes: readonly Transport[]): Promise<void> {
  const admitted = new Set(nodes.map(({ self }) => self))
  const addresses = new Map(nodes.map(node => [node.self, node.multiaddrs()]))
  for (const node of nodes) node.setAdmitted(admitted)
  const deadlineMs = performance.now() + 120_000
  // One after the other: six hundred handshakes at once on the one CPU they share would run into their time limits.
  for (const node of nodes) {
    node.setAddresses(addresses)
    while (node.connected().length < DIALS_PER_NODE) {
      if (performance.now() > deadlineMs) throw new Error('the nodes did not connect within 120 s')
      // oxlint-disable-next-line no-await-in-loop -- looks again
      await wait(50)
    }
  }
  await wait(3000)
}

function row(name: string, value: number, unit: string): BenchRow {
  return { name, value: Math.round(value * 1000) / 1000, unit }
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

function wait(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
