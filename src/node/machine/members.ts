import { INCARNATIONS_PER_START } from '../../gossip/liveness/swim.ts'
import type { Admission } from '../../model/desired.ts'
import type { NodeId } from '../../model/ids.ts'
import type { NodeRecord } from '../../model/node-record.ts'
import type { Verdict } from '../../model/verdict.ts'
import type { KnownVerdict } from './events.ts'

/**
 * A node that said good-bye keeps its slots for so long: a daemon that is
 * upgraded or restarted is back before that, and nothing had to move.
 */
export const LEAVE_GRACE_MS = 8_000

/** How long a node that just started looks for the others before it believes that they are gone. */
export const START_GRACE_MS = 3_000

/**
 * How long a node waits for an engine that does not answer before it takes it for gone, after its own start, too. A busy
 * machine's Docker needs seconds, and whoever speaks too early loses the slots that it runs.
 */
export const ENGINE_GRACE_MS = 10_000

/** What this node knows of the others' liveness. */
export class Members {
  readonly #self: NodeId
  #startedAtMs: number
  readonly #verdicts = new Map<NodeId, KnownVerdict>()
  /** Those of the verdicts that are not `alive`: in a cluster that is well there are none to look through. */
  readonly #away = new Map<NodeId, KnownVerdict>()
  /** Who is admitted, once that was said; and of whom there are verdicts though they are not, for these may be back. */
  #admitted: ReadonlySet<NodeId> | undefined
  readonly #outside = new Set<NodeId>()
  /** A node that was not heard of when this was looked for last. */
  #unheard: NodeId | undefined
  #changes = 0
  #foundAtMs = -Infinity

  constructor(self: NodeId, nowMs: number) {
    this.#self = self
    this.#startedAtMs = nowMs
  }

  /** Counts the verdicts that were news, be it of a new life only. */
  get changes(): number {
    return this.#changes
  }

  /** When a node was found last that had been gone, or was never heard of before. */
  get foundAtMs(): number {
    return this.#foundAtMs
  }

  /** The daemon is up, and looks for the others from now on: what it needed to get there does not count. */
  begin(nowMs: number): void {
    this.#startedAtMs = nowMs
  }

