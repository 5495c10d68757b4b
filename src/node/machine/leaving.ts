import type { NodeId } from '../../model/ids.ts'
import { isFinal } from '../../model/task.ts'
import type { Effect, EditResult } from './events.ts'
import type { OwnTasks } from './own-tasks.ts'

/** A node that leaves for good waits so long for others to take over before it stops its tasks. */
export const LEAVE_TIMEOUT_MS = 60_000

/** How this node leaves the cluster for good, once it was asked to: its tasks go first, and then whoever asked is answered. */
export class Leaving {
  readonly #self: NodeId
  #leave: { readonly request: number; readonly deadlineMs: number } | undefined
  #isAnswered = false

  constructor(self: NodeId) {
    this.#self = self
  }

  get isAsked(): boolean {
    return this.#leave !== undefined
  }

  /** When {@link Leaving.finish} is due if nothing happens before. */
  get wakeAtMs(): number {
    return this.#isAnswered ? Infinity : (this.#leave?.deadlineMs ?? Infinity)
  }

  /** Begins to leave. The answer to `request` comes from {@link Leaving.finish}. */
  ask(request: number, nowMs: number): void {
    this.#leave = { request, deadlineMs: nowMs + LEAVE_TIMEOUT_MS }
    this.#isAnswered = false
  }

  /** Goes on with it: stops what nobody took over in time, and answers once nothing is left, or cannot be stopped. */
  finish(own: OwnTasks, nowMs: number): Effect[] {
    if (this.#leave === undefined || this.#isAnswered) return []
    const { request, deadlineMs } = this.#leave
    const effects: Effect[] = []
    const live = own.local().filter(({ task }) => !isFinal(task.state))
    if (live.length > 0) {
      if (nowMs < deadlineMs) return []
      const isStuck = live.every(({ task }) => task.state === 'stopping')
      for (const { task } of live) effects.push(...own.stop(task.id, 'the node leaves', nowMs))
      if (!isStuck) {
        this.#leave = { request, deadlineMs: nowMs + LEAVE_TIMEOUT_MS }
        return effects
      }
    }
    this.#isAnswered = true
    const result: EditResult = {
      ok: true,
      changed: true,
      storedOn: [this.#self],
      onlyHere: false,
      revisions: [],
    }
    return [...effects, { kind: 'reply', request, result }]
  }
}
