import type { NodeRecord } from '../../model/node-record.ts'
import type { NodeId } from '../../model/ids.ts'
import { pick, type Random } from '../../util/random.ts'
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
  /** The nodes that a message reaches just now. */
  readonly connected: ReadonlySet<NodeId>
  readonly random: Random
  /** Digests of the placement, which the other compares with its own. */
  readonly placed: () => Pick<NodeRecord, 'inputsHash' | 'placementHash'>
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
  readonly #connected: ReadonlySet<NodeId>
  readonly #random: Random
  readonly #placed: ExchangeOptions['placed']
  readonly #self: NodeId
  readonly #askedAtMs = new Map<NodeId, number>()
  /** Of the document's vector that it was made for last. */
  #vectorDigest: { readonly vector: Uint8Array; readonly text: string } | undefined

  constructor(options: ExchangeOptions) {
    this.#self = options.self
    this.#desk = options.desk
    this.#book = options.book
    this.#isCurious = options.isCurious
    this.#connected = options.connected
    this.#random = options.random
    this.#placed = options.placed
  }

  /** First step. */
  offerTo(to: NodeId): Effect[] {
    const message: Message = { kind: 'offer', digest: this.digest(), ...this.#placed() }
    return [{ kind: 'send', to, message }]
  }

  /** A digest of the document and of the version of every record. */
  digest(): string {
    const vector = this.#desk.doc.vector()
    if (vector !== this.#vectorDigest?.vector) this.#vectorDigest = { vector, text: digest(vector) }
    return this.#vectorDigest.text + this.#book.digest()
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

  /**
   * Asks for all that is missing: `from` or, since gossip also comes by way of others, any node that can
   * be reached when that one cannot. Nobody is asked who was asked just now.
   */
  ask(from: NodeId, nowMs: number): Effect[] {
    const wasAsked = (node: NodeId): boolean =>
      nowMs - (this.#askedAtMs.get(node) ?? -Infinity) < ASK_INTERVAL_MS
    const node = this.#connected.has(from) ? from : this.#anyPeer(wasAsked)
    if (node === undefined || wasAsked(node)) return []
    if (this.#askedAtMs.size > 10_000) this.#askedAtMs.clear()
    this.#askedAtMs.set(node, nowMs)
    return [this.have(node, false)]
  }

  #anyPeer(isExcept: (node: NodeId) => boolean): NodeId | undefined {
    const { admitted } = this.#desk
    const peers = [...this.#connected].filter(node => admitted.has(node) && !isExcept(node))
    return pick(peers, this.#random)
  }

  /**
   * Third step: what the other lacks; and the second one back, unless this answers ours. Nothing of the document while an
   * edit is not yet on this disk: nobody may be shown what may yet be taken back.
   */
  fill(to: NodeId, have: Message & { readonly kind: 'have' }): Effect[] {
    const newer = this.#book.newerThan(have.records)
    // The other's answer would be this very record, in place of what it has of a twin.
    const records = this.#isCurious()
      ? newer.filter(({ record }) => record.node !== this.#self)
      : newer
    const update = this.#desk.isPersisting ? undefined : this.#desk.doc.since(have.vector)
    const effects: Effect[] = []
    if (update !== undefined || records.length > 0) {
      const message: Message = { kind: 'fill', update: update ?? new Uint8Array(), records }
      effects.push({ kind: 'send', to, message })
    }
    return have.answer ? effects : [...effects, this.have(to, true)]
  }
}
