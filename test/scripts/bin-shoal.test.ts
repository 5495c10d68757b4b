import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'

/** A checkout with the real `bin/shoal` and a command line that prints what it was given. */
function checkout(t: Test, { node }: { node: string | undefined }): string {
  const dir = mkdtempSync(join(tmpdir(), 'shoal bin '))
  t.teardown(() => rmSync(dir, { recursive: true }))
  for (const folder of ['bin', 'src/cli', 'node_modules/.bin', 'path']) {
    mkdirSync(join(dir, folder), { recursive: true })
  }
  copyFileSync('bin/shoal', join(dir, 'bin/shoal'))
  writeFileSync(
    join(dir, 'src/cli/main.ts'),
    `import 'node:sqlite'
    const args: string[] = process.argv.slice(2)
    console.log(JSON.stringify(args))
    process.exitCode = 7`,
  )
  if (node !== undefined) symlinkSync(node, join(dir, 'node_modules/.bin/node'))
  return dir
}

function run(file: string, path: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(file, args, {
    encoding: 'utf8',
    env: { PATH: `${path}:/usr/bin:/bin` },
  })
  return { status, stdout: stdout.trim(), stderr: stderr.trim() }
}

/** A `node` that only tells its version. */
function fakeNode(dir: string, major: number): void {
  writeFileSync(join(dir, 'path/node'), `#!/bin/sh\necho ${major}\n`)
  chmodSync(join(dir, 'path/node'), 0o755)
}

t.test('bin/shoal runs through a chain of links, hands on arguments and exit code', async t => {
  const dir = checkout(t, { node: process.execPath })
  symlinkSync(join(dir, 'bin/shoal'), join(dir, 'path/one'))
  symlinkSync('one', join(dir, 'path/two'))
  fakeNode(dir, 20)
  const want = { status: 7, stdout: '["a b","--c"]', stderr: '' }
  t.strictSame(run(join(dir, 'path/two'), join(dir, 'path'), 'a b', '--c'), want)
  t.strictSame(run('two', join(dir, 'path'), 'a b', '--c'), want, 'found on the PATH')
})

t.test('bin/shoal takes the Node of the PATH when it is new enough', async t => {
  const dir = checkout(t, { node: undefined })
  symlinkSync(process.execPath, join(dir, 'path/node'))
  t.strictSame(run(join(dir, 'bin/shoal'), join(dir, 'path')), {
    status: 7,
    stdout: '[]',
    stderr: '',
  })
})

t.test('bin/shoal says what to do when there is no Node to run it', async t => {
  const dir = checkout(t, { node: undefined })
  fakeNode(dir, 23)
  const old = run(join(dir, 'bin/shoal'), join(dir, 'path'))
  t.equal(old.status, 1)
  t.match(old.stderr, /^shoal: needs Node 24 or newer: run `npm ci` in .*$/)
  rmSync(join(dir, 'node_modules'), { recursive: true })
  const bare = run(join(dir, 'bin/shoal'), join(dir, 'path'))
  t.match(bare.stderr, /^shoal: packages are not installed: run `npm ci` in .*$/)
})
