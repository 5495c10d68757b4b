import type { TaskId } from '../model/ids.ts'
import { RuntimeError } from './runtime.ts'

/** For a start of a task that is there already, running or ended. */
export function startedTwice(task: TaskId): RuntimeError {
  return new RuntimeError('failed', `${task} was already started on this node`, {
    temporary: false,
  })
}

/** For a question about a task that this runtime does not have, or that has ended. */
export function notThere(task: TaskId): RuntimeError {
  return new RuntimeError('no-such-task', `No task ${task} runs on this node`, {
    temporary: false,
  })
}

/** For the removal of a task that has not ended. */
export function stillRuns(task: TaskId): RuntimeError {
  return new RuntimeError('failed', `Cannot remove ${task}: it runs, stop it first`, {
    temporary: false,
  })
}

/** For a start that wants a port of another. */
export function portTaken(task: TaskId, port: string, reason: string): RuntimeError {
  return new RuntimeError('port-taken', `Cannot start ${task}: ${port} is taken, ${reason}`, {
    temporary: true,
  })
}

/** For a start that will not work on this node until somebody changes something. */
export function badSpec(task: TaskId, reason: string, cause?: unknown): RuntimeError {
  return new RuntimeError('bad-spec', `Cannot start ${task}: ${reason}`, {
    temporary: false,
    cause,
  })
}

/** For a start that the caller took back. */
export function calledOff(task: TaskId): RuntimeError {
  return new RuntimeError('failed', `The start of ${task} was called off`, { temporary: true })
}

/** @throws {RuntimeError} When `signal` has fired. */
export function throwIfCalledOff(task: TaskId, signal: AbortSignal): void {
  if (signal.aborted) throw calledOff(task)
}