  /** Takes a verdict; gives the one before when it is news. */
  take(
    { node, kind, incarnation }: Verdict,
    nowMs: number,
  ): { readonly before?: KnownVerdict } | undefined {
    const before = this.#verdicts.get(node)
    if (node === this.#self) return undefined
    if (before?.kind === kind && before.incarnation === incarnation) return undefined
    const sinceMs = before?.kind === kind ? before.sinceMs : nowMs
    const wasPresent = this.isPresent(node)
    const verdict = { kind, incarnation, sinceMs }
    this.#verdicts.set(node, verdict)
    if (this.#admitted?.has(node) === false) this.#outside.add(node)
    if (kind === 'alive') this.#away.delete(node)
    else this.#away.set(node, verdict)
    if (!wasPresent && this.isPresent(node)) this.#foundAtMs = nowMs
    this.#changes++
    if (before?.kind === kind) return undefined
    return before === undefined ? {} : { before }
  }

  /** Takes who is admitted from now on. Verdicts stay: liveness does not repeat what it said of a node that is out for a moment. */
  admit(nodes: ReadonlySet<NodeId>): void {
    this.#admitted = nodes
    this.#outside.clear()
    for (const node of this.#verdicts.keys()) if (!nodes.has(node)) this.#outside.add(node)
  }

  /** Of the admitted: who is dead, how many are there, this one included, and how many of these are in doubt. */
  census(): { readonly dead: NodeId[]; readonly present: number; readonly doubted: number } {
    const dead: NodeId[] = []
    let [doubted, left] = [0, 0]
    for (const [node, { kind }] of this.#away) {
      if (this.#outside.has(node)) continue
      if (kind === 'dead') dead.push(node)
      else if (kind === 'suspect') doubted++
      else left++
    }
    const heardOf = this.#verdicts.size - this.#outside.size
    return { dead, present: 1 + heardOf - dead.length - left, doubted }
  }

  /** What is known of a node; nothing when it was never heard of. A node never doubts itself. */
  verdict(node: NodeId): KnownVerdict | undefined {
    if (node === this.#self) return { kind: 'alive', incarnation: 0, sinceMs: this.#startedAtMs }
    return this.#verdicts.get(node)
  }

  /** True for a node that is there: alive, or suspected and not yet given up. */
  isPresent(node: NodeId): boolean {
    const kind = this.verdict(node)?.kind
    return kind === 'alive' || kind === 'suspect'
  }

  isAlive(node: NodeId): boolean {
    return this.verdict(node)?.kind === 'alive'
  }

  /** How often the node was started, as far as its verdicts tell. */
  lifeOf(node: NodeId): number {
    return Math.floor((this.verdict(node)?.incarnation ?? 0) / INCARNATIONS_PER_START)
  }

  /** False for a record of before its node's last start: after a loss of power none of its tasks need be there. */
  isOfThisLife({ node, incarnation }: NodeRecord): boolean {
    return incarnation >= this.lifeOf(node)
  }

  /**
   * Since when what an alive node's record says can be relied on; nothing while the node
   * is in doubt, and nothing for a record that is not {@link Members.isOfThisLife}.
   */
  reliableSinceMs(record: NodeRecord): number | undefined {
    const verdict = this.verdict(record.node)
    return verdict?.kind === 'alive' && this.isOfThisLife(record) ? verdict.sinceMs : undefined
  }

  /** Since when a node that was there is lost: dead, or gone with its tasks running on. */
  lostSinceMs(node: NodeId): number | undefined {
    const verdict = this.verdict(node)
    return verdict?.kind === 'dead' || verdict?.kind === 'left' ? verdict.sinceMs : undefined
  }

  /** True when the time is over in which this node learns what it needs after a start. */
  isStartOver(nowMs: number): boolean {
    return nowMs - this.#startedAtMs >= START_GRACE_MS
  }

  /** True when the time is over in which the engines of this node say what they run. */
  isEngineGraceOver(nowMs: number): boolean {
    return nowMs - this.#startedAtMs >= ENGINE_GRACE_MS
  }

  /** True when slots may belong to the node: it is present, or has just gone for a restart. */
  isEligible(record: NodeRecord, nowMs: number): boolean {
    if (this.isPresent(record.node)) return true
    const verdict = this.verdict(record.node)
    return verdict?.kind === 'left' && !record.leaving && nowMs - verdict.sinceMs < LEAVE_GRACE_MS
  }

  /** True once every admitted node was heard of, or the time for that is over. */
  isSettled(
    admitted: ReadonlyMap<NodeId, Admission>,
    hasRecord: (node: NodeId) => boolean,
    nowMs: number,
  ): boolean {
    if (this.isStartOver(nowMs)) return true
    const isUnheard = (node: NodeId): boolean => {
      const kind = this.verdict(node)?.kind
      return kind === undefined || ((kind === 'alive' || kind === 'suspect') && !hasRecord(node))
    }
    const last = this.#unheard
    if (last !== undefined && admitted.has(last) && isUnheard(last)) return false
    this.#unheard = undefined
    for (const node of admitted.keys()) {
      if (!isUnheard(node)) continue
      this.#unheard = node
      return false
    }
    return true
  }

  /** When the next time-bound answer here changes. */
  wakeAtMs(nowMs: number): number {
    let at = Infinity
    for (const graceMs of [START_GRACE_MS, ENGINE_GRACE_MS]) {
      if (nowMs < this.#startedAtMs + graceMs) at = Math.min(at, this.#startedAtMs + graceMs)
    }
    for (const { kind, sinceMs } of this.#away.values()) {
      if (kind === 'left' && sinceMs + LEAVE_GRACE_MS > nowMs)
        at = Math.min(at, sinceMs + LEAVE_GRACE_MS)
    }
    return at
  }
}
