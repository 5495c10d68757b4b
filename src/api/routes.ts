import type { FastifyInstance } from 'fastify'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { INSTANCES_MAX, type AppSpec } from '../model/app.ts'
import { isDuration, toMs } from '../model/duration.ts'
import type { AppId, SlotId, TaskId } from '../model/ids.ts'
import { isFinal, type Task } from '../model/task.ts'
import type { NodeService } from '../node/service.ts'
import { ApiError, existingApp } from './errors.ts'
import { followLogs } from './follow-logs.ts'
import { makeEdit, storedOf } from './make-edit.ts'
import { nameProblems } from './name-problems.ts'
import { parseRequest } from './parse-request.ts'
import { addDnsRoutes } from './routes-dns.ts'
import { addNodeRoutes } from './routes-nodes.ts'
import type { ApplyAnswer } from './shapes.ts'
import { appAnswer, appLines, statusOf, taskLines, whyAnswer } from './views.ts'

/** How long a join token is good for when nobody says. */
const TOKEN_TTL = '24h'

const applyBody = z.strictObject({
  files: z
    .array(z.strictObject({ name: z.string().max(4096), text: z.string() }))
    .min(1)
    .max(1000),
  dryRun: z.boolean().default(false),
  message: z.string().max(4096).default(''),
})
const scaleBody = z.strictObject({
  app: z.string(),
  instances: z.int().min(0).max(INSTANCES_MAX),
})
const tokenBody = z.strictObject({
  ttl: z.string().default(TOKEN_TTL),
  /** Without addresses a token is shorter, and works only where mDNS or a DHT finds the cluster. */
  addresses: z.boolean().default(true),
})
const flag = z.stringbool().default(false)
const logsQuery = z.object({
  app: z.string(),
  follow: flag,
  tail: z.coerce.number().int().min(0).max(1_000_000).optional(),
})

/** Adds the node's own API, `/v1`. */
export function addRoutes(app: FastifyInstance, service: NodeService, daemon: Daemon): void {
  addNodeRoutes(app, service)
  addDnsRoutes(app, service)
  app.get('/v1/status', () => statusOf(service, Date.now()))
  app.get('/v1/apps', () => appLines(service))
  app.get('/v1/tasks', request => {
    const { app: typed } = parseRequest(z.object({ app: z.string().optional() }), request.query)
    return taskLines(service, typed === undefined ? undefined : existingApp(service, typed))
  })
  app.get('/v1/app', request => appAnswer(service, askedApp(service, request.query)))
  app.get('/v1/why', request => whyAnswer(service, askedApp(service, request.query)))
  app.get('/v1/export', async () => {
    const apps = [...service.desired().apps.values()]
    return await Promise.all(
      apps.map(async ({ spec, instances }) => await service.printManifest({ ...spec, instances })),
    )
  })

  app.post('/v1/apply', async (request, reply) => {
    const answer = await apply(service, parseRequest(applyBody, request.body))
    const isWrong = answer.problems.some(({ severity }) => severity === 'error')
    return await reply.code(isWrong ? 422 : 200).send(answer)
  })
  app.post('/v1/scale', async request => {
    const { app: typed, instances } = parseRequest(scaleBody, request.body)
    const id = existingApp(service, typed)
    if (service.desired().apps.get(id)?.spec.mode === 'global') {
      throw new ApiError(
        422,
        `${id} is global: it has one slot on each node, and no number of instances`,
      )
    }
    return await makeEdit(service, { kind: 'scale', app: id, instances })
  })
  app.delete('/v1/app', async request => {
    const id = askedApp(service, request.query)
    return await makeEdit(service, { kind: 'remove', app: id })
  })

  app.post('/v1/token', request => {
    const { ttl, addresses } = parseRequest(tokenBody, request.body ?? {})
    if (!isDuration(ttl) || toMs(ttl) <= 0) {
      throw new ApiError(400, `ttl must be a duration such as 1h or 30m, got ${ttl}`)
    }
    return {
      token: service.createToken(toMs(ttl), { withAddresses: addresses }),
      expiresAtMs: Date.now() + toMs(ttl),
    }
  })
  app.post('/v1/leave', async (_request, reply) => {
    await daemon.leave()
    reply.raw.once('finish', () => daemon.stop())
    return { left: true }
  })
  app.post('/v1/join', async request => {
    const { token } = parseRequest(z.strictObject({ token: z.string() }), request.body)
    return await daemon.join(token)
  })

  app.get('/v1/events', async (request, reply) => {
    const { follow } = parseRequest(z.object({ follow: flag }), request.query)
    if (!follow) return service.events()
    reply.type('application/x-ndjson')
    return await reply.send(Readable.from(followEvents(service, abortOf(request.raw))))
  })
  app.get('/v1/logs', async (request, reply) => {
    const { app: typed, follow, tail } = parseRequest(logsQuery, request.query)
    const tasks = tasksToLog(service, typed)
    reply.type('application/x-ndjson')
    const options = { follow, signal: abortOf(request.raw), ...(tail !== undefined && { tail }) }
    return await reply.send(Readable.from(followLogs(service, tasks, options)))
  })
  app.get('/metrics', async (_request, reply) => {
    reply.type('text/plain; version=0.0.4')
    return await service.metrics()
  })
  app.get('/ping', () => 'pong')
}

