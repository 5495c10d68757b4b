import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeAnswer } from '../api/shapes.ts'
import { CliError, type Client } from './client.ts'
import { count, note, span } from './print.ts'

const POLL_MS = 250

/** A line of progress comes only when something changed, and then at most this often. */
const LINE_MS = 2_000

/**
 * Waits until nothing runs on a node any more, and says how much is left.
 *
 * @throws {CliError} When that takes over `timeoutMs`: with what is left, and what it waits for.
 */
export async function waitUntilDrained(
  client: Client,
  name: string,
  timeoutMs: number,
): Promise<void> {
  const startedMs = performance.now()
  let shown = -1
  let shownAtMs = -Infinity
  for (;;) {
    const { runs, verdict, mode } = await client.get<NodeAnswer>('/v1/node', { name })
    const elapsedMs = performance.now() - startedMs
    if (mode !== 'drained') throw new CliError(`${name} is ${mode}: somebody took the drain back`)
    if (verdict === 'dead' || verdict === 'left') {
      note(`${name} is ${verdict}: others start what it had`)
      return
    }
    if (runs.length === 0) {
      note(`nothing runs on ${name} after ${(elapsedMs / 1000).toFixed(1)} s`)
      return
    }
    if (elapsedMs > timeoutMs) {
      const [first] = runs
      const why = first?.waitsFor ?? first?.movesTo ?? 'it is about to end'
      throw new CliError(
        `${count(runs.length, 'task')} left on ${name} after ${span(timeoutMs)}: ${first?.slot ?? ''}: ${why}`,
      )
    }
    if (runs.length !== shown && elapsedMs - shownAtMs >= LINE_MS) {
      note(`${name}: ${count(runs.length, 'task')} left`)
      shown = runs.length
      shownAtMs = elapsedMs
    }
    await sleep(POLL_MS)
  }
}
