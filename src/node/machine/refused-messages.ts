import type { NodeId } from '../../model/ids.ts'

/** Why something that another node sent is not taken. */
export type Fault =
  /** Bytes that are no message. */
  | 'malformed'
  /** A message of a kind that only a newer version knows. No offence. */
  | 'unknown-kind'
  /** A record that its owner did not sign: forged, or altered on the way. */
  | 'forged'
  /** A record that is larger than any honest one. */
  | 'oversize'

/** Every {@link Fault}, in the order in which they are told. */
export const FAULTS: readonly Fault[] = ['malformed', 'unknown-kind', 'forged', 'oversize']

/** The same fault of the same node is told at most this often, in milliseconds. */
const TELL_MS = 60_000

/** So many pairs of node and fault are remembered. */
const TOLD_MAX = 1_000

/**
 * Counts what others sent and this node did not take. Every one counts, and few are told: a
 * broken node may send thousands a second, and must not push everything else out of the events.
 */
export class RefusedMessages {
  readonly #counts = new Map<Fault, number>()
  readonly #toldAtMs = new Map<string, number>()

  /** Counts one more. True when people should be told of it. */
  note(fault: Fault, from: NodeId, nowMs: number): boolean {
    this.#counts.set(fault, this.count(fault) + 1)
    const key = `${from} ${fault}`
    const lastMs = this.#toldAtMs.get(key)
    if (lastMs !== undefined && nowMs - lastMs < TELL_MS) return false
    // Set anew, so that the first of the map is the oldest.
    this.#toldAtMs.delete(key)
    this.#toldAtMs.set(key, nowMs)
    for (const oldest of this.#toldAtMs.keys()) {
      if (this.#toldAtMs.size <= TOLD_MAX) break
      this.#toldAtMs.delete(oldest)
    }
    return true
  }

  /** How many were refused for `fault` since the start. */
  count(fault: Fault): number {
    return this.#counts.get(fault) ?? 0
  }
}
