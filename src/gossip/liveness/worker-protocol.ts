import type { NodeId } from '../../model/ids.ts'
import type { Verdict } from '../../model/verdict.ts'
import type { DropReason } from './codec.ts'
import type { ProbeAddress } from './swim-message.ts'
import type { SwimOptions } from './swim-options.ts'

/** What the worker is started with. */
export interface WorkerInit {
  readonly self: NodeId
  readonly psk: Uint8Array
  readonly bind: ProbeAddress
  readonly incarnation: number
  readonly options: SwimOptions
  readonly seed: number | undefined
  /** Shared memory for {@link COUNTERS}: read without waking the worker. */
  readonly counters: SharedArrayBuffer
}

/** What the main thread tells the worker. */
export type ToWorker =
  | { readonly kind: 'members'; readonly members: ReadonlyMap<NodeId, ProbeAddress | undefined> }
  | { readonly kind: 'connection-lost'; readonly node: NodeId }
  | { readonly kind: 'leave' }

/** What the worker tells the main thread. */
export type FromWorker =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'bind-failed'; readonly message: string }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'left' }

/** Reasons to drop a datagram; `stranger` is one from a node that is not admitted, or not yet known here to be. */
export type WorkerDropReason = DropReason | 'stranger'

const DROP_REASONS = [
  'oversized',
  'truncated',
  'version',
  'forged',
  'replayed',
  'malformed',
  'self',
  'stranger',
] as const satisfies readonly WorkerDropReason[]

const TRAFFIC = [
  'sent',
  'sentBytes',
  'sendErrors',
  'received',
  'receivedBytes',
  'stalls',
  'health',
] as const

/** Traffic and well-being of the worker. */
export type TrafficName = (typeof TRAFFIC)[number]

/** What is counted. */
export type CounterName = WorkerDropReason | TrafficName

/** Counters in shared memory, one float each; only the worker writes. */
export const COUNTERS: readonly CounterName[] = [...DROP_REASONS, ...TRAFFIC]
