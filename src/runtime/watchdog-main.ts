/**
 * The watchdog: a small process of its own that ends tasks whose time is over, whether the
 * daemon that started them lives or not. Started by `watchdog.ts` with the folder of the
 * orders; says `ready` on stdout when they are in force, `held` when another watchdog of the folder
 * runs already.
 *
 * It imports as little as it can: everything that it loads, it holds for weeks.
 *
 * @module
 */

import { writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { runGuard } from './watchdog-guard.ts'
import { takeLock } from './watchdog-lock.ts'
import { createWatchdogLog } from './watchdog-log.ts'
import { readSheet, SHEET_VERSION } from './watchdog-sheet.ts'

const dir = process.argv[2] ?? ''
const log = createWatchdogLog(join(dir, 'log'))

process.on('uncaughtException', error => {
  log(`ends, because of a fault: ${error.stack ?? error.message}`)
  process.exit(1)
})

let onRead = (): void => {
  log(`watches, as process ${process.pid}`)
  say('ready')
  // The next one need not compile, nor hold a compiler of 17 MB.
  flushCompileCache()
  onRead = () => undefined
}
let lock = takeLock(dir, SHEET_VERSION)
if (lock === undefined) say('held')
while (lock !== undefined) {
  const seq = await runGuard({ dir, log, onRead: () => onRead() })
  lock.release()
  // A new sheet may have come just before: its daemon saw the lock held, and relies on it.
  const found = readSheet(dir)
  const isNew = found.kind === 'sheet' && found.seq !== seq
  lock = isNew ? takeLock(dir, SHEET_VERSION) : undefined
  if (lock === undefined) log('ends: nobody needs it')
}

function say(word: string): void {
  try {
    writeSync(1, `${word}\n`)
  } catch (error) {
    log(`Cannot say that it is ${word}: ${String(error)}`)
  }
}
