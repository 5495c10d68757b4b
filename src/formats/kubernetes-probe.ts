import { fromMs } from '../model/duration.ts'
import type { Fields } from './fields.ts'
import { show } from './finding.ts'
import { parseQuantity } from './quantity.ts'

/** A port of the container, as the draft numbers them. */
export interface ContainerPort {
  name: string | undefined
  readonly port: number
  readonly protocol: 'tcp' | 'udp'
  /** The Service that named it. */
  service?: string
}

/** Times in a probe, as Kubernetes fills them in. */
const DEFAULTS = {
  initialDelaySeconds: 0,
  periodSeconds: 10,
  timeoutSeconds: 1,
  failureThreshold: 3,
}

/**
 * Reads the probes of a container into health checks. A failing liveness probe
 * replaces the task; a failing readiness probe takes it out of DNS only, which is
 * `maxFailures: 0`; a startup probe is the grace before liveness counts.
 *
 * @param portOf The index of a port, which is added if the container did not declare it.
 */
export function readProbes(
  container: Fields,
  portOf: (port: number | string) => number | undefined,
): void {
  const startup = container.map('startupProbe')
  const graceMs = startup === undefined ? 0 : readTiming(startup).allMs
  if (startup !== undefined) {
    // What it asks is the liveness probe's business; only its patience is taken over.
    const { draft, path } = startup
    draft.carry(
      path,
      startup.whole(),
      'is not run: its time counts as the grace of the other probes',
    )
  }
  let count = 0
  for (const key of ['livenessProbe', 'readinessProbe'] as const) {
    const probe = container.map(key)
    if (probe === undefined) continue
    const action = readAction(probe, portOf)
    const timing = readTiming(probe)
    if (key === 'readinessProbe' && timing.failures !== 1) {
      probe.carry(
        'failureThreshold',
        probe.get('failureThreshold') === DEFAULTS.failureThreshold
          ? undefined
          : 'one failure takes the task out of DNS, one success puts it back',
      )
    } else probe.get('failureThreshold')
    probe.carry(
      'successThreshold',
      probe.get('successThreshold') === 1 ? undefined : 'one success is enough',
    )
    probe.carry('terminationGracePeriodSeconds', 'a failing task gets the grace of the pod')
    probe.rest()
    if (action === undefined) continue
    const target = ['health', count++]
    container.draft.put(
      target,
      {
        ...action,
        grace: fromMs(Math.max(timing.delayMs, graceMs)),
        interval: fromMs(timing.periodMs),
        timeout: fromMs(timing.timeoutMs),
        maxFailures: key === 'livenessProbe' ? timing.failures : 0,
      },
      probe.path,
    )
  }
}

function readTiming(probe: Fields): {
  delayMs: number
  periodMs: number
  timeoutMs: number
  failures: number
  allMs: number
} {
  const read = (key: keyof typeof DEFAULTS, least: number): number => {
    const value = probe.integer(key) ?? DEFAULTS[key]
    if (value >= least && value <= 86_400) return value
    probe.draft.error(probe.at(key), `must be an integer from ${least} to 86400, got ${value}`)
    return DEFAULTS[key]
  }
  const delayMs = read('initialDelaySeconds', 0) * 1_000
  const periodMs = read('periodSeconds', 1) * 1_000
  const timeoutMs = read('timeoutSeconds', 1) * 1_000
  const failures = read('failureThreshold', 1)
  return { delayMs, periodMs, timeoutMs, failures, allMs: delayMs + failures * periodMs }
}

function readAction(
  probe: Fields,
  portOf: (port: number | string) => number | undefined,
): Readonly<Record<string, unknown>> | undefined {
  const { draft } = probe
  const http = probe.map('httpGet')
  const tcp = probe.map('tcpSocket')
  const exec = probe.map('exec')
  if (probe.get('grpc') !== undefined) {
    probe.carry('grpc', 'the probe is kept, not run: write it as tcpSocket or exec')
    return undefined
  }
  if ([http, tcp, exec].filter(action => action !== undefined).length !== 1) {
    draft.error(probe.path, 'must have exactly one of httpGet, tcpSocket and exec')
    return undefined
  }
  if (exec !== undefined) {
    const command = exec.texts('command')
    exec.rest()
    if (command?.length) return { kind: 'command', command }
    draft.error(exec.at('command'), 'must be a list of at least one text')
    return undefined
  }
  const target = http ?? tcp!
  const port = readPort(target, portOf)
  if (port === undefined) return undefined
  target.carry('host', 'the check asks the task itself')
  if (http === undefined) {
    target.rest()
    return { kind: 'tcp', port }
  }
  const scheme = http.text('scheme') ?? 'HTTP'
  if (scheme !== 'HTTP' && scheme !== 'HTTPS') {
    draft.error(http.at('scheme'), `must be "HTTP" or "HTTPS", got ${show(scheme)}`)
  }
  const path = http.text('path') ?? '/'
  http.carry('httpHeaders', 'the check sends no headers of its own')
  http.rest()
  return { kind: 'http', path, scheme: scheme === 'HTTPS' ? 'https' : 'http', port }
}

function readPort(
  target: Fields,
  portOf: (port: number | string) => number | undefined,
): number | undefined {
  const port = target.get('port')
  const index = typeof port === 'number' || typeof port === 'string' ? portOf(port) : undefined
  if (index === undefined) {
    const rule = 'must be a port from 1 to 65535, or the name of one of the container’s ports'
    target.draft.error(target.at('port'), `${rule}, got ${show(port)}`)
  }
  return index
}

/** A quantity field as a number; wrong ones are errors of the draft. */
export function readQuantity(fields: Fields, key: string, rule: string): number | undefined {
  const value = fields.get(key)
  if (value === undefined) return undefined
  const amount = parseQuantity(value)
  if (amount === undefined)
    fields.draft.error(fields.at(key), `must be ${rule}, got ${show(value)}`)
  return amount
}
