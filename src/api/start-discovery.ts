import { isIP } from 'node:net'
import { Readable } from 'node:stream'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { NodeService } from '../node/service.ts'
import { NO_SCHEMAS } from './no-schemas.ts'
import { sendError } from './errors.ts'
import { printInTurns } from './print-in-turns.ts'
import { addScrapeTargets } from './routes-dns.ts'

/** Clients at a time, and how long one may be silent, in milliseconds: strangers can come here. */
const CONNECTIONS_MAX = 256
const SILENT_MS = 10_000
/** Whole lists that are printed at a time: one can have 40 MB, and a second of work. */
const LISTS_MAX = 2

/** Options of {@link startDiscovery}. */
export interface DiscoveryOptions {
  readonly service: NodeService
  /** What to listen on. */
  readonly address: string
  readonly port: number
}

/** The discovery port, listening. */
export interface Discovery {
  readonly port: number
  close(): Promise<void>
}

/**
 * Tells over HTTP what DNS tells: to those who find their services at Mesos-DNS's `:8123/v1/…`,
 * in its formats, and to Prometheus. Read only, and for the network: whoever reaches the
 * port reads all of it, as there. Web pages are another matter: they come from inside, and are
 * refused unless they were asked for by an address or a name that no stranger can own.
 *
 * @throws {Error} When the port is taken: the message says what to do.
 */
export async function startDiscovery(options: DiscoveryOptions): Promise<Discovery> {
  const { address, port } = options
  const app = createServer(options)
  try {
    await app.listen({ host: address, port })
  } catch (error) {
    await app.close()
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new Error(
        `port ${port} of ${address} is taken, so discovery cannot listen: choose another with --discovery-port`,
        { cause: error },
      )
    }
    throw error
  }
  const bound = app.server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close: async () => await app.close(),
  }
}

function createServer({ service, address }: DiscoveryOptions): FastifyInstance {
  const { dns } = service
  const app = fastify({
    schemaController: NO_SCHEMAS,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 260 },
    // There is nothing to send.
    bodyLimit: 1024,
    requestTimeout: SILENT_MS,
    connectionTimeout: SILENT_MS,
    keepAliveTimeout: SILENT_MS,
  })
  app.server.maxConnections = CONNECTIONS_MAX
  let lists = 0
  async function sendList(reply: FastifyReply, parts: Iterable<string>): Promise<unknown> {
    if (lists >= LISTS_MAX) {
      return await sendError(
        reply.header('Retry-After', '1'),
        503,
        'others read whole lists now: ask again',
      )
    }
    lists++
    const pieces = Readable.from(printInTurns(parts)).once('close', () => lists--)
    return await reply.type('application/json; charset=utf-8').send(pieces)
  }
  app.addHook('onRequest', async (request, reply) => {
    const { host } = request.headers
    if (host === undefined || isOurs(host, [dns.domain, dns.mesosDomain])) return
    await sendError(
      reply,
      403,
      `this port answers to addresses and to names of the cluster, not to the host ${host}`,
    )
  })
  app.setNotFoundHandler(async (request, reply) => {
    await sendError(reply, 404, `there is no ${request.method} ${request.url} here`)
  })
  app.get('/v1/version', () => ({ Service: 'Shoal', Version: service.version, URL: '' }))
  app.get('/v1/config', request => ({
    Masters: null,
    Zk: '',
    RefreshSeconds: 0,
    TTL: dns.ttlSeconds,
    Port: dns.port,
    Domain: dns.mesosDomain ?? dns.domain,
    Resolvers: [],
    Timeout: 0,
    ...dns.discovery.responsible(),
    Listener: address,
    HttpPort: request.socket.localPort ?? 0,
    DnsOn: true,
    HttpOn: true,
  }))
  app.get<{ Params: { host: string } }>('/v1/hosts/:host', ({ params }) =>
    dns.discovery.hosts(params.host),
  )
  app.get('/v1/hosts/:host/ports', async (_request, reply) => {
    await sendError(
      reply,
      501,
      'Mesos-DNS never had an answer to this: ask /v1/services/… for ports',
    )
  })
  app.get<{ Params: { service: string } }>('/v1/services/:service', ({ params }) =>
    dns.discovery.services(params.service),
  )
  app.get(
    '/v1/enumerate',
    async (_request, reply) => await sendList(reply, dns.discovery.enumerate()),
  )
  app.get('/v1/axfr', async (_request, reply) => await sendList(reply, dns.discovery.transfer()))
  addScrapeTargets(app, service)
  return app
}

/** True for a host that a page of a stranger cannot be served from: an address, a name without a dot, or one below our domains. */
function isOurs(host: string, domains: readonly (string | undefined)[]): boolean {
  const name = host
    .replace(/:\d{1,5}$/, '')
    .replace(/\.$/, '')
    .toLowerCase()
  if (isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0) return true
  return (
    !name.includes('.') ||
    domains.some(domain => domain !== undefined && name.endsWith(`.${domain}`))
  )
}
