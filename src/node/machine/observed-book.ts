import type { NodeId, SlotId, TaskId } from '../../model/ids.ts'
import {
  isNewer,
  type NodeRecord,
  type RecordVersion,
  type SignedRecord,
} from '../../model/node-record.ts'
import { isServing, type Task } from '../../model/task.ts'
import type { RemoteTask } from '../../reconcile/plan.ts'
import { toBytes } from '../../util/bytes.ts'
import type { Verify } from '../../util/keys.ts'
import { hashText } from '../../placement/hash.ts'
import type { RecordDelta } from './events.ts'

/** What became of a record that somebody handed us. */
export type MergeResult =
  | { readonly kind: 'merged'; readonly before?: NodeRecord; readonly after: NodeRecord }
  /** We have this version or a newer one. */
  | { readonly kind: 'old' }
  /** A delta to a version that we do not have: ask for the whole. */
  | { readonly kind: 'gap' }
  /** Not signed by its owner. */
  | { readonly kind: 'forged' }
  /** Larger than any honest record. */
  | { readonly kind: 'oversize' }

/**
 * Largest record that is kept, in bytes: about twice that of a node with all the tasks that a record may have.
 * What a newer version adds is not looked at, and must be bounded all the same.
 */
export const RECORD_BYTES_MAX = 8 * 1024 * 1024

/**
 * The newest record of each node, as its owner signed it. Versions only go up;
 * nothing is ever dropped because a node is dead: liveness is an overlay.
 */
export class ObservedBook {
  readonly #records = new Map<NodeId, SignedRecord>()
  /** Lists are replaced, never changed: who was given one may keep it. */
  readonly #bySlot = new Map<SlotId, readonly RemoteTask[]>()
  readonly #faultOf: RecordCheck
  /** Sums of the hashes of all versions, each of 32 bits. */
  readonly #sums: [number, number] = [0, 0]
  #changes = 0

  /** @param faultOf Checks a record that another node relayed: {@link createRecordCheck}. */
  constructor(faultOf: RecordCheck) {
    this.#faultOf = faultOf
  }

  /** Counts the records that came, changed or went. */
  get changes(): number {
    return this.#changes
  }

  get(node: NodeId): NodeRecord | undefined {
    return this.#records.get(node)?.record
  }

  signed(node: NodeId): SignedRecord | undefined {
    return this.#records.get(node)
  }

  records(): NodeRecord[] {
    return Array.from(this.#records.values(), ({ record }) => record)
  }

  /** Which version of each record we have. */
  versions(): RecordVersion[] {
    return Array.from(this.#records.values(), ({ record: { node, incarnation, seq } }) => ({
      node,
      incarnation,
      seq,
    }))
  }

  /** The records that somebody lacks who has these versions, or has an older version of. */
  newerThan(versions: readonly RecordVersion[]): SignedRecord[] {
    const newer: SignedRecord[] = []
    let shared = 0
    for (const version of versions) {
      const own = this.#records.get(version.node)
      if (own === undefined) continue
      shared++
      if (isNewer(own.record, version)) newer.push(own)
    }
    // Mostly both know of the same nodes, and nobody has to be looked for.
    if (shared === this.#records.size) return newer
    const known = new Set(versions.map(({ node }) => node))
    for (const [node, own] of this.#records) if (!known.has(node)) newer.push(own)
    return newer
  }

  /**
   * A digest of the version of every record: 16 hex digits, equal for equal versions in whatever order they came. Kept
   * up with each change, because nodes compare it every second or two. It finds accidents; who lies could as well keep silent.
   */
  digest(): string {
    return this.#sums.map(sum => sum.toString(16).padStart(8, '0')).join('')
  }

  /** The tasks that records other than `self`'s have of a slot. */
  tasksOf(slot: SlotId): readonly RemoteTask[] {
    return this.#bySlot.get(slot) ?? NO_TASKS
  }

  /** Takes a whole record. */
  merge(signed: SignedRecord, nowMs: number): MergeResult {
    const { record } = signed
    const before = this.#records.get(record.node)?.record
    if (before !== undefined && !isNewer(record, before)) return { kind: 'old' }
    const fault = this.faultOf(signed)
    if (fault !== undefined) return { kind: fault }
    this.#put(signed, before, nowMs)
    return { kind: 'merged', after: record, ...(before && { before }) }
  }

  /** Why a record cannot be taken for its owner's word; nothing when it can. */
  faultOf(signed: SignedRecord): RecordFault | undefined {
    return this.#faultOf(signed)
  }

  /** Takes the change of a record. */
  mergeDelta(delta: RecordDelta, nowMs: number): MergeResult {
    const base = this.#records.get(delta.node)?.record
    if (base !== undefined && !isNewer(delta, base)) return { kind: 'old' }
    if (base?.incarnation !== delta.incarnation || base.seq !== delta.baseSeq)
      return { kind: 'gap' }
    // Of two runs of one node, as of a copied key, either may have written the version before. A change of the other one's would look forged.
    if (delta.fields.run !== undefined && delta.fields.run.id !== base.run?.id)
      return { kind: 'gap' }
    const signed = applyDelta(base, delta)
    return signed === undefined ? { kind: 'gap' } : this.merge(signed, nowMs)
  }

  /** Puts this node's own record in, which needs no proof. */
  putOwn(signed: SignedRecord, nowMs: number): void {
    this.#put(signed, this.get(signed.record.node), nowMs)
  }

  /** Forgets nodes that are no longer admitted. */
  keepOnly(nodes: { has(node: NodeId): boolean }): void {
    for (const [node, { record }] of this.#records) {
      if (nodes.has(node)) continue
      this.#unindex(record)
      this.#count(record, -1)
      this.#records.delete(node)
    }
  }

  #put(signed: SignedRecord, before: NodeRecord | undefined, nowMs: number): void {
    const { record } = signed
    const told = record.tasks.map((task): RemoteTask => {
      if (!isServing(task)) return { node: record.node, task }
      const known = this.tasksOf(task.slot).find(other => other.task.id === task.id)
      return { node: record.node, task, servingSinceMs: known?.servingSinceMs ?? nowMs }
    })
    if (before !== undefined) {
      this.#unindex(before)
      this.#count(before, -1)
    }
    this.#count(record, 1)
    this.#records.set(record.node, signed)
    for (const one of told) {
      const { slot, id } = one.task
      const others = this.tasksOf(slot).filter(({ task }) => task.id !== id)
      this.#bySlot.set(slot, [...others, one])
    }
  }

  #count(record: NodeRecord, sign: 1 | -1): void {
    this.#changes++
    const [low, high] = versionHashes(record)
    this.#sums[0] = (this.#sums[0] + sign * low) >>> 0
    this.#sums[1] = (this.#sums[1] + sign * high) >>> 0
  }

  #unindex(record: NodeRecord): void {
    for (const { slot, id } of record.tasks) {
      const left = this.tasksOf(slot).filter(({ task }) => task.id !== id)
      if (left.length === 0) this.#bySlot.delete(slot)
      else this.#bySlot.set(slot, left)
    }
  }
}

