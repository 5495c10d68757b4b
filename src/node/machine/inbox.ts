import type { NodeId } from '../../model/ids.ts'
import type { NodeRecord, SignedRecord } from '../../model/node-record.ts'
import { telling, type DocumentDesk } from './document-desk.ts'
import type { ClaimMessage } from './claims.ts'
import type { Effect, Message } from './events.ts'
import type { Exchange } from './exchange.ts'
import type { MergeResult, ObservedBook } from './observed-book.ts'
import type { RefusedMessages } from './refused-messages.ts'
import type { MessageFault } from './wire.ts'

/** An answer with so many bytes of the document may be a part of it. */
const FILL_PART_BYTES = 4 * 1024 * 1024

/** What the inbox works on, and whom it tells. */
export interface InboxOptions {
  readonly self: NodeId
  readonly desk: DocumentDesk
  readonly book: ObservedBook
  readonly exchange: Exchange
  readonly refused: RefusedMessages
  readonly nameOf: (node: NodeId) => string
  /** A node's record is newer than it was. */
  readonly onMerged: (before: NodeRecord | undefined, after: NodeRecord) => Effect[]
  /** Somebody relayed a record of this very node, signed with its key. */
  readonly onMetSelf: (record: NodeRecord, nowMs: number) => Effect[]
  /** Somebody said what it placed from, and how. */
  readonly onPlaced: (
    from: NodeId,
    offer: Message & { readonly kind: 'offer' },
    nowMs: number,
  ) => Effect[]
  /** Somebody said whether it has a record of this node. */
  readonly onToldOfSelf: (isKnown: boolean, nowMs: number) => void
}

/** Takes what other nodes say: updates of the document, records, and the steps of anti-entropy. */
export class Inbox {
  readonly #options: InboxOptions

  constructor(options: InboxOptions) {
    this.#options = options
  }

  /** Takes one message. Who is not admitted is not listened to. */
  receive(from: NodeId, message: Exclude<Message, ClaimMessage>, nowMs: number): Effect[] {
    const { desk, book, exchange } = this.#options
    if (!desk.admitted.has(from)) return []
    switch (message.kind) {
      case 'desired':
        return this.#takeUpdate(from, message.update, nowMs).effects
      case 'store':
        return this.#store(from, message, nowMs)
      case 'stored':
        return desk.stored(message.id, from)
      case 'record':
        return this.#takeRecord(from, message.signed, nowMs)
      case 'delta':
        if (!desk.admitted.has(message.node)) return []
        // The version before it is not the own one, or it would be the own one's next: whole, or not at all.
        if (message.node === this.#options.self) return exchange.ask(from, nowMs)
        return this.#merged(from, book.mergeDelta(message, nowMs), nowMs)
      case 'offer':
        return this.#takeOffer(from, message, nowMs)
      case 'have':
        this.#options.onToldOfSelf(
          message.records.some(({ node }) => node === this.#options.self),
          nowMs,
        )
        return exchange.fill(from, message)
      case 'fill':
        return this.#takeFill(from, message, nowMs)
    }
  }

  /** Takes note of bytes that were no message. The connection stays: a newer version may say more than this one knows. */
  refuse(
    from: NodeId,
    { fault, reason }: { readonly fault: MessageFault; readonly reason: string },
    nowMs: number,
  ): Effect[] {
    const { desk, refused, nameOf } = this.#options
    if (!desk.admitted.has(from) || !refused.note(fault, from, nowMs)) return []
    if (fault === 'malformed') {
      const text = `sent a message that is none: ${reason}`
      return [telling(nowMs, 'refused', nameOf(from), text)]
    }
    const text = `says what this version does not know (${reason}): upgrade this node, too`
    return [telling(nowMs, 'node', nameOf(from), text)]
  }

  #takeOffer(from: NodeId, offer: Message & { kind: 'offer' }, nowMs: number): Effect[] {
    const { exchange, onPlaced, onToldOfSelf } = this.#options
    const effects = onPlaced(from, offer, nowMs)
    if (offer.digest !== exchange.digest()) return [...effects, exchange.have(from, false)]
    onToldOfSelf(false, nowMs)
    return effects
  }

  /** Another node's edit: its author waits for our disk. */
  #store(from: NodeId, { id, update }: Message & { kind: 'store' }, nowMs: number): Effect[] {
    const { isWhole, effects } = this.#takeUpdate(from, update, nowMs)
    // It may have come by gossip first and still be on its way to the disk: the answer waits for the last write.
    return isWhole ? [...effects, ...this.#options.desk.acknowledge(from, id)] : effects
  }

  #takeFill(from: NodeId, fill: Message & { kind: 'fill' }, nowMs: number): Effect[] {
    const { update, records } = fill
    const effects = update.length === 0 ? [] : this.#takeUpdate(from, update, nowMs).effects
    const merged = records.flatMap(signed => this.#takeRecord(from, signed, nowMs))
    // A large document comes in parts: ask for the next one now, not at the next offer.
    const isPart = update.length >= FILL_PART_BYTES
    return [...effects, ...merged, ...(isPart ? this.#options.exchange.ask(from, nowMs) : [])]
  }

  #takeUpdate(
    from: NodeId,
    update: Uint8Array,
    nowMs: number,
  ): { readonly effects: Effect[]; readonly isWhole: boolean } {
    const { desk, exchange, nameOf } = this.#options
    const { isWhole, effects } = desk.take(update, nameOf, from, nowMs)
    return { isWhole, effects: isWhole ? effects : [...effects, ...exchange.ask(from, nowMs)] }
  }

  #takeRecord(from: NodeId, signed: SignedRecord, nowMs: number): Effect[] {
    const { self, desk, book } = this.#options
    const { node } = signed.record
    if (!desk.admitted.has(node)) return []
    if (node !== self) return this.#merged(from, book.merge(signed, nowMs), nowMs)
    const fault = book.faultOf(signed)
    if (fault !== undefined) return this.#merged(from, { kind: fault }, nowMs)
    return this.#options.onMetSelf(signed.record, nowMs)
  }

  #merged(from: NodeId, result: MergeResult, nowMs: number): Effect[] {
    const { exchange, refused, nameOf, onMerged } = this.#options
    switch (result.kind) {
      case 'old':
        return []
      case 'forged':
      case 'oversize': {
        if (!refused.note(result.kind, from, nowMs)) return []
        const what =
          result.kind === 'forged'
            ? 'that its owner did not sign'
            : 'that is larger than any may be'
        return [telling(nowMs, 'refused', nameOf(from), `relayed a record ${what}`)]
      }
      case 'gap':
        return exchange.ask(from, nowMs)
      case 'merged':
        return onMerged(result.before, result.after)
    }
  }
}
