import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { NodeService } from '../node/service.ts'
import { ApiError, existingApp } from './errors.ts'
import { parseRequest } from './parse-request.ts'
import { printInTurns, printList } from './print-in-turns.ts'
import type { NameConflictLine, ResolveAnswer, VerifyAnswer } from './shapes.ts'

const resolveQuery = z.object({ name: z.string(), type: z.string().optional() })
const verifyQuery = z.object({ app: z.string().optional() })

/** Adds what concerns DNS to the node's own API, and the targets for a Prometheus on this machine. */
export function addDnsRoutes(app: FastifyInstance, service: NodeService): void {
  app.get('/v1/resolve', async request => {
    const { name, type } = parseRequest(resolveQuery, request.query)
    return await resolve(service, name, type)
  })
  app.get('/v1/dns/verify', async (request, reply): Promise<VerifyAnswer> => {
    const { app: typed } = parseRequest(verifyQuery, request.query)
    const id = typed === undefined ? undefined : existingApp(service, typed)
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    return await service.dns.verify(id, gone.signal)
  })
  app.get('/v1/dns/conflicts', (): NameConflictLine[] => service.dns.conflicts())
  addScrapeTargets(app, service)
}

/** Adds Prometheus' HTTP service discovery. */
export function addScrapeTargets(app: FastifyInstance, service: NodeService): void {
  app.get('/sd/prometheus', async (_request, reply) => {
    const pieces = Readable.from(printInTurns(printList(service.dns.targets())))
    return await reply.type('application/json; charset=utf-8').send(pieces)
  })
}

async function resolve(
  service: NodeService,
  name: string,
  type: string | undefined,
): Promise<ResolveAnswer> {
  const { address, port } = service.dns
  const server = `${address.includes(':') ? `[${address}]` : address}:${port}`
  try {
    return { ...(await service.dns.resolve(name, type)), server }
  } catch (error) {
    if (error instanceof RangeError) throw new ApiError(400, error.message)
    throw error
  }
}
