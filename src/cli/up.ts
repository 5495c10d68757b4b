import { initCluster, startDaemon, type NodeChoices } from '../api/start-daemon.ts'
import { UsageError } from './client.ts'
import { createLog } from './log.ts'
import { note } from './print.ts'

/**
 * Runs a daemon until a signal ends it, or until it has left its cluster. It logs to
 * standard error.
 */
export async function up(choices: NodeChoices): Promise<void> {
  const log = createLog()
  const daemon = await startDaemon(choices, log)
  const { name, cluster, ports, options } = daemon
  const stop = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'stopping: the tasks run on')
    daemon.close().catch((error: unknown) => {
      log.fatal({ err: error }, 'could not stop in order')
      process.exit(1)
    })
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  // Not before: whoever reads this may send a signal at once, and one that nobody listens for ends the daemon without order.
  log.info({ name, cluster, advertise: options.advertise, ports }, 'up')
  const { broken } = await daemon.ended
  log.info('down')
  if (broken !== undefined) note(`shoal: ${broken.message}`)
  // Whatever a library still holds open must not keep a stopped daemon alive.
  process.exit(broken === undefined ? 0 : 1)
}

/** Makes a cluster in the data folder, without starting a daemon. */
export async function init(
  choices: NodeChoices,
): Promise<{ readonly cluster: string; readonly isNew: boolean }> {
  if (choices.join !== undefined)
    throw new UsageError('init makes a new cluster: use `shoal up --join`')
  return await initCluster(choices, createLog())
}
