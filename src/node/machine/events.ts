/**
 * Everything that can happen to a node, everything it can ask its shell to do,
 * and everything nodes say to one another. Closed lists: add here or nowhere.
 *
 * @module
 */

import type { Edit } from '../../model/desired.ts'
import type { AppId, NodeId, RevisionId, SlotId, TaskId } from '../../model/ids.ts'
import type { NodeRecord, RecordVersion, SignedRecord } from '../../model/node-record.ts'
import type { Task, TaskPort } from '../../model/task.ts'
import type { Verdict, VerdictKind } from '../../model/verdict.ts'
import type { AppSpec } from '../../model/app.ts'
import type { FoundTask } from '../../runtime/runtime.ts'
import type { HealReport } from './split-report.ts'
import type { MessageFault } from './wire.ts'
import type { Claim, Grant } from './witness.ts'

/** What the node says of itself that only its shell can know. */
export type NodeFacts = Pick<
  NodeRecord,
  | 'name'
  | 'address'
  | 'addresses'
  | 'multiaddrs'
  | 'probePort'
  | 'dnsPort'
  | 'labels'
  | 'runtimes'
  | 'capacity'
  | 'version'
>

/** What happened. Past tense. */
export type NodeEvent =
  /** Time passed; wanted at or after {@link NodeMachine.wakeAtMs}. */
  | { readonly kind: 'ticked' }
  | { readonly kind: 'facts-changed'; readonly facts: Partial<NodeFacts> }
  /** Somebody edits through this node. Answered by a `reply`. */
  | { readonly kind: 'edited'; readonly request: number; readonly edit: Edit }
  /** This node is to leave the cluster for good. Answered by a `reply` when its tasks run elsewhere. */
  | { readonly kind: 'leave-asked'; readonly request: number }
  | { readonly kind: 'persisted'; readonly token: number }
  | { readonly kind: 'persist-failed'; readonly token: number; readonly reason: string }
  /** The document as the disk has it, after an edit that could not be persisted. */
  | { readonly kind: 'reloaded'; readonly updates: readonly Uint8Array[] }
  | { readonly kind: 'received'; readonly from: NodeId; readonly message: Message }
  /** An admitted node sent bytes that are no message to this version. */
  | {
      readonly kind: 'message-refused'
      readonly from: NodeId
      readonly fault: MessageFault
      readonly reason: string
    }
  | { readonly kind: 'connected'; readonly node: NodeId }
  | { readonly kind: 'disconnected'; readonly node: NodeId }
  | { readonly kind: 'verdict-came'; readonly verdict: Verdict }
  /** All the tasks of one runtime on this node: after a start, or when an engine came back. */
  | {
      readonly kind: 'found'
      readonly runtime: 'docker' | 'process'
      readonly tasks: readonly FoundTask[]
    }
  | { readonly kind: 'task-started'; readonly task: TaskId }
  | { readonly kind: 'task-progressed'; readonly task: TaskId; readonly message: string }
  | {
      readonly kind: 'task-start-failed'
      readonly task: TaskId
      readonly code: string
      readonly temporary: boolean
      readonly message: string
    }
  | {
      readonly kind: 'task-exited'
      readonly task: TaskId
      readonly exitCode: number
      readonly message: string
    }
  /** A `stop` is done: the task has ended. */
  | { readonly kind: 'task-stopped'; readonly task: TaskId }
  | { readonly kind: 'task-stop-failed'; readonly task: TaskId; readonly message: string }
  | {
      readonly kind: 'probed'
      readonly task: TaskId
      /** Of the `probe` that it answers. */
      readonly revision: RevisionId
      /** Which of them, counted from 0. */
      readonly check: number
      readonly healthy: boolean
      readonly message: string
    }

/** What the shell is to do. Imperative. */
export type Effect =
  /** Make these bytes durable, then say `persisted` with the token. In order. */
  | { readonly kind: 'persist'; readonly token: number; readonly update: Uint8Array }
  /** Read the document from the disk again, and say `reloaded`. */
  | { readonly kind: 'reload' }
  /** Keep this writer id from now on, durably, before the next `persist`. */
  | { readonly kind: 'keep-client-id'; readonly clientId: number }
  /** Keep this number for the next start, durably if the disk takes it, before what follows. */
  | { readonly kind: 'keep-fence'; readonly fence: number }
  | { readonly kind: 'publish'; readonly message: Message }
  | { readonly kind: 'send'; readonly to: NodeId; readonly message: Message }
  | { readonly kind: 'reply'; readonly request: number; readonly result: EditResult }
  | {
      readonly kind: 'start'
      readonly task: TaskId
      readonly slot: SlotId
      readonly revision: RevisionId
      readonly spec: AppSpec
      readonly ports: readonly TaskPort[]
      /** Higher than that of every earlier task of the slot: what a storage that checks it goes by. */
      readonly fence: number
    }
  /**
   * See to it that these tasks end at their time even if this daemon is not there any more,
   * and keep the claims for its next start. The whole list, each time; in force before the
   * `start` of a task in it is carried out.
   */
  | { readonly kind: 'guard'; readonly orders: readonly GuardOrder[] }
  | {
      readonly kind: 'stop'
      readonly task: TaskId
      readonly runtime: 'docker' | 'process'
      readonly graceMs: number
    }
  | { readonly kind: 'remove'; readonly task: TaskId; readonly runtime: 'docker' | 'process' }
  | {
      readonly kind: 'probe'
      readonly task: TaskId
      /** By whose health checks, as they were begun; the task's may be another one. */
      readonly revision: RevisionId
      readonly check: number
      readonly spec: AppSpec
      readonly ports: readonly TaskPort[]
    }
  /** The admitted nodes changed, or where they are: tell the transport and the liveness layer. */
  | { readonly kind: 'admit'; readonly nodes: ReadonlySet<NodeId> }
  | { readonly kind: 'tell'; readonly event: ClusterEvent }
  /** End the daemon, without a good-bye: another machine is this node. The last effect of a machine. */
  | { readonly kind: 'halt'; readonly reason: string }

