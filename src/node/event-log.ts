import type { ClusterEvent } from './machine/events.ts'

/** How many events a node remembers. */
export const EVENTS_MAX = 1_000

/** The latest events of a cluster as one node saw them, and whoever listens to the next. */
export class EventLog {
  readonly #events: ClusterEvent[] = []
  readonly #listeners = new Set<(event: ClusterEvent) => void>()

  add(event: ClusterEvent): void {
    this.#events.push(event)
    if (this.#events.length > EVENTS_MAX) this.#events.splice(0, this.#events.length - EVENTS_MAX)
    for (const listener of this.#listeners) listener(event)
  }

  /** The remembered events, oldest first. */
  recent(): readonly ClusterEvent[] {
    return [...this.#events]
  }

  /** Calls `listener` for each next event until the returned function is called. */
  listen(listener: (event: ClusterEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
