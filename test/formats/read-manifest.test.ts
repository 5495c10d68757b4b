import t from 'tap'
import { readManifest, readManifests } from '../../src/formats/read-manifest.ts'
import { linesOf } from './check-lines.ts'

/** What a file is called, what it says, and the lines that its author must read. */
type Bad = readonly [name: string, text: string, lines: readonly string[]]

const BAD: readonly Bad[] = [
  ['a.yaml', '', ['a.yaml: is empty: must have an app, such as `{id: web, image: web:1}`']],
  ['a.json', ' \n', ['a.json: is empty: must have an app, such as `{id: web, image: web:1}`']],
  [
    'a.json',
    '{"id": "web",\n "image": "x",\n}',
    ['a.json:3: is not JSON: expected a key in double quotes, got "}"'],
  ],
  [
    'a.json',
    '{"id": "web"\n "image": "x"}',
    ['a.json:2: is not JSON: expected "," or "}", got "\\""'],
  ],
  ['a.json', '[1, 2', ['a.json:1: is not JSON: expected "," or "]", got the end of the file']],
  ['a.json', '{"id": nope}', ['a.json:1: is not JSON: expected a value, got "nope"']],
  ['a.json', '{"id": "a\nb"}', ['a.json:1: a text in double quotes does not end on its line']],
  ['a.json', '{"id": "a\\x"}', ['a.json:1: text "a\\\\x" has a wrong "\\" escape']],
  ['a.json', '{"id": 1e999}', ['a.json:1: number "1e999" is too large']],
  [
    'a.json',
    '{} {}',
    ['a.json:1: is not JSON: expected the end of the file after the value, got "{"'],
  ],
  ['a.json', '{"id": 1,\n"id": 2}', ['a.json:2: key "id" stands twice in one object']],
  ['a.json', '{"__proto__": 1}', ['a.json:1: key "__proto__" is not allowed']],
  ['a.yaml', '__proto__: 1', ['a.yaml:1: key "__proto__" is not allowed']],
  ['a.yaml', 'id: web\nimage: x\nid: y', ['a.yaml:3: key "id" stands twice in one map']],
  ['a.yaml', 'id: web\nimage: *x', ['a.yaml:2: alias "*x" has no anchor']],
  ['a.yaml', 'id: &a [*a]', ['a.yaml:1: alias "*a" has no anchor']],
  ['a.yaml', 'id: web\n? [a]\n: b', ['a.yaml:2: a key must be text']],
  ['a.yaml', 'id: .inf', ['a.yaml:1: must be text, a finite number, true, false or null']],
  ['a.yaml', 'id: web\nimage: "x', ['a.yaml:2: is not YAML: Missing closing "quote']],
  ['-', '5', ['-:1: must be an app, a list of apps or Kubernetes objects, got 5']],
  ['-', '[[]]', ['-:1: [0]: must be an app, got a list']],
  [
    'a.yaml',
    'id: web',
    ['a.yaml:1: must have an image (for Docker) or a command (for a plain process)'],
  ],
  [
    'a.yaml',
    'image: x',
    [
      'a.yaml:1: id: is missing: must be a path of lower-case letters, digits, "-" and ".", such as /shop/web (no segment starts or ends with "-")',
    ],
  ],
  [
    'a.yaml',
    'id: web\nimage: x\nreplicas: 2\ninstances: two\nmem: 5',
    [
      'a.yaml:3: replicas: is not a field; did you mean "instances"?',
      'a.yaml:4: instances: must be an integer, got "two"',
      'a.yaml:5: mem: is not a field; did you mean "resources.memMb"?',
    ],
  ],
  [
    'a.yaml',
    `
id: web
image: x
instances: 1.5
network: hsot
ports:
  - port: 80
    hostport: 80
  - port: 70000
env:
  A: 5
volumes:
  - source: /a
health:
  - kind: htp
  - kind: http
    interval: 7
command: [1]
constraints:
  - { field: a, operator: IS }
user: ""
`,
    [
      'a.yaml:4: instances: must be an integer, got 1.5',
      'a.yaml:5: network: must be "bridge" or "host", got "hsot"',
      'a.yaml:8: ports[0].hostport: is not a field; did you mean "hostPort"?',
      'a.yaml:9: ports[1].port: must be <= 65535, got 70000',
      'a.yaml:11: env.A: must be text, got 5',
      'a.yaml:13: volumes[0].target: is missing: must be text',
      'a.yaml:15: health[0].kind: must be "http", "tcp" or "command", got "htp"',
      'a.yaml:17: health[1].interval: must be a duration such as 250ms, 10s, 5m or 1.5h, got 7',
      'a.yaml:18: command[0]: must be text, got 1',
      'a.yaml:20: constraints[0]: IS needs a value',
      'a.yaml:21: user: must not be empty, got ""',
    ],
  ],
  [
    'a.yaml',
    'id: web\nimage: x\nports: [{name: a}, {name: a}]\nhealth:\n  - {kind: tcp, port: 7}',
    [
      'a.yaml:3: ports: must have different names',
      'a.yaml:5: health[0].port: names no port of the app, got 7',
    ],
  ],
  [
    'a.yaml',
    '- {id: a, cmd: x}\n- {id: b, cmd: y}\n- {id: /a, cmd: z}',
    ['a.yaml:3: [2]: app /a stands twice: first at a.yaml:1, then here'],
  ],
  [
    'a.yaml',
    'kind: Ingress',
    ['a.yaml:1: kind: must be Deployment, Service or List, got "Ingress"'],
  ],
  ['a.yaml', 'apiVersion: v1\nkind: List', ['a.yaml:1: items: must be a list, got nothing']],
  [
    'm.json',
    '{"id": "/p",\n "apps": [{"id": "a",\n "cmd": "x", "cpus": -1}],\n "groups": 5}',
    ['m.json:3: apps[0].cpus: must be >= 0, got -1', 'm.json:4: groups: must be a list, got 5'],
  ],
]

