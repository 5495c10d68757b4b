/**
 * A daemon for tests to kill: starts one task in the folder and with the command that it
 * is given, says so on stdout, and then does nothing until it is killed.
 */

import { startProcessRuntime } from '../../src/runtime/process-runtime.ts'
import { makeLaunch, unhurried } from './launches.ts'

const [dir = '', command = ''] = process.argv.slice(2)
const runtime = await startProcessRuntime({ dir, cluster: 'c' })
const launch = makeLaunch({ command })
await runtime.start(launch, unhurried())
process.stdout.write(`${launch.task}\n`)
setInterval(() => undefined, 60_000)
