import type { ApplyAnswer } from '../../src/api/shapes.ts'
import { SOCKET_FILE } from '../../src/api/start-api.ts'
import { askEngine, mustAsk } from './engine-api.ts'
import type { TestHost } from './test-host.ts'

/** The socket of a host's daemon. It is a file, so it is in reach whatever became of the host's network. */
export function daemonSocket({ dataDir }: TestHost): string {
  return `${dataDir}/${SOCKET_FILE}`
}

/** Asks a host's daemon; throws what it said where that is an error, and where it does not answer. */
export async function askDaemon<T>(
  host: TestHost,
  path: string,
  options: { readonly timeoutMs?: number } = {},
): Promise<T> {
  return JSON.parse(await mustAsk(daemonSocket(host), { method: 'GET', path, ...options })) as T
}

/** Applies manifests on a host, and gives what was acknowledged; undefined if nothing was, as when the daemon died over it. */
export async function tryApply(
  host: TestHost,
  manifests: readonly object[],
  options: { readonly timeoutMs?: number } = {},
): Promise<ApplyAnswer | undefined> {
  const files = manifests.map((one, at) => ({ name: `${at}.json`, text: JSON.stringify(one) }))
  const body = JSON.stringify({ files })
  try {
    const asked = { method: 'POST', path: '/v1/apply', body, ...options } as const
    const answer = await askEngine(daemonSocket(host), asked)
    return answer.status === 200 ? (JSON.parse(answer.body) as ApplyAnswer) : undefined
  } catch {
    return undefined // No daemon, or no longer: nothing was acknowledged.
  }
}

/**
 * Asks again until nothing is wrong, and gives the seconds that it took; when the time is over, throws
 * what was wrong last. An asker that throws is asked again: a daemon may be on its way up.
 */
export async function eventually(
  what: string,
  timeoutMs: number,
  wrong: () => Promise<unknown>,
): Promise<number> {
  const startedMs = performance.now()
  for (;;) {
    // oxlint-disable-next-line eslint/no-await-in-loop -- one question after the other
    const now = await wrong().catch((error: unknown) => String(error))
    const elapsedMs = performance.now() - startedMs
    if (now === undefined) return elapsedMs / 1000
    if (elapsedMs > timeoutMs) {
      throw new Error(`${what}: not within ${timeoutMs / 1000} s: ${JSON.stringify(now, null, 1)}`)
    }
    // oxlint-disable-next-line eslint/no-await-in-loop -- others need the processor too
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}
