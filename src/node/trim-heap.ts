import { flushCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** V8 throws compiled code away that was not run between two major collections (`bin/shoal`), and a node that joins runs some of it until then. */
const COLLECTIONS = 8

/** Between two of them, in milliseconds. Each takes about 40 ms, so that nobody who asks for a name waits longer. */
const PAUSE_MS = 4_000

/**
 * Gives back what starting took: a node that is idle allocates so little that V8 would not collect for
 * hours, and would keep what modules, schemas and handshakes left behind (about 10 MB). Compiled code, of
 * which the same is true, is put where the next daemon finds it.
 *
 * @returns Ends it early.
 */
export function startTrimmingHeap(): { close(): void } {
  setFlagsFromString('--expose-gc')
  // The one way to collect on demand without a flag on the command line.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- V8 puts it there
  const collect = runInNewContext('gc') as () => void
  let left = COLLECTIONS
  const timer = setInterval(() => {
    // Node writes it when it exits, and a daemon may never do so in order. Without it the next one loads the
    // TypeScript stripper, which takes 11 MB in each of its two threads.
    if (left === COLLECTIONS) flushCompileCache()
    collect()
    if (--left === 0) clearInterval(timer)
  }, PAUSE_MS).unref()
  return { close: () => clearInterval(timer) }
}
