import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub'
import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { NodeId } from '../model/ids.ts'
import { createNodeKey, isNodeId } from '../util/keys.ts'
import { answerOver, requestOver } from './call-stream.ts'
import { createDialer } from './dialer.ts'
import { startDiscovery, type DiscoveryOptions } from './discovery.ts'
import { createGuests, GUEST_MS } from './guests.ts'
import { createLibp2pNode, tcpMultiaddr } from './libp2p-node.ts'
import { createLinks } from './links.ts'
import { createRateLimit } from './rate-limit.ts'
import { receiveOver, refuseOver, SEND_PROTOCOL } from './send-stream.ts'
import {
  JOIN_SERVICE,
  PUBLISH_BYTES_MAX,
  SEND_BYTES_MAX,
  TransportError,
  type Topic,
  type Transport,
  type TransportListener,
} from './transport.ts'

/** Options for {@link startLibp2pTransport}. */
export interface Libp2pTransportOptions {
  /** The cluster's id. Part of the topics' names, and hashed into what mDNS announces. */
  readonly cluster: string
  /** The node's Ed25519 seed, 32 bytes: its id follows from it. */
  readonly seed: Uint8Array
  /** The cluster's pre-shared key, 32 bytes. */
  readonly psk: Uint8Array
  /** Where to listen. Port 0 takes a free one. */
  readonly listen: { readonly address: string; readonly port: number }
  /** The address or host name that others reach this node at. @default the addresses listened on */
  readonly advertise?: string
  /** Who is admitted from the start, so that nobody is turned away before the first `setAdmitted`. @default nobody */
  readonly admitted?: ReadonlySet<NodeId>
  readonly listener: TransportListener
  /** Gets one line for what an operator should know. @default nothing is logged */
  readonly log?: (line: string) => void
  /** @default neither mDNS nor DHT */
  readonly discovery?: DiscoveryOptions
  /** How long a connection of a node that is not admitted may live, in milliseconds. @default 10,000 */
  readonly guestMs?: number
}

/** The protocol of calls. A later version that reads differently gets another number, and both are offered. */
const CALL_PROTOCOL = '/shoal/call/1'
const TOPICS_VERSION = 1
const TOPICS: readonly Topic[] = ['desired', 'observed']
/** Calls that are answered at once, for all and for one node; more are told to try again. */
const CALLS_MAX = 256
const CALLS_PER_NODE_MAX = 32
/** A join request is a token and a few addresses. */
const GUEST_BODY_BYTES_MAX = 64 * 1024
/** The same node is reported as refused, or as refusing, at most this often, in milliseconds. */
const REPORT_MS = 60_000
/** A node counts as connected when its subscriptions are here, or after this. */
const ARRIVAL_MS = 2000
/** After a call to a node that is not admitted, its connection stays for the admission that may follow. */
const AFTER_CALL_MS = 5000
const NOT_ADMITTED = 'it has the key of the cluster but is not admitted: it must join with a token'
const NOT_ADMITTED_HERE = 'this node does not have you among the admitted nodes'

/**
 * Starts a transport over libp2p (TCP, noise, yamux, gossipsub).
 *
 * Three rings keep strangers out. Who has not the pre-shared key cannot speak at all. Who has it but is not admitted may
 * keep a short connection and make a `join` call; gossipsub and the other protocols do not see it. Who is admitted *here*
 * is welcomed by {@link receiveOver}'s greeting, and only then does the other side count it as connected, so that two nodes
 * that disagree for a moment about an admission neither lose gossip nor suspect each other.
 *
 * @throws {Error} When the address cannot be listened on.
 */
