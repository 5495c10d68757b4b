import { RuntimeError, type RuntimeErrorCode } from './runtime.ts'

/** How the engine's words are understood. First match wins. */
const MEANINGS: readonly {
  readonly pattern: RegExp
  readonly code: RuntimeErrorCode
  readonly temporary: boolean
}[] = [
  {
    pattern: /port is already allocated|address already in use|ports are not available/i,
    code: 'port-taken',
    temporary: true,
  },
  {
    pattern: /no such image|pull access denied|manifest unknown|manifest for .* not found/i,
    code: 'image-missing',
    temporary: false,
  },
  { pattern: /no such (container|exec)/i, code: 'no-such-task', temporary: false },
  {
    pattern:
      /executable file not found|exec format error|permission denied|no such file or directory|unable to find user|not a directory|source path does not exist|invalid /i,
    code: 'bad-spec',
    temporary: false,
  },
]

/** Errors of the way to the engine, not of the engine. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EACCES',
  'EPIPE',
  'ETIMEDOUT',
  'ABORT_ERR',
])

/**
 * Says in Shoal's words what went wrong with the engine, on one line.
 *
 * @param doing What was tried: `start /web.0@k3f9x1`.
 */
export function dockerError(error: unknown, doing: string): RuntimeError {
  if (error instanceof RuntimeError) return error
  const reason = reasonOf(error)
  const status = statusOf(error)
  if (status === undefined) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const unreachable = UNREACHABLE.has(code) || /socket hang up|aborted/i.test(reason)
    return new RuntimeError(
      unreachable ? 'unreachable' : 'failed',
      `Cannot ${doing}: ${unreachable ? 'the Docker engine does not answer: ' : ''}${reason}`,
      { temporary: true, cause: error },
    )
  }
  const meaning = MEANINGS.find(({ pattern }) => pattern.test(reason))
  const code = meaning?.code ?? (status === 400 ? 'bad-spec' : 'failed')
  const temporary = meaning?.temporary ?? status >= 500
  return new RuntimeError(code, `Cannot ${doing}: ${reason}`, { temporary, cause: error })
}

/** The HTTP status of the engine's answer; nothing when it gave none. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  return typeof error.statusCode === 'number' ? error.statusCode : undefined
}

/** What the engine said, without what its client put around it, on one line of at most 500 characters. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text
    .replace(/^\(HTTP code \d+\) [^-]*- /, '')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, 500)
}