t.test('readManifest() says what is wrong, where, and what was there', async t => {
  for (const [name, text, lines] of BAD) {
    const title = JSON.stringify(text.slice(0, 50))
    t.strictSame(new Set(linesOf({ name, text })), new Set(lines), title)
    t.strictSame(readManifest(name, text).apps, [], `${title} gives no app`)
  }
})

/** What a file is called, what it says, and the ids of its apps. */
const GOOD: readonly (readonly [name: string, text: string, ids: readonly string[]])[] = [
  ['a.yaml', 'id: web\nimage: x', ['/web']],
  ['a.yaml', '\uFEFFid: /shop/web\nimage: x\n', ['/shop/web']],
  ['a.json', '\uFEFF{"id":"web","image":"x"}', ['/web']],
  ['a.json', '{\n\t"id": "web",\r\n\t"command": "echo \\u00e9 \\"hi\\""\n}', ['/web']],
  ['-', '[{"id":"a","cmd":"x"},{"id":"b","image":"x"}]', ['/a', '/b']],
  ['-', 'id: a\nimage: x\n---\nid: b\ncmd: x\n---\n', ['/a', '/b']],
  ['-', 'apps:\n  - {id: a, image: x}\n  - {id: b, cmd: x}', ['/a', '/b']],
  ['-', '{"app": {"id": "/a", "cmd": "x"}}', ['/a']],
  [
    '-',
    'id: /p\napps: [{id: a, cmd: x}]\ngroups: [{id: q, apps: [{id: b, cmd: x}, {id: ../c, cmd: x}]}]',
    ['/p/a', '/p/q/b', '/p/c'],
  ],
  ['-', 'base: &base {image: x}\n', []],
  ['-', 'id: a\nimage: x\nenv: &env {A: b}\nlabels: *env', ['/a']],
]

t.test('readManifest() finds the apps of every format', async t => {
  for (const [name, text, ids] of GOOD) {
    const { apps, problems } = readManifest(name, text)
    if (ids.length === 0) t.not(problems.length, 0)
    t.strictSame(
      apps.map(({ id }) => id),
      ids,
      JSON.stringify(text.slice(0, 50)),
    )
  }
})

t.test('readManifests() gives all or nothing', async t => {
  const good = { name: 'a.yaml', text: 'id: a\nimage: x' }
  t.equal(readManifests([good]).apps.length, 1)
  t.strictSame(readManifests([good, { name: 'b.yaml', text: 'id: b' }]).apps, [])
})

t.test('readManifests() names both places of an app that stands twice', async t => {
  const lines = linesOf(
    { name: 'a.yaml', text: '# one\nid: web\nimage: x' },
    { name: 'b.json', text: '{"id": "/web", "cmd": "x"}' },
  )
  t.strictSame(lines, ['b.json:1: app /web stands twice: first at a.yaml:2, then here'])
})

t.test('a Marathon group hands its dependencies down, and says so', async t => {
  const text = `
id: /p
dependencies: [../base]
groups:
  - id: q
    dependencies: [r]
    apps:
      - { id: a, cmd: x, dependencies: [b] }
      - { id: b, cmd: x }
enforceRole: true
version: x
`
  const { apps, problems } = readManifest('g.yaml', text)
  t.strictSame(
    apps.map(app => app.carried?.fields),
    [{ dependencies: ['/p/q/b', '/base', '/p/q/r'] }, { dependencies: ['/base', '/p/q/r'] }],
  )
  t.strictSame(
    problems.map(({ line, path }) => [line, path]),
    [
      [10, 'enforceRole'],
      [11, 'version'],
      [8, 'groups[0].apps[0].dependencies'],
      [9, 'groups[0].apps[1]'],
    ],
  )
})