export async function startLibp2pTransport(options: Libp2pTransportOptions): Promise<Transport> {
  const { listener, cluster, listen, advertise } = options
  const log = options.log ?? (() => undefined)
  const self = createNodeKey(options.seed).node
  const closed = new AbortController()
  const guests = createGuests()
  const mayReport = createRateLimit(REPORT_MS)
  const callsOf = new Map<string, number>()
  // Nodes that are not admitted and that a call is connecting to; a nameless dial counts as ''.
  const visiting = new Map<string, number>()
  // Welcomed, but gossip does not flow yet; and nodes that were told as connected.
  const arriving = new Map<NodeId, NodeJS.Timeout>()
  const arrived = new Set<NodeId>()
  let admitted: ReadonlySet<NodeId> = new Set(options.admitted)
  let calls = 0
  let unconnected = 0

  function admittedId(peer: PeerId): NodeId | undefined {
    const id = peer.toString()
    return isAdmitted(id) ? id : undefined
  }
  function isAdmitted(id: string): id is NodeId {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- asks whether it is one
    return admitted.has(id as NodeId)
  }
  const mayStay = (peer: PeerId): boolean =>
    isAdmitted(peer.toString()) || visiting.has(peer.toString()) || visiting.has('')

  const { libp2p, gate, components } = await createLibp2pNode({
    seed: options.seed,
    psk: options.psk,
    listen,
    announce:
      advertise === undefined || listen.port === 0 ? [] : [tcpMultiaddr(advertise, listen.port)],
    isAdmitted: peer => isAdmitted(peer.toString()),
    gater: {
      denyDialPeer: peer => !mayStay(peer),
      denyOutboundEncryptedConnection: peer => !mayStay(peer),
      denyInboundEncryptedConnection: peer => !mayStay(peer) && !guests.hasRoom(),
    },
  })
  const gossip = libp2p.services.gossip

  const dialer = createDialer({
    self,
    dial: (node, addresses) => libp2p.dial(dialable(node, addresses)),
    isConnected: node =>
      libp2p.getConnections(peerIdFromString(node)).some(({ status }) => status === 'open'),
    random: Math.random,
  })
  // Whoever discovery finds before the owner speaks is not found again for minutes: it must count.
  dialer.setAdmitted(admitted)
  const links = createLinks({
    self,
    random: Math.random,
    onWelcome: (node, connection, first) => {
      dialer.welcomed(node)
      gate.admit(connection.remotePeer, connection)
      if (!first) {
        if (arrived.has(node)) listener.onConnected(node)
        return
      }
      // What it tells (version, addresses) is for humans with debug logs; its failing is no news.
      libp2p.services.identify.identify(connection).catch(() => undefined)
      arriving.set(
        node,
        setTimeout(() => arrive(node), ARRIVAL_MS),
      )
    },
    onDown: node => {
      gate.evict(peerIdFromString(node))
      dialer.lost(node)
      clearTimeout(arriving.get(node))
      arriving.delete(node)
      if (arrived.delete(node)) listener.onDisconnected(node)
    },
    onRefused: (node, reason) => {
      if (mayReport(`by ${node}`, Date.now())) listener.onTurnedAway?.(node, reason)
    },
  })

  /** From now on what is published and sent reaches `node`. */
  function arrive(node: NodeId): void {
    if (!arriving.has(node)) return
    clearTimeout(arriving.get(node))
    arriving.delete(node)
    arrived.add(node)
    listener.onConnected(node)
  }
  gossip.addEventListener('subscription-change', ({ detail: { peerId } }) => {
    const node = admittedId(peerId)
    if (node !== undefined) arrive(node)
  })

  function report(peer: PeerId): void {
    const node = peer.toString()
    if (isNodeId(node) && mayReport(node, Date.now())) listener.onRefused(node, NOT_ADMITTED)
  }

  function onOpen({ detail: connection }: CustomEvent<Connection>): void {
    if (closed.signal.aborted) return
    const node = admittedId(connection.remotePeer)
    if (node !== undefined) links.add(node, connection)
    else {
      const ms = options.guestMs ?? GUEST_MS
      guests.add(connection, ms, () => {
        if (connection.direction === 'inbound') report(connection.remotePeer)
      })
    }
  }
  function onClose({ detail: connection }: CustomEvent<Connection>): void {
    guests.remove(connection)
    links.remove(connection)
    // Strangers leave nothing behind in libp2p's peer store.
    if (admittedId(connection.remotePeer) === undefined) {
      libp2p.peerStore.delete(connection.remotePeer).catch(() => undefined)
    }
  }
  libp2p.addEventListener('connection:open', onOpen)
  libp2p.addEventListener('connection:close', onClose)

  await libp2p.handle(
    SEND_PROTOCOL,
    async (stream, connection) => {
      const node = admittedId(connection.remotePeer)
      if (node !== undefined) {
        links.welcomedBy(node)
        await receiveOver(stream, closed.signal, bytes => {
          if (admitted.has(node)) listener.onSent(node, bytes)
        })
        return
      }
      await refuseOver(stream, NOT_ADMITTED_HERE)
      // A connection that we made, to join, is not ended by the other side's being quicker to admit.
      if (connection.direction === 'outbound' || isAdmitted(connection.remotePeer.toString()))
        return
      report(connection.remotePeer)
      connection.abort(new Error('not admitted'))
    },
    { maxInboundStreams: 4, maxOutboundStreams: 4 },
  )

  await libp2p.handle(
    CALL_PROTOCOL,
    async (stream, connection) => {
      const peer = connection.remotePeer.toString()
      const limit = isAdmitted(peer) ? CALLS_PER_NODE_MAX : 1
      const bodyMax = isAdmitted(peer) ? SEND_BYTES_MAX : GUEST_BODY_BYTES_MAX
      const ofPeer = callsOf.get(peer) ?? 0
      const busy = ofPeer >= limit || calls >= CALLS_MAX
      callsOf.set(peer, ofPeer + 1)
      calls++
      try {
        await answerOver(stream, bodyMax, closed.signal, ({ service, body }, signal) => {
          if (busy) throw new Error('busy with other calls: try again in a moment')
          if (!isNodeId(peer)) throw new Error('nodes have Ed25519 keys')
          const known = isAdmitted(peer)
          if (!known && service !== JOIN_SERVICE) {
            report(connection.remotePeer)
            throw new Error(NOT_ADMITTED_HERE)
          }
          return listener.onCall({ from: peer, admitted: known, service, body }, signal)
        })
      } finally {
        calls--
        const left = (callsOf.get(peer) ?? 1) - 1
        if (left > 0) callsOf.set(peer, left)
        else callsOf.delete(peer)
      }
    },
    { maxInboundStreams: CALLS_PER_NODE_MAX + 8, maxOutboundStreams: CALLS_MAX },
  )

  const topicName = (topic: Topic): string => `shoal/${cluster}/${TOPICS_VERSION}/${topic}`
  await libp2p.start()
  for (const topic of TOPICS) {
    gossip.subscribe(topicName(topic))
    // The author must be admitted too, not only the neighbour that hands its message on. Ignored
    // rather than rejected: a neighbour that has heard of an admission before us did nothing wrong.
    gossip.topicValidators.set(topicName(topic), (_peer, message) =>
      message.type === 'signed' && isAdmitted(message.from.toString())
        ? TopicValidatorResult.Accept
        : TopicValidatorResult.Ignore,
    )
  }
  gossip.addEventListener('message', ({ detail: message }) => {
    const topic = TOPICS.find(name => topicName(name) === message.topic)
    if (topic === undefined || message.type !== 'signed') return
    const from = admittedId(message.from)
    if (from !== undefined && from !== self) listener.onPublished(topic, from, message.data)
  })

  function multiaddrs(): string[] {
    const own = libp2p.getMultiaddrs().map(address => address.toString())
    if (advertise === undefined) return own
    const port = own.map(address => /\/tcp\/(\d+)/.exec(address)?.[1]).find(Boolean) ?? listen.port
    return [`${tcpMultiaddr(advertise, Number(port))}/p2p/${self}`]
  }

  function found(node: NodeId, addresses: readonly string[]): void {
    if (node === self || closed.signal.aborted) return
    dialer.found(node, addresses)
    listener.onFound?.(node, addresses)
  }
  const discovery = await startDiscovery({
    ...options.discovery,
    cluster,
    psk: options.psk,
    self,
    host: listen.address,
    components,
    multiaddrs,
    onFound: found,
    log,
  })

  /** A connection to make a call on: an open one, or a new one. */
  async function connect(to: NodeId | { readonly multiaddr: string }, signal: AbortSignal) {
    if (typeof to !== 'string') return libp2p.dial(multiaddr(to.multiaddr), { signal })
    const connection = links.connectionOf(to)
    if (connection !== undefined) return connection
    const addresses = dialable(to, dialer.addressesOf(to))
    if (addresses.length === 0) throw new Error('no address of it is known')
    return libp2p.dial(addresses, { signal })
  }

  async function* call(
    ...[to, service, body, { signal, timeoutMs }]: Parameters<Transport['call']>
  ): AsyncGenerator<Uint8Array, void, undefined> {
    if (body.length > SEND_BYTES_MAX)
      throw new RangeError(`A call of ${body.length} bytes is too large`)
    const who = typeof to === 'string' ? to : to.multiaddr
    const guestName =
      typeof to === 'string' ? to : (/\/p2p\/([^/]+)$/.exec(to.multiaddr)?.[1] ?? '')
    const startedMs = performance.now()
    const all = AbortSignal.any([signal, closed.signal])
    let connection: Connection | undefined
    let stream: Stream
    // Visited until the call is over, so that the connection is not taken for a stranger's.
    visiting.set(guestName, (visiting.get(guestName) ?? 0) + 1)
    try {
      try {
        const soon = AbortSignal.any([all, AbortSignal.timeout(timeoutMs)])
        connection = await connect(to, soon)
        guests.remove(connection)
        stream = await connection.newStream(CALL_PROTOCOL, { signal: soon })
      } catch (cause) {
        if (all.aborted)
          throw new TransportError('aborted', `The call of "${service}" was aborted`, cause)
        const why = cause instanceof Error ? cause.message : String(cause)
        throw new TransportError('unreachable', `Cannot reach ${who}: ${why}`, cause)
      }
      const firstMs = Math.max(1, timeoutMs - (performance.now() - startedMs))
      yield* requestOver(stream, { service, body }, { who, firstMs, signal: all })
    } finally {
      const left = (visiting.get(guestName) ?? 1) - 1
      if (left > 0) visiting.set(guestName, left)
      else visiting.delete(guestName)
      if (connection?.status === 'open' && admittedId(connection.remotePeer) === undefined) {
        guests.add(connection, AFTER_CALL_MS, () => undefined)
      }
    }
  }

  return {
    self,
    multiaddrs,
    connected: () => [...arrived],
    setAdmitted: nodes => {
      admitted = new Set(nodes)
      links.keep(admitted)
      for (const connection of libp2p.getConnections()) {
        const node = admittedId(connection.remotePeer)
        if (node === undefined || connection.status !== 'open') continue
        guests.remove(connection)
        links.add(node, connection)
      }
      dialer.setAdmitted(admitted)
    },
    setAddresses: addresses => dialer.setAddresses(addresses),
    publish: (topic, bytes) => {
      if (bytes.length > PUBLISH_BYTES_MAX) {
        throw new RangeError(`A gossip of ${bytes.length} bytes is too large: send it instead`)
      }
      if (closed.signal.aborted) return
      gossip.publish(topicName(topic), bytes).catch((cause: unknown) => {
        log(`Gossip was not published: ${cause instanceof Error ? cause.message : String(cause)}`)
      })
    },
    send: (to, bytes) => {
      if (bytes.length > SEND_BYTES_MAX) {
        throw new RangeError(`A message of ${bytes.length} bytes is too large`)
      }
      if (links.send(to, bytes)) return
      unconnected++
      dialer.want(to)
    },
    call,
    disconnect: node => links.hangUp(node),
    redial: node => dialer.redial(node),
    dropped: () => unconnected + links.dropped(),
    close: async () => {
      if (closed.signal.aborted) return
      closed.abort(new Error('the transport closed'))
      dialer.close()
      guests.close()
      links.close()
      for (const timer of arriving.values()) clearTimeout(timer)
      arriving.clear()
      await discovery.close()
      await libp2p.stop()
    },
  }
}

/** The addresses of `node` that are well-formed and do not name another node. */
function dialable(node: NodeId, addresses: readonly string[]): Multiaddr[] {
  return addresses.flatMap(text => {
    try {
      const address = multiaddr(text)
      const named = address.getComponents().findLast(({ name }) => name === 'p2p')?.value
      if (named === undefined) return [address.encapsulate(`/p2p/${node}`)]
      return named === node ? [address] : []
    } catch {
      return [] // What others say of addresses is not trusted to be well-formed.
    }
  })
}
