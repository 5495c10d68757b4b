import type { AppSpec } from '../model/app.ts'
import type { Problem } from '../model/problem.ts'
import { checkApp, type CheckedApp } from './check-app.ts'
import { createDraft } from './draft.ts'
import { Fields, isMap } from './fields.ts'
import { errorAt, show, toProblems } from './finding.ts'
import { missingFrom, warnUnlessInert } from './marathon-carry.ts'
import {
  consequenceOf,
  MARATHON_APP_KEYS,
  MARATHON_SERVER_KEYS,
  NEVER_LOST,
} from './marathon-fields.ts'
import { readHealthChecks } from './marathon-health.ts'
import { readPorts } from './marathon-ports.ts'
import { flawOf, type Path } from './path.ts'
import { DEPTH_MAX } from './source-node.ts'
import { printMarathon } from './to-marathon.ts'

export { toMarathon } from './to-marathon.ts'

/** Where in a document an app stands, and what the groups around it give it. */
export interface MarathonPlace {
  readonly path: Path
  /** The absolute id of the group around it. */
  readonly group: string
  /** What the groups around it depend on, as absolute ids. */
  readonly dependencies: readonly string[]
}

/** A whole document that is one app. */
export const MARATHON_TOP: MarathonPlace = { path: [], group: '/', dependencies: [] }

/**
 * Turns a Marathon app (the JSON value, as `POST /v2/apps` takes it) into ours.
 * Every field is honoured, or carried in `spec.carried` and named in a warning; see
 * {@link MARATHON_FIELDS} for which. Pure; never throws.
 *
 * @returns `spec` exactly when no problem is an error.
 */
export function fromMarathon(value: unknown): {
  readonly spec?: AppSpec
  readonly problems: readonly Problem[]
} {
  const { spec, findings } = importMarathonApp(value, value, MARATHON_TOP)
  return { ...(spec && { spec }), problems: toProblems(findings) }
}

/** {@link fromMarathon} for an app inside `document`. */
export function importMarathonApp(
  value: unknown,
  document: unknown,
  place: MarathonPlace,
): CheckedApp {
  if (!isMap(value)) {
    return { findings: [errorAt(place.path, `must be an app, got ${show(value)}`)] }
  }
  const flaw = flawOf(value, DEPTH_MAX)
  if (flaw !== undefined) return { findings: [errorAt(place.path, flaw)] }
  const draft = createDraft('marathon', document, place.path)
  const app = new Fields(value, place.path, draft)
  readIdentity(app, place)
  readResources(app)
  readWork(app)
  readPolicies(app)
  for (const key of MARATHON_SERVER_KEYS.filter(name => app.get(name) !== undefined)) {
    draft.warn(app.at(key), consequenceOf(key))
  }
  app.rest(MARATHON_APP_KEYS)

  const { spec, findings } = draft.finish()
  if (spec === undefined) return { findings }
  const carried = carriedOf(value, spec, place)
  // Checked once more because what is carried counts towards the size.
  const checked = checkApp(carried)
  return {
    ...(checked.spec && { spec: checked.spec }),
    findings: [...findings, ...checked.findings],
  }
}

/** The app with all of its source that our own fields cannot say. */
function carriedOf(
  value: Readonly<Record<string, unknown>>,
  spec: AppSpec,
  place: MarathonPlace,
): unknown {
  const { carried: _, ...bare } = spec
  const dependencies = dependenciesOf(value, place)
  const kept = Object.entries(value).filter(
    ([key]) => key !== 'id' && !MARATHON_SERVER_KEYS.includes(key),
  )
  const source = Object.fromEntries(kept)
  if (dependencies.length > 0) source['dependencies'] = dependencies
  const first = missingFrom(printMarathon(bare, {}), source)
  // What is carried may take the place of what would be printed: so look once more.
  const fields = { ...first, ...missingFrom(printMarathon(bare, first), source) }
  return { ...bare, carried: { format: 'marathon', fields } }
}

/** What an app waits for, its groups' dependencies too, as absolute ids where it stands in a group. */
function dependenciesOf(
  value: Readonly<Record<string, unknown>>,
  { group, dependencies }: MarathonPlace,
): unknown[] {
  const given = value['dependencies']
  const own: readonly unknown[] = Array.isArray(given) ? given : []
  const inGroup = group !== '/'
  const absolute = own.map(id => (inGroup && typeof id === 'string' ? resolveId(id, group) : id))
  return [...new Set([...absolute, ...dependencies])]
}

