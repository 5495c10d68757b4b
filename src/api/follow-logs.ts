import { StringDecoder } from 'node:string_decoder'
import type { TaskId } from '../model/ids.ts'
import type { NodeService } from '../node/service.ts'
import type { LogLine } from './shapes.ts'

/** Longest line that is kept whole, in characters; what is longer comes in pieces. */
const LINE_LENGTH_MAX = 64 * 1024

/** Reads the logs of several tasks side by side, whichever node has them, as lines of JSON. */
export async function* followLogs(
  service: NodeService,
  tasks: readonly TaskId[],
  options: { readonly follow: boolean; readonly tail?: number; readonly signal: AbortSignal },
): AsyncIterable<string> {
  const sources = new Map(tasks.map(task => [task, linesOf(service, task, options)]))
  const next = new Map(Array.from(sources, ([task, source]) => [task, advance(task, source)]))
  try {
    while (next.size > 0) {
      const { task, result } = await Promise.race(next.values())
      if (result.done === true) next.delete(task)
      else {
        next.set(task, advance(task, sources.get(task)!))
        yield `${JSON.stringify(result.value)}\n`
      }
    }
  } finally {
    await Promise.all(Array.from(sources.values(), source => source.return(undefined)))
  }
}

async function advance(
  task: TaskId,
  source: AsyncIterator<LogLine>,
): Promise<{ task: TaskId; result: IteratorResult<LogLine> }> {
  return { task, result: await source.next() }
}

/** One task's output as lines; an error ends it with a line that says so. */
async function* linesOf(
  service: NodeService,
  task: TaskId,
  options: { readonly follow: boolean; readonly tail?: number; readonly signal: AbortSignal },
): AsyncGenerator<LogLine> {
  const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') }
  const rests = { stdout: '', stderr: '' }
  try {
    for await (const { stream, data } of service.logs(task, options)) {
      const text = rests[stream] + decoders[stream].write(Buffer.from(data))
      const lines = text.split('\n')
      const rest = lines.pop() ?? ''
      for (const line of lines) yield { task, stream, text: line }
      rests[stream] = rest
      if (rest.length < LINE_LENGTH_MAX) continue
      yield { task, stream, text: rest }
      rests[stream] = ''
    }
    for (const stream of ['stdout', 'stderr'] as const) {
      if (rests[stream] !== '') yield { task, stream, text: rests[stream] }
    }
  } catch (error) {
    if (options.signal.aborted) return
    const failed = service.tasks().find(view => view.task.id === task)?.task
    const reason = error instanceof Error ? error.message : String(error)
    const text =
      failed?.state === 'failed' && failed.message !== ''
        ? `it has no log, for it failed: ${failed.message}`
        : `the log of ${task} cannot be read: ${reason}`
    yield { task, stream: 'stderr', text: `[shoal: ${text}]` }
  }
}
