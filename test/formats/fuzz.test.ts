/** Whatever the text: no exception, apps only without an error, bounded time and answer. */

import { readFileSync, readdirSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { PROBLEMS_MAX } from '../../src/formats/finding.ts'
import { fromMarathon } from '../../src/formats/marathon.ts'
import { readManifest } from '../../src/formats/read-manifest.ts'

const NAMES = ['a.yaml', 'a.json', '-']
const EXAMPLES = readdirSync('examples').map(name => readFileSync(`examples/${name}`, 'utf8'))

/** Reads a text under each name, and checks what must hold of any answer. */
function survives(text: string): boolean {
  return NAMES.every(name => {
    const { apps, problems } = readManifest(name, text)
    const failed = problems.some(({ severity }) => severity === 'error')
    return failed ? apps.length === 0 : apps.length > 0 && problems.length <= PROBLEMS_MAX + 1
  })
}

t.test('readManifest() survives any text', async () => {
  const noise = fc.string({ unit: 'binary', maxLength: 200 })
  const shards = fc.constantFrom(
    ...'{ } [ ] " \' : , - ? & * ! | > % @ ` # \\ ~ 0 -1 1e9 null true & a *a <<: --- ...'.split(
      ' ',
    ),
    '\n',
    '\n  ',
    '\t',
    'id: ',
    '"id":',
    'kind: Deployment\n',
    'apps: ',
    '__proto__: ',
    '!!binary ',
    '&a ',
    '\uD800',
  )
  const soup = fc.array(shards, { maxLength: 40 }).map(pieces => pieces.join(''))
  fc.assert(fc.property(fc.oneof(noise, soup), survives), { numRuns: 300 })
})

t.test('readManifest() survives broken examples', async () => {
  const broken = fc
    .tuple(
      fc.constantFrom(...EXAMPLES),
      fc.array(fc.tuple(fc.nat(), fc.nat(30), fc.string({ maxLength: 5 })), { maxLength: 4 }),
    )
    .map(([text, cuts]) => {
      let result = text
      for (const [at, length, insert] of cuts) {
        const start = at % (result.length + 1)
        result = result.slice(0, start) + insert + result.slice(start + length)
      }
      return result
    })
  fc.assert(fc.property(broken, survives), { numRuns: 200 })
})

t.test('readManifest() survives known fields with values of any kind', async () => {
  const keys = [
    'id',
    'image',
    'cmd',
    'args',
    'container',
    'docker',
    'portMappings',
    'networks',
    'env',
    'labels',
    'healthChecks',
    'constraints',
    'ports',
    'health',
    'kind',
    'apiVersion',
    'metadata',
    'name',
    'spec',
    'template',
    'selector',
    'matchLabels',
    'containers',
    'livenessProbe',
    'httpGet',
    'port',
    'resources',
    'limits',
    'volumes',
    'volumeMounts',
    'strategy',
    'upgradeStrategy',
    'apps',
    'app',
    'groups',
    'dependencies',
    'items',
    'carried',
    'fields',
    'update',
    'resourceLimits',
    'constructor',
    'toString',
  ]
  const { value } = fc.letrec(tie => ({
    value: fc.oneof(
      { depthSize: 'large', withCrossShrink: true },
      fc.constantFrom<unknown>(
        'a',
        '/a',
        'Deployment',
        'Service',
        'List',
        'apps/v1',
        'v1',
        0,
        1,
        -1,
        1.5,
        9e15,
        null,
        true,
        '',
      ),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...keys), tie('value'), { maxKeys: 6 }),
    ),
  }))
  fc.assert(
    fc.property(value, json => {
      const { spec, problems } = fromMarathon(json)
      const failed = problems.some(({ severity }) => severity === 'error')
      return failed === (spec === undefined) && survives(JSON.stringify(json))
    }),
    { numRuns: 300 },
  )
})

function many(count: number, make: (index: number) => string, glue = '\n'): string {
  return Array.from({ length: count }, (_, index) => make(index)).join(glue)
}

t.test('readManifest() refuses bombs in bounded time', async t => {
  const bombs: Record<string, string> = {
    'too long': 'a'.repeat(5e6),
    'nested flow': '['.repeat(2e4),
    'nested maps': '{"a":'.repeat(2e4),
    'nested block': '- '.repeat(2e4),
    'alias bomb': `a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n${many(12, i => `a${i + 1}: &a${i + 1} [${many(10, () => `*a${i}`, ', ')}]`)}`,
    'many keys': many(1e4, i => `k${i}: ${i}`),
    'many unknown fields': `{"id":"a","cmd":"x",${many(1e4, i => `"k${i}":1`, ',')}}`,
    'many bad ports': `{"id":"a","image":"x","ports":[${many(1e4, () => '{"port":-1,"x":1}', ',')}]}`,
    'many values': `[${many(3e5, () => '1', ',')}]`,
    'stray brackets': ']'.repeat(1e5),
    'stray texts': '""'.repeat(3e4),
    'one long text': `id: "${'a'.repeat(1e6)}`,
    'many Services': `---\n${many(
      600,
      i =>
        i % 2 === 0
          ? `{kind: Deployment, apiVersion: apps/v1, metadata: {name: a${i}}, spec: {selector: {}, template: {metadata: {labels: {a: b}}}}}`
          : `{kind: Service, apiVersion: v1, metadata: {name: a${i}}, spec: {selector: {a: b}}}`,
      '\n---\n',
    )}`,
    'many twins': many(300, () => '- {id: a, cmd: x}'),
  }
  for (const [name, text] of Object.entries(bombs)) {
    const startedAt = performance.now()
    // JSON is read as YAML too only where that is another danger.
    for (const file of name.startsWith('nested') ? ['a.yaml', '-'] : ['-']) {
      const { apps, problems } = readManifest(file, text)
      t.strictSame(apps, [], name)
      t.ok(
        problems.length > 0 && problems.length <= PROBLEMS_MAX + 1,
        `${name}: ${problems.length} problems`,
      )
      t.ok(
        problems.every(({ message }) => message.length < 400),
        `${name}: short messages`,
      )
    }
    const tookMs = performance.now() - startedAt
    t.ok(tookMs < 15_000, `${name}: ${Math.round(tookMs)} ms`)
  }
})
