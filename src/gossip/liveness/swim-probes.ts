import type { Member } from './swim-member.ts'
import type { Route } from './swim-message.ts'

/** A probe of this node's own that waits for its answer. */
export interface Probe {
  readonly seq: number
  readonly member: Member
  readonly sentAtMs: number
  /** It went by stream, too. */
  isStreamed: boolean
  /** When helpers are asked; Infinity once they were. */
  askAtMs: number
  readonly failAtMs: number
  helpers: readonly Member[]
  /** Helpers that said that they could not reach it either. */
  nacks: number
}

/** A probe made for another node. */
export interface Relay {
  readonly seq: number
  /** The asker's own name for it. */
  readonly forSeq: number
  readonly asker: Member
  readonly askerAt: Route
  readonly target: Member
  readonly nackAtMs: number
}

/** More probes at once than this are not begun: the rotation comes to everybody in the end. */
const PROBES_MAX = 32
/** More relays at once are not taken on; the asker has other helpers. */
const RELAYS_MAX = 128

/** Probes in flight: this node's own, and those it makes for others. Both bounded. */
export class Probes {
  #own: Probe[] = []
  #relays: Relay[] = []

  /** When the next of them wants attention. */
  get nextMs(): number {
    let nextMs = Infinity
    for (const { askAtMs, failAtMs } of this.#own) nextMs = Math.min(nextMs, askAtMs, failAtMs)
    for (const { nackAtMs } of this.#relays) nextMs = Math.min(nextMs, nackAtMs)
    return nextMs
  }

  /** True when one more may begin. */
  get hasRoom(): boolean {
    return this.#own.length < PROBES_MAX
  }

  /** Takes a probe on; the caller asked {@link hasRoom} and sends it. */
  begin(probe: Probe): void {
    this.#own.push(probe)
  }

  /** Takes a relay on; false when there are too many. */
  beginRelay(relay: Relay): boolean {
    if (this.#relays.length >= RELAYS_MAX) return false
    this.#relays.push(relay)
    return true
  }

  /** Ends the probe that `from` answers, as its target or as a helper, or nothing. */
  answer(seq: number, from: Member): Probe | undefined {
    const index = this.#own.findIndex(
      probe => probe.seq === seq && (probe.member === from || probe.helpers.includes(from)),
    )
    return index < 0 ? undefined : this.#own.splice(index, 1)[0]
  }

  /** Ends the relay whose target answers, or nothing. */
  answerRelay(seq: number, from: Member): Relay | undefined {
    if (this.#relays.length === 0) return undefined
    const index = this.#relays.findIndex(relay => relay.seq === seq && relay.target === from)
    return index < 0 ? undefined : this.#relays.splice(index, 1)[0]
  }

  /** Counts a helper's nack. False when nobody asked it. */
  nack(seq: number, from: Member): boolean {
    const probe = this.#own.find(open => open.seq === seq)
    if (probe?.helpers.includes(from) !== true) return false
    probe.nacks++
    return true
  }

  /** Probes whose direct answer is overdue: ask helpers. Each is returned once. */
  overdue(nowMs: number): Probe[] {
    const overdue = this.#own.filter(({ askAtMs }) => askAtMs <= nowMs)
    for (const probe of overdue) probe.askAtMs = Infinity
    return overdue
  }

  /** Takes the probes that failed. */
  failed(nowMs: number): Probe[] {
    const failed = this.#own.filter(({ failAtMs }) => failAtMs <= nowMs)
    if (failed.length > 0) this.#own = this.#own.filter(({ failAtMs }) => failAtMs > nowMs)
    return failed
  }

  /** Takes the relays whose target did not answer in time. */
  failedRelays(nowMs: number): Relay[] {
    const failed = this.#relays.filter(({ nackAtMs }) => nackAtMs <= nowMs)
    if (failed.length > 0) this.#relays = this.#relays.filter(({ nackAtMs }) => nackAtMs > nowMs)
    return failed
  }

  /** Forgets this node's own probes: their answers may lie unread. */
  forget(): void {
    this.#own = []
  }

  /** Forgets all that concerns a node that is no longer a member. */
  forgetMember(member: Member): void {
    this.#own = this.#own.filter(probe => probe.member !== member)
    this.#relays = this.#relays.filter(({ asker, target }) => asker !== member && target !== member)
  }
}
