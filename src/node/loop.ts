import type { Effect, NodeEvent } from './machine/events.ts'
import type { NodeMachine } from './machine/node-machine.ts'

/** Events that may wait for their turn. More than this and the node is broken, not busy. */
const QUEUE_MAX = 100_000

/** Longest sleep between two ticks, in milliseconds: node timers cannot count further than 24 days. */
const SLEEP_MS_MAX = 60_000

const TICKED: NodeEvent = { kind: 'ticked' }

/** Options of {@link startLoop}. */
export interface LoopOptions {
  readonly machine: NodeMachine
  /** Milliseconds since 1970 that never go back, whatever the wall clock does, and that count while the machine sleeps. */
  readonly now: () => number
  /** Carries an effect out. Must not throw and must not call `push` synchronously in a loop without end. */
  readonly perform: (effect: Effect) => void
  /** Called once after each batch of events. */
  readonly onSettled: () => void
  /** An event broke the machine: a bug. It is skipped, and the node goes on. */
  readonly onError: (error: unknown, event: NodeEvent) => void
}

/** The daemon's loop. */
export interface Loop {
  /** Queues an event; the machine sees it on the loop's next turn. */
  push(event: NodeEvent): void
  /** Stops; events that wait are dropped. */
  close(): void
}

/**
 * Drives a machine in real time: one event after the other, effects carried out in
 * order, and a tick when the machine asked for one.
 */
export function startLoop({ machine, now, perform, onSettled, onError }: LoopOptions): Loop {
  const queue: NodeEvent[] = []
  let isScheduled = false
  let isClosed = false
  let timer: NodeJS.Timeout | undefined

  function push(event: NodeEvent): void {
    if (isClosed) return
    if (queue.length >= QUEUE_MAX) {
      onError(new Error(`More than ${QUEUE_MAX} events wait: this one is dropped`), event)
      return
    }
    queue.push(event)
    if (isScheduled) return
    isScheduled = true
    setImmediate(turn)
  }

  function turn(): void {
    isScheduled = false
    if (isClosed) return
    // Only what was there at the start of the turn, so that I/O gets its turn, too.
    let last: NodeEvent = TICKED
    for (const event of queue.splice(0)) {
      last = event
      attempt(() => machine.take(event, now()), event)
    }
    attempt(() => machine.settle(now()), last)
    onSettled()
    sleep()
  }

  function attempt(step: () => readonly Effect[], event: NodeEvent): void {
    try {
      for (const effect of step()) perform(effect)
    } catch (error) {
      onError(error, event)
    }
  }

  function sleep(): void {
    clearTimeout(timer)
    if (isClosed || isScheduled) return
    const ms = Math.min(SLEEP_MS_MAX, Math.max(1, Math.ceil(machine.wakeAtMs - now())))
    timer = setTimeout(() => push(TICKED), ms)
  }

  push(TICKED)
  return {
    push,
    close: () => {
      isClosed = true
      clearTimeout(timer)
    },
  }
}
