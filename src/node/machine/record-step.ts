import type { NodeRecord } from '../../model/node-record.ts'
import type { Task } from '../../model/task.ts'

/** What became of one task: without `before` it is new, without `after` it is in the record no more. */
export type TaskStep =
  | { readonly before: Task; readonly after: Task }
  | { readonly before: Task; readonly after: undefined }
  | { readonly before: undefined; readonly after: Task }

/** The step from one version of a node's record to the next. */
export interface RecordStep {
  /** Nothing for the first that is heard of the node. */
  readonly before: NodeRecord | undefined
  readonly after: NodeRecord
  /** The tasks that came, went, or are in another state, health or revision: in the order of the records, those that went last. */
  readonly tasks: readonly TaskStep[]
}

const steps = new WeakMap<NodeRecord, RecordStep>()

/**
 * Works the step out, once for all who ask: every record that comes is looked at by the plan, the budget of moves and the
 * tellings, and most of them change nothing but a time.
 */
export function stepBetween(before: NodeRecord | undefined, after: NodeRecord): RecordStep {
  let step = steps.get(after)
  if (step === undefined || step.before !== before) {
    step = { before, after, tasks: tasksBetween(before?.tasks ?? [], after.tasks) }
    steps.set(after, step)
  }
  return step
}

function tasksBetween(before: readonly Task[], after: readonly Task[]): readonly TaskStep[] {
  const known = new Map<string, Task>(before.map(task => [task.id, task]))
  const tasks: TaskStep[] = []
  for (const task of after) {
    const old = known.get(task.id)
    known.delete(task.id)
    if (old === undefined || !isSameToOthers(old, task)) tasks.push({ before: old, after: task })
  }
  for (const gone of known.values()) tasks.push({ before: gone, after: undefined })
  return tasks
}

/** True when two states of a task are one to all who decide by it. */
function isSameToOthers(before: Task, after: Task): boolean {
  return (
    before.state === after.state &&
    before.health === after.health &&
    before.revision === after.revision
  )
}
