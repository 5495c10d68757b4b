import { readFileSync } from 'node:fs'
import t from 'tap'
import { missingOptionals, platformOf, type Lock } from '../../scripts/complete-lock.ts'

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock

t.test('lock: names no registry, so that it works behind any mirror', async t => {
  const named = Object.entries(lock.packages).filter(
    ([, { resolved = '', link }]) => resolved !== '' && link !== true,
  )
  t.strictSame(named, [])
  t.notMatch(readFileSync('package-lock.json', 'utf8'), /"resolved": "[^"]*:/)
})

t.test('lock: names the optional packages of every platform, as `npm ci` demands', async t => {
  t.strictSame([...missingOptionals(lock).keys()], [], 'run node scripts/complete-lock.ts')
})

t.test('lock: what is installed on our platforms is held by its hash', async t => {
  for (const [path, { integrity, os = [], link }] of Object.entries(lock.packages)) {
    const ours = os.length === 0 || os.includes('linux')
    const local = link === true || !path.startsWith('node_modules/')
    if (ours && !local && !path.endsWith('-musl') && !/-(arm|ppc64|riscv64|s390x)-/.test(path)) {
      t.type(integrity, 'string', path)
    }
  }
})

t.test('missingOptionals() finds what npm left out, with its platform', async t => {
  const packages = {
    'node_modules/a': {
      dev: true,
      optionalDependencies: { 'a-linux-arm64-musl': '1.0.0', b: '1' },
    },
    'node_modules/a/node_modules/b': { version: '1' },
  }
  t.strictSame(
    [...missingOptionals({ packages })],
    [
      [
        'node_modules/a-linux-arm64-musl',
        {
          version: '1.0.0',
          dev: true,
          optional: true,
          os: ['linux'],
          cpu: ['arm64'],
          libc: ['musl'],
        },
      ],
    ],
  )
})

t.test('platformOf() refuses to guess', async t => {
  t.strictSame(platformOf('@x/binding-linux-arm-gnueabihf'), {
    os: ['linux'],
    cpu: ['arm'],
    libc: ['glibc'],
  })
  t.throws(() => platformOf('fsevents'), /Cannot tell the platform of fsevents/)
})
