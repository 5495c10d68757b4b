import t from 'tap'
import { readManifest, readManifests } from '../../src/formats/read-manifest.ts'
import { parseQuantity } from '../../src/formats/quantity.ts'
import type { AppSpec } from '../../src/model/app.ts'
import { linesOf } from './check-lines.ts'

/** A Deployment `web` with these lines in its container, its pod and its spec. */
function deployment(container = '', pod = '', spec = '', metadata = ''): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: web${metadata} }
spec:
  selector: { matchLabels: { app: web } }${indent(spec, 2)}
  template:
    metadata: { labels: { app: web } }
    spec:${indent(pod, 6)}
      containers:
        - name: web
          image: web:1${indent(container, 10)}
`
}

function service(name: string, spec: string, metadata = ''): string {
  return `apiVersion: v1
kind: Service
metadata: { name: ${name}${metadata} }
spec:
  selector: { app: web }${indent(spec, 2)}
`
}

function indent(text: string, by: number): string {
  return text === '' ? '' : `\n${text.trim().replaceAll(/^/gm, ' '.repeat(by))}`
}

/** The one app of a file; fails the test where it has none. */
function read(...texts: string[]): AppSpec {
  const { apps, problems } = readManifest('k.yaml', texts.join('---\n'))
  if (apps.length !== 1) throw new Error(JSON.stringify(problems))
  return apps[0]!
}

/** The problem lines of a file. */
const lines = (...texts: string[]): string[] =>
  linesOf({ name: 'k.yaml', text: texts.join('---\n') })

t.test('a bare Deployment becomes an app', async t => {
  t.match(read(deployment()), {
    id: '/web',
    image: 'web:1',
    forcePull: false,
    instances: 1,
    network: 'bridge',
    labels: { app: 'web' },
    stopGrace: '30s',
    update: { order: 'start-first', parallelism: 1 },
    ports: [],
  })
  t.equal(read(deployment('', '', '', ', namespace: shop')).id, '/shop/web')
})

t.test('what a Deployment says is done', async t => {
  const cases: [string, string, Partial<Record<keyof AppSpec, unknown>>][] = [
    [
      'command and args',
      deployment('command: [a]\nargs: [b, c]'),
      { entrypoint: ['a'], command: ['b', 'c'] },
    ],
    ['pull policy', deployment('imagePullPolicy: Always'), { forcePull: true }],
    [
      'env, with references',
      deployment(
        'env:\n  - {name: A, value: x}\n  - {name: B, value: $(A)-$(C)-$$(A)}\n  - {name: D}\nargs: [$(B)]',
      ),
      { env: { A: 'x', B: 'x-$(C)-$(A)', D: '' }, command: ['x-$(C)-$(A)'] },
    ],
    [
      'resources',
      deployment(
        'resources:\n  requests: {cpu: 250m, memory: 64Mi}\n  limits: {cpu: 1, memory: 0.5G}',
      ),
      { resources: { cpus: 0.25, memMb: 64, diskMb: 0, gpus: 0 }, limits: { cpus: 1, memMb: 477 } },
    ],
    [
      'a limit without a request is both',
      deployment('resources:\n  limits: {memory: 64Mi, nvidia.com/gpu: 1}'),
      { resources: { cpus: 0.1, memMb: 64, diskMb: 0, gpus: 1 }, limits: { memMb: 64 } },
    ],
    [
      'ports',
      deployment(
        'ports:\n  - {containerPort: 80, name: http}\n  - {containerPort: 53, hostPort: 53, protocol: UDP}',
      ),
      {
        ports: [
          { port: 80, hostPort: 0, protocol: 'tcp', name: 'http' },
          { port: 53, hostPort: 53, protocol: 'udp' },
        ],
      },
    ],
    [
      'host networking',
      deployment('ports: [{containerPort: 80}]', 'hostNetwork: true'),
      { network: 'host', ports: [{ port: 80, hostPort: 80, protocol: 'tcp' }] },
    ],
    [
      'probes, by name and by a port that is not declared',
      deployment(
        'ports: [{containerPort: 80, name: http}]\nlivenessProbe:\n  httpGet: {port: http, path: /live}\n  initialDelaySeconds: 4\nreadinessProbe:\n  tcpSocket: {port: 81}\n  periodSeconds: 2\n  failureThreshold: 1',
      ),
      {
        ports: [
          { port: 80, hostPort: 0, protocol: 'tcp', name: 'http' },
          { port: 81, hostPort: 0, protocol: 'tcp' },
        ],
        health: [
          {
            kind: 'http',
            path: '/live',
            scheme: 'http',
            port: 0,
            grace: '4s',
            interval: '10s',
            timeout: '1s',
            maxFailures: 3,
          },
          { kind: 'tcp', port: 1, grace: '0s', interval: '2s', timeout: '1s', maxFailures: 0 },
        ],
      },
    ],
    [
      'a startup probe is the grace of the others',
      deployment(
        'livenessProbe:\n  exec: {command: [ok]}\nstartupProbe:\n  exec: {command: [ok]}\n  failureThreshold: 30\n  periodSeconds: 2',
      ),
      {
        health: [
          {
            kind: 'command',
            command: ['ok'],
            grace: '60s',
            interval: '10s',
            timeout: '1s',
            maxFailures: 3,
          },
        ],
      },
    ],
    [
      'node selectors',
      deployment(
        '',
        'nodeSelector: {disk: ssd, kubernetes.io/os: linux, topology.kubernetes.io/zone: a}',
      ),
      {
        constraints: [
          { field: 'disk', operator: 'IS', value: 'ssd' },
          { field: '@zone', operator: 'IS', value: 'a' },
        ],
      },
    ],
    [
      'volumes',
      deployment(
        'volumeMounts:\n  - {name: a, mountPath: /a, readOnly: true}\n  - {name: a, mountPath: /b, subPath: b}',
        'volumes: [{name: a, hostPath: {path: /srv/}}]',
      ),
      {
        volumes: [
          { source: '/srv/', target: '/a', readOnly: true },
          { source: '/srv/b', target: '/b', readOnly: false },
        ],
      },
    ],
    [
      'security, the container before the pod',
      deployment(
        'securityContext: {privileged: true, runAsUser: 5}',
        'securityContext: {runAsUser: 6, runAsGroup: 7}',
      ),
      { privileged: true, user: '5:7' },
    ],
    [
      'replicas',
      deployment('', '', 'replicas: 8'),
      { instances: 8, update: { order: 'start-first', parallelism: 2, monitor: '2s' } },
    ],
    [
      'no surge',
      deployment(
        '',
        '',
        'replicas: 8\nminReadySeconds: 5\nstrategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 50%}}',
      ),
      { update: { order: 'stop-first', parallelism: 4, monitor: '5s' } },
    ],
    [
      'recreate',
      deployment('', '', 'replicas: 8\nstrategy: {type: Recreate}'),
      { update: { order: 'stop-first', parallelism: 8, monitor: '2s' } },
    ],
    [
      'the rest',
      deployment('workingDir: /w\ntty: true', 'terminationGracePeriodSeconds: 5'),
      { workdir: '/w', tty: true, stopGrace: '5s' },
    ],
  ]
  for (const [name, text, expected] of cases) {
    const spec = read(text)
    for (const [key, value] of Object.entries(expected)) {
      t.strictSame(spec[key as keyof AppSpec], value, `${name}: ${key}`)
    }
  }
})

t.test('a Service names its Deployment and the ports of it', async t => {
  const spec = read(
    deployment('ports: [{containerPort: 80}]'),
    service(
      'shop',
      'type: NodePort\nports:\n  - {name: http, port: 8000, targetPort: 80}\n  - {name: admin, port: 81}',
    ),
  )
  t.strictSame(spec.aliases, ['shop'])
  t.strictSame(spec.ports, [
    { port: 80, hostPort: 0, protocol: 'tcp', name: 'http' },
    { port: 81, hostPort: 0, protocol: 'tcp', name: 'admin' },
  ])
  t.match(spec.carried?.fields, { 'services.shop': { type: 'NodePort' } })
  t.strictSame(read(deployment(), service('web', 'ports: [{port: 80}]')).aliases, [])
})

t.test('a Service finds its Deployment in another file, and in a List', async t => {
  const { apps } = readManifests([
    { name: 's.yaml', text: service('shop', 'ports: [{port: 80}]') },
    { name: 'd.yaml', text: deployment() },
  ])
  t.strictSame(apps[0]?.aliases, ['shop'])
  const items = [deployment(), service('shop', 'ports: [{port: 80}]')].map(
    text => `  - ${text.trim().replaceAll('\n', '\n    ')}`,
  )
  t.strictSame(read(`apiVersion: v1\nkind: List\nitems:\n${items.join('\n')}`).aliases, ['shop'])
})

t.test('what a Service cannot do is said', async t => {
  const cases: [string[], string[]][] = [
    [
      [deployment(), service('web', 'type: LoadBalancer\nports: [{port: 80}]')],
      [
        'k.yaml:18: warning: spec.type: LoadBalancer opens no address and no port 80: clients find the real ports by DNS, SRV _web._tcp.shoal',
      ],
    ],
    [[deployment(), service('web', 'clusterIP: None\nports: [{port: 80}]')], []],
    [
      [deployment(), service('web', 'ports: [{port: 80}]', ', namespace: other')],
      [
        'k.yaml:17: warning: spec.selector: matches no Deployment of these files: the Service names nothing',
      ],
    ],
    [
      [deployment(), service('Shop', 'clusterIP: None\nports: [{port: 80}]')],
      [
        'k.yaml:15: metadata.name: must be a DNS label: at most 63 lower-case letters, digits and "-", got "Shop"',
      ],
    ],
    [
      [deployment(), service('web', 'clusterIP: None\nports:\n  - {port: 80, targetPort: nope}')],
      [
        'k.yaml:20: spec.ports[0].targetPort: must be a port from 1 to 65535, or the name of a port of the container, got "nope"',
      ],
    ],
    [
      [
        deployment(),
        service('web', 'clusterIP: None\nports: [{port: 80, name: a}]'),
        service('shop', 'clusterIP: None\nports: [{port: 80, name: b}]'),
      ],
      [
        'k.yaml:27: warning: spec.ports[0].name: is kept out of DNS: Service web named the port "a" already',
      ],
    ],
  ]
  for (const [texts, expected] of cases) t.strictSame(lines(...texts), expected)
})

t.test('what would misbehave is refused', async t => {
  const cases: [string, string][] = [
    [deployment('', '', 'replicas: two'), 'k.yaml:6: spec.replicas: must be an integer, got "two"'],
    [
      deployment('env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]'),
      'k.yaml:12: spec.template.spec.containers[0].env[0].valueFrom: is not supported, and the task would run without the variable: write its value',
    ],
    [
      deployment('envFrom: [{configMapRef: {name: c}}]'),
      'k.yaml:12: spec.template.spec.containers[0].envFrom: is not supported, and the task would run without the variables: write them under env',
    ],
    [
      `${deployment()}        - { name: two, image: x }\n`,
      'k.yaml:9: spec.template.spec.containers: must be exactly one container: Shoal runs one to a task, got 2',
    ],
    [
      deployment('', 'initContainers: [{name: i}]'),
      'k.yaml:9: spec.template.spec.initContainers: is not supported: do its work in the container itself',
    ],
    [
      deployment('volumeMounts: [{name: a, mountPath: /a}]', 'volumes: [{name: a, secret: {}}]'),
      'k.yaml:9: spec.template.spec.volumes[0]: must be hostPath or emptyDir: other kinds of volumes are not supported, got "secret"',
    ],
    [
      deployment('volumeMounts: [{name: b, mountPath: /a}]'),
      'k.yaml:12: spec.template.spec.containers[0].volumeMounts[0].name: must name one of the pod’s volumes, got "b"',
    ],
    [
      deployment('resources: {requests: {memory: 64MB}}'),
      'k.yaml:12: spec.template.spec.containers[0].resources.requests.memory: must be a quantity such as 100m, 0.5, 128Mi or 1G, got "64MB"',
    ],
    [
      deployment('livenessProbe: {httpGet: {port: x}}'),
      'k.yaml:12: spec.template.spec.containers[0].livenessProbe.httpGet.port: must be a port from 1 to 65535, or the name of one of the container’s ports, got "x"',
    ],
    [
      deployment('livenessProbe: {periodSeconds: 5}'),
      'k.yaml:12: spec.template.spec.containers[0].livenessProbe: must have exactly one of httpGet, tcpSocket and exec',
    ],
    [
      deployment('ports: [{containerPort: 80, protocol: SCTP}]'),
      'k.yaml:12: spec.template.spec.containers[0].ports[0].protocol: must be "TCP" or "UDP", got "SCTP"',
    ],
    [
      deployment().replace('apps/v1', 'apps/v2'),
      'k.yaml:1: apiVersion: must be "apps/v1", got "apps/v2"',
    ],
    [
      deployment().replace('matchLabels: { app: web }', 'matchLabels: { app: api }'),
      'k.yaml:5: spec.selector.matchLabels.app: must equal the label in spec.template.metadata.labels, got "api"',
    ],
    [
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n',
      'k.yaml:1: spec: is missing: must be a map',
    ],
  ]
  for (const [text, line] of cases) {
    t.ok(lines(text).includes(line), `${line}\n${lines(text).join('\n')}`)
    t.strictSame(readManifest('k.yaml', text).apps, [])
  }
})

t.test('what is not acted on is carried and named', async t => {
  const text = deployment(
    'lifecycle: {preStop: {exec: {command: [x]}}}\nimagePullPolicy: Never\nvolumeMounts: [{name: t, mountPath: /t}]\nlivenessProbe: {tcpSocket: {port: 80}, successThreshold: 2}\nfoo: 1',
    'affinity: {podAntiAffinity: {}}\ndnsPolicy: Default\nvolumes: [{name: t, emptyDir: {}}]\nsecurityContext: {fsGroup: 5}',
    'revisionHistoryLimit: 3',
    ', annotations: {a: b}, uid: "5"',
  )
  const warned = lines(text).map(line => /^k\.yaml:\d+: warning: ([^:]+):/.exec(line)?.[1])
  const container = 'spec.template.spec.containers[0]'
  const carried = [
    'metadata.annotations',
    'spec.revisionHistoryLimit',
    'spec.template.spec.affinity',
    'spec.template.spec.dnsPolicy',
    'spec.template.spec.securityContext.fsGroup',
    `${container}.lifecycle`,
    `${container}.imagePullPolicy`,
    `${container}.volumeMounts[0]`,
    `${container}.livenessProbe.successThreshold`,
    `${container}.foo`,
  ]
  t.strictSame(new Set(warned), new Set([...carried, 'metadata']))
  const fields = Object.keys(read(text).carried?.fields ?? {})
  for (const path of carried) t.ok(fields.includes(path), `${path} is carried`)
})

t.test('parseQuantity() reads what Kubernetes writes', async t => {
  const cases: [unknown, number | undefined][] = [
    ['100m', 0.1],
    ['1', 1],
    [2, 2],
    ['0.5', 0.5],
    ['.5', 0.5],
    ['128Mi', 134_217_728],
    ['1Ki', 1024],
    ['1k', 1000],
    ['1G', 1e9],
    ['1e3', 1000],
    ['5E', 5e18],
    ['-1', undefined],
    [-1, undefined],
    ['1MB', undefined],
    ['', undefined],
    ['m', undefined],
    [true, undefined],
  ]
  for (const [text, amount] of cases) t.equal(parseQuantity(text), amount, String(text))
})
