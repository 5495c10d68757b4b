import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { appSchema, type AppSpec } from '../../src/model/app.ts'
import { fromMarathon, resolveId, toMarathon } from '../../src/formats/marathon.ts'

/** The app that a Marathon app becomes; fails the test where it becomes none. */
function read(value: unknown): AppSpec {
  const { spec, problems } = fromMarathon(value)
  if (spec === undefined) throw new Error(JSON.stringify(problems))
  return spec
}

const IMAGE = { type: 'DOCKER', docker: { image: 'x' } }

t.test('fromMarathon() fills in what Marathon fills in', async t => {
  const spec = read({ id: 'a', cmd: 'run' })
  t.match(spec, {
    id: '/a',
    command: 'run',
    instances: 1,
    resources: { cpus: 1, memMb: 128, diskMb: 0, gpus: 0 },
    limits: { memMb: 128 },
    network: 'host',
    ports: [{ port: 0, hostPort: 0, protocol: 'tcp' }],
    backoff: { initial: '1s', factor: 1.15, max: '300s' },
    carried: { format: 'marathon', fields: {} },
  })
})

t.test('fromMarathon() finds the ports', async t => {
  const bridge = [{ mode: 'container/bridge' }]
  const cases: [string, Record<string, unknown>, unknown[]][] = [
    [
      'host networking takes the container port of the node',
      {
        container: { ...IMAGE, portMappings: [{ containerPort: 9001, hostPort: 0 }] },
        networks: [{ mode: 'host' }],
      },
      [{ port: 9001, hostPort: 9001, protocol: 'tcp' }],
    ],
    [
      'bridge, with a picked and a given host port',
      {
        container: {
          ...IMAGE,
          portMappings: [{ containerPort: 80 }, { containerPort: 81, hostPort: 8081 }],
        },
        networks: bridge,
      },
      [
        { port: 80, hostPort: 0, protocol: 'tcp' },
        { port: 81, hostPort: 8081, protocol: 'tcp' },
      ],
    ],
    [
      'the old place of mappings',
      {
        container: {
          type: 'DOCKER',
          docker: { image: 'x', network: 'BRIDGE', portMappings: [{ containerPort: 80 }] },
        },
      },
      [{ port: 80, hostPort: 0, protocol: 'tcp' }],
    ],
    [
      'both protocols make two ports with two names',
      {
        container: {
          ...IMAGE,
          portMappings: [{ containerPort: 53, protocol: 'udp,tcp', name: 'dns' }],
        },
        networks: bridge,
      },
      [
        { port: 53, hostPort: 0, protocol: 'tcp', name: 'dns' },
        { port: 53, hostPort: 0, protocol: 'udp', name: 'dns-udp' },
      ],
    ],
    [
      'an empty list means none',
      { container: { ...IMAGE, portMappings: [] }, networks: bridge },
      [],
    ],
    [
      'a service port is no real port',
      { cmd: 'x', ports: [8080] },
      [{ port: 0, hostPort: 0, protocol: 'tcp' }],
    ],
    [
      'a required port is',
      { cmd: 'x', portDefinitions: [{ port: 8080 }], requirePorts: true },
      [{ port: 8080, hostPort: 8080, protocol: 'tcp' }],
    ],
    [
      'none named in a bridge: one of any number',
      { container: IMAGE, networks: bridge },
      [{ port: 0, hostPort: 0, protocol: 'tcp' }],
    ],
  ]
  for (const [name, app, ports] of cases)
    t.strictSame(read({ id: '/a', ...app }).ports, ports, name)
})

