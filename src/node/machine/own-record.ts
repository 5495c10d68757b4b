import type { NodeId } from '../../model/ids.ts'
import type { NodeRecord, Run, SignedRecord } from '../../model/node-record.ts'
import { toBytes } from '../../util/bytes.ts'
import type { Message, NodeFacts } from './events.ts'
import { deltaBetween } from './observed-book.ts'

/** Options of {@link OwnRecord}. */
export interface OwnRecordOptions {
  readonly self: NodeId
  readonly incarnation: number
  readonly facts: NodeFacts
  readonly sign: (bytes: Uint8Array) => Uint8Array
}

/** The part of the record that changes while the node works. */
export type RecordBody = Pick<
  NodeRecord,
  | 'tasks'
  | 'refusals'
  | 'waits'
  | 'inputsHash'
  | 'placementHash'
  | 'leaving'
  | 'steady'
  | 'flapping'
  | 'fence'
> & { readonly run: Run }

/** What this node says of itself: builds each next version, and the message that tells the others. */
export class OwnRecord {
  readonly #options: OwnRecordOptions
  #facts: NodeFacts
  #incarnation: number
  #current: SignedRecord | undefined

  constructor(options: OwnRecordOptions) {
    this.#options = options
    this.#facts = options.facts
    this.#incarnation = options.incarnation
  }

  get facts(): NodeFacts {
    return this.#facts
  }

  get incarnation(): number {
    return this.#incarnation
  }

  /** Takes news from the shell. True when anything is new. */
  setFacts(facts: Partial<NodeFacts>): boolean {
    const next = { ...this.#facts, ...facts }
    if (JSON.stringify(next) === JSON.stringify(this.#facts)) return false
    this.#facts = next
    return true
  }

  /**
   * Goes above a version of this node's record that others have and that it never
   * wrote: its disk was put back to an older state, so its count of starts was too.
   */
  outgrow(incarnation: number): void {
    if (incarnation < this.#incarnation) return
    this.#incarnation = incarnation + 1
    this.#current = undefined
  }

  /** The next version with this body, and how to tell it; nothing when the body is as before. */
  next(body: RecordBody): { readonly signed: SignedRecord; readonly message: Message } | undefined {
    const before = this.#current?.record
    const record: NodeRecord = {
      node: this.#options.self,
      incarnation: this.#incarnation,
      seq: before === undefined ? 1 : before.seq + 1,
      ...this.#facts,
      ...body,
    }
    if (before !== undefined && isSame(before, record)) return undefined
    const signed = { record, signature: this.#options.sign(toBytes(record)) }
    this.#current = signed
    // A whole record where a delta would save little, so that newcomers need not ask.
    const message: Message =
      before === undefined || record.tasks.length < 4
        ? { kind: 'record', signed }
        : deltaBetween(before, signed)
    return { signed, message }
  }
}

/** True when there is nothing to tell. That time passed, or that others' tokens went up, is told along with something else. */
function isSame(before: NodeRecord, after: NodeRecord): boolean {
  return timeless(before) === timeless(after)
}

function timeless(record: NodeRecord): string {
  return JSON.stringify({ ...record, seq: 0, fence: 0, run: { ...record.run, atMs: 0 } })
}
