import type { NodeId, SlotId } from '../../model/ids.ts'
import type { Random } from '../../util/random.ts'
import type { Effect, GuardOrder, Message } from './events.ts'
import { isMajority } from './majority.ts'
import { Witness, type Claim, type Grant } from './witness.ts'

/** A claim lasts so long after it was asked for. Longer than a restart of the daemon takes. */
export const CLAIM_MS = 10_000

/** Held slots are claimed anew so often, in milliseconds: four may be lost before a claim runs out. */
export const CLAIM_INTERVAL_MS = 2_000

/** An engine may need so long beyond the grace to end a task for sure. */
export const KILL_MS = 2_000

/** Clocks of two machines may run at rates that differ by so much: far more than a broken quartz. */
export const CLOCK_RATE_ERROR = 0.01

/** Answers count for so long. Who has no majority by then gives back what it got, and rests for up to {@link CLAIM_INTERVAL_MS}. */
const ROUND_MS = 1_500

/** Claims that are due so soon after one that is due now go with it. */
const BATCH_MS = 500

/** A slot that was given up is said to be free so often, because a message may be lost. */
const RELEASES = 3

/** Claims in one message; those of a node that runs more go in several. */
const CLAIMS_PER_MESSAGE = 1_024

/** A slot that this node is to run, or still runs, and only may with a claim. */
export interface Want {
  readonly slot: SlotId
  /** How long its task goes on after the claim has run out. */
  readonly lostAfterMs: number
  /** How long its task takes to end when it is asked to. */
  readonly graceMs: number
}

/** A claim that a majority granted. */
export interface Held {
  readonly token: number
  /** Until when a task of the slot may be started, by this node's clock. */
  readonly untilMs: number
  /** When a task of the slot must begin to end, unless the claim is granted anew. */
  readonly endMs: number
}

/** Options of {@link Claims}. */
export interface ClaimsOptions {
  readonly self: NodeId
  readonly random: Random
  /** True at the node's very first start. */
  readonly isNew: boolean
  /** What was held before the daemon was restarted. */
  readonly kept: readonly GuardOrder[]
  readonly nowMs: number
  readonly admitted: () => ReadonlySet<NodeId>
  /** A token above all that this node knows of: where every witness has forgotten, this one still goes on. */
  readonly freshToken: () => number
}

interface Released {
  readonly slot: SlotId
  readonly token: number
}

/** What nodes say to one another about claims. */
export type ClaimMessage = Extract<Message, { readonly kind: 'claim' | 'granted' | 'release' }>

/** True for a message about claims. */
export function isClaimMessage(message: Message): message is ClaimMessage {
  return message.kind === 'claim' || message.kind === 'granted' || message.kind === 'release'
}

interface Asked {
  want: Want
  token: number
  /** Since when the slot is wanted. */
  readonly sinceMs: number
  askAtMs: number
  /** What the last refusal said. */
  refusal: Grant | undefined
}

interface Round {
  readonly sentAtMs: number
  readonly open: Map<SlotId, OpenClaim>
}

interface OpenClaim {
  readonly claim: Claim
  readonly lostAfterMs: number
  readonly grantedBy: Set<NodeId>
}

/**
 * The slots that this node alone may run, because a majority of the admitted nodes says
 * so, for the apps whose tasks must end where a node is cut off; and what this node grants to others.
 *
 * A claim counts from when it was asked for, not from when the answer came, so that each
 * witness's promise outlasts it. The promise also covers `lostAfter`, the grace of the
 * task, a moment for the engine, and clocks that run at different rates ({@link CLOCK_RATE_ERROR}).
 */
export class Claims {
  readonly #options: ClaimsOptions
  readonly #witness: Witness
  readonly #held = new Map<SlotId, Held>()
  readonly #asked = new Map<SlotId, Asked>()
  readonly #released = new Map<SlotId, { readonly token: number; times: number; atMs: number }>()
  readonly #rounds = new Map<number, Round>()
  /** Rounds are numbered by the time, so that no answer to an earlier life of this daemon counts. */
  #round: number
  #changes = 0

  constructor(options: ClaimsOptions) {
    this.#options = options
    this.#witness = new Witness(options)
    this.#round = Math.floor(options.nowMs)
    for (const { slot, token, untilMs, stopAtMs } of options.kept) {
      this.#held.set(slot, { token, untilMs, endMs: stopAtMs })
    }
  }

  /** Counts the changes of what this node holds. */
  get changes(): number {
    return this.#changes
  }

  /** The highest token that this node's witness has granted. */
  get tokenMax(): number {
    return this.#witness.tokenMax
  }

