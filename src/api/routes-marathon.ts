import type { FastifyInstance, FastifyReply } from 'fastify'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { AppSpec } from '../model/app.ts'
import { parseAppId, type AppId } from '../model/ids.ts'
import type { Problem } from '../model/problem.ts'
import { isFinal, isServing } from '../model/task.ts'
import type { NodeService, TaskView } from '../node/service.ts'
import { makeEdit } from './make-edit.ts'
import { nameProblems } from './name-problems.ts'

/**
 * Adds what Marathon's users have in their scripts: `/v2/apps`. The answers are
 * Marathon's, errors too. Every node answers, where Marathon had to ask its leader.
 *
 * A deployment's id is made up on the spot: Shoal has no deployments to lock.
 */
export function addMarathonRoutes(app: FastifyInstance, service: NodeService): void {
  app.get('/v2/apps', async () => {
    const ids = [...service.desired().apps.keys()]
    return { apps: await Promise.all(ids.map(async id => await marathonApp(service, id, false))) }
  })

  app.post('/v2/apps', async (request, reply) => {
    const { fromMarathon } = await marathon()
    const read = fromMarathon(request.body)
    if (read.spec === undefined) return await notValid(reply, read.problems)
    if (service.desired().apps.has(read.spec.id)) {
      return await reply
        .code(409)
        .send({ message: `An app with id [${read.spec.id}] already exists.` })
    }
    const deployment = await apply(service, read.spec)
    return await deployed(reply, 201, deployment).send({
      ...(await marathonApp(service, read.spec.id, false)),
      version: deployment.version,
      deployments: [{ id: deployment.deploymentId }],
      ...warnings([...read.problems, ...nameProblems(service, [read.spec])]),
    })
  })

  app.get('/v2/apps/*', async (request, reply) => {
    const { id, rest } = split(service, request.params)
    if (id === undefined || !service.desired().apps.has(id))
      return await unknownApp(reply, request.params)
    if (rest === 'tasks') return { tasks: tasksOf(service, id).map(marathonTask) }
    if (rest === 'versions') {
      const { line, lost } = service.history(id)
      return { versions: [...line, ...lost].map(({ timeMs }) => new Date(timeMs).toISOString()) }
    }
    return { app: await marathonApp(service, id, true) }
  })

  app.put('/v2/apps/*', async (request, reply) => {
    const { id } = split(service, request.params)
    if (id === undefined) return await unknownApp(reply, request.params)
    const { fromMarathon, toMarathon } = await marathon()
    const existing = service.desired().apps.get(id)
    // As in Marathon, a PUT changes what it names and keeps the rest.
    const before =
      existing === undefined ? {} : toMarathon({ ...existing.spec, instances: existing.instances })
    const body = typeof request.body === 'object' && request.body !== null ? request.body : {}
    const read = fromMarathon({ ...before, ...body, id })
    if (read.spec === undefined) return await notValid(reply, read.problems)
    const deployment = await apply(service, read.spec)
    return await deployed(reply, existing === undefined ? 201 : 200, deployment).send({
      ...deployment,
      ...warnings([...read.problems, ...nameProblems(service, [read.spec])]),
    })
  })

  app.delete('/v2/apps/*', async (request, reply) => {
    const { id } = split(service, request.params)
    if (id === undefined || !service.desired().apps.has(id))
      return await unknownApp(reply, request.params)
    await makeEdit(service, { kind: 'remove', app: id })
    const deployment = newDeployment()
    return await deployed(reply, 200, deployment).send(deployment)
  })

  app.get('/v2/info', () => ({
    name: 'marathon',
    version: service.version,
    elected: true,
    leader: service.dns.address,
    frameworkId: service.cluster,
  }))
}

/** Loaded when the first Marathon user comes: most daemons never need its memory. */
async function marathon(): Promise<typeof import('../formats/marathon.ts')> {
  return await import('../formats/marathon.ts')
}

