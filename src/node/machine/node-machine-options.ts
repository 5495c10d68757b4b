import type { NodeId } from '../../model/ids.ts'
import type { Verify } from '../../util/keys.ts'
import type { Random } from '../../util/random.ts'
import type { GuardOrder, NodeFacts } from './events.ts'
import type { RecordCheck } from './observed-book.ts'

/** Options of {@link import('./node-machine.ts').NodeMachine}. */
export interface NodeMachineOptions {
  readonly self: NodeId
  /** Counts the starts of this node's daemon. */
  readonly incarnation: number
  /** Identity of this writer in the document; two live writers must never share one. */
  readonly clientId: number
  readonly facts: NodeFacts
  /**
   * The engines that this node is to have: nothing is started before each has said
   * what runs on it, or the time for that is over, because all share the node's room.
   */
  readonly engines: readonly ('docker' | 'process')[]
  readonly sign: (bytes: Uint8Array) => Uint8Array
  readonly verify: Verify
  /**
   * Checks the records of others.
   *
   * @default by `verify`. A simulator of a thousand nodes, which share each record, remembers what was found.
   */
  readonly checkRecord?: RecordCheck
  readonly random: Random
  /** Draws a name for this run of the daemon that nobody else can have: at random, from the system. */
  readonly drawRun: () => string
  /** The document as the disk has it. */
  readonly updates: readonly Uint8Array[]
  /** What the last `guard` before the daemon ended said. @default nothing */
  readonly orders?: readonly GuardOrder[]
  /** How often the daemon was started in the ten minutes before. @default never */
  readonly recentStarts?: number
  /** What the last `keep-fence` said. @default 0 */
  readonly fence?: number
  readonly nowMs: number
}