t.test('fromMarathon() maps the upgrade strategy', async t => {
  const cases: [number, number | undefined, number | undefined, string, number][] = [
    [4, undefined, undefined, 'start-first', 4],
    [4, 1, 1, 'start-first', 4],
    [4, 1, 0.5, 'start-first', 2],
    [4, 1, 0.1, 'start-first', 1],
    [4, 0.5, 0, 'stop-first', 2],
    [5, 0.5, 0, 'stop-first', 2],
    [4, 1, 0, 'stop-first', 1],
    [1, 0, 0, 'stop-first', 1],
    [0, 1, 1, 'start-first', 1],
  ]
  for (const [instances, minimumHealthCapacity, maximumOverCapacity, order, parallelism] of cases) {
    const upgradeStrategy = { minimumHealthCapacity, maximumOverCapacity }
    const { update } = read({ id: '/a', cmd: 'x', instances, upgradeStrategy })
    t.match(update, { order, parallelism }, JSON.stringify({ instances, upgradeStrategy }))
  }
})

t.test('fromMarathon() maps health checks, with their ports after a double one', async t => {
  const { health } = read({
    id: '/a',
    container: {
      ...IMAGE,
      portMappings: [{ containerPort: 53, protocol: 'udp,tcp' }, { containerPort: 80 }],
    },
    networks: [{ mode: 'container/bridge' }],
    healthChecks: [
      { protocol: 'MESOS_HTTPS', portIndex: 1, path: '/x', gracePeriodSeconds: 5, delaySeconds: 7 },
      { protocol: 'TCP', port: 80, intervalSeconds: 0.5 },
      { protocol: 'COMMAND', command: { value: 'true' }, maxConsecutiveFailures: 0 },
    ],
  })
  t.strictSame(health, [
    {
      kind: 'http',
      path: '/x',
      scheme: 'https',
      port: 2,
      grace: '7s',
      interval: '60s',
      timeout: '20s',
      maxFailures: 3,
    },
    { kind: 'tcp', port: 2, grace: '300s', interval: '500ms', timeout: '20s', maxFailures: 3 },
    {
      kind: 'command',
      command: 'true',
      grace: '300s',
      interval: '60s',
      timeout: '20s',
      maxFailures: 0,
    },
  ])
})

