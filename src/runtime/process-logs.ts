import { setTimeout as wait } from 'node:timers/promises'
import type { BoundedLog } from './bounded-log.ts'
import type { LogChunk, LogOptions } from './runtime.ts'

/** How often a followed log is looked at for more, in milliseconds. */
const LOOK_MS = 100

/**
 * Reads the two streams of a process as one. What both wrote between two looks
 * comes stdout first: the files carry no times. `tail` counts for each stream.
 *
 * @param ended Says whether the process can write no more.
 * @yields Pieces of at most 64 KiB, each stream's in order.
 */
export async function* followLogs(
  streams: Readonly<Record<LogChunk['stream'], BoundedLog>>,
  ended: () => boolean,
  { follow, tail, signal }: LogOptions,
): AsyncIterable<LogChunk> {
  const cursors = await Promise.all(
    (['stdout', 'stderr'] as const).map(async stream => {
      const log = streams[stream]
      // A process that writes faster than it is read must not keep a reader who wants only the past.
      return { stream, log, at: await log.startOf(tail), until: follow ? Infinity : log.end }
    }),
  )
  while (!signal.aborted) {
    // Asked before reading, so that what it wrote last is not missed.
    const last = !follow || ended()
    let quiet = true
    for (const cursor of cursors) {
      if (cursor.at >= cursor.until) continue
      // oxlint-disable-next-line no-await-in-loop -- a stream is read in order
      const { data, next } = await cursor.log.read(cursor.at)
      const wanted = data.subarray(0, Math.max(0, cursor.until - (next - data.length)))
      cursor.at = next
      if (wanted.length === 0) continue
      quiet = false
      yield { stream: cursor.stream, data: wanted }
    }
    if (quiet && last) return
    // oxlint-disable-next-line no-await-in-loop
    if (quiet && !(await passed(LOOK_MS, signal))) return
  }
}

/** Waits; false when `signal` fired first. */
async function passed(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await wait(ms, undefined, { signal })
    return true
  } catch {
    return false // Only the signal ends a wait early.
  }
}
