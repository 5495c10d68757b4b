/**
 * Finding nodes that know no address of each other, through a hyperswarm DHT.
 *
 * The topic is a hash that only holders of the cluster's key can compute, but whoever watches the
 * DHT sees it and can connect to whoever announced it. So nothing is said before the other side has proved
 * that it knows the key: each sends a random nonce; each answers with an HMAC, under a key derived
 * from the cluster's, over its role, both nonces and the hash of the encrypted channel's handshake
 * (so that a proof cannot be relayed to another channel). Only then node ids and addresses are exchanged. That a
 * node has the id that it claims is proved later, when libp2p dials it.
 *
 * @module
 */

import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { SwarmStream } from 'hyperswarm'
import { z } from 'zod'
import type { NodeId } from '../model/ids.ts'
import { backoffMs } from '../util/backoff.ts'
import { fromBytes, toBytes } from '../util/bytes.ts'
import { isNodeId } from '../util/keys.ts'

/** Options for {@link startDhtDiscovery}. */
export interface DhtDiscoveryOptions {
  readonly psk: Uint8Array
  readonly self: NodeId
  /** Where this node can be dialled, asked for at each meeting. */
  readonly multiaddrs: () => string[]
  /** `host:port`s of the DHT's first nodes. @default the public network's */
  readonly bootstrap?: readonly string[]
  /** Address to bind the DHT's UDP socket to. @default all interfaces */
  readonly host?: string
  /** Told for each node that proved the key. */
  readonly onFound: (node: NodeId, multiaddrs: readonly string[]) => void
  readonly log: (line: string) => void
}

/** Announces and looks for the cluster's topic until closed. */
export interface DhtDiscovery {
  close(): Promise<void>
}

const NONCE_BYTES = 32
const PROOF_BYTES = 32
const HELLO_BYTES_MAX = 8192
/** Four short messages. Of two connections that both ends make at once one may lie dead, and who joins has twenty seconds for all its tries. */
const MEETING_MS = 3_000
const CONNECTIONS_MAX = 64
// Hyperswarm looks once and then every 10 min: two nodes that start together would miss each other until then.
const LOOK = { initialMs: 1000, factor: 2, maxMs: 600_000 }
const ROLES = { server: true, client: true }

const hello = z.strictObject({
  node: z.string().refine(isNodeId),
  multiaddrs: z.array(z.string().max(256)).max(16),
})

/**
 * Joins the cluster's topic as both announcer and seeker. The code of hyperswarm is loaded only here.
 *
 * @throws {Error} When hyperswarm cannot open its UDP socket.
 */
export async function startDhtDiscovery(options: DhtDiscoveryOptions): Promise<DhtDiscovery> {
  const { log } = options
  const { bootstrap, host } = options
  const [{ default: HyperDht }, { default: Hyperswarm }] = await Promise.all([
    import('hyperdht'),
    import('hyperswarm'),
  ])
  // The swarm closes the DHT with itself.
  const dht = new HyperDht({ bootstrap, host })
  const swarm = new Hyperswarm({ dht, maxPeers: CONNECTIONS_MAX })
  const topic = Buffer.from(derive(options.psk, 'topic'))
  let looked = 0
  let timer: NodeJS.Timeout | undefined

  /** Looks again, ever more seldom, until somebody is found. */
  function lookAgain(): void {
    timer = setTimeout(
      () => {
        session.refresh(ROLES).catch((cause: unknown) => {
          log(
            `The DHT cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`,
          )
        })
        lookAgain()
      },
      backoffMs(++looked, LOOK),
    )
  }
  const onFound: DhtDiscoveryOptions['onFound'] = (node, addresses) => {
    clearTimeout(timer)
    options.onFound(node, addresses)
  }

  swarm.on('connection', (stream, { client }) => {
    // Errors end the meeting below; a stream without a listener would end the process.
    stream.on('error', () => undefined)
    meet(stream, client, { ...options, onFound }).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      log(`Somebody on the DHT did not prove the cluster's key: ${why}`)
      stream.destroy()
    })
  })
  const session = swarm.join(topic, ROLES)
  lookAgain()
  return {
    close: () => {
      clearTimeout(timer)
      return swarm.destroy()
    },
  }
}

/** Proves the key to each other, then exchanges ids and addresses; the connection stays open, so that it is not made again. */
async function meet(
  stream: SwarmStream,
  client: boolean,
  { psk, self, multiaddrs, onFound }: DhtDiscoveryOptions,
): Promise<void> {
  const timer = setTimeout(() => stream.destroy(new Error('it took too long')), MEETING_MS)
  try {
    const read = createReader(stream)
    const mine = randomBytes(NONCE_BYTES)
    write(stream, mine)
    const theirs = await read(NONCE_BYTES)
    const channel = stream.handshakeHash
    if (theirs.length !== NONCE_BYTES || channel === null) throw new Error('it sent no nonce')
    const [first, second] = client ? [mine, theirs] : [theirs, mine]
    const proof = (role: string): Buffer =>
      createHmac('sha256', derive(psk, 'proof'))
        .update(Buffer.concat([Buffer.from(role), first, second, channel]))
        .digest()
    write(stream, proof(client ? 'client' : 'server'))
    const answer = await read(PROOF_BYTES)
    const expected = proof(client ? 'server' : 'client')
    if (answer.length !== PROOF_BYTES || !timingSafeEqual(answer, expected)) {
      throw new Error('its proof is wrong')
    }
    write(stream, toBytes({ node: self, multiaddrs: multiaddrs() }))
    const { node, multiaddrs: found } = hello.parse(fromBytes(await read(HELLO_BYTES_MAX)))
    onFound(node, found)
    stream.resume()
  } finally {
    clearTimeout(timer)
  }
}

/** A key for one purpose, from which nothing can be learnt of the cluster's key or of the others (HKDF, RFC 5869). */
function derive(psk: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', psk, 'shoal dht 1', purpose, 32))
}

function write(stream: Duplex, bytes: Uint8Array): void {
  const header = Buffer.alloc(2)
  header.writeUInt16BE(bytes.length)
  stream.write(Buffer.concat([header, bytes]))
}

/** Reads messages that are preceded by their length, two bytes. */
function createReader(stream: Duplex): (bytesMax: number) => Promise<Buffer> {
  let waiting = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    waiting = Buffer.concat([waiting, chunk])
    // More than all messages of a meeting together: it is not one of us.
    if (waiting.length > 2 * HELLO_BYTES_MAX) stream.destroy(new Error('it talks too much'))
  })
  const have = async (bytes: number): Promise<void> => {
    while (waiting.length < bytes) {
      if (stream.destroyed) throw new Error('it hung up')
      // oxlint-disable-next-line no-await-in-loop -- waits for more
      await Promise.race([once(stream, 'data'), once(stream, 'close')])
    }
  }
  return async bytesMax => {
    await have(2)
    const length = waiting.readUInt16BE(0)
    if (length > bytesMax) throw new Error('its message is too long')
    await have(2 + length)
    const message = waiting.subarray(2, 2 + length)
    waiting = waiting.subarray(2 + length)
    return message
  }
}
