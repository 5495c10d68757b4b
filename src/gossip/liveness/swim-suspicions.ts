import type { NodeId } from '../../model/ids.ts'
import type { SwimOptions } from './swim-options.ts'

/** One node under suspicion here. */
interface Suspicion {
  /** When it was first heard of here; time slept through does not count. */
  startedAtMs: number
  /** Who accuses; no more are kept than shorten the wait. */
  readonly accusers: NodeId[]
  /** Somebody already holds it dead: as good as all confirmations. */
  settled: boolean
  /** How much longer it lasts than those of others. */
  readonly graceMs: number
  /** This node told nobody, because it takes itself to be cut off. */
  isQuiet: boolean
  /** When it would end if nobody had to be called first. */
  deadlineMs: number
  /** When the last call went out; Infinity before. Nobody is dead sooner than `lastCallMs` after. */
  calledAtMs: number
}

/**
 * - `aloud`: others are told, and can confirm.
 * - `settled`: somebody already holds the node dead, so that no confirmation is waited for.
 * - `quiet`: nobody is told, because this node takes itself to be cut off.
 */
export type SuspicionKind = 'aloud' | 'settled' | 'quiet'

/** How many nodes there are to judge by. */
export interface Electorate {
  /** Nodes alive or suspect, this one included: N of the formula. */
  readonly nodes: number
  /** Nodes alive and beyond suspicion, this one not included: who could confirm. */
  readonly confirmers: number
}

/** Shortest suspicion, in milliseconds: `suspicionMult` × max(1, log10 N) × `probeIntervalMs`. */
export function suspicionMinMs(
  { suspicionMult, probeIntervalMs }: SwimOptions,
  nodes: number,
): number {
  return suspicionMult * Math.max(1, Math.log10(nodes)) * probeIntervalMs
}

/**
 * How long a suspicion lasts that `confirmed` further nodes confirm: it falls from
 * the longest to the shortest with the logarithm of the confirmations (Lifeguard,
 * section IV-B). Where fewer nodes are left to confirm, fewer are asked for.
 */
export function suspicionMs(
  options: SwimOptions,
  { nodes, confirmers }: Electorate,
  confirmed: number,
): number {
  const minMs = suspicionMinMs(options, nodes)
  const maxMs = minMs * options.suspicionMaxMult
  const wanted = Math.min(options.confirmations, confirmers)
  if (confirmed >= wanted) return minMs
  return maxMs - (maxMs - minMs) * (Math.log(confirmed + 1) / Math.log(wanted + 1))
}

/** Who is suspected, by whom, and until when. Bounded by the number of members. */
export class Suspicions {
  readonly #options: SwimOptions
  readonly #open = new Map<NodeId, Suspicion>()
  /** No suspicion ends earlier. */
  #nextMs = Infinity

  constructor(options: SwimOptions) {
    this.#options = options
  }

  /** When to ask for {@link due} again. */
  get nextMs(): number {
    return this.#nextMs
  }

  /** Opens a suspicion, which lasts `graceMs` longer than those of others. */
  open(
    node: NodeId,
    { by, kind, graceMs }: { by: NodeId; kind: SuspicionKind; graceMs: number },
    electorate: Electorate,
    nowMs: number,
  ): void {
    const suspicion = {
      startedAtMs: nowMs,
      accusers: [by],
      graceMs,
      settled: kind === 'settled',
      isQuiet: kind === 'quiet',
      deadlineMs: 0,
      calledAtMs: Infinity,
    }
    this.#open.set(node, suspicion)
    this.#set(suspicion, electorate)
  }

  /** Adds an accuser. True when it is a new one that shortens the suspicion, and so worth passing on. */
  confirm(node: NodeId, by: NodeId, electorate: Electorate): boolean {
    const suspicion = this.#open.get(node)
    if (suspicion === undefined || suspicion.accusers.includes(by)) return false
    if (suspicion.accusers.length > this.#options.confirmations) return false
    suspicion.accusers.push(by)
    suspicion.isQuiet = false
    this.#set(suspicion, electorate)
    return true
  }

  /** Somebody holds the node dead: no more confirmations are waited for. */
  settle(node: NodeId, electorate: Electorate): void {
    const suspicion = this.#open.get(node)
    if (suspicion === undefined) return
    suspicion.settled = true
    suspicion.isQuiet = false
    this.#set(suspicion, electorate)
  }

  /** True for a suspicion that nobody was told of and nobody shares. */
  isQuiet(node: NodeId): boolean {
    return this.#open.get(node)?.isQuiet === true
  }

  /** For how long the node has been suspect here beyond its grace, in milliseconds. */
  ageMs(node: NodeId, nowMs: number): number {
    const suspicion = this.#open.get(node)
    return suspicion === undefined ? 0 : nowMs - suspicion.startedAtMs - suspicion.graceMs
  }

  /** Ends a suspicion, one way or the other. */
  close(node: NodeId): void {
    this.#open.delete(node)
    if (this.#open.size === 0) this.#nextMs = Infinity
  }

  /** Reckons again, because there are too few left to confirm. */
  reckon(electorate: Electorate): void {
    for (const suspicion of this.#open.values()) this.#set(suspicion, electorate)
  }

  /** Time during which this node did not run does not count: refutations may lie unread. */
  prolong(byMs: number): void {
    for (const suspicion of this.#open.values()) {
      suspicion.startedAtMs += byMs
      suspicion.deadlineMs += byMs
      suspicion.calledAtMs = Infinity
    }
    this.#nextMs = -Infinity
  }

  /**
   * What is due: nodes to `call` once more, because their time to refute is about to end, and nodes whose time
   * is over. A refutation that got lost is heard so, without waiting for gossip.
   */
  due(nowMs: number): { readonly call: readonly NodeId[]; readonly over: readonly NodeId[] } {
    const call: NodeId[] = []
    const over: NodeId[] = []
    this.#nextMs = Infinity
    for (const [node, suspicion] of this.#open) {
      if (nowMs >= this.#endMs(suspicion)) {
        over.push(node)
        continue
      }
      if (suspicion.calledAtMs === Infinity && nowMs >= this.#dueMs(suspicion)) {
        suspicion.calledAtMs = nowMs
        call.push(node)
      }
      this.#nextMs = Math.min(this.#nextMs, this.#dueMs(suspicion))
    }
    return { call, over }
  }

  #set(suspicion: Suspicion, electorate: Electorate): void {
    const confirmed = suspicion.settled ? Infinity : suspicion.accusers.length - 1
    const { startedAtMs, graceMs } = suspicion
    suspicion.deadlineMs = startedAtMs + graceMs + suspicionMs(this.#options, electorate, confirmed)
    this.#nextMs = Math.min(this.#nextMs, this.#dueMs(suspicion))
  }

  #dueMs(suspicion: Suspicion): number {
    return suspicion.calledAtMs === Infinity
      ? suspicion.deadlineMs - this.#options.lastCallMs
      : this.#endMs(suspicion)
  }

  #endMs({ deadlineMs, calledAtMs }: Suspicion): number {
    return Math.max(deadlineMs, calledAtMs + this.#options.lastCallMs)
  }
}