const NO_TASKS: readonly RemoteTask[] = []

const hashes = new WeakMap<NodeRecord, readonly [low: number, high: number]>()

/** Two hashes of a record's version, of 32 bits each. A record goes into the digest once and comes out of it once: hashed once. */
function versionHashes(record: NodeRecord): readonly [low: number, high: number] {
  let known = hashes.get(record)
  if (known === undefined) {
    const version = `${record.node} ${record.incarnation} ${record.seq}`
    known = [hashText(version, 1), hashText(version, 2)]
    hashes.set(record, known)
  }
  return known
}

/** What a record is not taken for. */
export type RecordFault = 'forged' | 'oversize'

/** Says why a record cannot be taken for its owner's word; nothing when it can. */
export type RecordCheck = (signed: SignedRecord) => RecordFault | undefined

/** A check of a record's size, and of its owner's signature over its canonical bytes. */
export function createRecordCheck(verify: Verify): RecordCheck {
  return ({ record, signature }) => {
    const bytes = toBytes(record)
    if (bytes.length > RECORD_BYTES_MAX) return 'oversize'
    return verify(record.node, bytes, signature) ? undefined : 'forged'
  }
}

/** The change that leads from `before` to `after`, two records of one incarnation. */
export function deltaBetween(
  before: NodeRecord,
  { record: after, signature }: SignedRecord,
): RecordDelta {
  const known = new Map(before.tasks.map(task => [task.id, task]))
  const { node, incarnation, seq, tasks, ...rest } = after
  const fields: Record<string, unknown> = {}
  const old: Readonly<Record<string, unknown>> = { ...before }
  for (const [key, value] of Object.entries(rest)) {
    if (!same(old[key], value)) fields[key] = value
  }
  return {
    kind: 'delta',
    node,
    incarnation,
    baseSeq: before.seq,
    seq,
    fields,
    order: tasks.map(({ id }) => id),
    tasks: tasks.filter(task => !same(known.get(task.id), task)),
    signature,
  }
}

const applied = new WeakMap<
  RecordDelta,
  { readonly base: NodeRecord; readonly signed: SignedRecord }
>()

/**
 * The record after the change, or nothing when the change does not fit the record. Remembered with the delta, so that the many
 * nodes of a simulation that are handed the same one have one record, too, and check its signature once.
 */
function applyDelta(base: NodeRecord, delta: RecordDelta): SignedRecord | undefined {
  const known = applied.get(delta)
  if (known?.base === base) return known.signed
  const byId = new Map<TaskId, Task>(base.tasks.map(task => [task.id, task]))
  for (const task of delta.tasks) byId.set(task.id, task)
  const tasks = delta.order.flatMap(id => byId.get(id) ?? [])
  if (tasks.length < delta.order.length) return undefined
  const { node, incarnation, seq, fields, signature } = delta
  const signed = { record: { ...base, ...fields, node, incarnation, seq, tasks }, signature }
  applied.set(delta, { base, signed })
  return signed
}

function same(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other)
}
