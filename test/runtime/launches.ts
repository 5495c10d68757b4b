import { createServer } from 'node:net'
import { once } from 'node:events'
import { appSchema, type AppInput } from '../../src/model/app.ts'
import { slotOfTask, type RevisionId, type TaskId } from '../../src/model/ids.ts'
import type { TaskPort } from '../../src/model/task.ts'
import type { Launch, LogChunk, Runtime, RuntimeEvent } from '../../src/runtime/runtime.ts'

let made = 0

/** Makes a launch of an app that is like `app`, with an id that no other launch of this test run has. */
export function makeLaunch(app: Omit<AppInput, 'id'>, more: Partial<Launch> = {}): Launch {
  const task = `/test/web.${made}@n${process.pid}x${made++}` as TaskId
  const spec = appSchema.parse({ id: '/test/web', ...app })
  const revision = '0123456789abcdef' as RevisionId
  return { task, slot: slotOfTask(task), revision, spec, ports: [], env: {}, ...more }
}

/** A TCP port that nobody listened on a moment ago. */
export async function freePort(): Promise<TaskPort> {
  const server = createServer().listen(0, '0.0.0.0')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new TypeError('Not a TCP address')
  return { name: '', protocol: 'tcp', containerPort: address.port, hostPort: address.port }
}

/** What a start is given when nobody calls it off or looks at its progress. */
export function unhurried(): { signal: AbortSignal; onProgress: () => void } {
  return { signal: new AbortController().signal, onProgress: () => undefined }
}

/** Hears all that a runtime tells, and waits for what will come. */
export class Events {
  readonly all: RuntimeEvent[] = []
  readonly #waiting = new Set<() => void>()

  constructor(runtime: Runtime) {
    runtime.watch(event => {
      this.all.push(event)
      for (const look of this.#waiting) look()
    })
  }

  /** The first event that fits, past or to come. */
  async find(fits: (event: RuntimeEvent) => boolean, deadlineMs = 20_000): Promise<RuntimeEvent> {
    const { promise, resolve, reject } = Promise.withResolvers<RuntimeEvent>()
    const look = (): void => {
      const found = this.all.find(fits)
      if (found !== undefined) resolve(found)
    }
    const late = setTimeout(
      () => reject(new Error(`No such event among ${JSON.stringify(this.all)}`)),
      deadlineMs,
    )
    this.#waiting.add(look)
    look()
    return await promise.finally(() => {
      clearTimeout(late)
      this.#waiting.delete(look)
    })
  }

  /** The exit of a task, past or to come, as its code. */
  async exitOf(task: TaskId): Promise<number> {
    const event = await this.find(found => found.kind === 'exited' && found.task === task)
    return event.kind === 'exited' ? event.exitCode : NaN
  }

  /** How often the exit of a task was told. */
  countExits(task: TaskId): number {
    return this.all.filter(event => event.kind === 'exited' && event.task === task).length
  }
}

/** Joins a log as text, by stream, until it ends or `enough` is true. */
export async function readLog(
  log: AsyncIterable<LogChunk>,
  enough: (seen: { stdout: string; stderr: string }) => boolean = () => false,
): Promise<{ stdout: string; stderr: string }> {
  const seen = { stdout: '', stderr: '' }
  for await (const { stream, data } of log) {
    seen[stream] += Buffer.from(data).toString()
    if (enough(seen)) break
  }
  return seen
}