t.test('fromMarathon() tells what is wrong in Marathon’s words', async t => {
  const cases: [unknown, string, RegExp][] = [
    [5, '', /must be an app, got 5/],
    [{ cmd: 'x' }, 'id', /is missing/],
    [{ id: 'A', cmd: 'x' }, 'id', /got "A"/],
    [{ id: 'a' }, '', /cmd, args or a container image/],
    [{ id: 'a', cmd: 'x', args: ['y'] }, 'args', /beside cmd/],
    [{ id: 'a', cmd: 'x', instances: -1 }, 'instances', /must be >= 0, got -1/],
    [{ id: 'a', cmd: 'x', cpus: '1' }, 'cpus', /must be a number, got "1"/],
    [{ id: 'a', cmd: 'x', env: { B: 5 } }, 'env.B', /must be text, got 5/],
    [{ id: 'a', cmd: 'x', constraints: [['a', 'IZ']] }, 'constraints[0][1]', /"UNIQUE".*got "IZ"/],
    [{ id: 'a', cmd: 'x', constraints: ['a'] }, 'constraints[0]', /\[field, operator/],
    [
      { id: 'a', cmd: 'x', constraints: [['a', 'MAX_PER', 'x']] },
      'constraints[0]',
      /number above 0, got x/,
    ],
    [{ id: 'a', cmd: 'x', healthChecks: [{ portIndex: 3 }] }, 'healthChecks[0].portIndex', /got 3/],
    [
      { id: 'a', cmd: 'x', healthChecks: [{ protocol: 'PING' }] },
      'healthChecks[0].protocol',
      /got "PING"/,
    ],
    [{ id: 'a', cmd: 'x', backoffSeconds: -5 }, 'backoffSeconds', /seconds.*got -5/],
    [{ id: 'a', container: { type: 'DOCKER' } }, 'container.docker.image', /is missing/],
    [
      { id: 'a', container: { docker: { image: 'x', network: 'NONE' } } },
      'container.docker.network',
      /no network/,
    ],
    [
      { id: 'a', container: { ...IMAGE, portMappings: [{ containerPort: 70_000 }] } },
      'container.portMappings[0].containerPort',
      /must be <= 65535, got 70000/,
    ],
    [
      { id: 'a', container: { ...IMAGE, volumes: [{ containerPath: 'x', hostPath: '/y' }] } },
      'container.volumes[0].containerPath',
      /absolute path, got "x"/,
    ],
    [
      { id: 'a', cmd: 'x', networks: [{ mode: 'host' }, { mode: 'container' }] },
      'networks',
      /same mode/,
    ],
    [JSON.parse('{"id":"a","cmd":"x","labels":{"__proto__":"x"}}'), '', /__proto__/],
    [JSON.parse(`{"id":"a","x":${'['.repeat(1e5)}${']'.repeat(1e5)}}`), '', /nest deeper/],
    [
      {
        id: 'a',
        cmd: 'x',
        labels: Object.fromEntries(
          Array.from({ length: 9_000 }, (_, i) => [`label-number-${i}`, 'x'.repeat(20)]),
        ),
      },
      '',
      /at most 262144 bytes/,
    ],
  ]
  for (const [value, path, message] of cases) {
    const { spec, problems } = fromMarathon(value)
    const found = problems.filter(problem => problem.severity === 'error')
    t.equal(spec, undefined)
    t.ok(
      found.some(problem => problem.path === path && message.test(problem.message)),
      `${path}: ${String(message)} in ${JSON.stringify(found).slice(0, 300)}`,
    )
  }
})

t.test('fromMarathon() carries a field it does not know, and guesses which was meant', async t => {
  const { spec, problems } = fromMarathon({ id: 'a', cmd: 'x', instancs: 3 })
  t.strictSame(spec?.carried, { format: 'marathon', fields: { instancs: 3 } })
  t.match(problems, [
    { severity: 'warning', path: 'instancs', message: /did you mean "instances"/ },
  ])
  t.equal(toMarathon(spec!)['instancs'], 3)
})

t.test('resolveId() resolves relative ids', async t => {
  const cases = [
    ['db', '/', '/db'],
    ['db', '/shop', '/shop/db'],
    ['../db', '/shop/web', '/shop/db'],
    ['../../../db', '/shop/web', '/db'],
    ['/db/', '/shop', '/db'],
    ['./db', '/shop', '/shop/db'],
  ] as const
  for (const [id, group, absolute] of cases) t.equal(resolveId(id, group), absolute)
})

t.test('toMarathon() tells an app that never was Marathon’s', async t => {
  const { problems } = fromMarathon(
    toMarathon(
      appSchema.parse({
        id: '/a',
        image: 'x',
        maxPerNode: 2,
        entrypoint: ['/init'],
        workdir: '/srv',
        health: [{ kind: 'command', command: ['test', '-e', 'a b'] }],
      }),
    ),
  )
  t.strictSame(problems, [], 'in words that Marathon’s users, and we, can read')
})

const port = fc.integer({ min: 0, max: 65_535 })
const word = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/)
const optional = { requiredKeys: [] as [] }
const portFields = {
  hostPort: port,
  servicePort: port,
  protocol: fc.constantFrom('tcp', 'udp', 'udp,tcp'),
  labels: fc.dictionary(word, fc.string()),
}