/** A PathId as an absolute one: `../db` in `/shop/web` is `/shop/db`. */
export function resolveId(id: string, group: string): string {
  const segments: string[] = []
  for (const segment of (id.startsWith('/') ? id : `${group}/${id}`).split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(segment)
  }
  return `/${segments.join('/')}`
}

function readIdentity(app: Fields, { group, dependencies }: MarathonPlace): void {
  const { draft } = app
  const id = app.text('id')
  if (id === undefined) {
    if (app.get('id') === undefined) draft.error(app.at('id'), 'is missing: must be the app’s id')
    draft.put(['id'], '/unnamed', app.at('id'))
  } else draft.put(['id'], resolveId(id, group), app.at('id'))
  draft.put(['labels'], app.labels('labels') ?? {}, app.at('labels'))
  warnUnlessInert(app, 'dependencies')
  if (app.get('dependencies') === undefined && dependencies.length > 0) {
    draft.warn(
      app.path,
      `kept, not acted on: the dependencies of its group, ${dependencies.join(', ')}; ${consequenceOf('dependencies')}`,
    )
  }
}

function readResources(app: Fields): void {
  const { draft } = app
  const mem = app.number('mem') ?? 128
  const disk = app.number('disk') ?? 0
  draft.put(['resources', 'cpus'], app.number('cpus') ?? 1, app.at('cpus'))
  draft.put(['resources', 'memMb'], Math.ceil(mem), app.at('mem'))
  draft.put(['resources', 'diskMb'], Math.ceil(disk), app.at('disk'))
  draft.put(['resources', 'gpus'], app.integer('gpus') ?? 0, app.at('gpus'))
  draft.put(['instances'], app.integer('instances') ?? 1, app.at('instances'))

  const limits = app.map('resourceLimits')
  const limitOf = (key: string): number | 'unlimited' | undefined => {
    const limit = limits?.get(key)
    if (limit === undefined || limit === 'unlimited' || typeof limit === 'number') return limit
    draft.error(limits!.at(key), `must be a number or "unlimited", got ${show(limit)}`)
    return undefined
  }
  const cpus = limitOf('cpus')
  if (typeof cpus === 'number') draft.put(['limits', 'cpus'], cpus, app.at('resourceLimits'))
  const memLimit = limitOf('mem') ?? mem
  if (memLimit !== 'unlimited' && memLimit > 0) {
    const source = limits?.get('mem') === undefined ? app.at('mem') : limits.at('mem')
    draft.put(['limits', 'memMb'], Math.ceil(memLimit), source)
  }
  limits?.rest()
}

/** The command, and the container with its network, ports, volumes and checks. */
function readWork(app: Fields): void {
  const { draft } = app
  const cmd = app.text('cmd')
  const args = app.texts('args')
  if (cmd !== undefined && args !== undefined && args.length > 0) {
    draft.error(app.at('args'), 'must not stand beside cmd: an app has one of the two')
  }
  if (cmd !== undefined) draft.put(['command'], cmd, app.at('cmd'))
  else if (args !== undefined && args.length > 0) draft.put(['command'], args, app.at('args'))

  const container = app.map('container')
  const type = container?.text('type')
  const docker = container?.map('docker')
  if (type !== undefined && type !== 'DOCKER' && type !== 'MESOS') {
    draft.error(container!.at('type'), `must be "DOCKER" or "MESOS", got ${show(type)}`)
  }
  const image = docker?.text('image')
  if (image !== undefined) draft.put(['image'], image, docker!.at('image'))
  else if (docker !== undefined || type === 'DOCKER') {
    const path = docker?.at('image') ?? [...container!.at('docker'), 'image']
    if (docker?.get('image') === undefined) draft.error(path, 'is missing: must be text')
  }
  if (cmd === undefined && !args?.length && image === undefined && docker === undefined) {
    draft.error(app.path, 'must have a cmd, args or a container image')
    draft.put(['command'], 'true', app.path)
  }
  if (docker !== undefined) readDocker(docker)

  const network = readNetwork(app, docker)
  draft.put(['network'], network, app.at('networks'))
  const ports = readPorts({ app, container, docker, network })
  readHealthChecks(app, ports)
  if (container !== undefined) {
    readVolumes(container, image !== undefined)
    warnUnlessInert(container, 'linuxInfo', 'container.linuxInfo')
    container.rest(['type', 'docker', 'volumes', 'portMappings', 'linuxInfo'])
  }
  docker?.rest(['image', 'forcePullImage', 'privileged', 'parameters', 'pullConfig'])
}

