import type { NodeId } from '../../model/ids.ts'
import type { Verdict } from '../../model/verdict.ts'
import type { Random } from '../../util/random.ts'
import type { ProbeAddress, Route, SwimMessage } from './swim-message.ts'
import type { SwimOptions } from './swim-options.ts'

/** What happened to this node. */
export type SwimEvent =
  /** Time passed: due at `wakeAtMs`; harmless earlier. One that comes late says that this node did not run. */
  | { readonly kind: 'tick' }
  /** A message whose sender is proven to hold the cluster's key. `route` is the way it came, and the way answers go. */
  | {
      readonly kind: 'received'
      readonly from: NodeId
      readonly route?: Route
      readonly message: SwimMessage
    }
  /** Who is admitted, and where each listens as far as that is known. This node itself may be among them. */
  | { readonly kind: 'members'; readonly members: ReadonlyMap<NodeId, ProbeAddress | undefined> }
  /** There is a connection to a node: streams reach it from now on. */
  | { readonly kind: 'connection-up'; readonly node: NodeId }
  /** The last connection to a node closed: an immediate suspicion, not a verdict. */
  | { readonly kind: 'connection-lost'; readonly node: NodeId }
  /** What this node sends by stream lies about here, because the thread that carries it is busy: no answer proves nothing. */
  | { readonly kind: 'streams-held' }
  /** What was held when an earlier machine of this very run ended: it goes on from there. Told after `members`. */
  | { readonly kind: 'recall'; readonly verdicts: readonly Verdict[] }
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
  /** Over the transport's connection. `mayDial`: worth making one if there is none. */
  | {
      readonly kind: 'stream'
      readonly to: NodeId
      readonly message: SwimMessage
      readonly mayDial: boolean
    }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  /** For the operator: from now on only streams reach a node, or datagrams do again. */
  | { readonly kind: 'reached'; readonly node: NodeId; readonly by: 'stream' | 'datagram' }

/** What a machine starts from. */
export interface SwimInit {
  readonly self: NodeId
  /** Counts the starts of this node; higher than in every earlier run, or the node has to refute its own past first. */
  readonly incarnation: number
  /** The highest incarnation that an earlier machine of this very run spoke with. @default none did */
  readonly spokenWith?: number
  readonly options: SwimOptions
  readonly random: Random
  /** The time now, on the clock that `handle` is given. */
  readonly nowMs: number
}
