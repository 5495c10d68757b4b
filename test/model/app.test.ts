import t from 'tap'
import { appSchema, fixedPortsOf, isDnsLabel, type AppInput } from '../../src/model/app.ts'

const app = (fields: object): AppInput => ({ id: '/a', image: 'x', ...fields }) as AppInput

t.test('appSchema fills in every default', async t => {
  const spec = appSchema.parse(app({}))
  t.match(spec, {
    instances: 1,
    mode: 'replicated',
    network: 'bridge',
    update: { order: 'start-first' },
  })
  t.strictSame(appSchema.parse(spec), spec, 'an app that is whole stays as it is')
})

t.test('appSchema refuses what no runtime could do', async t => {
  const cases: [string, object][] = [
    ['nothing to run', { image: undefined }],
    ['an unknown key', { replicas: 2 }],
    ['too many slots', { instances: 10_001 }],
    [
      'volumes of a plain process',
      { image: undefined, command: 'x', volumes: [{ source: '/a', target: '/b' }] },
    ],
    ['two ports of one name', { ports: [{ name: 'a' }, { name: 'a' }] }],
    ['one host port twice', { ports: [{ hostPort: 80 }, { hostPort: 80 }] }],
    ['a check of no port', { health: [{ kind: 'tcp' }] }],
    [
      'a check of no port of that name',
      { ports: [{ name: 'a' }], health: [{ kind: 'tcp', port: 'b' }] },
    ],
    [
      'LIKE with no regular expression',
      { constraints: [{ field: 'a', operator: 'LIKE', value: '(' }] },
    ],
    ['UNIQUE with a value', { constraints: [{ field: 'a', operator: 'UNIQUE', value: 'x' }] }],
    ['MAX_PER 0', { constraints: [{ field: 'a', operator: 'MAX_PER', value: '0' }] }],
    ['a memory limit that Docker refuses', { limits: { memMb: 5 } }],
    ['an id with capitals', { id: '/Web' }],
    ['an alias with a dot', { aliases: ['a.b'] }],
  ]
  for (const [name, fields] of cases) t.equal(appSchema.safeParse(app(fields)).success, false, name)
})

t.test('appSchema lets one port number be tcp and udp', async t => {
  const ports = [{ hostPort: 53 }, { hostPort: 53, protocol: 'udp' }]
  t.ok(appSchema.safeParse(app({ ports })).success)
})

t.test('fixedPortsOf() gives the ports that are taken of the node', async t => {
  const cases: [object, string[]][] = [
    [{ ports: [{ port: 80 }] }, []],
    [{ ports: [{ port: 80, hostPort: 8080 }] }, ['tcp 8080']],
    [
      { ports: [{ port: 80 }, { port: 53, protocol: 'udp' }], network: 'host' },
      ['tcp 80', 'udp 53'],
    ],
    [{ ports: [{}], network: 'host' }, []],
    [{ ports: [{ port: 80 }], image: undefined, command: 'x' }, ['tcp 80']],
  ]
  for (const [fields, fixed] of cases) {
    t.strictSame(fixedPortsOf(appSchema.parse(app(fields))), fixed, JSON.stringify(fields))
  }
})

t.test('isDnsLabel() knows DNS labels', async t => {
  for (const name of ['a', 'a-b', '0', 'a'.repeat(63)]) t.ok(isDnsLabel(name), name)
  for (const name of ['', '-a', 'a-', 'A', 'a.b', 'a_b', 'a'.repeat(64)])
    t.notOk(isDnsLabel(name), name)
})
