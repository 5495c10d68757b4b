import { once } from 'node:events'
import { existsSync, readFileSync, watch } from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { RevisionId, SlotId, TaskId } from '../model/ids.ts'
import type { TaskPort } from '../model/task.ts'
import { digest } from '../util/keys.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { readPid } from './task-pid.ts'

const meta = z.strictObject({
  version: z.literal(1),
  cluster: z.string(),
  task: z.custom<TaskId>(value => typeof value === 'string'),
  slot: z.custom<SlotId>(value => typeof value === 'string'),
  revision: z.custom<RevisionId>(value => typeof value === 'string'),
  work: z.string().default(''),
  ports: z.custom<readonly TaskPort[]>(value => Array.isArray(value)),
  /** Where the process runs, for `exec` to run there too. */
  cwd: z.string(),
  uid: z.int().optional(),
  gid: z.int().optional(),
  startedAtMs: z.int(),
  bootId: z.string(),
})

/** What is known of a task before its process exists. */
export type TaskMeta = Readonly<z.output<typeof meta>>

const META_FILE = 'meta.json'

/**
 * Where a task's files are: `tasks/shop-web.2-k3f9x1-5d41402abc4b2a76`. The digest makes it
 * the task's alone; the rest is for people, and short, because a file name has 255 bytes at most.
 */
export function taskDirOf(root: string, task: TaskId): string {
  const readable = task.slice(1, 120).replaceAll(/[^\w.-]/g, '-')
  return join(root, 'tasks', `${readable}-${digest(task)}`)
}

/**
 * Makes a task's folder, with everything that is known of the task safely on disk
 * before it returns: a daemon that is killed from here on finds the task again.
 *
 * @returns False when the task has a folder already; nothing is changed then.
 */
export async function makeTaskDir(dir: string, content: TaskMeta): Promise<boolean> {
  await mkdir(join(dir, '..'), { recursive: true, mode: 0o700 })
  try {
    await mkdir(dir, { mode: 0o700 })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
  await mkdir(join(dir, 'work'), { mode: 0o700 })
  const path = join(dir, META_FILE)
  const file = await open(`${path}.new`, 'wx', 0o600)
  try {
    await file.writeFile(JSON.stringify(content))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
  await syncDir(dir)
  await syncDir(join(dir, '..'))
  return true
}

/** The task folders under `root`, by path. */
export async function listTaskDirs(root: string): Promise<string[]> {
  const tasks = join(root, 'tasks')
  if (!existsSync(tasks)) return []
  const entries = await readdir(tasks, { withFileTypes: true })
  return entries.filter(entry => entry.isDirectory()).map(({ name }) => join(tasks, name))
}

/**
 * Reads what {@link makeTaskDir} wrote.
 *
 * @returns Nothing when the daemon died before it was all there: no process was started then.
 * @throws {Error} When it is there but cannot be understood, such as after a downgrade.
 */
export function readMeta(dir: string): TaskMeta | undefined {
  const path = join(dir, META_FILE)
  if (!existsSync(path)) return undefined
  const parsed = meta.safeParse(JSON.parse(readFileSync(path, 'utf8')))
  if (parsed.success) return parsed.data
  throw new Error(`Cannot read ${path}: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`)
}

/**
 * Waits for a new process to say who it is.
 *
 * @throws {Error} When it does not within `deadlineMs`.
 */
export async function waitForPid(dir: string, deadlineMs: number): Promise<ProcessIdentity> {
  const signal = AbortSignal.timeout(deadlineMs)
  const watcher = watch(dir)
  try {
    for (;;) {
      const changed = once(watcher, 'change', { signal })
      const identity = readPid(dir)
      if (identity !== undefined) {
        changed.catch(() => undefined) // Nobody waits for the change any more.
        return identity
      }
      // oxlint-disable-next-line no-await-in-loop -- one change after the other
      await changed
    }
  } finally {
    watcher.close()
  }
}

/** Removes a task's folder with all that is in it. One that is not there is removed. */
export async function removeTaskDir(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true, maxRetries: 3 })
}

async function syncDir(path: string): Promise<void> {
  const dir = await open(path, 'r')
  try {
    await dir.sync()
  } finally {
    await dir.close()
  }
}
