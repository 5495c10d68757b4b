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
  /** Shared memory for {@link COUNTERS}: read without waking the worker. It outlives a worker, and the next one counts on. */
  readonly counters: SharedArrayBuffer
}

/** What the main thread tells the worker. */
export type ToWorker =
  | { readonly kind: 'members'; readonly members: ReadonlyMap<NodeId, ProbeAddress | undefined> }
  /** What the worker before this one held. */
  | { readonly kind: 'recall'; readonly verdicts: readonly Verdict[] }
  | { readonly kind: 'connection-up'; readonly node: NodeId }
  | { readonly kind: 'connection-lost'; readonly node: NodeId }
  /** A datagram that came by stream from a node. With an `id` it wants a `stream-answer`. */
  | {
      readonly kind: 'stream-in'
      readonly from: NodeId
      readonly datagram: Uint8Array
      readonly id?: number
    }
  /** The main thread has the latest `stream-out` in its hands. */
  | { readonly kind: 'stream-taken' }
  | { readonly kind: 'leave' }

/** What the worker tells the main thread. */
export type FromWorker =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'bind-failed'; readonly message: string }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'reached'; readonly node: NodeId; readonly by: 'stream' | 'datagram' }
  /** A datagram to carry by stream. */
  | {
      readonly kind: 'stream-out'
      readonly to: NodeId
      readonly datagram: Uint8Array
      readonly mayDial: boolean
    }
  | {
      readonly kind: 'stream-answer'
      readonly id: number
      readonly datagrams: readonly Uint8Array[]
    }
  | { readonly kind: 'left' }

/** Reasons to drop a datagram; `stranger` is one from a node that is not admitted, or not yet known here to be. */
export type WorkerDropReason = DropReason | 'stranger'

/** The reasons, in the order of the counters. */
export const DROP_REASONS = [
  'oversized',
  'truncated',
  'version',
  'forged',
  'replayed',
  'malformed',
  'self',
  'stranger',
] as const satisfies readonly WorkerDropReason[]

/** What is counted besides, in the order of the counters. */
export const TRAFFIC = [
  'sent',
  'sentBytes',
  'sendErrors',
  'received',
  'receivedBytes',
  'streamsSent',
  'streamsReceived',
  'stalls',
  'health',
] as const

/** Traffic and well-being of the worker. */
export type TrafficName = (typeof TRAFFIC)[number]

/** What the worker leaves to the next one. */
const MEMORY = ['incarnation'] as const

/** What is counted. */
export type CounterName = WorkerDropReason | TrafficName | (typeof MEMORY)[number]

/** Counters in shared memory, one float each; only the worker writes. */
export const COUNTERS: readonly CounterName[] = [...DROP_REASONS, ...TRAFFIC, ...MEMORY]
