import type { NodeId, RevisionId, SlotId } from './ids.ts'
import type { Task } from './task.ts'

/** Most addresses that a node has beside its first. */
export const ADDRESSES_MAX = 7

/** What a node has to give to tasks. Declared, never measured live: placement reads it. */
export interface Capacity {
  readonly cpus: number
  readonly memMb: number
  readonly diskMb: number
  readonly gpus: number
}

/**
 * A node's own word that it cannot run a slot for now. It is an input to
 * placement, so the next-ranked node takes the slot over.
 */
export interface Refusal {
  readonly slot: SlotId
  readonly revision: RevisionId
  /** For people: `image web:7 not found`. */
  readonly reason: string
}

/** Which kinds of work a node can run. */
export interface Runtimes {
  readonly docker: boolean
  readonly process: boolean
}

/**
 * One run of a node's daemon, from its start to its end, as its record tells it.
 *
 * Times are the writer's own clock, which nobody else's agrees with: only their differences
 * mean anything. With them a reader knows how old the writer and its tasks were when it wrote.
 */
export interface Run {
  /** Random, and new with each start. */
  readonly id: string
  readonly startedAtMs: number
  /** When this version of the record was written. */
  readonly atMs: number
  /** Other runs of this very node that this one has heard of: the one before it, or a twin. Few, by id. */
  readonly met: readonly MetRun[]
  /** The address of another machine that runs with this node's key, while there is one. */
  readonly twin?: string
}

/** Another run of a node, and how old the writer was when it first heard of it, in milliseconds. */
export interface MetRun {
  readonly id: string
  readonly uptimeMs: number
}

/**
 * What one node says of itself. Only that node writes it, and signs it, because
 * others relay it. Of two versions the one with the higher (incarnation, seq) is
 * the newer. Never persisted, never in the document.
 */
export interface NodeRecord {
  readonly node: NodeId
  /** Counts the starts of this node's daemon. */
  readonly incarnation: number
  /** Counts the changes of the record within the incarnation. */
  readonly seq: number
  readonly name: string
  /** The address that tasks of this node are reached at, and that DNS answers with: IPv4 or IPv6. */
  readonly address: string
  /** Multiaddrs to dial this node's daemon at. */
  readonly multiaddrs: readonly string[]
  /** Where its liveness worker listens. */
  readonly probePort: number
  readonly dnsPort: number
  readonly labels: Readonly<Record<string, string>>
  readonly runtimes: Runtimes
  readonly capacity: Capacity
  readonly version: string
  readonly tasks: readonly Task[]
  readonly refusals: readonly Refusal[]
  /** Slots placed here that do not run yet, and what each waits for, in words. For `why`. */
  readonly waits: readonly { readonly slot: SlotId; readonly reason: string }[]
  /** Digests of what this node's placement was computed from, and of its result: equal first, unequal second is a bug. */
  readonly inputsHash: string
  readonly placementHash: string
  /** True when the node is about to leave: it keeps its tasks until others run them, and takes no new ones. */
  readonly leaving: boolean
  // Older versions know nothing of what is below, so all of it is optional (docs/decisions/0013-versions-side-by-side.md).
  /** False while the node has not been there for long enough to take slots over from others that serve them. */
  readonly steady?: boolean
  /** True when the node came and went too often lately: slots go elsewhere until it has been there for a while. */
  readonly flapping?: boolean
  /** The highest fencing token that the node knew of when it said this: a logical clock (Lamport, 1978). */
  readonly fence?: number
  readonly run?: Run
  /** More addresses of the machine, of the other kind of IP most of all: what publishes its ports on all of them is reached there, too. */
  readonly addresses?: readonly string[]
}

/** A record with its owner's Ed25519 signature over the record's canonical bytes, because others relay it. */
export interface SignedRecord {
  readonly record: NodeRecord
  readonly signature: Uint8Array
}

/** Which version of a node's record one has. */
export interface RecordVersion {
  readonly node: NodeId
  readonly incarnation: number
  readonly seq: number
}

/** True when `one` is a later version than `other` of the same node's record. */
export function isNewer(
  one: Pick<RecordVersion, 'incarnation' | 'seq'>,
  other: Pick<RecordVersion, 'incarnation' | 'seq'>,
): boolean {
  if (one.incarnation !== other.incarnation) return one.incarnation > other.incarnation
  return one.seq > other.seq
}
