import { createHash } from 'node:crypto'
import { gossipsub, type GossipSub, type Message } from '@chainsafe/libp2p-gossipsub'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify, type Identify } from '@libp2p/identify'
import type { ConnectionGater, Libp2p, PeerId } from '@libp2p/interface'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { gateRegistrar, type GatedRegistrar } from './gated-registrar.ts'
import { PUBLISH_BYTES_MAX } from './transport.ts'

/** Length of a cluster's pre-shared key, in bytes. */
export const PSK_BYTES = 32

/** What a libp2p node is made from. */
export interface Libp2pNodeOptions {
  readonly seed: Uint8Array
  readonly psk: Uint8Array
  readonly listen: { readonly address: string; readonly port: number }
  /** Multiaddrs to tell others; none: those listened on. */
  readonly announce: readonly string[]
  readonly isAdmitted: (peer: PeerId) => boolean
  readonly gater: ConnectionGater
}

type Services = { readonly identify: Identify; readonly gossip: GossipSub }

/** A libp2p node with only what a cluster needs. */
export interface Libp2pNode {
  readonly libp2p: Libp2p<Services>
  /** Tells gossipsub whom to gossip with. */
  readonly gate: GatedRegistrar
  /** libp2p's own parts, for discovery services that are started later. */
  readonly components: Parameters<ReturnType<typeof identify>>[0]
}

/**
 * Makes libp2p, not yet started: TCP, the pre-shared key (without it not one byte is understood), noise, yamux, identify and
 * gossipsub. No DHT, relay, ping or automatic dialling: the transport decides every connection, and an idle
 * node sends nothing but yamux's keep-alive.
 */
export async function createLibp2pNode(options: Libp2pNodeOptions): Promise<Libp2pNode> {
  let gate: GatedRegistrar | undefined
  let components: Libp2pNode['components'] | undefined
  const libp2p = await createLibp2p<Services>({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', options.seed),
    addresses: {
      listen: [tcpMultiaddr(options.listen.address, options.listen.port)],
      announce: [...options.announce],
    },
    transports: [tcp({ listenOpts: { noDelay: true }, dialOpts: { noDelay: true } })],
    connectionProtector: preSharedKey({ psk: pskFile(options.psk) }),
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        // Smaller than what a paused stream may hold (4 MiB), so that a slow reader holds its writer back instead of losing it.
        streamOptions: { maxStreamWindowSize: 1024 * 1024 },
        // Before TCP's own end of idle connections (2 minutes) and that of NATs; not oftener, for each ping wakes two nodes twice.
        keepAliveInterval: 55_000,
      }),
    ],
    connectionGater: options.gater,
    connectionManager: {
      maxConnections: 1024,
      maxParallelDials: 8,
      // Generous: a starved machine that is cut off in the middle of a handshake only has to begin again.
      dialTimeout: 15_000,
      addressDialTimeout: 6000,
      inboundUpgradeTimeout: 10_000,
      // A whole cluster may sit behind one address (NAT, lab, test) and come back at once.
      inboundConnectionThreshold: 256,
      maxIncomingPendingConnections: 64,
    },
    // Liveness has its own prober; pinging every connection besides would be most of an idle node's traffic.
    connectionMonitor: { enabled: false },
    services: {
      identify: parts => {
        components = parts
        // Run for admitted peers only, by the transport.
        return identify({ runOnConnectionOpen: false })(parts)
      },
      gossip: parts => {
        gate = gateRegistrar(parts.registrar, options.isAdmitted)
        const { privateKey, peerId, peerStore, connectionManager, logger } = parts
        const { registrar } = gate
        return createGossip({ privateKey, peerId, peerStore, connectionManager, logger, registrar })
      },
    },
  })
  if (gate === undefined || components === undefined) throw new Error('libp2p made no services')
  return { libp2p, gate, components }
}

const createGossip = gossipsub({
  globalSignaturePolicy: 'StrictSign',
  // As anti-entropy. What a beat repairs, a mesh that lost a neighbour or a message, that repairs too; each one wakes an idle node.
  heartbeatInterval: 2000,
  emitSelf: false,
  // To all neighbours at once: news crosses a cluster in one hop, and neighbours are bounded by the mesh.
  floodPublish: true,
  // Since the author floods, forwarding is only for who is two hops away or missed it: half the usual copies do.
  D: 4,
  Dlo: 3,
  Dhi: 6,
  Dscore: 2,
  Dout: 1,
  Dlazy: 4,
  fallbackToFloodsub: false,
  allowPublishToZeroTopicPeers: true,
  ignoreDuplicatePublishError: true,
  doPX: false,
  tagMeshPeers: false,
  msgIdFn: messageId,
  // Peers are admitted by key, not by behaviour: a whole cluster behind one address, or a slow member, is no
  // attack, and a negative score would stop its messages silently.
  scoreParams: {
    IPColocationFactorWeight: 0,
    behaviourPenaltyWeight: 0,
    // Nothing scores, so nothing has to decay each second; dead peers' entries go within this.
    decayInterval: 60_000,
  },
  maxInboundDataLength: PUBLISH_BYTES_MAX + 64 * 1024,
  // A neighbour that takes nothing is disconnected before more than this waits for it; anti-entropy repairs it.
  maxOutboundBufferSize: 16 * 1024 * 1024,
  maxInboundStreams: 4,
  maxOutboundStreams: 4,
  maxTopicBytesPerPeer: 16 * 1024,
  decodeRpcLimits: {
    maxSubscriptions: 16,
    maxMessages: 1024,
    maxIhaveMessageIDs: 5000,
    maxIwantMessageIDs: 5000,
    maxIdontwantMessageIDs: 512,
    maxControlMessages: 1024,
    maxPeerInfos: 16,
  },
})

/**
 * A message's id is the hash of its whole content: author, sequence number, topic and data. The usual id (author and
 * number) would let a faulty member send different messages under one id, and each node keep another one.
 */
function messageId(message: Message): Uint8Array {
  const hash = createHash('sha256')
  if (message.type === 'signed') {
    hash.update(`${message.from.toString()} ${message.sequenceNumber} `)
  }
  return hash.update(`${message.topic} `).update(message.data).digest().subarray(0, 20)
}

/** The key in the form of a swarm key file, which libp2p reads (libp2p specs, pnet/Private-Networks-PSK-V1). */
function pskFile(psk: Uint8Array): Uint8Array {
  if (psk.length !== PSK_BYTES) {
    throw new RangeError(`A cluster's key has ${PSK_BYTES} bytes, got ${psk.length}`)
  }
  return Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${Buffer.from(psk).toString('hex')}\n`)
}

/** The multiaddr of a TCP port at an IPv4 or IPv6 address, or at a host name. */
export function tcpMultiaddr(address: string, port: number): string {
  const kind = address.includes(':') ? 'ip6' : /^[\d.]+$/.test(address) ? 'ip4' : 'dns'
  return `/${kind}/${address}/tcp/${port}`
}
