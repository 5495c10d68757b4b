import type { NodeId } from '../../model/ids.ts'
import { fromMs } from '../../model/duration.ts'

/** Nodes that are lost within so long are lost together. */
const TOGETHER_MS = 60_000

/** Only more nodes than this at once are a mass loss. */
const FEW = 3

/** While the brake is on, each node starts one task in place of a lost one at most so often. */
export const BRAKE_START_INTERVAL_MS = 10_000

/** The brake comes off after so long even if nobody has come back. */
export const BRAKE_MS_MAX = 600_000

/** The brake, while it is on. */
export interface Brake {
  readonly sinceMs: number
  /** How many nodes were lost together, and of how many. */
  readonly lost: number
  readonly of: number
}

/**
 * The mass-loss brake: when more than a third of the nodes, and more than three, are lost
 * within a minute, the cause is likely the network or the power, not the nodes. Then
 * the work of all of them is not thrown at the rest at once, which might fall, too: each
 * node starts one task in place of a lost one every ten seconds, until so many are back
 * that it is no mass loss any more, or ten minutes have passed.
 *
 * Nodes that vanish at one moment are not given up at one moment: a second or two lie between the
 * first and the last. So as long as those that are lost and those in doubt would be
 * a mass loss together, nothing is started in place of the first of them.
 */
export class MassLoss {
  readonly #lostAtMs = new Map<NodeId, number>()
  #brake: Brake | undefined
  #isBraced = false
  #startedAtMs = -Infinity

  /** The brake, while it is on. */
  get brake(): Brake | undefined {
    return this.#brake
  }

  /** Takes who is dead to this node now, and how many nodes there are besides, those in doubt among them. Gives what is worth telling. */
  see(
    dead: readonly NodeId[],
    { present, doubted }: { readonly present: number; readonly doubted: number },
    nowMs: number,
  ): string | undefined {
    const known = new Set(dead)
    for (const node of this.#lostAtMs.keys()) if (!known.has(node)) this.#lostAtMs.delete(node)
    for (const node of dead) if (!this.#lostAtMs.has(node)) this.#lostAtMs.set(node, nowMs)
    const recent = this.#recent(nowMs)
    this.#isBraced = isMass(recent + doubted, recent + present)
    if (this.#brake === undefined) return this.#pull(recent, present, nowMs)
    return this.#release(present, nowMs)
  }

  /** When a task in place of a lost one may be started next; at once while the brake is off. Infinity: not before it is known how many are lost. */
  nextStartAtMs(): number {
    if (this.#brake !== undefined) return this.#startedAtMs + BRAKE_START_INTERVAL_MS
    return this.#isBraced ? Infinity : -Infinity
  }

  /** A task was started in place of a lost one. */
  started(nowMs: number): void {
    this.#startedAtMs = nowMs
  }

  /** When to look again even if nothing happens. */
  get wakeAtMs(): number {
    return this.#brake === undefined ? Infinity : this.#brake.sinceMs + BRAKE_MS_MAX
  }

  /** How many were lost together lately. */
  #recent(nowMs: number): number {
    return [...this.#lostAtMs.values()].filter(ms => nowMs - ms < TOGETHER_MS).length
  }

  #pull(together: number, present: number, nowMs: number): string | undefined {
    const of = together + present
    if (!isMass(together, of)) return undefined
    this.#brake = { sinceMs: nowMs, lost: together, of }
    const rate = `each node starts one task in their place every ${fromMs(BRAKE_START_INTERVAL_MS)}`
    return `${together} of ${of} nodes were lost within a minute: ${rate}`
  }

  #release(present: number, nowMs: number): string | undefined {
    const { sinceMs } = this.#brake!
    const lost = this.#lostAtMs.size
    if (isMass(lost, lost + present) && nowMs - sinceMs < BRAKE_MS_MAX) return undefined
    this.#brake = undefined
    // Who is still away is away for good: it takes another such loss to pull the brake again.
    for (const node of this.#lostAtMs.keys()) this.#lostAtMs.set(node, -Infinity)
    return 'tasks in place of lost ones start at full speed again'
  }
}

function isMass(lost: number, of: number): boolean {
  return lost > FEW && 3 * lost > of
}
