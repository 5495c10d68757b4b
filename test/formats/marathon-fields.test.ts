/**
 * The table of Marathon's fields is a promise: each row is fed through the importer
 * here, and must do what it says.
 */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { MARATHON_FIELDS } from '../../src/formats/marathon-fields.ts'
import { fromMarathon, toMarathon } from '../../src/formats/marathon.ts'
import { parsePath, valueAt } from '../../src/formats/path.ts'

type Json = Record<string, unknown>

/** An app without the field, one with it, and where it then stands. */
interface Sample {
  readonly without: Json
  readonly with: Json
  readonly path: string
}

const CMD = { id: '/a', cmd: 'run' }
const image = (docker: Json = {}, container: Json = {}): Json => ({
  id: '/a',
  container: { type: 'DOCKER', docker: { image: 'x', ...docker }, ...container },
  networks: [{ mode: 'container/bridge' }],
})
const mapping = (fields: Json): Json =>
  image({}, { portMappings: [{ containerPort: 80, ...fields }] })
const volume = (fields: Json): Json =>
  image({}, { volumes: [{ containerPath: '/data', mode: 'RW', ...fields }] })
const definition = (fields: Json): Json => ({
  ...CMD,
  requirePorts: true,
  portDefinitions: [{ port: 0, ...fields }],
})
const network = (fields: Json): Json => ({
  ...image(),
  networks: [{ mode: 'container/bridge', ...fields }],
})
const check = (fields: Json): Json => ({ ...CMD, healthChecks: [fields] })

/** A field of the app itself. */
const top = (field: string, value: unknown): [string, Sample] => [
  field,
  { without: CMD, with: { ...CMD, [field]: value }, path: field },
]
/** A field of a docker image, or of the container around it. */
const docker = (field: string, value: unknown): [string, Sample] => [
  `container.docker.${field}`,
  { without: image(), with: image({ [field]: value }), path: `container.docker.${field}` },
]
/** A field of the items of a list. */
const item = (
  list: string,
  make: (fields: Json) => Json,
  field: string,
  value: unknown,
): [string, Sample] => [
  `${list}[].${field}`,
  { without: make({}), with: make({ [field]: value }), path: `${list}[0].${field}` },
]

