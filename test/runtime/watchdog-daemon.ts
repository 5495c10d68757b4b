/**
 * A daemon for tests to kill: starts one task under an order of the watchdog, as it is told by the
 * JSON that it is given, says {@link Said} on stdout, and then does nothing until it is killed.
 */

import { join } from 'node:path'
import type { AppInput } from '../../src/model/app.ts'
import type { TaskId } from '../../src/model/ids.ts'
import { startProcessRuntime } from '../../src/runtime/process-runtime.ts'
import { startWatchdog } from '../../src/runtime/watchdog.ts'
import { makeLaunch, unhurried } from './launches.ts'
import { monotonicMs } from './watchdog-rig.ts'

/** What the daemon is told. */
export interface Told {
  readonly dir: string
  readonly app: Omit<AppInput, 'id'>
  /** The Docker engine of an app with an image. */
  readonly dockerSocket?: string
  /** When the task is to end, after its start. */
  readonly runMs: number
  readonly graceMs: number
}

/** What the daemon says. */
export interface Said {
  readonly task: TaskId
  /** By the monotonic clock of the machine. */
  readonly stopAtMs: number
}

const told = JSON.parse(process.argv[2] ?? '') as Told
const { dir, app, dockerSocket, runMs, graceMs } = told
const processDir = join(dir, 'processes')
const watchdog = await startWatchdog({
  dataDir: dir,
  cluster: 'c',
  processDir,
  ...(dockerSocket === undefined ? {} : { dockerSocket }),
  now: monotonicMs,
  log: message => process.stderr.write(`${message}\n`),
})
const launch = makeLaunch(app)
const { task, slot } = launch
const stopAtMs = monotonicMs() + runMs
const kind = app.image === undefined ? 'process' : 'docker'
await watchdog.keep([{ task, slot, runtime: kind, token: 1, untilMs: stopAtMs, stopAtMs, graceMs }])
const runtime =
  kind === 'process'
    ? await startProcessRuntime({ dir: processDir, cluster: 'c' })
    : await (
        await import('../../src/runtime/docker-runtime.ts')
      ).startDockerRuntime({ cluster: 'c', node: 'n', socketPath: dockerSocket ?? '' })
await runtime.start(launch, unhurried())
const said: Said = { task, stopAtMs }
process.stdout.write(`${JSON.stringify(said)}\n`)
setInterval(() => undefined, 60_000)
