import { connect } from 'node:net'
import { constants } from 'node:os'
import { LABELS } from './labels.ts'

/** A container of our cluster, as the engine tells of it. */
export interface EngineContainer {
  readonly id: string
  readonly task: string
  /** `created`, `running`, `paused`, `exited`, … */
  readonly state: string
}

/** What the engine answered. */
interface Answer {
  readonly status: number
  readonly body: string
}

/** A list of all containers of a full machine is about 4 MB. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024

/**
 * The few questions that the watchdog asks a Docker engine, each with a deadline of `answerMs`
 * milliseconds.
 *
 * Over HTTP/1.0 (RFC 1945), where an answer ends with the connection, and over `node:net`:
 * `node:http` would add 14 MB to a process that asks one question in an hour, and dockerode 34.
 * Every call throws when there is no answer in time, or when the engine answers with an error.
 */
export class WatchdogEngine {
  readonly #socketPath: string
  readonly #answerMs: number

  constructor(socketPath: string, answerMs: number) {
    this.#socketPath = socketPath
    this.#answerMs = answerMs
  }

  /** All containers that carry the cluster's mark and a task's name, whatever their state. */
  async list(cluster: string): Promise<EngineContainer[]> {
    const filters = JSON.stringify({ label: [`${LABELS.cluster}=${cluster}`] })
    const path = `/containers/json?all=1&filters=${encodeURIComponent(filters)}`
    const listed: unknown = JSON.parse(await this.#ask('GET', path))
    if (!Array.isArray(listed)) throw new Error('the Docker engine listed no containers')
    return listed
      .map(value => {
        const { Id: id, State: state, Labels: labels } = fieldsOf(value)
        const { [LABELS.cluster]: owner, [LABELS.task]: task } = fieldsOf(labels)
        // The engine was asked for nothing else; but what is stopped here must be ours.
        if (owner !== cluster || typeof task !== 'string' || typeof id !== 'string') return
        return { id, task, state: String(state) }
      })
      .filter(container => container !== undefined)
  }

  /** The first process of a container by the engine's own count, and the number of the signal that asks it to end. */
  async inspect(id: string): Promise<{ readonly pid: number; readonly stopSignal: number }> {
    const answer: unknown = JSON.parse(await this.#ask('GET', `/containers/${id}/json`))
    const { State: state, Config: config } = fieldsOf(answer)
    const { StopSignal: stopSignal } = fieldsOf(config)
    return {
      pid: Number(fieldsOf(state)['Pid'] ?? 0),
      stopSignal: parseSignal(typeof stopSignal === 'string' ? stopSignal : ''),
    }
  }

  /** Sends a signal to a container. One that does not run needs none. */
  async signal(id: string, signal: number): Promise<void> {
    await this.#ask('POST', `/containers/${id}/kill?signal=${signal}`, [404, 409])
  }

  /** Removes a container that was never started, so that it never will be. */
  async remove(id: string): Promise<void> {
    await this.#ask('DELETE', `/containers/${id}?force=1`, [404, 409])
  }

  /** Asks, and gives the body of the answer. The statuses in `fine` mean that there was nothing to do. */
  async #ask(method: string, path: string, fine: readonly number[] = []): Promise<string> {
    const { status, body } = await askOnce(this.#socketPath, `${method} ${path}`, this.#answerMs)
    if ((status >= 200 && status < 300) || fine.includes(status)) return body
    throw new Error(`the Docker engine answered ${status}: ${body.slice(0, 200).trim()}`)
  }
}

/** The number of a signal as images name it: `SIGQUIT`, `quit`, `3`, `SIGRTMIN+3`; that of SIGTERM for what names none. */
export function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, '')
  if (/^\d+$/.test(name)) return Number(name)
  const [, offset] = /^RTMIN(?:\+(\d+))?$/.exec(name) ?? []
  // The first two real-time signals belong to the C library.
  if (name.startsWith('RTMIN')) return 34 + Number(offset ?? 0)
  const numbers: Readonly<Record<string, number>> = constants.signals
  return numbers[`SIG${name}`] ?? constants.signals.SIGTERM
}

async function askOnce(socketPath: string, request: string, answerMs: number): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const socket = connect(socketPath)
  const pieces: Buffer[] = []
  let bytes = 0
  const late = setTimeout(
    () => reject(new Error(`the Docker engine does not answer within ${answerMs} ms`)),
    answerMs,
  )
  socket.on('connect', () =>
    socket.write(`${request} HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n`),
  )
  socket.on('data', piece => {
    pieces.push(piece)
    bytes += piece.length
    if (bytes > ANSWER_BYTES_MAX) reject(new Error('the Docker engine says too much'))
  })
  socket.on('error', reject)
  socket.on('close', () => {
    const answer = parseAnswer(Buffer.concat(pieces))
    if (answer === undefined) reject(new Error('the Docker engine hung up'))
    else resolve(answer)
  })
  return await promise.finally(() => {
    clearTimeout(late)
    socket.destroy()
  })
}

function parseAnswer(bytes: Buffer): Answer | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  const [, status] = /^HTTP\/1\.[01] (\d{3}) /.exec(bytes.subarray(0, 20).toString('latin1')) ?? []
  if (end === -1 || status === undefined) return undefined
  return { status: Number(status), body: bytes.subarray(end + 4).toString() }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
