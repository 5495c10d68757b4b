/**
 * The command line. It talks only to a daemon's API, and loads the daemon's code only
 * for the commands that are one, so that a listing answers at once.
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage.
 *
 * @module
 */

import { inspect } from 'node:util'
import { CommanderError } from 'commander'
import { CliError, UsageError } from './client.ts'
import { note } from './print.ts'
import { createProgram } from './program.ts'

const SIGPIPE_STATUS = 128 + 13

// Who reads only the first lines, as `head` does, has had enough. It ends as other programs do, by SIGPIPE, to a shell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(SIGPIPE_STATUS)
})

try {
  await createProgram().parseAsync(process.argv)
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed what is wrong. Help that was asked for is no failure.
    process.exitCode = error.exitCode === 0 ? 0 : 2
  } else {
    const message = error instanceof Error ? error.message : String(error)
    note(`shoal: ${message}`)
    if (!(error instanceof CliError) && process.env['SHOAL_DEBUG'] !== undefined)
      note(inspect(error))
    process.exitCode = isUsage(error) ? 2 : 1
  }
}

/** True for what the person can put right by typing something else. A daemon's own options have a class that only the daemon's code loads. */
function isUsage(error: unknown): boolean {
  return error instanceof UsageError || (error instanceof Error && error.name === 'OptionError')
}
