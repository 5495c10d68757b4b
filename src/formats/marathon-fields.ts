/**
 * Every field of a Marathon app (reference: Marathon 1.11, RAML of its REST API) and
 * what Shoal does with it. The importer takes its warnings from here, the
 * documentation its table, and a test feeds each row through the importer: so the
 * three cannot disagree.
 *
 * @module
 */

import { fromMs } from '../model/duration.ts'

/** What Shoal does with one field. `honoured`: acts on it. `carried`: keeps it, gives it back, warns. `server`: Marathon's own to write; named in a warning. */
export interface MarathonField {
  readonly field: string
  readonly state: 'honoured' | 'carried' | 'server'
  /** How it is honoured, or what follows from it not being so. */
  readonly note: string
}

const honoured = (field: string, note: string): MarathonField => ({
  field,
  state: 'honoured',
  note,
})
const carried = (field: string, note: string): MarathonField => ({ field, state: 'carried', note })
const server = (field: string): MarathonField => ({
  field,
  state: 'server',
  note: 'is written by the server: left out',
})

/** The table. */
export const MARATHON_FIELDS: readonly MarathonField[] = [
  honoured('id', 'relative ids are resolved against their group'),
  honoured('cmd', 'runs through `/bin/sh -c`'),
  honoured('args', 'the argument list'),
  honoured('instances', ''),
  honoured('cpus', 'held back on the node; 1 if absent'),
  honoured(
    'mem',
    'held back and, unless `resourceLimits` says otherwise, the hard limit; 128 if absent; rounded up to whole MB',
  ),
  honoured('disk', 'rounded up to whole MB'),
  honoured('gpus', ''),
  honoured('resourceLimits', '`unlimited` means no limit'),
  carried('executor', 'no Mesos executor is used: the command runs as it is'),
  carried('executorResources', 'no Mesos executor is used: nothing is held back for one'),
  honoured(
    'container.type',
    'MESOS and DOCKER alike run in Docker when there is an image, else as a plain process',
  ),
  carried(
    'container.linuxInfo',
    'seccomp and IPC settings are not applied: Docker’s own defaults are',
  ),
  honoured('container.docker.image', ''),
  honoured('container.docker.forcePullImage', ''),
  honoured('container.docker.privileged', ''),
  honoured('container.docker.parameters', 'entrypoint, workdir and user; the rest is carried'),
  carried(
    'container.docker.pullConfig',
    'no secret is read: the image is pulled with the Docker login of the node',
  ),
  carried('container.docker.credential', 'the image is pulled with the Docker login of the node'),
  honoured('container.docker.network', 'old form of `networks`; NONE is refused'),
  honoured('container.docker.portMappings', 'old form of `container.portMappings`'),
  honoured(
    'container.portMappings[].containerPort',
    'with host networking, the port that is taken of the node',
  ),
  honoured('container.portMappings[].hostPort', '0 or absent: a free port'),
  honoured(
    'container.portMappings[].protocol',
    '`udp,tcp` becomes two ports; where they are picked, they may differ',
  ),
  honoured('container.portMappings[].name', ''),
  carried(
    'container.portMappings[].servicePort',
    'no service port is opened: clients find the real ports by DNS',
  ),
  carried('container.portMappings[].labels', 'nothing in Shoal reads the labels of a port'),
  carried(
    'container.portMappings[].networkNames',
    'the port is published on the one bridge network',
  ),
  honoured('container.volumes[].hostPath', 'with `containerPath` and `mode`'),
  carried(
    'container.volumes[].persistent',
    'no volume is made: what is written there goes when the task goes',
  ),
  carried(
    'container.volumes[].external',
    'the volume is not mounted: what is written there goes when the task goes',
  ),
  carried(
    'container.volumes[].secret',
    'the secret is not mounted: the task does not find its file',
  ),
  honoured('networks[].mode', 'host, container/bridge; container is treated as container/bridge'),
  carried('networks[].name', 'the task joins Docker’s bridge network, not this one'),
  carried('networks[].labels', 'nothing in Shoal reads the labels of a network'),
  honoured(
    'portDefinitions[].port',
    'the real port if `requirePorts`, else carried as a service port',
  ),
  honoured('portDefinitions[].protocol', ''),
  honoured('portDefinitions[].name', ''),
  carried('portDefinitions[].labels', 'nothing in Shoal reads the labels of a port'),
  honoured('ports', 'old form of `portDefinitions`'),
  honoured('requirePorts', ''),
  carried(
    'ipAddress',
    'no address of its own is given: the task is reached at the ports of its node',
  ),
  honoured('env', 'texts; a `{"secret"}` is carried: the task starts without that variable'),
  carried('secrets', 'Shoal keeps no secrets: the task does not get them'),
  honoured('labels', 'HAPROXY_… too: marathon-lb reads them through the API'),
  honoured('constraints', 'all seven operators'),
  carried('acceptedResourceRoles', 'there are no Mesos roles: any node may run it'),
  carried('role', 'there are no Mesos roles: any node may run it'),
  carried('fetch', 'nothing is downloaded before the start: put the files into the image'),
  carried('uris', 'nothing is downloaded before the start: put the files into the image'),
  honoured('user', ''),
  honoured('tty', ''),
  honoured(
    'healthChecks[].protocol',
    'the MESOS_ ones mean the same: the task’s own node always checks',
  ),
  honoured('healthChecks[].path', ''),
  honoured('healthChecks[].portIndex', ''),
  honoured(
    'healthChecks[].port',
    'the app’s port with this number; where it has none, the check is carried and not run',
  ),
  honoured('healthChecks[].command', ''),
  honoured('healthChecks[].gracePeriodSeconds', '300 if absent'),
  honoured('healthChecks[].intervalSeconds', '60 if absent'),
  honoured('healthChecks[].timeoutSeconds', '20 if absent'),
  honoured('healthChecks[].maxConsecutiveFailures', '3 if absent'),
  honoured('healthChecks[].delaySeconds', 'part of the grace: the longer of both counts'),
  carried('healthChecks[].ignoreHttp1xx', 'a 1xx answer counts as a failure'),
  carried('healthChecks[].ipProtocol', 'the check asks the address that the node advertises'),
  carried('check', 'is not run: write it as a health check'),
  carried('readinessChecks', 'are not polled: a rollout waits for the health checks'),
  carried('dependencies', 'all apps start at once: the task must wait for what it needs'),
  honoured('backoffSeconds', ''),
  honoured('backoffFactor', ''),
  honoured('maxLaunchDelaySeconds', ''),
  honoured('taskKillGracePeriodSeconds', '10 if absent'),
  honoured(
    'upgradeStrategy',
    '`maximumOverCapacity` 0: stop first, `instances` × (1 − `minimumHealthCapacity`) at once; else start first, `instances` × `maximumOverCapacity` at once; never fewer than one',
  ),
  carried('killSelection', 'the slots with the highest numbers are stopped first'),
  honoured(
    'unreachableStrategy',
    '`inactiveAfterSeconds` is `onPartition.lostAfter`, `disabled` a year of it; a task too many goes as soon as its node is back, whatever `expungeAfterSeconds` says',
  ),
  carried('residency', 'has no effect, in Marathon neither'),
  server('version'),
  server('versionInfo'),
  server('tasksStaged'),
  server('tasksRunning'),
  server('tasksHealthy'),
  server('tasksUnhealthy'),
  server('deployments'),
  server('tasks'),
  server('lastTaskFailure'),
  server('readinessCheckResults'),
  server('tasksStats'),
]