/** What the API may ask of the process it runs in. */
export interface Daemon {
  /** Hands the tasks over and leaves the cluster; `stop` then ends the daemon and forgets the cluster. */
  leave(): Promise<void>
  /** Goes over to the cluster of a token, soon after the answer: the API is away for a moment. */
  join(token: string): Promise<{ readonly cluster: string }>
  stop(): void
}

async function apply(
  service: NodeService,
  { files, dryRun, message }: z.output<typeof applyBody>,
): Promise<ApplyAnswer> {
  const { apps, problems: found } = await service.readManifests(files)
  if (found.some(({ severity }) => severity === 'error')) return { apps: [], problems: found }
  const problems = [...found, ...nameProblems(service, apps)]
  const before = service.desired().apps
  if (dryRun) {
    return {
      problems,
      apps: await Promise.all(
        apps.map(async spec => ({
          id: spec.id,
          change: changeOf(before.get(spec.id)?.spec, spec),
          manifest: await service.printManifest(spec),
        })),
      ),
    }
  }
  const result = await service.edit({ kind: 'apply', specs: apps, message })
  if (!result.ok) throw new ApiError(409, result.reason)
  const revisions = new Map(result.revisions.map(({ app, revision }) => [app, revision]))
  return {
    problems,
    stored: storedOf(service, result),
    apps: apps.map(({ id }) => {
      const old = before.get(id)
      const revision = revisions.get(id)
      const change =
        old === undefined ? 'created' : old.revision === revision ? 'unchanged' : 'updated'
      return { id, change, ...(revision !== undefined && { revision }) }
    }),
  }
}

async function* followEvents(service: NodeService, signal: AbortSignal): AsyncIterable<string> {
  const queue = service.events().map(event => JSON.stringify(event))
  let wake = doNothing
  const stop = service.listen(event => {
    // A reader that is too slow loses the oldest, and sees a gap in the times.
    if (queue.length < 10_000) queue.push(JSON.stringify(event))
    wake()
  })
  signal.addEventListener('abort', () => wake())
  try {
    while (!signal.aborted) {
      const batch = queue.splice(0)
      if (batch.length > 0) yield `${batch.join('\n')}\n`
      else await new Promise<void>(resolveWait => void (wake = resolveWait))
    }
  } finally {
    stop()
  }
}

/** The tasks whose logs are asked for: an app's, a slot's (`web.2`) or one task's; live ones, else the last of each slot. */
function tasksToLog(service: NodeService, typed: string): TaskId[] {
  const absolute = typed.startsWith('/') ? typed : `/${typed}`
  const tasks = service.tasks().map(({ task }) => task)
  const exact = tasks.filter(({ id, slot }) => id === absolute || slot === absolute)
  const wanted =
    exact.length > 0 ? exact : tasks.filter(({ app }) => app === existingApp(service, typed))
  if (exact.length === 0 && wanted.length === 0) {
    const id = existingApp(service, typed)
    throw new ApiError(404, `${id} has no task yet: see \`shoal why ${id}\``)
  }
  const live = wanted.filter(({ state }) => !isFinal(state) && state !== 'preparing')
  if (live.length > 0) return live.map(({ id }) => id)
  const latest = new Map<SlotId, Task>()
  for (const task of wanted) {
    if (task.sinceMs >= (latest.get(task.slot)?.sinceMs ?? 0)) latest.set(task.slot, task)
  }
  return Array.from(latest.values(), ({ id }) => id)
}

function askedApp(service: NodeService, query: unknown): AppId {
  return existingApp(service, parseRequest(z.object({ app: z.string() }), query).app)
}

function changeOf(
  before: AppSpec | undefined,
  after: AppSpec,
): 'created' | 'updated' | 'unchanged' {
  if (before === undefined) return 'created'
  return JSON.stringify(before) === JSON.stringify(after) ? 'unchanged' : 'updated'
}

function abortOf(request: { once(event: 'close', listener: () => void): unknown }): AbortSignal {
  const aborted = new AbortController()
  request.once('close', () => aborted.abort())
  return aborted.signal
}

function doNothing(): void {}