  /** When to call {@link Claims.ask} if nothing happens before. */
  get wakeAtMs(): number {
    let at = Infinity
    for (const { askAtMs } of this.#asked.values()) at = Math.min(at, askAtMs)
    for (const { atMs } of this.#released.values()) at = Math.min(at, atMs)
    for (const { sentAtMs } of this.#rounds.values()) at = Math.min(at, sentAtMs + ROUND_MS)
    return at
  }

  /** The claim on a slot under which a task may be started now. */
  held(slot: SlotId, nowMs: number): Held | undefined {
    const held = this.#held.get(slot)
    return held !== undefined && nowMs < held.untilMs ? held : undefined
  }

  /** The last claim on a slot, even if it has run out. */
  heldOrLost(slot: SlotId): Held | undefined {
    return this.#held.get(slot)
  }

  /**
   * When the task of a slot must begin to end: `lostAfter` after the claim has run out. A task that
   * never had one, because its app was changed while it ran, has the time of one claim to get it.
   */
  endMs(slot: SlotId): number {
    const held = this.#held.get(slot)
    if (held !== undefined) return held.endMs
    const asked = this.#asked.get(slot)
    return asked === undefined ? Infinity : asked.sinceMs + CLAIM_MS
  }

  /** The token under which this node runs, or last ran, a slot. */
  tokenOf(slot: SlotId): number {
    return this.#held.get(slot)?.token ?? this.#asked.get(slot)?.token ?? 0
  }

  /** Why a slot that is asked for is not held yet, in words. */
  why(slot: SlotId, nameOf: (node: NodeId) => string): string {
    const { holder, leftMs } = this.#asked.get(slot)?.refusal ?? {}
    const rule = 'it may run only where a majority of the admitted nodes grants it'
    if (leftMs === undefined) return `${rule}, and too few have answered`
    // In steps, because it is told to all, and each change is news.
    const seconds = 5 * Math.ceil(leftMs / 5_000)
    return holder === undefined
      ? `${rule}, and a node that has just started vouches for nothing for ${seconds} s more`
      : `${rule}, and ${nameOf(holder)} may still run it, for ${seconds} s at most`
  }

  /**
   * Takes what is wanted from now on, and claims what is new. What is wanted no more is given up.
   *
   * @param unsure Slots that may run here still, for all that is known: not given up, and not renewed either.
   */
  follow(wants: readonly Want[], unsure: ReadonlySet<SlotId>, nowMs: number): Effect[] {
    const slots = new Set<SlotId>()
    for (const want of wants) {
      const { slot } = want
      slots.add(slot)
      const asked = this.#asked.get(slot)
      if (asked !== undefined) {
        asked.want = want
        continue
      }
      const token = this.#held.get(slot)?.token ?? this.#nextToken(slot)
      const fields = { sinceMs: nowMs, askAtMs: nowMs, refusal: undefined }
      this.#asked.set(slot, { want, token, ...fields })
      this.#released.delete(slot)
    }
    for (const slot of new Set([...this.#asked.keys(), ...this.#held.keys()])) {
      if (slots.has(slot)) continue
      if (unsure.has(slot)) this.#asked.delete(slot)
      else this.#giveUp(slot, nowMs)
    }
    return this.ask(nowMs)
  }

  /** Does what is due: claims slots, gives back what only a minority granted, and says what is free. */
  ask(nowMs: number): Effect[] {
    const free = this.#endRounds(nowMs)
    for (const [slot, release] of this.#released) {
      if (release.atMs > nowMs) continue
      free.push({ slot, token: release.token })
      release.atMs = nowMs + CLAIM_INTERVAL_MS
      if (++release.times >= RELEASES) this.#released.delete(slot)
    }
    const effects = this.#tellFree(free, nowMs)
    const isAnyDue = [...this.#asked.values()].some(({ askAtMs }) => askAtMs <= nowMs)
    if (!isAnyDue) return effects
    const claims: OpenClaim[] = []
    for (const asked of this.#asked.values()) {
      if (asked.askAtMs > nowMs + BATCH_MS) continue
      asked.askAtMs = nowMs + CLAIM_INTERVAL_MS
      claims.push(this.#claimOf(asked, nowMs))
    }
    for (let from = 0; from < claims.length; from += CLAIMS_PER_MESSAGE) {
      effects.push(...this.#send(claims.slice(from, from + CLAIMS_PER_MESSAGE), nowMs))
    }
    return effects
  }

  /** Takes what another node says about claims. */
  receive(from: NodeId, message: ClaimMessage, nowMs: number): Effect[] {
    switch (message.kind) {
      case 'claim': {
        const grants = message.claims.map(claim => this.#witness.judge(from, claim, nowMs))
        const answer: Message = { kind: 'granted', round: message.round, grants }
        return [{ kind: 'send', to: from, message: answer }]
      }
      case 'release':
        for (const { slot, token } of message.slots) this.#witness.release(from, slot, token, nowMs)
        return []
      case 'granted':
        this.#count(from, message.round, message.grants, nowMs)
        return []
    }
  }

  #claimOf(asked: Asked, nowMs: number): OpenClaim {
    const { slot, lostAfterMs, graceMs } = asked.want
    const coveredMs = CLAIM_MS + lostAfterMs + graceMs + KILL_MS
    const termMs = Math.ceil(coveredMs * (1 + CLOCK_RATE_ERROR))
    const held = this.#held.get(slot)
    const renews = held !== undefined && nowMs < held.endMs
    // One that ran out whole is asked for like any other, as somebody else may have had it since.
    if (held !== undefined && !renews && asked.token <= held.token) {
      asked.token = this.#nextToken(slot)
    }
    const token = renews ? held.token : asked.token
    return { claim: { slot, token, termMs, renews }, lostAfterMs, grantedBy: new Set() }
  }

  /** Asks all the others in one round, and this node's own witness first of all. */
  #send(open: readonly OpenClaim[], nowMs: number): Effect[] {
    const id = ++this.#round
    const { self } = this.#options
    const claims = open.map(({ claim }) => claim)
    this.#rounds.set(id, {
      sentAtMs: nowMs,
      open: new Map(open.map(one => [one.claim.slot, one])),
    })
    const own = claims.map(claim => this.#witness.judge(self, claim, nowMs))
    this.#count(self, id, own, nowMs)
    return this.#tellOthers({ kind: 'claim', round: id, claims })
  }

  /** Counts one witness's answers. */
  #count(from: NodeId, id: number, grants: readonly Grant[], nowMs: number): void {
    const round = this.#rounds.get(id)
    for (const grant of grants) {
      const open = round?.open.get(grant.slot)
      const asked = this.#asked.get(grant.slot)
      if (round === undefined || open === undefined || asked === undefined) continue
      if (grant.ok) {
        open.grantedBy.add(from)
        if (!isMajority(open.grantedBy, this.#options.admitted())) continue
        this.#hold(open, round.sentAtMs)
        asked.refusal = undefined
        continue
      }
      asked.refusal = grant
      if (grant.token < asked.token || open.claim.renews) continue
      asked.token = grant.token + 1
      // Nobody has it, only the number was too low: there is no need to wait.
      if (grant.leftMs === undefined) asked.askAtMs = nowMs
    }
  }

  #hold({ claim, lostAfterMs }: OpenClaim, sentAtMs: number): void {
    const untilMs = sentAtMs + CLAIM_MS
    if ((this.#held.get(claim.slot)?.untilMs ?? -Infinity) >= untilMs) return
    this.#held.set(claim.slot, { token: claim.token, untilMs, endMs: untilMs + lostAfterMs })
    this.#changes++
  }

  /**
   * Ends the rounds whose time is over. What only a minority granted is given back, lest two
   * who ask at once block each other for long; the next try has another token and comes at another time.
   */
  #endRounds(nowMs: number): Released[] {
    const free: Released[] = []
    for (const [id, { sentAtMs, open }] of this.#rounds) {
      if (nowMs < sentAtMs + ROUND_MS) continue
      this.#rounds.delete(id)
      for (const [slot, { claim, grantedBy }] of open) {
        const asked = this.#asked.get(slot)
        if (asked === undefined || claim.renews || asked.token > claim.token) continue
        if (grantedBy.size === 0 || this.held(slot, nowMs) !== undefined) continue
        free.push({ slot, token: claim.token })
        asked.token = claim.token + 1
        asked.askAtMs = nowMs + CLAIM_INTERVAL_MS * this.#options.random()
      }
    }
    return free
  }

  #giveUp(slot: SlotId, nowMs: number): void {
    const token = this.tokenOf(slot)
    this.#asked.delete(slot)
    this.#held.delete(slot)
    this.#released.set(slot, { token, times: 0, atMs: nowMs })
  }

  #tellFree(slots: readonly Released[], nowMs: number): Effect[] {
    if (slots.length === 0) return []
    for (const { slot, token } of slots) {
      this.#witness.release(this.#options.self, slot, token, nowMs)
    }
    return this.#tellOthers({ kind: 'release', slots })
  }

  #tellOthers(message: Message): Effect[] {
    const { self, admitted } = this.#options
    return [...admitted()].filter(node => node !== self).map(to => ({ kind: 'send', to, message }))
  }

  #nextToken(slot: SlotId): number {
    const known = Math.max(this.#witness.tokenOf(slot), this.#held.get(slot)?.token ?? 0)
    return Math.max(known + 1, this.#options.freshToken())
  }
}
