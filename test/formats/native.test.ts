import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { printManifest } from '../../src/formats/native.ts'
import { readManifest } from '../../src/formats/read-manifest.ts'
import { appSchema, type AppInput, type AppSpec } from '../../src/model/app.ts'
import { anyApp } from './any-app.ts'

/** Prints an app and reads it back; fails the test where that gives no app. */
function again(spec: AppSpec): AppSpec | undefined {
  const text = printManifest(spec)
  const { apps, problems } = readManifest('printed.yaml', text)
  if (apps.length !== 1) throw new Error(`${JSON.stringify(problems)} in\n${text}`)
  return apps[0]
}

t.test('printManifest() says only what is not a default', async t => {
  const input: AppInput = {
    id: '/shop/web' as AppInput['id'],
    image: 'web:1',
    resources: { memMb: 64 },
    ports: [{ port: 80 }, {}],
    health: [{ kind: 'tcp', port: 1 }],
    env: { ON: 'true', EMPTY: '' },
  }
  t.equal(
    printManifest(appSchema.parse(input)),
    `id: /shop/web
image: web:1
resources:
  memMb: 64
ports:
  - port: 80
  - {}
env:
  ON: "true"
  EMPTY: ""
health:
  - kind: tcp
    port: 1
`,
  )
})

t.test('parse ∘ print is the identity', async () => {
  fc.assert(
    fc.property(anyApp, input => {
      // Not tap's own comparison, which trips over keys such as `toString`.
      const spec = appSchema.parse(input)
      assert.deepStrictEqual(again(spec), spec)
    }),
    { numRuns: 300 },
  )
})

t.test('texts that look like something else survive', async t => {
  const texts = [
    'true',
    'null',
    '~',
    '5',
    '0x1',
    '1e3',
    '',
    ' a ',
    '#a',
    'a: b',
    '- a',
    '*a',
    '&a',
    '!a',
    '%a',
    '`',
    "'",
    '"',
    '\\',
    '\n',
    'a\n\n b\n',
    '\t',
    '\r',
    '\u0085',
    '\u2028',
    '\uFEFF',
    '\0',
    '---',
    '...',
    '{',
    '[',
    '<<',
    '=',
    '🐟',
    'yes',
    'off',
    '2001-01-01',
    '0o7',
    '.nan',
  ]
  const labels = Object.fromEntries(texts.map((text, index) => [text || `${index}`, text]))
  const spec = appSchema.parse({ id: '/a', image: 'x', labels, command: texts })
  t.strictSame(again(spec), spec)
})
