import type { SlotId, TaskId } from '../model/ids.ts'
import type { Moment } from './moment.ts'
import type { ProcessIdentity } from './process-identity.ts'

/** When one task must end, unless a newer order for it comes. */
export interface Order {
  readonly task: TaskId
  readonly slot: SlotId
  readonly runtime: 'docker' | 'process'
  /** The token of the claim under which the task runs. */
  readonly token: number
  /** Until when the claim holds. Of no use to the watchdog: it is kept for the daemon's next start. */
  readonly untilMs: number
  /** When the task is asked to end; infinite for never. */
  readonly stopAtMs: number
  /** How long after that it is killed, in milliseconds. */
  readonly graceMs: number
}

/** An order as it stands on a {@link Sheet}: the times count from the sheet's own moment. */
export interface FiledOrder extends Omit<Order, 'untilMs' | 'stopAtMs'> {
  readonly untilInMs: number
  readonly stopInMs: number
  /** Of a process, the folder with its pid; of a container, empty. */
  readonly dir: string
}

/** All that the watchdog of one data folder has to know: the daemon writes it, the watchdog acts by it. */
export interface Sheet {
  /** Only tasks that carry this mark are stopped. */
  readonly cluster: string
  /** The boot of the machine in which it was written. In the next one nothing of it runs. */
  readonly bootId: string
  /** Who wrote it. Once that is gone and all is carried out, nobody needs the watchdog. */
  readonly daemon: ProcessIdentity
  /** The Docker engine's socket; empty for none. */
  readonly dockerSocket: string
  /** When it was written. */
  readonly at: Moment
  readonly orders: readonly FiledOrder[]
}

/** Orders that fit one sheet: more tasks than one machine runs. */
export const ORDERS_MAX = 10_000

/**
 * Reads what stands on a sheet.
 *
 * Not by the schema library of the other readers: the watchdog pays for each library with
 * megabytes that it holds for as long as it runs.
 *
 * @returns Nothing unless it is whole and valid.
 */
export function parseSheet(text: string): Sheet | undefined {
  const root = fieldsOf(parseJson(text))
  const daemon = fieldsOf(root?.['daemon'])
  const at = fieldsOf(root?.['at'])
  const list = root?.['orders']
  if (root === undefined || daemon === undefined || at === undefined) return undefined
  if (!Array.isArray(list) || list.length > ORDERS_MAX) return undefined
  const { cluster, bootId, dockerSocket } = root
  const { pid, startTicks } = daemon
  const { monotonicMs, uptimeMs } = at
  if (!isText(cluster) || !isText(bootId) || !isText(dockerSocket)) return undefined
  if (!isNumber(pid) || !isText(startTicks) || !isNumber(monotonicMs)) return undefined
  const orders = list.map(parseOrder).filter(order => order !== undefined)
  if (orders.length < list.length) return undefined
  return {
    cluster,
    bootId,
    dockerSocket,
    daemon: { pid, startTicks },
    at: isNumber(uptimeMs) ? { monotonicMs, uptimeMs } : { monotonicMs },
    orders,
  }
}

function parseOrder(value: unknown): FiledOrder | undefined {
  const fields = fieldsOf(value)
  if (fields === undefined) return undefined
  const { task, slot, runtime, token, untilInMs, stopInMs, graceMs, dir } = fields
  if (!isText(task) || !isText(slot) || !isText(dir)) return undefined
  if (runtime !== 'docker' && runtime !== 'process') return undefined
  if (!isNumber(token) || !isNumber(untilInMs) || !isNumber(stopInMs)) return undefined
  if (!isNumber(graceMs) || graceMs < 0) return undefined
  // Minted by the daemon, which wrote the sheet.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const ids = { task: task as TaskId, slot: slot as SlotId }
  return { ...ids, runtime, token, untilInMs, stopInMs, graceMs, dir }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? { ...value } : undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isNumber(value: unknown): value is number {
  return Number.isFinite(value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Not JSON: then it is no sheet, which the caller is told.
  }
}
