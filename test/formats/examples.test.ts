import { readFileSync, readdirSync } from 'node:fs'
import t from 'tap'
import { toMarathon } from '../../src/formats/marathon.ts'
import { readManifest } from '../../src/formats/read-manifest.ts'
import { fixedPortsOf, runtimeOf, type AppSpec } from '../../src/model/app.ts'

/** What each example must become: these parts of it, and no error. */
const EXPECTED: Readonly<Record<string, object>> = {
  'hello-marathon.json': {
    id: '/marathon-demo-application',
    image: 'hello_world:latest',
    instances: 1,
    resources: { cpus: 1, memMb: 128, diskMb: 0, gpus: 0 },
    limits: { memMb: 128 },
    network: 'host',
    ports: [{ port: 9001, hostPort: 9001, protocol: 'tcp' }],
  },
  'hello-kubernetes.yaml': {
    id: '/hello-world',
    image: 'hello_world:latest',
    instances: 2,
    forcePull: false,
    network: 'bridge',
    ports: [{ name: 'http', port: 9001, hostPort: 0, protocol: 'tcp' }],
    aliases: [],
  },
  'hello-process.json': {
    id: '/hello',
    instances: 3,
    command: /SHOAL_NODE_BIN.*PORT0/,
    ports: [{ name: 'http', port: 0, hostPort: 0, protocol: 'tcp' }],
    health: [{ kind: 'http', path: '/', port: 'http', interval: '1s' }],
  },
  'hello-native.yaml': {
    id: '/shop/web',
    command: ['serve', '--verbose'],
    instances: 4,
    maxPerNode: 2,
    aliases: ['storefront'],
    constraints: [{ field: 'disk', operator: 'IS', value: 'ssd' }, { field: '@zone' }],
    volumes: [{ source: '/srv/pictures', target: '/pictures', readOnly: true }],
  },
}

function read(name: string): { readonly apps: readonly AppSpec[]; readonly warnings: number } {
  const { apps, problems } = readManifest(name, readFileSync(`examples/${name}`, 'utf8'))
  return { apps, warnings: problems.length }
}

t.test('every example is an app', async t => {
  t.strictSame(readdirSync('examples').toSorted(), Object.keys(EXPECTED).toSorted())
  for (const [name, expected] of Object.entries(EXPECTED)) {
    const { apps, warnings } = read(name)
    t.equal(apps.length, 1, name)
    t.match(apps[0], expected, name)
    t.equal(warnings, name === 'hello-kubernetes.yaml' ? 1 : 0, `${name}: LoadBalancer is told of`)
  }
})

t.test('the hello apps need what they should', async t => {
  const [marathon, kubernetes, process] = ['marathon.json', 'kubernetes.yaml', 'process.json'].map(
    name => read(`hello-${name}`).apps[0]!,
  )
  t.strictSame([marathon!, kubernetes!, process!].map(runtimeOf), ['docker', 'docker', 'process'])
  t.strictSame(fixedPortsOf(marathon!), ['tcp 9001'], 'two of them never share a node')
  t.strictSame(fixedPortsOf(kubernetes!), [])
  t.strictSame(fixedPortsOf(process!), [])
})

t.test('the Marathon example goes out as it came in', async t => {
  const source = JSON.parse(readFileSync('examples/hello-marathon.json', 'utf8')) as object
  t.match(toMarathon(read('hello-marathon.json').apps[0]!), {
    ...source,
    id: '/marathon-demo-application',
  })
})
