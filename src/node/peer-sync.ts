import type { Liveness } from '../gossip/liveness/start-liveness.ts'
import type { Transport } from '../gossip/transport.ts'
import type { NodeId } from '../model/ids.ts'
import type { Store } from '../store/store.ts'
import { rememberAddresses, rememberedAddresses } from './found-cluster.ts'
import type { NodeMachine } from './machine/node-machine.ts'

/** Options of {@link PeerSync}. */
export interface PeerSyncOptions {
  readonly machine: NodeMachine
  readonly transport: Transport
  readonly liveness: Liveness
  readonly store: Store
  readonly log: (message: string, error: unknown) => void
}

/**
 * Tells transport and liveness where everybody is: by the
 * nodes' own records, and until these come by what was remembered from last time.
 */
export class PeerSync {
  readonly #options: PeerSyncOptions
  readonly #remembered: ReadonlyMap<NodeId, readonly string[]>
  #key = ''
  /** True while the disk lacks the addresses of now. */
  #isUnsaved = false

  constructor(options: PeerSyncOptions) {
    this.#options = options
    this.#remembered = rememberedAddresses(options.store)
  }

  /** Passes on what changed since the last call. */
  update(): void {
    const { machine, transport, liveness } = this.#options
    const { admitted, book, self } = machine
    const addresses = new Map<NodeId, readonly string[]>()
    const members = new Map<NodeId, { address: string; port: number } | undefined>()
    for (const node of [...admitted].toSorted()) {
      if (node === self) continue
      const record = book.get(node)
      const multiaddrs = record?.multiaddrs ?? this.#remembered.get(node)
      if (multiaddrs !== undefined && multiaddrs.length > 0) addresses.set(node, multiaddrs)
      members.set(
        node,
        record === undefined || record.probePort === 0
          ? undefined
          : { address: record.address, port: record.probePort },
      )
    }
    const key = JSON.stringify([[...addresses], [...members]])
    if (key === this.#key) {
      if (this.#isUnsaved) this.#remember(addresses)
      return
    }
    this.#key = key
    transport.setAddresses(addresses)
    liveness.setMembers(members)
    this.#remember(addresses)
  }

  /** Only the next start needs them, and it has others' to go by: a disk that is full must not end this run. */
  #remember(addresses: ReadonlyMap<NodeId, readonly string[]>): void {
    try {
      rememberAddresses(this.#options.store, addresses)
      this.#isUnsaved = false
    } catch (error) {
      if (!this.#isUnsaved)
        this.#options.log('the addresses of the others could not be kept', error)
      this.#isUnsaved = true
    }
  }
}
