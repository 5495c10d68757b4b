import { join } from 'node:path'
import type { Logger } from 'pino'
import { readOrders, startWatchdog } from '../runtime/watchdog.ts'
import type { EventLog } from './event-log.ts'
import type { GuardOrder } from './machine/events.ts'
import type { OpenFolder } from './open-cluster.ts'
import type { NodeOptions } from './options.ts'
import { createTaskGuard, type TaskGuard } from './task-guard.ts'

/** What {@link openGuard} works with. */
export interface OpenGuardOptions {
  readonly options: NodeOptions
  readonly folder: OpenFolder
  /** The loop's clock. */
  readonly now: () => number
  readonly events: EventLog
  readonly log: Logger
}

/** The guard of a node's tasks, and what it was told before the daemon's restart. */
export interface OpenGuard extends TaskGuard {
  readonly orders: readonly GuardOrder[]
  /** Looks after the watchdog no more; its orders stay in force. */
  close(): Promise<void>
}

/**
 * Takes over the watchdog of the node's folder, if one runs, and the orders that it goes by.
 * Tells of those whose time came while no daemon ran.
 *
 * @throws {RuntimeError} `failed` when the folder cannot be used.
 */
export async function openGuard(parts: OpenGuardOptions): Promise<OpenGuard> {
  const { options, folder, now, log } = parts
  const { dataDir, docker } = options
  const { cluster } = folder.cluster
  const orders = ordersBefore(parts)
  const watchdog = await startWatchdog({
    dataDir,
    cluster,
    ...(docker === 'none' ? {} : { dockerSocket: docker }),
    processDir: join(dataDir, 'processes'),
    now,
    log: message => log.warn(message),
  })
  const onFailure = (error: unknown): void =>
    log.error({ err: error }, 'tasks are not guarded by the watchdog: only this daemon ends them')
  return {
    ...createTaskGuard({ watchdog, now, onFailure }),
    orders,
    close: () => watchdog.close(),
  }
}

function ordersBefore({ options, folder, now, events, log }: OpenGuardOptions): GuardOrder[] {
  const nowMs = now()
  const { cluster } = folder.cluster
  let orders: GuardOrder[]
  try {
    orders = readOrders(options.dataDir, { cluster, nowMs })
  } catch (error) {
    // Without them the node has no claims, and asks for them anew: its tasks end if it gets none.
    log.warn({ err: error }, 'the claims of before this start are not known')
    return []
  }
  for (const { task, slot, stopAtMs } of orders) {
    if (stopAtMs > nowMs) continue
    const text = `the claim on ${slot} ran out while this daemon was away: the watchdog saw to it that the task ended`
    events.add({ timeMs: Date.now(), kind: 'task', subject: task, text })
    log.warn({ task }, text)
  }
  return orders
}