const wildcard = z.object({ '*': z.string() })

interface Deployment {
  readonly version: string
  readonly deploymentId: string
}

function newDeployment(): Deployment {
  return { version: new Date().toISOString(), deploymentId: randomUUID() }
}

async function apply(service: NodeService, spec: AppSpec): Promise<Deployment> {
  await makeEdit(service, { kind: 'apply', specs: [spec], message: '' })
  return newDeployment()
}

function deployed(reply: FastifyReply, status: number, { deploymentId }: Deployment): FastifyReply {
  return reply.code(status).header('Marathon-Deployment-Id', deploymentId)
}

/** What Shoal carries but does not act on, and names that others have already. Marathon had no such key; nothing is dropped in silence here. */
function warnings(problems: readonly Problem[]): { warnings?: string[] } {
  const lines = problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  return lines.length === 0 ? {} : { warnings: lines }
}

async function notValid(reply: FastifyReply, problems: readonly Problem[]): Promise<FastifyReply> {
  const details = problems
    .filter(({ severity }) => severity === 'error')
    .map(({ path, message }) => ({ path: `/${path.replaceAll('.', '/')}`, errors: [message] }))
  return await reply.code(422).send({ message: 'Object is not valid', details })
}

async function unknownApp(reply: FastifyReply, params: unknown): Promise<FastifyReply> {
  const { '*': path } = wildcard.parse(params)
  return await reply.code(404).send({ message: `App '/${path}' does not exist` })
}

/** Reads `shop/web/tasks` as the app `/shop/web` and the rest `tasks`, unless an app is called so. */
function split(
  service: NodeService,
  params: unknown,
): { readonly id: AppId | undefined; readonly rest: 'tasks' | 'versions' | '' } {
  const { '*': path } = wildcard.parse(params)
  const whole = parseAppId(path.replace(/\/$/, ''))
  const [, before, rest] = /^(.*)\/(tasks|versions)$/.exec(path) ?? []
  if (before === undefined || (whole !== undefined && service.desired().apps.has(whole))) {
    return { id: whole, rest: '' }
  }
  return { id: parseAppId(before), rest: rest === 'tasks' ? 'tasks' : 'versions' }
}

function tasksOf(service: NodeService, id: AppId): TaskView[] {
  return service
    .tasks()
    .filter(
      ({ task, node }) => task.app === id && !isFinal(task.state) && node.verdict?.kind === 'alive',
    )
}

async function marathonApp(service: NodeService, id: AppId, withTasks: boolean): Promise<object> {
  const { toMarathon } = await marathon()
  const { spec, instances, revision } = service.desired().apps.get(id)!
  const tasks = tasksOf(service, id)
  const count = (has: (view: TaskView) => boolean): number => tasks.filter(has).length
  const [latest] = service.history(id).line
  return {
    ...toMarathon({ ...spec, instances }),
    version: latest === undefined ? revision : new Date(latest.timeMs).toISOString(),
    tasksStaged: count(({ task }) => task.state !== 'running'),
    tasksRunning: count(({ task }) => task.state === 'running'),
    tasksHealthy: count(({ task }) => isServing(task) && task.health === 'healthy'),
    tasksUnhealthy: count(({ task }) => task.health === 'unhealthy'),
    deployments: [],
    ...(withTasks && { tasks: tasks.map(marathonTask) }),
  }
}

function marathonTask({ node, task }: TaskView): unknown {
  return {
    id: task.id,
    appId: task.app,
    host: node.record?.address ?? '',
    ports: task.ports.map(({ hostPort }) => hostPort),
    state: task.state === 'running' ? 'TASK_RUNNING' : 'TASK_STAGING',
    stagedAt: new Date(task.sinceMs).toISOString(),
    startedAt: new Date(task.sinceMs).toISOString(),
    version: task.revision,
    slaveId: node.node,
    ipAddresses: [{ ipAddress: node.record?.address ?? '', protocol: 'IPv4' }],
  }
}
