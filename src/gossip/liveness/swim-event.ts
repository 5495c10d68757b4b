import type { NodeId } from '../../model/ids.ts'
import type { Verdict } from '../../model/verdict.ts'
import type { Random } from '../../util/random.ts'
import type { ProbeAddress, SwimMessage } from './swim-message.ts'
import type { SwimOptions } from './swim-options.ts'

/** What happened to this node. */
export type SwimEvent =
  /** Time passed: due at `wakeAtMs`; harmless earlier. */
  | { readonly kind: 'tick' }
  /** A message whose sender is proven to hold the cluster's key. `address` is where it came from, and where answers go. */
  | {
      readonly kind: 'received'
      readonly from: NodeId
      readonly address?: ProbeAddress
      readonly message: SwimMessage
    }
  /** Who is admitted, and where each listens as far as that is known. This node itself may be among them. */
  | { readonly kind: 'members'; readonly members: ReadonlyMap<NodeId, ProbeAddress | undefined> }
  /** The last connection to a node closed: an immediate suspicion, not a verdict. */
  | { readonly kind: 'connection-lost'; readonly node: NodeId }
  /** The host noticed that it did not run for so long. Late ticks are noticed anyhow. */
  | { readonly kind: 'stalled'; readonly stallMs: number }
  /** Say good-bye. Nothing is answered from here on; done when `wakeAtMs` is Infinity. */
  | { readonly kind: 'leaving' }

/** What to do. Sending is best effort. */
export type SwimEffect =
  | {
      readonly kind: 'send'
      readonly to: NodeId
      readonly address: ProbeAddress
      readonly message: SwimMessage
    }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }

/** What a machine starts from. */
export interface SwimInit {
  readonly self: NodeId
  /** Counts the starts of this node; higher than in every earlier run, or the node has to refute its own past first. */
  readonly incarnation: number
  readonly options: SwimOptions
  readonly random: Random
  /** The time now, on the clock that `handle` is given. */
  readonly nowMs: number
}
