import { request as requestHttp, type ClientRequest } from 'node:http'
import { request as requestHttps } from 'node:https'
import { connect } from 'node:net'
import type { HealthCheck } from '../model/app.ts'
import { toMs } from '../model/duration.ts'
import type { TaskPort } from '../model/task.ts'

/** What to probe, and how it is reached. */
export interface ProbeTarget {
  readonly check: HealthCheck
  /** The address at which the task's ports are reached: IPv4 or IPv6. */
  readonly address: string
  /** The task's ports, in the app's order. */
  readonly ports: readonly TaskPort[]
  /** Runs a command inside the task: `Runtime.exec`. */
  readonly exec: (
    command: string | readonly string[],
    options: { readonly timeoutMs: number },
  ) => Promise<number>
}

/** What a probe found, for people too: `HTTP 503`. */
export interface ProbeResult {
  readonly healthy: boolean
  readonly message: string
}

/**
 * Looks once whether a task is well. Never throws, and never takes longer than the check's timeout.
 *
 * - `http`: passes with a status from 200 to 399. A redirect is an answer, and is not
 *   followed; the body is not read; a certificate is not checked, since a task is
 *   reached by an address that is in none.
 * - `tcp`: passes when the connection is made.
 * - `command`: passes with exit code 0.
 */
export async function probe(target: ProbeTarget): Promise<ProbeResult> {
  const timeoutMs = toMs(target.check.timeout)
  try {
    return await probeWithin(target, timeoutMs)
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') return late(timeoutMs)
    return { healthy: false, message: error instanceof Error ? error.message : String(error) }
  }
}

async function probeWithin(target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  const { check, address, ports, exec } = target
  if (check.kind === 'command') {
    const exitCode = await exec(check.command, { timeoutMs })
    return { healthy: exitCode === 0, message: `exit code ${exitCode}` }
  }
  const port =
    typeof check.port === 'number'
      ? ports[check.port]
      : ports.find(({ name }) => name === check.port)
  if (port === undefined) return { healthy: false, message: `the task has no port ${check.port}` }
  const signal = AbortSignal.timeout(timeoutMs)
  if (check.kind === 'tcp') return await probeTcp(address, port.hostPort, signal)
  return await probeHttp(check, address, port.hostPort, signal)
}

function probeTcp(host: string, port: number, signal: AbortSignal): Promise<ProbeResult> {
  const { promise, resolve, reject } = Promise.withResolvers<ProbeResult>()
  const socket = connect({ host, port, signal })
  socket.once('connect', () => resolve({ healthy: true, message: 'connected' }))
  socket.once('error', reject)
  return promise.finally(() => socket.destroy())
}

function probeHttp(
  { scheme, path }: Extract<HealthCheck, { readonly kind: 'http' }>,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { promise, resolve, reject } = Promise.withResolvers<ProbeResult>()
  const options = {
    host,
    port,
    path: path.startsWith('/') ? path : `/${path}`,
    // A connection of its own, closed after the answer's head.
    agent: false,
    headers: { 'user-agent': 'shoal-health' },
    signal,
  } as const
  const request: ClientRequest =
    scheme === 'http'
      ? requestHttp(options)
      : requestHttps({ ...options, rejectUnauthorized: false })
  request.once('response', ({ statusCode = 0 }) =>
    resolve({ healthy: statusCode >= 200 && statusCode < 400, message: `HTTP ${statusCode}` }),
  )
  // Not once: what is destroyed below may complain again, to nobody.
  request.on('error', reject)
  request.end()
  return promise.finally(() => request.destroy())
}

function late(timeoutMs: number): ProbeResult {
  return { healthy: false, message: `no answer within ${timeoutMs} ms` }
}
