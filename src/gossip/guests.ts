import type { Connection } from '@libp2p/interface'

/** Most connections at once of nodes that are not admitted. */
export const GUESTS_MAX = 8

/** How long such a connection may live, in milliseconds. */
export const GUEST_MS = 10_000

/**
 * Connections of nodes that have the cluster's key but are not (yet) admitted: few, and short.
 * They exist so that a newcomer can make one `join` call.
 */
export interface Guests {
  /** True when there is room for one more. */
  hasRoom(): boolean
  has(connection: Connection): boolean
  /** Takes a connection in; `onOverstay` is told when its time is over, just before it is closed. */
  add(connection: Connection, ms: number, onOverstay: () => void): void
  /** Lets a connection go: it closed, or its node was admitted. */
  remove(connection: Connection): void
  close(): void
}

/** No guests yet. */
export function createGuests(): Guests {
  const timers = new Map<Connection, NodeJS.Timeout>()

  function remove(connection: Connection): void {
    clearTimeout(timers.get(connection))
    timers.delete(connection)
  }

  return {
    hasRoom: () => timers.size < GUESTS_MAX,
    has: connection => timers.has(connection),
    add: (connection, ms, onOverstay) => {
      remove(connection)
      const timer = setTimeout(() => {
        timers.delete(connection)
        onOverstay()
        connection.abort(new Error('not admitted'))
      }, ms)
      timers.set(connection, timer)
    },
    remove,
    close: () => {
      for (const timer of timers.values()) clearTimeout(timer)
      timers.clear()
    },
  }
}
