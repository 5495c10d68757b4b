import { mustAsk } from '../testbed/engine-api.ts'
import type { TestHost } from '../testbed/test-host.ts'

/** A container that runs, as its engine tells. */
export interface Running {
  readonly id: string
  readonly host: number
  /** Its address in each network that it is in. */
  readonly addresses: readonly string[]
}

interface Listed {
  readonly Id: string
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>>
  }
}

/** How often the engines are asked, in milliseconds: what is measured is true to within this. */
const ASK_MS = 50

/** The containers with a label that run on these hosts, by the engines' own word. */
export async function listRunning(hosts: readonly TestHost[], label: string): Promise<Running[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [label], status: ['running'] }))
  const path = `/containers/json?filters=${filters}`
  const lists = await Promise.all(
    hosts.map(async ({ number, dockerSocket = '' }) => {
      const text = await mustAsk(dockerSocket, { method: 'GET', path, timeoutMs: 30_000 })
      return (JSON.parse(text) as Listed[]).map(({ Id, NetworkSettings }) => ({
        id: Id,
        host: number,
        addresses: Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress),
      }))
    }),
  )
  return lists.flat()
}

/**
 * Waits until exactly so many containers with a label run on these hosts; gives the milliseconds from `sinceMs`
 * (by `performance.now()`). Throws after `timeoutMs`, with the number that there was.
 */
export async function awaitRunning(
  hosts: readonly TestHost[],
  label: string,
  count: number,
  { sinceMs = performance.now(), timeoutMs = 180_000 } = {},
): Promise<number> {
  for (;;) {
    // oxlint-disable-next-line eslint/no-await-in-loop -- one question after the other
    const running = await listRunning(hosts, label)
    const tookMs = performance.now() - sinceMs
    if (running.length === count) return tookMs
    if (tookMs > timeoutMs) {
      throw new Error(`${running.length} of ${count} containers run after ${timeoutMs / 1000} s`)
    }
    // oxlint-disable-next-line eslint/no-await-in-loop
    await new Promise(resolve => setTimeout(resolve, ASK_MS))
  }
}
