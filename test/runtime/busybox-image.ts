import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import Docker from 'dockerode'

/** Makes an image out of the machine's own busybox, since there may be no registry to pull one from. */
export async function importBusybox(socketPath: string, name: string): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-image-'))
  try {
    mkdirSync(join(dir, 'bin'))
    cpSync('/bin/busybox', join(dir, 'bin/busybox'))
    for (const applet of ['sh', 'sleep', 'echo', 'cat', 'httpd', 'nc']) {
      symlinkSync('busybox', join(dir, 'bin', applet))
    }
    const tar = execFileSync('tar', ['-C', dir, '-c', '.'], { maxBuffer: 64 * 1024 * 1024 })
    const [repo = name, tag = 'latest'] = name.split(':')
    const docker = new Docker({ socketPath })
    const said = await docker.importImage(Readable.from([tar]), { repo, tag })
    for await (const bytes of said) {
      const line = String(bytes)
      if (line.includes('"error"')) throw new Error(`Cannot make ${name}: ${line}`)
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
