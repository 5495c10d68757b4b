/** Real daemons on loopback for benches: what they are started with, and what /proc says of them. */

import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StatusAnswer } from '../../src/api/shapes.ts'
import { Client } from '../../src/cli/client.ts'
import { until } from '../testbed/process-table.ts'

const SHOAL = join(import.meta.dirname, '../../bin/shoal')
/** How long the daemons may take to start and meet, on two processors that have other work. */
const MEET_MS = 120_000
/** Linux counts processor time in these, whatever the kernel was built with (`getconf CLK_TCK`). */
const TICKS_PER_SECOND = 100

/** A daemon that runs. */
export interface BenchDaemon {
  readonly child: ChildProcess
  readonly dir: string
  readonly client: Client
}

/** What a daemon has used. */
export interface Usage {
  readonly rssMB: number
  /** Shared pages, Node's own program above all, divided among the daemons that share them. */
  readonly pssMB: number
  readonly cpuSeconds: number
}

/** A cluster of real daemons, each on a loopback address of its own; none of them knows Docker. */
export class BenchCluster implements AsyncDisposable {
  readonly daemons: BenchDaemon[] = []
  /** True when the cluster has a loopback of its own, on which nobody else's bytes are counted. */
  readonly isAlone = process.getuid?.() === 0
  readonly #root = mkdtempSync(join(tmpdir(), 'shoal-bench-'))
  readonly #network = this.isAlone ? holdNetwork() : undefined

  /** Starts `count` daemons, and waits until each sees all as alive. */
  async start(count: number): Promise<void> {
    // One before the first, so that all find compiled code as they do on any start but that after an upgrade.
    const warmUp = this.#startDaemon(1)
    await this.awaitAlive(1)
    warmUp.child.kill('SIGTERM')
    await ended(warmUp.child)
    this.daemons.length = 0
    const first = this.#startDaemon(1)
    await this.awaitAlive(1)
    const { token } = await first.client.post<{ token: string }>('/v1/token', { ttl: '1h' })
    for (let number = 2; number <= count; number++) this.#startDaemon(number, token)
    await this.awaitAlive(count)
  }

  /** Waits until every daemon sees this many alive nodes; asking over their sockets starts no process. */
  async awaitAlive(count: number): Promise<void> {
    await until(`${count} nodes see each other`, MEET_MS, async () => {
      const views = await Promise.all(this.daemons.map(countAlive))
      return views.every(seen => seen === count)
    })
  }

  usage(): Usage[] {
    return this.daemons.map(({ child }) => readUsage(child.pid ?? 0))
  }

  /** Bytes that loopback has sent, headers included. */
  loopbackBytes(): number {
    const pid = this.daemons[0]?.child.pid ?? 0
    const line = /^\s*lo:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/net/dev`, 'utf8'))?.[1] ?? ''
    return Number(line.split(/\s+/)[8])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.daemons) child.kill('SIGKILL')
    await Promise.all(this.daemons.map(async ({ child }) => await ended(child)))
    this.#network?.kill('SIGKILL')
    rmSync(this.#root, { recursive: true, force: true })
  }

  #startDaemon(number: number, token?: string): BenchDaemon {
    const dir = join(this.#root, `n${number}`)
    const options = {
      '--name': `n${number}`,
      '--data': dir,
      '--advertise': `127.0.0.${number}`,
      '--port': String(17_400 + number),
      '--api-port': String(18_400 + number),
      '--dns-port': String(19_400 + number),
      '--docker': 'none',
      ...(token === undefined ? {} : { '--join': token }),
    }
    const pid = this.#network?.pid
    const within = pid === undefined ? [] : ['nsenter', '-t', String(pid), '-n']
    const [file = '', ...args] = [...within, SHOAL, 'up', ...Object.entries(options).flat()]
    const log = openSync(`${dir}.log`, 'w')
    const child = spawn(file, args, { stdio: ['ignore', log, log] })
    closeSync(log)
    const daemon = { child, dir, client: new Client({ data: dir }) }
    this.daemons.push(daemon)
    return daemon
  }
}

/** A process that keeps a network namespace whose loopback is up. */
function holdNetwork(): ChildProcess {
  const script = 'ip link set lo up && exec sleep infinity'
  return spawn('unshare', ['-n', 'sh', '-c', script], { stdio: 'ignore' })
}

async function countAlive({ child, dir, client }: BenchDaemon): Promise<number> {
  if (child.exitCode !== null) {
    const words = readFileSync(`${dir}.log`, 'utf8').trim().split('\n').slice(-3).join('\n')
    throw new Error(`A daemon ended with ${child.exitCode}:\n${words}`)
  }
  try {
    return (await client.get<StatusAnswer>('/v1/status')).nodes.alive
  } catch {
    // Not listening yet, or too busy to answer: ask again, until the deadline of the caller.
    return 0
  }
}

function readUsage(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return {
    rssMB: (Number(/^Rss:\s+(\d+) kB$/m.exec(memory)?.[1]) * 1024) / 1e6,
    pssMB: (Number(/^Pss:\s+(\d+) kB$/m.exec(memory)?.[1]) * 1024) / 1e6,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise(resolve => child.once('exit', resolve))
}