const SAMPLES = new Map<string, Sample>([
  ['id', { without: CMD, with: { ...CMD, id: '/b' }, path: 'id' }],
  ['cmd', { without: { id: '/a', args: ['run'] }, with: { ...CMD }, path: 'cmd' }],
  ['args', { without: image(), with: { ...image(), args: ['-v'] }, path: 'args' }],
  top('instances', 3),
  top('cpus', 2),
  top('mem', 64),
  top('disk', 10),
  top('gpus', 1),
  top('resourceLimits', { cpus: 2, mem: 'unlimited' }),
  top('executor', '/opt/executor'),
  top('executorResources', { cpus: 1 }),
  [
    'container.type',
    {
      without: CMD,
      with: { id: '/a', container: { type: 'MESOS', docker: { image: 'x' } } },
      path: 'container.type',
    },
  ],
  [
    'container.linuxInfo',
    {
      without: image(),
      with: image({}, { linuxInfo: { ipcInfo: {} } }),
      path: 'container.linuxInfo',
    },
  ],
  docker('image', 'y'),
  docker('forcePullImage', true),
  docker('privileged', true),
  docker('parameters', [{ key: 'workdir', value: '/srv' }]),
  docker('pullConfig', { secret: 's' }),
  docker('credential', { principal: 'p' }),
  [
    'container.docker.network',
    {
      without: { id: '/a', container: { docker: { image: 'x' } } },
      with: { id: '/a', container: { docker: { image: 'x', network: 'BRIDGE' } } },
      path: 'container.docker.network',
    },
  ],
  docker('portMappings', [{ containerPort: 81 }]),
  item('container.portMappings', mapping, 'containerPort', 81),
  item('container.portMappings', mapping, 'hostPort', 8080),
  item('container.portMappings', mapping, 'protocol', 'udp,tcp'),
  item('container.portMappings', mapping, 'name', 'http'),
  item('container.portMappings', mapping, 'servicePort', 10_000),
  item('container.portMappings', mapping, 'labels', { a: 'b' }),
  item('container.portMappings', mapping, 'networkNames', ['n']),
  [
    'container.volumes[].hostPath',
    {
      without: image(),
      with: volume({ hostPath: '/srv', mode: 'RO' }),
      path: 'container.volumes[0].hostPath',
    },
  ],
  ...['persistent', 'external', 'secret'].map((kind): [string, Sample] => [
    `container.volumes[].${kind}`,
    {
      without: image(),
      with: volume({ [kind]: { size: 1 } }),
      path: `container.volumes[0].${kind}`,
    },
  ]),
  [
    'networks[].mode',
    {
      without: image(),
      with: { ...image(), networks: [{ mode: 'host' }] },
      path: 'networks[0].mode',
    },
  ],
  item('networks', network, 'name', 'dcos'),
  item('networks', network, 'labels', { a: 'b' }),
  item('portDefinitions', definition, 'port', 80),
  item('portDefinitions', definition, 'protocol', 'udp'),
  item('portDefinitions', definition, 'name', 'http'),
  item('portDefinitions', definition, 'labels', { a: 'b' }),
  top('ports', [0, 0]),
  [
    'requirePorts',
    {
      without: { ...CMD, ports: [80] },
      with: { ...CMD, ports: [80], requirePorts: true },
      path: 'requirePorts',
    },
  ],
  top('ipAddress', { networkName: 'n' }),
  top('env', { A: 'b' }),
  top('secrets', { s: { source: '/s' } }),
  top('labels', { HAPROXY_GROUP: 'external' }),
  top('constraints', [['hostname', 'UNIQUE']]),
  top('acceptedResourceRoles', ['slave_public']),
  top('role', 'dev'),
  top('fetch', [{ uri: 'http://x/y' }]),
  top('uris', ['http://x/y']),
  top('user', 'nobody'),
  top('tty', true),
  item('healthChecks', check, 'protocol', 'MESOS_TCP'),
  item('healthChecks', check, 'path', '/health'),
  [
    'healthChecks[].portIndex',
    {
      without: { ...CMD, ports: [0, 0], healthChecks: [{}] },
      with: { ...CMD, ports: [0, 0], healthChecks: [{ portIndex: 1 }] },
      path: 'healthChecks[0].portIndex',
    },
  ],
  [
    'healthChecks[].port',
    {
      without: { ...CMD, ports: [80, 81], requirePorts: true, healthChecks: [{}] },
      with: { ...CMD, ports: [80, 81], requirePorts: true, healthChecks: [{ port: 81 }] },
      path: 'healthChecks[0].port',
    },
  ],
  [
    'healthChecks[].command',
    {
      without: CMD,
      with: check({ protocol: 'COMMAND', command: { value: 'true' } }),
      path: 'healthChecks[0].command',
    },
  ],
  item('healthChecks', check, 'gracePeriodSeconds', 1),
  item('healthChecks', check, 'intervalSeconds', 1),
  item('healthChecks', check, 'timeoutSeconds', 1),
  item('healthChecks', check, 'maxConsecutiveFailures', 1),
  item('healthChecks', check, 'delaySeconds', 400),
  item('healthChecks', check, 'ignoreHttp1xx', true),
  item('healthChecks', check, 'ipProtocol', 'IPv6'),
  top('check', { tcp: { portIndex: 0 } }),
  top('readinessChecks', [{ path: '/ready' }]),
  top('dependencies', ['/db']),
  top('backoffSeconds', 2),
  top('backoffFactor', 2),
  top('maxLaunchDelaySeconds', 60),
  top('taskKillGracePeriodSeconds', 3),
  top('upgradeStrategy', { minimumHealthCapacity: 0, maximumOverCapacity: 0 }),
  top('killSelection', 'OLDEST_FIRST'),
  top('unreachableStrategy', 'disabled'),
  top('residency', { taskLostBehavior: 'WAIT_FOREVER' }),
  top('version', '2021-01-01T00:00:00.000Z'),
  top('versionInfo', { lastScalingAt: 'x' }),
  top('tasksStaged', 0),
  top('tasksRunning', 1),
  top('tasksHealthy', 1),
  top('tasksUnhealthy', 0),
  top('deployments', []),
  top('tasks', []),
  top('lastTaskFailure', { state: 'x' }),
  top('readinessCheckResults', []),
  top('tasksStats', {}),
])

/** The app that a value becomes, without what is carried, and the app that goes out again. */
function through(value: Json): {
  readonly acted: unknown
  readonly out: unknown
  readonly warnings: ReturnType<typeof fromMarathon>['problems']
} {
  const { spec, problems } = fromMarathon(value)
  t.ok(spec, JSON.stringify({ value, problems }))
  return { acted: { ...spec!, carried: undefined }, out: toMarathon(spec!), warnings: problems }
}

t.test('every field of the table has a sample, and no other', async t => {
  t.strictSame(new Set(SAMPLES.keys()), new Set(MARATHON_FIELDS.map(({ field }) => field)))
})

for (const { field, state, note } of MARATHON_FIELDS) {
  t.test(`${field} is ${state === 'server' ? 'left out' : state}`, async t => {
    const sample = SAMPLES.get(field)!
    const before = through(sample.without)
    const { acted, out, warnings } = through(sample.with)
    const path = parsePath(sample.path)!
    const warned = warnings.filter(warning => warning.path === sample.path)
    if (state === 'honoured') {
      t.notSame(acted, before.acted, 'the app is another one')
      t.strictSame(warned, [], 'without a warning')
    } else {
      t.equal(warned.length, 1, 'exactly one warning names it')
      t.match(warned[0]?.message, note, 'and says what follows')
    }
    if (state === 'server') t.equal(valueAt(out, path), undefined, 'it does not come out again')
    else if (field !== 'id') {
      t.strictSame(valueAt(out, path), valueAt(sample.with, path), 'it goes out as it came in')
    }
  })
}

t.test('docs/formats-marathon.md has the table', async t => {
  const text = readFileSync('docs/formats-marathon.md', 'utf8')
  for (const { field, state, note } of MARATHON_FIELDS) {
    const words = state === 'server' ? 'left out' : state
    const row = `| \`${field}\` | ${words} | ${note} |`
    t.ok(text.includes(row), `has the line: ${row}`)
  }
})
