import type Docker from 'dockerode'
import { z } from 'zod'

/** A line of the engine's answer to a pull. What else it says is for other clients. */
const progressLine = z.object({
  id: z.string().optional(),
  status: z.string().optional(),
  error: z.string().optional(),
  progressDetail: z
    .object({ current: z.number().optional(), total: z.number().optional() })
    .optional(),
})

/** A pull that says nothing for so long has hung. */
const SILENCE_MS = 90_000
/** People need no more than this many updates. */
const REPORT_EVERY_MS = 500
/** A line of the engine's answer is short; more is not for us to keep. */
const LINE_CHARS_MAX = 64 * 1024

/**
 * Pulls an image, and resolves when the engine has it. Pulls without credentials: an
 * image of a private registry must be on the node already, or the engine logged in.
 *
 * @throws {Error} In the engine's words, when the registry or the engine says no, says
 *   nothing for 90 s, or `signal` fires.
 */
export async function pullImage(
  docker: Docker,
  image: string,
  options: { readonly signal: AbortSignal; readonly onProgress: (message: string) => void },
): Promise<void> {
  const silence = new AbortController()
  const hung = (): void => silence.abort(new Error(`the pull said nothing for ${SILENCE_MS} ms`))
  const timer = setTimeout(hung, SILENCE_MS)
  const abortSignal = AbortSignal.any([options.signal, silence.signal])
  const read = createProgressReader(image)
  let reportedAtMs = -Infinity
  try {
    options.onProgress(`pulling ${image}`)
    const stream = await docker.pull(image, { abortSignal })
    for await (const bytes of stream) {
      timer.refresh()
      const message = read(String(bytes))
      if (message === undefined || performance.now() - reportedAtMs < REPORT_EVERY_MS) continue
      reportedAtMs = performance.now()
      options.onProgress(message)
    }
    abortSignal.throwIfAborted()
  } catch (error) {
    throw silence.signal.aborted ? silence.signal.reason : error
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Reads the engine's lines as they come and says how far the pull is:
 * `pulling web:7, 12 of 40 MB`. The total grows while the engine learns of layers.
 *
 * @throws {Error} From the returned function, when a line says that the pull failed.
 */
export function createProgressReader(image: string): (text: string) => string | undefined {
  const layers = new Map<string, { readonly current: number; readonly total: number }>()
  let rest = ''

  function readLine(line: string): void {
    const { id = '', status, error, progressDetail } = progressLine.parse(JSON.parse(line))
    if (error !== undefined) throw new Error(error)
    // Unpacking counts from nothing again; only the download is told.
    if (status !== 'Downloading' || progressDetail?.total === undefined) return
    layers.set(id, { current: progressDetail.current ?? 0, total: progressDetail.total })
  }

  return text => {
    const lines = (rest + text).split('\n')
    rest = (lines.pop() ?? '').slice(0, LINE_CHARS_MAX)
    for (const line of lines) {
      if (line.trim() !== '') readLine(line)
    }
    if (layers.size === 0) return undefined
    const sum = (key: 'current' | 'total'): number =>
      Math.round([...layers.values()].reduce((all, layer) => all + layer[key], 0) / 1e6)
    return `pulling ${image}, ${sum('current')} of ${sum('total')} MB`
  }
}
