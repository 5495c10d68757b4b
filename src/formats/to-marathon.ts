import type { AppPort, AppSpec, HealthCheck } from '../model/app.ts'
import { toMs, type Duration } from '../model/duration.ts'
import { INERT_DEFAULTS, NEVER_LOST } from './marathon-fields.ts'
import { parsePath, putAt } from './path.ts'

/**
 * Writes an app as Marathon would: the JSON of `GET /v2/apps`. An app that came from
 * Marathon goes out as it came in, the fields that Shoal does not act on included;
 * what it left open is filled in with Marathon's defaults. An app from elsewhere is
 * told as well as Marathon's words can: `global` mode and aliases have none.
 */
export function toMarathon(spec: AppSpec): Record<string, unknown> {
  return printMarathon(spec, spec.carried?.format === 'marathon' ? spec.carried.fields : {})
}

/** {@link toMarathon} with `carried` instead of what the app carries. */
export function printMarathon(
  spec: AppSpec,
  carried: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const app: Record<string, unknown> = {
    id: spec.id,
    ...commandOf(spec),
    instances: spec.instances,
    ...resourcesOf(spec),
    networks: [{ mode: spec.network === 'host' ? 'host' : 'container/bridge' }],
    ...portsOf(spec, carried),
    env: { ...spec.env },
    labels: { ...spec.labels },
    constraints: constraintsOf(spec),
    ...(spec.user !== undefined && { user: spec.user }),
    ...(spec.tty && { tty: true }),
    healthChecks: spec.health.map(check => healthCheckOf(check, spec)),
    backoffSeconds: seconds(spec.backoff.initial),
    backoffFactor: spec.backoff.factor,
    maxLaunchDelaySeconds: seconds(spec.backoff.max),
    ...(spec.stopGrace !== '10s' && { taskKillGracePeriodSeconds: seconds(spec.stopGrace) }),
    upgradeStrategy: upgradeStrategyOf(spec),
    executor: INERT_DEFAULTS['executor'],
    fetch: [],
    dependencies: [],
    readinessChecks: [],
    secrets: {},
    killSelection: INERT_DEFAULTS['killSelection'],
    unreachableStrategy: unreachableStrategyOf(spec),
  }
  for (const [text, value] of Object.entries(carried)) {
    const path = parsePath(text)
    if (path !== undefined && path.length > 0) putAt(app, path, structuredClone(value))
  }
  return app
}

function unreachableStrategyOf({ onPartition: { lostAfter } }: AppSpec): unknown {
  if (lostAfter === NEVER_LOST) return 'disabled'
  const wait = seconds(lostAfter)
  return { inactiveAfterSeconds: wait, expungeAfterSeconds: wait }
}

function commandOf({ command }: AppSpec): Record<string, unknown> {
  if (command === undefined) return {}
  return typeof command === 'string' ? { cmd: command } : { args: [...command] }
}

function resourcesOf({ resources, limits }: AppSpec): Record<string, unknown> {
  const { cpus, memMb: mem, diskMb: disk, gpus } = resources
  const resourceLimits = {
    ...(limits.cpus !== undefined && { cpus: limits.cpus }),
    ...(limits.memMb !== mem && mem > 0 && { mem: limits.memMb ?? 'unlimited' }),
  }
  const limited = Object.keys(resourceLimits).length > 0
  return { cpus, mem, disk, gpus, ...(limited && { resourceLimits }) }
}

function portsOf(
  spec: AppSpec,
  carried: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const host = spec.network === 'host' || spec.image === undefined
  const mapped = ['container.portMappings', 'container.docker'].some(path =>
    Object.keys(carried).some(key => key === path || key === `${path}.portMappings`),
  )
  const direct = host && !mapped
  const container = spec.image === undefined ? undefined : containerOf(spec, spec.image, !host)
  return {
    ...(direct && {
      portDefinitions: spec.ports.map(({ port, hostPort, protocol, name }) => ({
        port: hostPort || port,
        protocol,
        ...(name !== undefined && { name }),
        labels: {},
      })),
      requirePorts: spec.ports.some(({ port, hostPort }) => port + hostPort > 0),
    }),
    ...(container && { container }),
  }
}

function containerOf(spec: AppSpec, image: string, mapped: boolean): Record<string, unknown> {
  const { entrypoint, workdir } = spec
  const parameters = [
    ...(entrypoint === undefined ? [] : [{ key: 'entrypoint', value: entrypoint.join(' ') }]),
    ...(workdir === undefined ? [] : [{ key: 'workdir', value: workdir }]),
  ]
  return {
    type: 'DOCKER',
    docker: { image, forcePullImage: spec.forcePull, privileged: spec.privileged, parameters },
    volumes: spec.volumes.map(({ source, target, readOnly }) => ({
      containerPath: target,
      hostPath: source,
      mode: readOnly ? 'RO' : 'RW',
    })),
    ...(mapped && { portMappings: spec.ports.map(mappingOf) }),
  }
}

function mappingOf({ port, hostPort, protocol, name }: AppPort): Record<string, unknown> {
  return {
    containerPort: port,
    hostPort,
    servicePort: 0,
    protocol,
    ...(name !== undefined && { name }),
    labels: {},
  }
}

function constraintsOf({ constraints, maxPerNode }: AppSpec): string[][] {
  return [
    ...constraints.map(({ field, operator, value }) =>
      value === undefined ? [field, operator] : [field, operator, value],
    ),
    ...(maxPerNode === undefined ? [] : [['@hostname', 'MAX_PER', String(maxPerNode)]]),
  ]
}

function healthCheckOf(check: HealthCheck, { ports }: AppSpec): Record<string, unknown> {
  const timing = {
    gracePeriodSeconds: seconds(check.grace),
    intervalSeconds: seconds(check.interval),
    timeoutSeconds: seconds(check.timeout),
    maxConsecutiveFailures: check.maxFailures,
  }
  if (check.kind === 'command') {
    const { command } = check
    const value = typeof command === 'string' ? command : command.map(quote).join(' ')
    return { protocol: 'COMMAND', command: { value }, ...timing }
  }
  const { port } = check
  const portIndex = typeof port === 'number' ? port : ports.findIndex(({ name }) => name === port)
  if (check.kind === 'tcp') return { protocol: 'TCP', portIndex, ...timing }
  const protocol = check.scheme.toUpperCase()
  return { protocol, path: check.path, portIndex, ...timing, ignoreHttp1xx: false }
}

function upgradeStrategyOf({ instances, update }: AppSpec): Record<string, number> {
  const share = instances === 0 ? 1 : Math.min(1, update.parallelism / instances)
  return update.order === 'start-first'
    ? { minimumHealthCapacity: 1, maximumOverCapacity: share }
    : { minimumHealthCapacity: 1 - share, maximumOverCapacity: 0 }
}

function seconds(duration: Duration): number {
  return toMs(duration) / 1_000
}

/** One word of a shell command. */
function quote(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}
