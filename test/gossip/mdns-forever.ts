/**
 * A node that knows no address and looks for others by mDNS until it is killed: `mdns-forever.ts N
 * ADDRESS CLUSTER`. Prints a line of JSON for each thing that its transport tells or logs. A process of its
 * own, because it is started in the network of another machine.
 */

import os from 'node:os'
import { startLibp2pTransport } from '../../src/gossip/libp2p-transport.ts'
import { createNodeKey } from '../../src/util/keys.ts'

const [number = '', address = '', cluster = ''] = process.argv.slice(2)
const seedOf = (n: number): Uint8Array => new Uint8Array(32).fill(n)
const admitted = new Set([1, 2].map(n => createNodeKey(seedOf(n)).node))
const tell = (told: object): void => void process.stdout.write(`${JSON.stringify(told)}\n`)

/** The scan of multicast-dns, which is due every five seconds, comes every 20 ms; after ten we tell how often it read the interfaces. */
const SCAN_MS = 5_000
const TICKS = 10
let reads = 0
const { networkInterfaces } = os
os.networkInterfaces = () => {
  if (new Error().stack?.includes('multicast-dns') === true) reads++
  return networkInterfaces()
}
const every = globalThis.setInterval
globalThis.setInterval = ((scan: () => void, ms: number) => {
  if (ms !== SCAN_MS) return every(scan, ms)
  let ticks = 0
  return every(() => {
    scan()
    if (++ticks === TICKS) tell({ reads: String(reads) })
  }, 20)
}) as typeof setInterval

const transport = await startLibp2pTransport({
  cluster,
  seed: seedOf(Number(number)),
  psk: new Uint8Array(32).fill(42),
  listen: { address, port: 0 },
  advertise: address,
  admitted,
  discovery: { mdns: true },
  log: log => tell({ log }),
  listener: {
    onPublished: () => undefined,
    onSent: () => undefined,
    onConnected: connected => tell({ connected }),
    onDisconnected: disconnected => tell({ disconnected }),
    onRefused: refused => tell({ refused }),
    onTurnedAway: turnedAway => tell({ turnedAway }),
    onFound: found => tell({ found }),
    onCall: async function* () {
      yield new Uint8Array()
    },
  },
})
// Whoever is found before the owner first says who is admitted must count: `setAdmitted` is never called.
tell({ self: transport.self })
