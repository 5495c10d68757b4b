/**
 * A client on a host of the test bed: finds an app by its own host's DNS server, as a program with a
 * resolver that keeps answers for as long as it may, and fetches a page of one instance after another.
 * Prints a line of JSON for each request. Run by {@link ./clients.ts}, in the host's network:
 *
 *     node scripts/chaos/probe-client.ts ADDRESS APP INTERVAL-MS
 */

import { get } from 'node:http'
import { pick } from '../../src/util/random.ts'
import { lookUp, type Instance } from '../demo/client.ts'
import type { ProbeLine } from './clients.ts'

/** The time to live of Shoal's answers: so long a resolver may keep them. */
const KEEP_MS = 1_000
const DNS_MS = 1_000
const HTTP_MS = 1_000

const [, , address = '', app = '', interval = ''] = process.argv
let kept: { readonly untilMs: number; readonly instances: readonly Instance[] } | undefined

// The bed closes the pipe when it has seen enough.
process.stdout.on('error', () => process.exit(0))
setInterval(() => void request(), Number(interval))

async function request(): Promise<void> {
  const startedMs = performance.now()
  const first = await attempt(undefined)
  const line: ProbeLine = {
    atMs: performance.timeOrigin + startedMs,
    tookMs: performance.now() - startedMs,
    ...first,
    // What a client does that can: it asks another one.
    ...(first.error !== undefined && {
      secondError: (await attempt(first.place)).error ?? null,
    }),
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** Fetches a page from any instance but one. */
async function attempt(
  but: string | undefined,
): Promise<{ readonly place?: string; readonly error?: string }> {
  let place: string | undefined
  try {
    const instances = await find()
    const others = instances.filter(one => placeOf(one) !== but)
    const chosen = pick(others.length > 0 ? others : instances, Math.random)
    if (chosen === undefined) return { error: 'DNS names no instance' }
    place = placeOf(chosen)
    await fetchFrom(chosen)
    return { place }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return { ...(place !== undefined && { place }), error: text }
  }
}

async function find(): Promise<readonly Instance[]> {
  const nowMs = performance.now()
  if (kept === undefined || kept.untilMs <= nowMs) {
    const instances = await lookUp({ address, port: 53, timeoutMs: DNS_MS }, app)
    kept = { untilMs: nowMs + KEEP_MS, instances }
  }
  return kept.instances
}

async function fetchFrom({ address: host, port }: Instance): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const signal = AbortSignal.timeout(HTTP_MS)
    // A connection for each request: a kept one would tell nothing of those that come new.
    const asked = get({ host, port, path: '/', agent: false, signal }, response => {
      response.resume()
      response.once('end', () => {
        if (response.statusCode === 200) resolve()
        else reject(new Error(`status ${response.statusCode}`))
      })
      response.once('error', reject)
    })
    asked.once('error', error => {
      reject(signal.aborted ? new Error(`no page within ${HTTP_MS} ms`) : error)
    })
  })
}

function placeOf({ address: host, port }: Instance): string {
  return `${host}:${port}`
}