/** How long a lost node's slots wait where Marathon was told never to replace its tasks: a year. */
export const NEVER_LOST = fromMs(365 * 24 * 3_600_000)

/** What Marathon fills in for fields that Shoal does not act on. A field with this value asks for nothing, so it gives no warning. */
export const INERT_DEFAULTS: Readonly<Record<string, unknown>> = {
  executor: '',
  executorResources: { cpus: 0.1, mem: 32, disk: 10 },
  secrets: {},
  acceptedResourceRoles: ['*'],
  role: '*',
  fetch: [],
  uris: [],
  readinessChecks: [],
  dependencies: [],
  killSelection: 'YOUNGEST_FIRST',
  'container.portMappings[].servicePort': 0,
  'container.portMappings[].labels': {},
  'container.portMappings[].networkNames': [],
  'portDefinitions[].labels': {},
  'networks[].labels': {},
  'healthChecks[].ignoreHttp1xx': false,
  'healthChecks[].ipProtocol': 'IPv4',
}

const NOTES = new Map(MARATHON_FIELDS.map(({ field, note }) => [field, note]))

/** What follows from Shoal not acting on `field`, in plain words. */
export function consequenceOf(field: string): string {
  const note = NOTES.get(field)
  if (note === undefined) throw new RangeError(`Not in the table of Marathon fields: ${field}`)
  return note
}

/** The names of an app's own fields, for "did you mean". */
export const MARATHON_APP_KEYS: readonly string[] = [
  ...new Set(MARATHON_FIELDS.map(({ field }) => field.replace(/[.[].*$/, ''))),
]

/** The fields that only the server writes. */
export const MARATHON_SERVER_KEYS: readonly string[] = MARATHON_FIELDS.filter(
  ({ state }) => state === 'server',
).map(({ field }) => field)
