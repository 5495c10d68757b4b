import { chmod, rm } from 'node:fs/promises'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { fromJson } from './json-body.ts'
import type { NodeService } from '../node/service.ts'
import { ApiError, sendError } from './errors.ts'
import { guardBrowser } from './guard.ts'
import { NO_SCHEMAS } from './no-schemas.ts'
import { addMarathonRoutes } from './routes-marathon.ts'
import { addRoutes, type Daemon } from './routes.ts'

/** The name of the socket in a node's folder. */
export const SOCKET_FILE = 'shoal.sock'

/** Largest request, in bytes: a thousand manifests. */
const BODY_BYTES_MAX = 32 * 1024 * 1024

/** Options of {@link startApi}. */
export interface ApiOptions {
  readonly service: NodeService
  readonly daemon: Daemon
  readonly port: number
  readonly log: Logger
}

/** The API of a node, listening. */
export interface Api {
  readonly port: number
  readonly socketPath: string
  close(): Promise<void>
}

/**
 * Serves the API on the unix socket in the node's folder, for its owner alone, and
 * on 127.0.0.1. Until there are tokens and TLS nobody else can reach it.
 *
 * @throws {Error} When the port is taken: the message says what to do.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const socketPath = join(options.service.dataDir, SOCKET_FILE)
  const local = createServer(options)
  const network = createServer(options)
  guardBrowser(network)
  try {
    // Left by a daemon that was killed. The folder's lock says that none lives.
    await rm(socketPath, { force: true })
    await local.listen({ path: socketPath })
    await chmod(socketPath, 0o600)
    await network.listen({ host: '127.0.0.1', port: options.port })
  } catch (error) {
    await Promise.all([local.close(), network.close()])
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new Error(
        `port ${options.port} of 127.0.0.1 is taken, so the API cannot listen: choose another with --api-port`,
        { cause: error },
      )
    }
    throw error
  }
  const bound = network.server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : options.port,
    socketPath,
    close: async () => {
      await Promise.all([local.close(), network.close()])
    },
  }
}

function createServer({ service, daemon, log }: ApiOptions): FastifyInstance {
  const app = fastify({
    schemaController: NO_SCHEMAS,
    bodyLimit: BODY_BYTES_MAX,
    // A log that is followed must not keep a daemon from stopping.
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true },
  })
  // `curl -d` says it sends a form: whatever it says, it is JSON.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    const parsed = fromJson(String(body))
    if (parsed.ok) done(null, parsed.value)
    else done(new ApiError(400, parsed.reason), undefined)
  })
  app.setErrorHandler(async (error, request, reply) => {
    if (error instanceof ApiError) return await sendError(reply, error.status, error.message)
    const status = statusOf(error)
    const message = error instanceof Error ? error.message : String(error)
    if (status >= 500) log.error({ err: error, url: request.url }, 'a request failed')
    return await sendError(reply, status, message)
  })
  app.setNotFoundHandler(async (request, reply) => {
    await sendError(reply, 404, `there is no ${request.method} ${request.url} here`)
  })
  addRoutes(app, service, daemon)
  addMarathonRoutes(app, service)
  return app
}

function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return 500
  return typeof error.statusCode === 'number' ? error.statusCode : 500
}
