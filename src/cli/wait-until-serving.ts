import { setTimeout as sleep } from 'node:timers/promises'
import type { AppLine, TaskLine } from '../api/shapes.ts'
import { CliError, type Client } from './client.ts'
import { note, span } from './print.ts'

const POLL_MS = 250

/** Without a terminal, a line of progress comes only when something changed, and then at most this often. */
const LINE_MS = 2_000

/**
 * Waits until every slot of the apps serves at the wanted revision, and shows how far it is.
 *
 * @throws {CliError} When that takes over `timeoutMs`: with what the slots wait for.
 */
export async function waitUntilServing(
  client: Client,
  ids: readonly string[],
  timeoutMs: number,
): Promise<void> {
  const startedMs = performance.now()
  let shown = ''
  let shownAtMs = -Infinity
  for (;;) {
    const apps = (await client.get<AppLine[]>('/v1/apps')).filter(({ id }) => ids.includes(id))
    const text = apps.map(({ id, serving, wanted }) => `${id} ${serving}/${wanted}`).join(', ')
    const elapsedMs = performance.now() - startedMs
    if (apps.length === ids.length && apps.every(isThere)) {
      clearLine()
      note(`all serve after ${(elapsedMs / 1000).toFixed(1)} s: ${text}`)
      return
    }
    if (elapsedMs > timeoutMs) {
      clearLine()
      const reasons = await reasonsOf(client, apps)
      throw new CliError(`not all serve after ${span(timeoutMs)} (${text}): ${reasons}`)
    }
    if (process.stderr.isTTY) process.stderr.write(`\r\u001B[Kserving: ${text}`)
    else if (text !== shown && elapsedMs - shownAtMs >= LINE_MS) {
      note(`serving: ${text}`)
      shownAtMs = elapsedMs
    }
    shown = text
    await sleep(POLL_MS)
  }
}

function isThere({ serving, wanted, updated, running }: AppLine): boolean {
  return serving >= wanted && updated >= wanted && running >= wanted
}

async function reasonsOf(client: Client, apps: readonly AppLine[]): Promise<string> {
  const lines: string[] = []
  for (const app of apps) {
    if (isThere(app)) continue
    const tasks = await client.get<TaskLine[]>('/v1/tasks', { app: app.id })
    const stuck = tasks.find(({ state, health }) => state !== 'running' || health === 'unhealthy')
    if (stuck !== undefined) lines.push(`${stuck.slot} is ${stuck.state}: ${stuck.message}`)
  }
  return lines.join('; ') || 'see `shoal ps`'
}

function clearLine(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[K')
}
