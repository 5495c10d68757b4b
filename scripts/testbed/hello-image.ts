import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { execFile } from 'node:child_process'
import { mustAsk } from './engine-api.ts'

/** The port that the hello app answers on. */
export const HELLO_PORT = 9001

const APPLETS = ['sh', 'httpd', 'wget', 'nc', 'sleep', 'cat', 'echo', 'env', 'true', 'false']
const COMMAND = ['sh', '-c', `trap 'exit 0' TERM; httpd -f -p ${HELLO_PORT} -h /www & wait`]
const BUSYBOX = '/bin/busybox'

/**
 * Makes an image of nothing but busybox, that answers `hello` over HTTP on port 9001, in each of
 * the engines: there is no registry to pull one from. The shell in front stops at once on SIGTERM,
 * which the kernel keeps from a first process with no handler. Throws if busybox is not static,
 * as only Debian's busybox-static is.
 */
export async function loadHelloImage(sockets: readonly string[], name: string): Promise<void> {
  const body = await packRoot()
  const [repo = name, tag = 'latest'] = name.split(':')
  const query = new URLSearchParams({ fromSrc: '-', repo, tag })
  query.append('changes', `CMD ${JSON.stringify(COMMAND)}`)
  query.append('changes', `EXPOSE ${HELLO_PORT}`)
  await Promise.all(
    sockets.map(async socket => {
      await mustAsk(socket, {
        method: 'POST',
        path: `/images/create?${query.toString()}`,
        contentType: 'application/x-tar',
        body,
        timeoutMs: 30_000,
      })
    }),
  )
}

/** Whether this machine has the busybox that the image is made of. */
export function canMakeHelloImage(): boolean {
  try {
    // A dynamic program names its loader within the first page.
    return !readFileSync(BUSYBOX).subarray(0, 4096).includes('/ld-')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

async function packRoot(): Promise<Buffer> {
  if (!canMakeHelloImage()) {
    throw new Error(`Cannot make an image: ${BUSYBOX} is not static: install busybox-static`)
  }
  const root = mkdtempSync(join(tmpdir(), 'shoal-hello-'))
  try {
    for (const dir of ['bin', 'www', 'tmp']) mkdirSync(join(root, dir))
    copyFileSync(BUSYBOX, join(root, 'bin/busybox'))
    for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet))
    writeFileSync(join(root, 'www/index.html'), 'hello\n')
    const options = { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 } as const
    const { stdout } = await promisify(execFile)('tar', ['-C', root, '-c', '.'], options)
    return stdout
  } finally {
    rmSync(root, { recursive: true })
  }
}
