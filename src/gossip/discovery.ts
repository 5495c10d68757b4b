import type { NodeId } from '../model/ids.ts'
import { isNodeId } from '../util/keys.ts'
import type { MdnsComponents } from './mdns-discovery.ts'

/** Which ways of finding nodes to use, besides the addresses that the owner gives. */
export interface DiscoveryOptions {
  /** Announce and look on the LAN by multicast DNS. @default false */
  readonly mdns?: boolean
  /**
   * Announce and look on a hyperswarm DHT, under a topic that only holders of the cluster's key can compute.
   * `bootstrap` are `host:port`s of its first nodes. @default no DHT; with no `bootstrap`, the public one
   */
  readonly dht?: { readonly bootstrap?: readonly string[] }
}

/** What discovery is about. */
export interface DiscoveryContext extends DiscoveryOptions {
  readonly cluster: string
  readonly psk: Uint8Array
  readonly self: NodeId
  readonly components: MdnsComponents
  readonly multiaddrs: () => string[]
  /** The address that the transport listens on; the DHT uses the same. */
  readonly host: string
  readonly onFound: (node: NodeId, multiaddrs: readonly string[]) => void
  readonly log: (line: string) => void
}

/** Starts what was asked for. Their code is loaded only then: it is most of a megabyte. */
export async function startDiscovery(
  context: DiscoveryContext,
): Promise<{ close(): Promise<void> }> {
  const { onFound, log } = context
  const started: { close(): Promise<void> }[] = []
  if (context.mdns === true) {
    const { startMdnsDiscovery } = await import('./mdns-discovery.ts')
    started.push(
      await startMdnsDiscovery({
        components: context.components,
        cluster: context.cluster,
        onFound: ({ id, multiaddrs }) => {
          const node = id.toString()
          if (isNodeId(node)) onFound(node, multiaddrs.map(String))
        },
        log,
      }),
    )
  }
  if (context.dht !== undefined) {
    const { startDhtDiscovery } = await import('./dht-discovery.ts')
    started.push(await startDhtDiscovery({ ...context, ...context.dht }))
  }
  return {
    close: async () => {
      await Promise.all(started.map(service => service.close()))
    },
  }
}
