import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A Docker engine to test with. */
export interface TestEngine {
  readonly socketPath: string
  /** True for an engine that was started for the test, and that it may kill. */
  readonly isOurs: boolean
  /** Kills an engine of ours without a warning, as a crash would. */
  kill(): Promise<void>
  /** Makes an engine of ours hang, or go on: it takes calls and answers none. */
  freeze(isFrozen: boolean): void
  /** Starts an engine of ours again. */
  restart(): Promise<void>
  close(): Promise<void>
}

const DOCKERD = '/usr/sbin/dockerd'

// A network namespace of its own keeps the machine's firewall as it is. A resolver that
// refuses at once spares each failing pull 20 s, and /run/docker is shared by default. The
// engine goes when the test dies, however it dies.
const START = `
ip link set lo up
mount -t tmpfs none /run/docker
mount --bind "$1/resolv.conf" /etc/resolv.conf
exec setpriv --pdeathsig TERM dockerd --data-root "$1/data" --exec-root "$1/exec" -H "unix://$1/docker.sock" -p "$1/pid" --log-level error
`

/** Finds a Docker engine or starts one, or says why there can be none. */
export async function startEngine(): Promise<TestEngine | { readonly skip: string }> {
  const configured = process.env['DOCKER_HOST']
  const socketPath = configured?.replace(/^unix:\/\//, '') ?? '/var/run/docker.sock'
  if (await answers(socketPath)) {
    const untouched = { kill: nothing, restart: nothing, close: nothing }
    return { socketPath, isOurs: false, ...untouched, freeze: () => void nothing() }
  }
  if (process.getuid?.() !== 0) {
    return { skip: `no Docker engine answers at ${socketPath}, and only root can start one` }
  }
  for (const file of [DOCKERD, '/bin/busybox']) {
    if (!existsSync(file)) {
      return { skip: `no Docker engine answers at ${socketPath}, and there is no ${file}` }
    }
  }
  const engine = new PrivateEngine(mkdtempSync(join(tmpdir(), 'shoal-docker-')))
  await engine.restart()
  return engine
}

class PrivateEngine implements TestEngine {
  readonly isOurs = true
  readonly socketPath: string
  readonly #dir: string
  #process: ChildProcess | undefined

  constructor(dir: string) {
    this.#dir = dir
    this.socketPath = join(dir, 'docker.sock')
    mkdirSync('/run/docker', { recursive: true })
    writeFileSync(join(dir, 'resolv.conf'), 'nameserver 127.0.0.1\n')
  }

  async restart(): Promise<void> {
    const args = ['-n', '-m', 'sh', '-c', START, 'dockerd', this.#dir]
    const started = spawn('unshare', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process = started
    let words = ''
    started.stderr.on('data', (data: Buffer) => (words = (words + String(data)).slice(-4000)))
    const deadline = AbortSignal.timeout(60_000)
    const died = new AbortController()
    started.once('exit', () => died.abort())
    const watcher = watch(this.#dir)
    try {
      const signal = AbortSignal.any([deadline, died.signal])
      while (!(await answers(this.socketPath))) {
        // Whatever changes in the folder, or a second: the socket is there before it answers.
        const moment = AbortSignal.any([signal, AbortSignal.timeout(300)])
        await once(watcher, 'change', { signal: moment }).catch(() => undefined)
        if (signal.aborted) throw new Error(`dockerd does not start: ${words}`)
      }
    } finally {
      watcher.close()
    }
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
    // What it leaves behind keeps its place, and the next engine waits for it in vain.
    for (const pid of this.#leftovers()) killQuietly(pid)
    rmSync(join(this.#dir, 'exec'), { recursive: true, force: true })
    rmSync(join(this.#dir, 'pid'), { force: true })
    rmSync(this.socketPath, { force: true })
  }

  freeze(isFrozen: boolean): void {
    this.#process?.kill(isFrozen ? 'SIGSTOP' : 'SIGCONT')
  }

  async close(): Promise<void> {
    await this.#end('SIGTERM')
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 })
  }

  /** The containerd of this engine, its shims and what they run: their command lines name our folder. */
  #leftovers(): number[] {
    const pids = readdirSync('/proc').filter(entry => /^[1-9]\d*$/.test(entry))
    const named = pids.filter(pid => readQuietly(`/proc/${pid}/cmdline`).includes(this.#dir))
    const run = named.flatMap(pid =>
      readQuietly(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean),
    )
    return [...new Set([...named, ...run])].map(Number)
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const ending = this.#process
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = once(ending, 'exit', { signal: AbortSignal.timeout(30_000) })
    ending.kill(signal)
    await ended
  }
}

function nothing(): Promise<void> {
  return Promise.resolve()
}

/** True when an engine answers at the socket. */
async function answers(socketPath: string): Promise<boolean> {
  if (!existsSync(socketPath)) return false
  const asked = request({ socketPath, path: '/_ping', timeout: 5000, agent: false })
  const { promise, resolve } = Promise.withResolvers<boolean>()
  asked.once('response', ({ statusCode }) => resolve(statusCode === 200))
  asked.once('timeout', () => resolve(false))
  asked.on('error', () => resolve(false))
  asked.end()
  return await promise.finally(() => asked.destroy())
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // The process has gone.
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It went with its parent: just as well.
  }
}
