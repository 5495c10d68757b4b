import { request } from 'node:http'

/** One request to a Docker engine over its socket. */
export interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: Buffer | string
  readonly contentType?: string
  /** @default 10000 ms */
  readonly timeoutMs?: number
}

/** What the engine answered. */
export interface EngineAnswer {
  readonly status: number
  readonly body: string
}

/**
 * Asks a Docker engine. The test bed speaks to it without dockerode and without the command line,
 * so that it does not share a defect with what it tests.
 */
export async function askEngine(
  socketPath: string,
  { method, path, body, contentType = 'application/json', timeoutMs = 10_000 }: EngineRequest,
): Promise<EngineAnswer> {
  return await new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const headers = { host: 'docker', 'content-type': contentType }
    const outgoing = request({ socketPath, method, path, headers, signal }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      response.on('error', reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** {@link askEngine} for a request that must succeed; throws what the engine said else. */
export async function mustAsk(socketPath: string, what: EngineRequest): Promise<string> {
  const { status, body } = await askEngine(socketPath, what)
  if (status >= 400) throw new Error(`${what.method} ${what.path}: ${status}: ${body.trim()}`)
  return body
}

/** Whether an engine answers on this socket. */
export async function engineAnswers(socketPath: string): Promise<boolean> {
  try {
    const { status } = await askEngine(socketPath, {
      method: 'GET',
      path: '/_ping',
      timeoutMs: 2000,
    })
    return status === 200
  } catch {
    // No socket yet, nobody behind it, or too slow: it does not answer.
    return false
  }
}