/** Marathon apps, as many fields of them as it takes to make the importer trip. */
const marathonApp = fc
  .record(
    {
      cmd: fc.string({ minLength: 1 }),
      instances: fc.integer({ min: 0, max: 50 }),
      cpus: fc.integer({ min: 1, max: 64 }),
      mem: fc.oneof(fc.integer({ min: 6, max: 4_096 }), fc.constant(128.5)),
      disk: fc.constantFrom(0, 10, 10.5),
      resourceLimits: fc.record(
        { cpus: fc.constantFrom(2, 'unlimited'), mem: fc.constantFrom(512, 'unlimited') },
        optional,
      ),
      container: fc.record(
        {
          type: fc.constantFrom('DOCKER', 'MESOS'),
          docker: fc.record(
            {
              image: fc.constant('x:1'),
              forcePullImage: fc.boolean(),
              parameters: fc.array(
                fc.record({ key: fc.constantFrom('workdir', 'entrypoint', 'dns'), value: word }),
                { maxLength: 2 },
              ),
            },
            { requiredKeys: ['image'] },
          ),
          portMappings: fc.uniqueArray(
            fc.record({ containerPort: port, ...portFields, name: word }, optional),
            {
              maxLength: 3,
              comparator: () => false,
            },
          ),
          volumes: fc.array(
            fc.oneof(
              fc.record({
                containerPath: fc.constant('/a'),
                hostPath: fc.constant('/b'),
                mode: fc.constantFrom('RO', 'RW'),
              }),
              fc.record({ containerPath: fc.constant('c'), persistent: fc.constant({ size: 5 }) }),
            ),
            { maxLength: 2 },
          ),
        },
        { requiredKeys: ['docker'] },
      ),
      networks: fc.constantFrom(
        [{ mode: 'host' }],
        [{ mode: 'container/bridge' }],
        [{ mode: 'container', name: 'n' }],
      ),
      ports: fc.array(port, { maxLength: 3 }),
      portDefinitions: fc.array(
        fc.record({ port, protocol: fc.constantFrom('tcp', 'udp') }, optional),
        { maxLength: 2 },
      ),
      requirePorts: fc.boolean(),
      env: fc.dictionary(word, fc.oneof(fc.string(), fc.constant({ secret: 's' }))),
      labels: fc.dictionary(fc.string({ minLength: 1 }), fc.string()),
      constraints: fc.array(
        fc.constantFrom(
          ['hostname', 'UNIQUE'],
          ['@zone', 'GROUP_BY', '3'],
          ['rack', 'LIKE', 'r.*'],
          ['rack', 'MAX_PER', 2],
        ),
      ),
      healthChecks: fc.array(
        fc.record(
          {
            protocol: fc.constantFrom('HTTP', 'MESOS_TCP', 'COMMAND'),
            command: fc.constant({ value: 'true' }),
            port,
            delaySeconds: fc.integer({ min: 0, max: 500 }),
            intervalSeconds: fc.constantFrom(1, 0.25),
          },
          { requiredKeys: ['command'] },
        ),
        { maxLength: 2 },
      ),
      taskKillGracePeriodSeconds: fc.integer({ min: 0, max: 60 }),
      backoffFactor: fc.constantFrom(1, 1.15, 2),
      upgradeStrategy: fc.record(
        {
          minimumHealthCapacity: fc.constantFrom(0, 0.3, 1),
          maximumOverCapacity: fc.constantFrom(0, 0.7, 1),
        },
        optional,
      ),
      fetch: fc.constantFrom([], [{ uri: 'http://x' }]),
      killSelection: fc.constantFrom('YOUNGEST_FIRST', 'OLDEST_FIRST'),
      'odd key': fc.jsonValue({ maxDepth: 2 }),
    },
    optional,
  )
  .map((app): Record<string, unknown> => ({ id: '/a', ...app }))

/** True when all that `inner` says, `outer` says too. */
function says(outer: unknown, inner: unknown): boolean {
  if (inner === null) return true
  if (typeof inner !== 'object') return outer === inner
  if (typeof outer !== 'object' || outer === null) return false
  if (Array.isArray(inner) && (!Array.isArray(outer) || outer.length !== inner.length)) return false
  return Object.entries(inner).every(([key, value]) =>
    says((outer as Record<string, unknown>)[key], value),
  )
}

t.test('what came in goes out again, and comes in again as the same app', async t => {
  let apps = 0
  fc.assert(
    fc.property(marathonApp, app => {
      const { spec } = fromMarathon(app)
      if (spec === undefined) return true
      apps++
      const out = toMarathon(spec)
      const again = fromMarathon(out)
      assert.deepStrictEqual(again.spec && { ...again.spec, carried: undefined }, {
        ...spec,
        carried: undefined,
      })
      return says(out, app)
    }),
    { numRuns: 300 },
  )
  t.ok(apps > 100, `${apps} of 300 were whole apps`)
})
