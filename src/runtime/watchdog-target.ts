import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findByEnvironment, isAlive, readBootId, signalProcess } from './process-identity.ts'
import { MARK } from './process-program.ts'
import { abandon, readExit, readPid } from './task-pid.ts'
import type { ContainerBook } from './watchdog-book.ts'
import type { FiledOrder, Sheet } from './watchdog-orders.ts'

/** A task that is to end, whichever runtime has it. What throws is tried again. */
export interface Target {
  /** False when nothing of it runs, and nothing that was begun so far will make it run. */
  isRunning(): Promise<boolean>
  /** Asks it to end. */
  ask(): Promise<void>
  /** Ends it without asking. */
  kill(): Promise<void>
}

/** A task that is a container. */
export function containerTarget(task: string, book: ContainerBook, cluster: string): Target {
  return {
    isRunning: () => book.isRunning(task, cluster),
    ask: () => book.ask(task),
    kill: () => book.kill(task),
  }
}

/** A task that is a process: the group whose leader the task's folder names, and what left that group. */
export function processTarget({ task, dir }: FiledOrder, { cluster }: Sheet): Target {
  const signalGroup = (signal: 'SIGTERM' | 'SIGKILL'): void => {
    const identity = readPid(dir)
    if (identity !== undefined && isAlive(identity)) signalProcess(-identity.pid, signal)
  }
  return {
    isRunning: async () => {
      if (!isOurs(dir, task, cluster)) return false
      // One that has not said its pid yet must not begin any more.
      const identity = readPid(dir) ?? (await abandon(dir))
      if (identity === undefined) return false
      if (readExit(dir) === undefined && isAlive(identity)) return true
      return findByEnvironment(MARK, dir).length > 0
    },
    ask: async () => signalGroup('SIGTERM'),
    kill: async () => {
      signalGroup('SIGKILL')
      for (const pid of findByEnvironment(MARK, dir)) signalProcess(pid, 'SIGKILL')
    },
  }
}

/** True for a task folder of this boot that carries the cluster's mark. One that is not described yet has no process. */
function isOurs(dir: string, task: string, cluster: string): boolean {
  let meta: unknown
  try {
    meta = JSON.parse(readFileSync(join(dir, 'meta.json'), 'utf8'))
  } catch {
    return false // Not there, or not to be understood: the runtime leaves such a one alone, too.
  }
  if (typeof meta !== 'object' || meta === null) return false
  const fields: Readonly<Record<string, unknown>> = { ...meta }
  const isSame = fields['cluster'] === cluster && fields['task'] === task
  return isSame && fields['bootId'] === readBootId()
}
