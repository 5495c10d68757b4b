import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { mustAsk } from '../testbed/engine-api.ts'
import { canMakeHelloImage, HELLO_PORT, loadHelloImage } from '../testbed/hello-image.ts'

const run = promisify(execFile)
const IMAGE = 'hello_world:latest'

/** Makes `hello_world:latest` in an engine without a registry: of busybox where it is static, else of this very node. */
export async function loadDemoImage(engine: string): Promise<void> {
  if (canMakeHelloImage()) await loadHelloImage([engine], IMAGE)
  else await loadNodeImage(engine)
}

async function loadNodeImage(engine: string): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'shoal-demo-image-'))
  try {
    for (const path of [process.execPath, ...(await librariesOf(process.execPath))]) {
      const target = path === process.execPath ? '/bin/node' : path
      mkdirSync(join(root, dirname(target)), { recursive: true })
      cpSync(path, join(root, target), { dereference: true })
    }
    const { stdout } = await run('tar', ['-C', root, '-c', '.'], {
      encoding: 'buffer',
      maxBuffer: 512 * 1024 * 1024,
    })
    const serve = `require('http').createServer((q, a) => a.end('hello\\n')).listen(${HELLO_PORT}); process.on('SIGTERM', () => process.exit(0))`
    const query = new URLSearchParams({ fromSrc: '-', repo: 'hello_world', tag: 'latest' })
    query.append('changes', `CMD ${JSON.stringify(['/bin/node', '-e', serve])}`)
    await mustAsk(engine, {
      method: 'POST',
      path: `/images/create?${query.toString()}`,
      contentType: 'application/x-tar',
      body: stdout,
      timeoutMs: 60_000,
    })
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** The shared libraries of a program, and its loader. */
async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run('ldd', [program])
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path!)
}
