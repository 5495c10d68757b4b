import type { AppHistory } from '../crdt/desired-doc.ts'
import type { ManifestResult } from '../formats/read-manifest.ts'
import type { AppSpec } from '../model/app.ts'
import type { Conflict, Desired, Edit } from '../model/desired.ts'
import type { AppId, NodeId, SlotId, TaskId } from '../model/ids.ts'
import type { NodeRecord } from '../model/node-record.ts'
import type { Task } from '../model/task.ts'
import type { Explanation } from '../placement/explain.ts'
import type { LogChunk } from '../runtime/runtime.ts'
import type { DnsService } from './dns-service.ts'
import type { ClusterEvent, EditResult, KnownVerdict } from './machine/events.ts'
import type { Brake } from './machine/mass-loss.ts'
import type { Wait } from '../reconcile/plan.ts'

/** A node of the cluster, as this node knows it. */
export interface NodeView {
  readonly node: NodeId
  readonly name: string
  readonly isSelf: boolean
  readonly verdict: KnownVerdict | undefined
  /** Since when it does not answer; nothing while it does, and for one that was never heard of. */
  readonly awaySinceMs: number | undefined
  readonly record: NodeRecord | undefined
}

/** A task, and the node that says it has it. */
export interface TaskView {
  readonly node: NodeView
  readonly task: Task
}

/** What a running node can do for whoever talks to it. Everything here answers from this node alone. */
export interface NodeService {
  readonly cluster: string
  readonly self: NodeId
  readonly name: string
  readonly version: string
  readonly startedAtMs: number
  readonly ports: { readonly gossip: number; readonly probe: number; readonly dns: number }
  readonly dns: DnsService
  readonly dataDir: string
  desired(): Desired
  history(app: AppId): AppHistory
  conflicts(): readonly Conflict[]
  nodes(): NodeView[]
  /** True when the nodes that are there are a majority of the admitted. */
  seesMajority(): boolean
  /** The mass-loss brake, while it is on. */
  brake(): Brake | undefined
  /** All tasks that the nodes tell of; those of dead nodes too, with their verdict. */
  tasks(): TaskView[]
  placedOn(slot: SlotId): NodeId | undefined
  /** All slots that should exist now, and where; nothing for those that have no place. */
  slots(app: AppId): { readonly slot: SlotId; readonly node: NodeId | undefined }[]
  /** Why a slot is where it is, node by node. */
  explain(slot: SlotId): readonly Explanation[]
  /** What a slot waits for, by its owner's word. */
  waits(): readonly (Pick<Wait, 'slot' | 'reason'> & { readonly node: string })[]
  /** Reads manifests without doing anything with them. */
  readManifests(
    files: readonly { readonly name: string; readonly text: string }[],
  ): Promise<ManifestResult>
  edit(edit: Edit): Promise<EditResult>
  events(): readonly ClusterEvent[]
  listen(listener: (event: ClusterEvent) => void): () => void
  /** The output of a task, from whichever node has it. */
  logs(
    task: TaskId,
    options: { readonly follow: boolean; readonly tail?: number; readonly signal: AbortSignal },
  ): AsyncIterable<LogChunk>
  /** Makes a join token. Without addresses it works where discovery finds this cluster. */
  createToken(ttlMs: number, options: { readonly withAddresses: boolean }): string
  /** Reads a join token: the cluster it is for, or what is wrong with it. */
  parseToken(
    text: string,
  ):
    | { readonly ok: true; readonly cluster: string }
    | { readonly ok: false; readonly reason: string }
  /** Hands the tasks over, leaves the cluster for good, and forgets it. */
  leave(): Promise<EditResult>
  /** An app in Shoal's own file format. */
  printManifest(spec: AppSpec): Promise<string>
  /** Figures for `/metrics`. */
  metrics(): Promise<string>
}
