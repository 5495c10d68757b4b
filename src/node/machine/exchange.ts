import { isNewer } from '../../model/node-record.ts'
import type { NodeId } from '../../model/ids.ts'
import { toBytes } from '../../util/bytes.ts'
import { digest } from '../../util/keys.ts'
import type { DocumentDesk } from './document-desk.ts'
import type { Effect, Message } from './events.ts'
import type { ObservedBook } from './observed-book.ts'

/** One node is asked for what is missing at most this often, in milliseconds. */
const ASK_INTERVAL_MS = 1_000

/** What is compared. */
export interface ExchangeOptions {
  readonly self: NodeId
  readonly desk: DocumentDesk
  readonly book: ObservedBook
  /** True while this node is still to hear what the others have of it: then it keeps to itself what it has. */
  readonly isCurious: () => boolean
}

/**
 * Anti-entropy: two nodes compare a short digest of all that they have; when it
 * differs they exchange exactly what they know, and send only what is missing.
 * It repairs whatever gossip lost, and makes two sides of a healed split equal.
 */
export class Exchange {
  readonly #desk: DocumentDesk
  readonly #book: ObservedBook
  readonly #isCurious: () => boolean
  readonly #self: NodeId
  readonly #askedAtMs = new Map<NodeId, number>()

  constructor(options: ExchangeOptions) {
    this.#self = options.self
    this.#desk = options.desk
    this.#book = options.book
    this.#isCurious = options.isCurious
  }

  /** First step. Nothing while an edit is not yet on this disk, for then nobody may be shown it. */
  offerTo(to: NodeId): Effect[] {
    if (this.#desk.isPersisting) return []
    return [{ kind: 'send', to, message: { kind: 'offer', digest: this.digest() } }]
  }

  /** A digest of the document and of the version of every record. */
  digest(): string {
    return digest(toBytes([this.#desk.doc.vector(), this.#book.versions()]))
  }

  /** Second step: what this node has. */
  have(to: NodeId, answer: boolean): Effect {
    const message: Message = {
      kind: 'have',
      vector: this.#desk.doc.vector(),
      records: this.#isCurious()
        ? this.#book.versions().filter(({ node }) => node !== this.#self)
        : this.#book.versions(),
      answer,
    }
    return { kind: 'send', to, message }
  }

  /** Asks one node for all that is missing, if it was not asked just now. */
  ask(node: NodeId, nowMs: number): Effect[] {
    const lastMs = this.#askedAtMs.get(node)
    if (lastMs !== undefined && nowMs - lastMs < ASK_INTERVAL_MS) return []
    if (this.#askedAtMs.size > 10_000) this.#askedAtMs.clear()
    this.#askedAtMs.set(node, nowMs)
    return [this.have(node, false)]
  }

  /** Third step: what the other lacks; and the second one back, unless this answers ours. */
  fill(to: NodeId, have: Message & { readonly kind: 'have' }): Effect[] {
    const theirs = new Map(have.records.map(version => [version.node, version]))
    const records = this.#book.records().flatMap(record => {
      const known = theirs.get(record.node)
      if (known !== undefined && !isNewer(record, known)) return []
      return [this.#book.signed(record.node)!]
    })
    const update = this.#desk.isPersisting ? undefined : this.#desk.doc.since(have.vector)
    const effects: Effect[] = []
    if (update !== undefined || records.length > 0) {
      const message: Message = { kind: 'fill', update: update ?? new Uint8Array(), records }
      effects.push({ kind: 'send', to, message })
    }
    if (have.answer) return effects
    // The question first, where the answer would take away what is asked for.
    return this.#isCurious() ? [this.have(to, true), ...effects] : [...effects, this.have(to, true)]
  }
}
