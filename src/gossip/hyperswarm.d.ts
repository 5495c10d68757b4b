/** The little of hyperswarm and hyperdht that is used; the packages have no types of their own. */
declare module 'hyperswarm' {
  import type { Duplex } from 'node:stream'
  import type HyperDht from 'hyperdht'

  /** An encrypted connection; the hash names the channel, the same at both ends. */
  export type SwarmStream = Duplex & { readonly handshakeHash: Buffer | null }

  /** Whether to be found (`server`) and to look (`client`). */
  export interface SwarmRoles {
    readonly server: boolean
    readonly client: boolean
  }

  export default class Hyperswarm {
    constructor(options: { readonly dht: HyperDht; readonly maxPeers?: number })
    on(
      event: 'connection',
      listener: (stream: SwarmStream, info: { readonly client: boolean }) => void,
    ): this
    join(topic: Buffer, options: SwarmRoles): { refresh(options: SwarmRoles): Promise<void> }
    destroy(): Promise<void>
  }
}

declare module 'hyperdht' {
  export default class HyperDht {
    constructor(options: {
      readonly bootstrap?: readonly string[] | undefined
      readonly host?: string | undefined
    })
    destroy(): Promise<void>
  }
}

declare module 'hyperdht/testnet.js' {
  /** Makes a DHT of its own on the loopback interface. */
  export default function createTestnet(size: number): Promise<{
    readonly bootstrap: readonly { readonly host: string; readonly port: number }[]
    destroy(): Promise<void>
  }>
}