function readDocker(docker: Fields): void {
  const { draft } = docker
  draft.put(['forcePull'], docker.flag('forcePullImage') ?? false, docker.at('forcePullImage'))
  draft.put(['privileged'], docker.flag('privileged') ?? false, docker.at('privileged'))
  warnUnlessInert(docker, 'pullConfig', 'container.docker.pullConfig')
  warnUnlessInert(docker, 'credential', 'container.docker.credential')
  for (const parameter of docker.maps('parameters') ?? []) {
    const key = parameter.text('key') ?? ''
    const value = parameter.text('value') ?? ''
    const source = parameter.at('value')
    if (key === 'entrypoint') draft.put(['entrypoint'], [value], source)
    else if (key === 'workdir') draft.put(['workdir'], value, source)
    else if (key === 'user') draft.put(['user'], value, source)
    else draft.warn(parameter.path, `kept, not acted on: the container starts without --${key}`)
    parameter.rest()
  }
}

/** A task is in the host's network or in a bridge; absent means host, as in Marathon. */
function readNetwork(app: Fields, docker: Fields | undefined): 'host' | 'bridge' {
  const { draft } = app
  const old = docker?.text('network')
  const networks = app.maps('networks')
  warnUnlessInert(app, 'ipAddress')
  if (old !== undefined && !['BRIDGE', 'HOST', 'USER'].includes(old)) {
    const rule = old === 'NONE' ? 'a container with no network is not supported: ' : ''
    draft.error(docker!.at('network'), `${rule}must be BRIDGE, HOST or USER, got ${show(old)}`)
  }
  const modes = new Set<string>()
  for (const network of networks ?? []) {
    const mode = network.text('mode') ?? 'container'
    modes.add(mode)
    if (!['host', 'container', 'container/bridge'].includes(mode)) {
      const rule = 'must be "host", "container" or "container/bridge"'
      draft.error(network.at('mode'), `${rule}, got ${show(mode)}`)
    }
    warnUnlessInert(network, 'name', 'networks[].name')
    warnUnlessInert(network, 'labels', 'networks[].labels')
    network.rest()
  }
  if (modes.size > 1) draft.error(app.at('networks'), 'must all have the same mode')
  if (modes.size > 0) return modes.has('host') ? 'host' : 'bridge'
  if (old !== undefined) return old === 'HOST' ? 'host' : 'bridge'
  return app.get('ipAddress') === undefined ? 'host' : 'bridge'
}

function readVolumes(container: Fields, inDocker: boolean): void {
  const { draft } = container
  let count = 0
  for (const volume of container.maps('volumes') ?? []) {
    const target = volume.text('containerPath')
    const source = volume.text('hostPath')
    const mode = volume.text('mode') ?? 'RW'
    const kinds = ['persistent', 'external', 'secret'].filter(key => volume.get(key) !== undefined)
    for (const kind of kinds) warnUnlessInert(volume, kind, `container.volumes[].${kind}`)
    volume.rest(['containerPath', 'hostPath', 'mode', 'persistent', 'external', 'secret'])
    if (kinds.length > 0) continue
    if (!inDocker) {
      draft.warn(
        volume.path,
        'kept, not acted on: a plain process sees the files of its node where they are',
      )
      continue
    }
    if (mode !== 'RO' && mode !== 'RW') {
      draft.error(volume.at('mode'), `must be "RO" or "RW", got ${show(mode)}`)
    }
    const at = ['volumes', count++]
    draft.put(at, {}, volume.path)
    draft.put([...at, 'source'], source, volume.at('hostPath'))
    draft.put([...at, 'target'], target, volume.at('containerPath'))
    draft.put([...at, 'readOnly'], mode === 'RO', volume.at('mode'))
  }
}

