import type { GossipSubComponents } from '@chainsafe/libp2p-gossipsub'
import type { Connection, PeerId } from '@libp2p/interface'

/** Where libp2p's services say which protocols they speak and which peers they want to hear of. */
export type Registrar = GossipSubComponents['registrar']
type Topology = Parameters<Registrar['register']>[1]

/** A registrar that keeps who is not admitted out of a service's sight. */
export interface GatedRegistrar {
  /** Give this to the service. */
  readonly registrar: Registrar
  /** Tells the service of a peer, with a connection to use. Telling it again with another connection is fine. */
  admit(peer: PeerId, connection: Connection): void
  /** Tells the service that a peer is gone. */
  evict(peer: PeerId): void
}

/**
 * Wraps libp2p's registrar for one service (gossipsub): streams of peers for whom `isAdmitted` is
 * false are reset before the service sees them, and the service hears of peers only through
 * {@link GatedRegistrar.admit}, not as soon as they are identified. Without this, a peer
 * that has the cluster's key but was never admitted, or was removed, would get all gossip.
 */
export function gateRegistrar(
  registrar: Registrar,
  isAdmitted: (peer: PeerId) => boolean,
): GatedRegistrar {
  const topologies = new Map<string, Topology>()
  let count = 0

  /** A service registers its topology under each version of its protocol; it is told once. */
  const distinct = (): Set<Topology> => new Set(topologies.values())

  return {
    registrar: {
      handle: (protocol, handler, options) =>
        registrar.handle(
          protocol,
          (stream, connection) => {
            if (isAdmitted(connection.remotePeer)) return handler(stream, connection)
            stream.abort(new Error(`${connection.remotePeer.toString()} is not admitted`))
          },
          options,
        ),
      unhandle: (protocols, options) => registrar.unhandle(protocols, options),
      register: async (_protocol, topology) => {
        const id = `gated-${count++}`
        topologies.set(id, topology)
        return id
      },
      unregister: id => void topologies.delete(id),
      getHandler: protocol => registrar.getHandler(protocol),
      getProtocols: () => registrar.getProtocols(),
      getTopologies: protocol => registrar.getTopologies(protocol),
      use: (protocol, middleware) => registrar.use(protocol, middleware),
      unuse: protocol => registrar.unuse(protocol),
      getMiddleware: protocol => registrar.getMiddleware(protocol),
    },
    admit: (peer, connection) => {
      for (const topology of distinct()) void topology.onConnect?.(peer, connection)
    },
    evict: peer => {
      for (const topology of distinct()) void topology.onDisconnect?.(peer)
    },
  }
}
