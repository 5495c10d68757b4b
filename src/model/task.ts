import type { AppId, RevisionId, SlotId, TaskId } from './ids.ts'

/**
 * The life of a task. States only move forward, in this order; `stopped` (asked
 * for) and `failed` (ended by itself, or never came up) are both final.
 */
export const TASK_STATES = [
  'pending',
  'preparing',
  'starting',
  'running',
  'stopping',
  'stopped',
  'failed',
] as const

/** One of {@link TASK_STATES}. */
export type TaskState = (typeof TASK_STATES)[number]

/** What the health checks say. `unknown` until the first verdict; apps without checks stay `none`. */
export type Health = 'none' | 'unknown' | 'healthy' | 'unhealthy'

/** A port of a running task, as the outside reaches it. */
export interface TaskPort {
  /** The manifest's name for it, or an empty string. */
  readonly name: string
  readonly protocol: 'tcp' | 'udp'
  /** The port inside the container; for a process or host networking, the same as `hostPort`. */
  readonly containerPort: number
  /** The real port on the node. */
  readonly hostPort: number
}

/** What a node says of one of its tasks. Plain data: it travels in the node's observed record. */
export interface Task {
  readonly id: TaskId
  readonly app: AppId
  readonly slot: SlotId
  readonly revision: RevisionId
  readonly state: TaskState
  readonly health: Health
  readonly ports: readonly TaskPort[]
  /** When it entered `state`, in milliseconds since 1970 by its own node's clock. For people; nothing is decided by it. */
  readonly sinceMs: number
  /** Of a task that is stopping: since when it ran, by the same clock; the same as `sinceMs` when it never came up. */
  readonly ranSinceMs?: number
  /** Why it is where it is, for people: an exit, a pull's progress. Empty when there is nothing to say. */
  readonly message: string
  readonly exitCode?: number
  /** Its fencing token: higher than that of every earlier task of the slot. Nothing for a task that an earlier daemon started. */
  readonly fence?: number
}

/** True for a state that a task can never leave. */
export function isFinal(state: TaskState): boolean {
  return state === 'stopped' || state === 'failed'
}

/** True when clients may be sent to the task: it runs, and no check speaks against it. */
export function isServing(task: Task): boolean {
  return task.state === 'running' && (task.health === 'none' || task.health === 'healthy')
}

/** True when a task may go from `from` to `to`: forward only, and never out of a final state. */
export function mayMove(from: TaskState, to: TaskState): boolean {
  return !isFinal(from) && TASK_STATES.indexOf(to) > TASK_STATES.indexOf(from)
}