function readPolicies(app: Fields): void {
  const { draft } = app
  readEnv(app)
  readConstraints(app)
  readUpgrade(app)
  const user = app.text('user')
  if (user !== undefined) draft.put(['user'], user, app.at('user'))
  draft.put(['tty'], app.flag('tty') ?? false, app.at('tty'))
  const copies = [
    ['backoffSeconds', 'initial'],
    ['maxLaunchDelaySeconds', 'max'],
  ] as const
  for (const [key, target] of copies) {
    const seconds = app.seconds(key)
    if (seconds !== undefined) draft.put(['backoff', target], seconds, app.at(key))
  }
  const factor = app.number('backoffFactor')
  if (factor !== undefined) draft.put(['backoff', 'factor'], factor, app.at('backoffFactor'))
  const grace = app.seconds('taskKillGracePeriodSeconds')
  if (grace !== undefined) draft.put(['stopGrace'], grace, app.at('taskKillGracePeriodSeconds'))
  for (const key of [
    'executor',
    'executorResources',
    'secrets',
    'acceptedResourceRoles',
    'role',
    'fetch',
    'uris',
    'check',
    'readinessChecks',
    'killSelection',
    'residency',
  ]) {
    warnUnlessInert(app, key)
  }
  readUnreachable(app)
}

/** Marathon's own wait before it replaces a task that it sees no more. */
function readUnreachable(app: Fields): void {
  const key = 'unreachableStrategy'
  const target = ['onPartition', 'lostAfter']
  if (app.get(key) === 'disabled') {
    app.draft.put(target, NEVER_LOST, app.at(key))
    return
  }
  const strategy = app.map(key)
  const after = strategy?.seconds('inactiveAfterSeconds')
  strategy?.seconds('expungeAfterSeconds')
  strategy?.rest()
  if (after !== undefined) app.draft.put(target, after, app.at(key))
}

function readEnv(app: Fields): void {
  const { draft } = app
  const env = app.map('env')
  draft.put(['env'], {}, app.at('env'))
  for (const name of env?.keys() ?? []) {
    const value = env!.get(name)
    if (typeof value === 'string') draft.put(['env', name], value, env!.at(name))
    else if (isMap(value)) {
      draft.warn(
        env!.at(name),
        'kept, not acted on: Shoal keeps no secrets, the task starts without this variable',
      )
    } else if (value !== undefined) {
      draft.error(env!.at(name), `must be text, got ${show(value)}`)
    }
  }
}

function readConstraints(app: Fields): void {
  const { draft } = app
  draft.put(['constraints'], [], app.at('constraints'))
  // Constraints that are wrong leave no gap: a list grows only at its end.
  let count = 0
  for (const [index, item] of (app.list('constraints') ?? []).entries()) {
    const source = [...app.at('constraints'), index]
    const parts: readonly unknown[] = Array.isArray(item) ? item : []
    const texts = parts.flatMap(part =>
      typeof part === 'string' || typeof part === 'number' ? [String(part)] : [],
    )
    const [field, operator, value] = texts
    if (texts.length < parts.length || operator === undefined || parts.length > 3) {
      const rule = 'must be [field, operator] or [field, operator, value]'
      draft.error(source, `${rule}, got ${show(item)}`)
      continue
    }
    const at = ['constraints', count++]
    draft.put(at, {}, source)
    draft.put([...at, 'field'], field === 'hostname' ? '@hostname' : field, [...source, 0])
    draft.put([...at, 'operator'], operator, [...source, 1])
    if (value !== undefined) draft.put([...at, 'value'], value, [...source, 2])
  }
}

/** Over-capacity means that new tasks start first; without it, old ones stop first. */
function readUpgrade(app: Fields): void {
  const { draft } = app
  const strategy = app.map('upgradeStrategy')
  const share = (key: string): number => {
    const value = strategy?.number(key) ?? 1
    if (value >= 0 && value <= 1) return value
    draft.error(strategy!.at(key), `must be a number from 0 to 1, got ${value}`)
    return 1
  }
  const least = share('minimumHealthCapacity')
  const over = share('maximumOverCapacity')
  strategy?.rest()
  const instances = Number(draft.at(['instances']))
  const atOnce = over > 0 ? Math.floor(instances * over) : instances - Math.ceil(instances * least)
  const source = app.at('upgradeStrategy')
  draft.put(['update', 'order'], over > 0 ? 'start-first' : 'stop-first', source)
  draft.put(['update', 'parallelism'], Math.max(1, Math.min(atOnce, 10_000)), source)
}
