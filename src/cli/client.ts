import { request, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ErrorAnswer } from '../api/shapes.ts'
import { dataDirs } from './data-dir.ts'

/** Whom to talk to. */
export interface Target {
  /** The daemon's folder on this machine, if one was named. */
  readonly data?: string | undefined
  /** The URL of a daemon's API. */
  readonly host?: string | undefined
}

/** Something went wrong that the person can do something about: one line, exit 1. */
export class CliError extends Error {
  override readonly name = 'CliError'
}

/** The command line itself makes no sense: one line, exit 2. */
export class UsageError extends CliError {}

/** A daemon's API, over its socket or over HTTP. */
export class Client {
  readonly #target: Target

  constructor(target: Target) {
    this.#target = target
  }

  async get<T>(path: string, query: Record<string, string | undefined> = {}): Promise<T> {
    return await this.#call<T>('GET', withQuery(path, query))
  }

  async post<T>(path: string, body: unknown = {}): Promise<T> {
    return await this.#call<T>('POST', path, body)
  }

  async delete<T>(path: string, query: Record<string, string | undefined>): Promise<T> {
    return await this.#call<T>('DELETE', withQuery(path, query))
  }

  /** Posts, and gives the answer of any status below 500: for answers that list what is wrong. */
  async postForAnswer<T>(path: string, body: unknown, statuses: readonly number[]): Promise<T> {
    const response = await this.#send('POST', path, body)
    const text = await readAll(response)
    if (response.statusCode === 200 || statuses.includes(response.statusCode ?? 0)) {
      return JSON.parse(text) as T
    }
    throw errorOf(response, text)
  }

  /** Reads an answer line by line as it comes. */
  async *lines<T>(path: string, query: Record<string, string | undefined>): AsyncIterable<T> {
    const response = await this.#send('GET', withQuery(path, query))
    if (response.statusCode !== 200) throw errorOf(response, await readAll(response))
    for await (const line of createInterface({ input: response })) {
      if (line !== '') yield JSON.parse(line) as T
    }
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.#send(method, path, body)
    const text = await readAll(response)
    if (response.statusCode !== 200) throw errorOf(response, text)
    return JSON.parse(text) as T
  }

  async #send(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    const { host } = this.#target
    if (host !== undefined) {
      const base = baseOf(host)
      try {
        return await send(base, method, path, body)
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        throw new CliError(`no daemon answers at --host ${host} (${reason})`)
      }
    }
    const tried: string[] = []
    for (const dir of dataDirs(this.#target.data)) {
      try {
        return await send({ socketPath: join(dir, 'shoal.sock') }, method, path, body)
      } catch (error) {
        if (!isAbsent(error)) throw connectError(error, dir)
        tried.push(dir)
      }
    }
    throw new CliError(
      `no daemon runs with its data in ${tried.join(' or ')}: start one with \`shoal up\`, or name another with --data or --host`,
    )
  }
}

interface Base {
  readonly socketPath?: string
  readonly hostname?: string
  readonly port?: string
}

function baseOf(host: string): Base {
  let url: URL
  try {
    url = new URL(host.includes('://') ? host : `http://${host}`)
  } catch {
    throw new UsageError(`--host must be a URL such as http://localhost:8080, got ${host}`)
  }
  return { hostname: url.hostname, port: url.port === '' ? '80' : url.port }
}

async function send(
  base: Base,
  method: string,
  path: string,
  body?: unknown,
): Promise<IncomingMessage> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const headers = text === undefined ? {} : { 'content-type': 'application/json' }
  const sent = request({ ...base, method, path, headers }, resolve)
  sent.once('error', reject)
  sent.end(text)
  return await promise
}

async function readAll(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString('utf8')
}

function errorOf(response: IncomingMessage, text: string): CliError {
  try {
    return new CliError((JSON.parse(text) as ErrorAnswer).message)
  } catch {
    return new CliError(`the daemon answered ${response.statusCode}: ${text.slice(0, 200)}`)
  }
}

function withQuery(path: string, query: Record<string, string | undefined>): string {
  const given = Object.entries(query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`
}

/** True when nobody listens there: the next place may do. */
function isAbsent(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOENT' || code === 'ECONNREFUSED'
}

function connectError(error: unknown, dir: string): CliError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EACCES') {
    return new CliError(
      `the daemon in ${dir} belongs to another user: use sudo, or --host http://localhost:8080`,
    )
  }
  return new CliError(`cannot talk to the daemon in ${dir}: ${String(error)}`)
}