/** When a task must begin to end, unless the claim that it runs under is renewed. Times are by the loop's clock. */
export interface GuardOrder {
  readonly task: TaskId
  readonly slot: SlotId
  readonly runtime: 'docker' | 'process'
  /** The claim's token. */
  readonly token: number
  /** Until when the claim allows a start. */
  readonly untilMs: number
  /** When the task must be asked to end. */
  readonly stopAtMs: number
  /** When to kill it, so long after that. */
  readonly graceMs: number
}

/** How an edit ended. `storedOn` names who has it on disk, this node first. */
export type EditResult =
  | {
      readonly ok: true
      readonly storedOn: readonly NodeId[]
      /** True when no other alive node confirmed it in time: it is only on this node. */
      readonly onlyHere: boolean
      readonly revisions: readonly { readonly app: AppId; readonly revision: RevisionId }[]
      readonly changed: boolean
    }
  | { readonly ok: false; readonly reason: string }

/** Something worth knowing, as `shoal events` shows it. */
export interface ClusterEvent {
  readonly timeMs: number
  readonly kind:
    | 'node'
    | 'task'
    | 'app'
    | 'conflict'
    | 'placement-mismatch'
    | 'mass-loss'
    | 'document'
    | 'refused'
    /** Two machines run with one node's key. */
    | 'twin'
    /** Nodes are back, and what ran on both sides is over. */
    | 'healed'
  /** What it is about: a node's name, a task's or an app's id. */
  readonly subject: string
  readonly text: string
  /** Of `healed`: the same, for programs. */
  readonly report?: HealReport<string>
}

/** What nodes say to one another. */
export type Message =
  /** An update of the document, gossiped. */
  | { readonly kind: 'desired'; readonly update: Uint8Array }
  /** An update that the sender wants on our disk before it acknowledges its edit. */
  | { readonly kind: 'store'; readonly id: number; readonly update: Uint8Array }
  | { readonly kind: 'stored'; readonly id: number }
  | { readonly kind: 'record'; readonly signed: SignedRecord }
  | RecordDelta
  /** Asks for the sole right to run these slots. Answered by `granted`. */
  | { readonly kind: 'claim'; readonly round: number; readonly claims: readonly Claim[] }
  | { readonly kind: 'granted'; readonly round: number; readonly grants: readonly Grant[] }
  /** The sender runs these slots no more. */
  | {
      readonly kind: 'release'
      readonly slots: readonly { readonly slot: SlotId; readonly token: number }[]
    }
  /** Anti-entropy, first step: a short digest of all that the sender has. Answered by `have` when it differs. */
  | {
      readonly kind: 'offer'
      readonly digest: string
      /** Digests of what the sender placed from, and of its placement: equal first and unequal second is a bug. */
      readonly inputsHash?: string
      readonly placementHash?: string
    }
  /** Second step: exactly what the sender has, and who is alive to it. Answered by `fill`. */
  | {
      readonly kind: 'have'
      readonly vector: Uint8Array
      readonly records: readonly RecordVersion[]
      /** False in the answer to a `have`, so that the exchange ends. */
      readonly answer: boolean
    }
  /** Third step: what the other lacks. */
  | {
      readonly kind: 'fill'
      readonly update: Uint8Array
      readonly records: readonly SignedRecord[]
    }

/** The change from one version of a node's record to the next; the signature is over the whole new record. */
export interface RecordDelta {
  readonly kind: 'delta'
  readonly node: NodeId
  readonly incarnation: number
  readonly baseSeq: number
  readonly seq: number
  /** The fields of the record, but for `tasks`, that changed. */
  readonly fields: Partial<Omit<NodeRecord, 'node' | 'incarnation' | 'seq' | 'tasks'>>
  /** The ids of all tasks in the record's order, and the tasks that are new or changed. */
  readonly order: readonly TaskId[]
  readonly tasks: readonly Task[]
  readonly signature: Uint8Array
}

/** What a node knows of another's liveness, with the time it learned it by its own clock. */
export interface KnownVerdict {
  readonly kind: VerdictKind
  readonly incarnation: number
  readonly sinceMs: number
}
