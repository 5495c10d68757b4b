/**
 * Real daemons on 127.0.0.1 to 127.0.0.3, each a process of its own that is started
 * from `bin/shoal` and talked to as a user would: by command line, API and DNS.
 *
 * @module
 */

import { spawn, type ChildProcess } from 'node:child_process'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { NodeLine, StatusAnswer, TaskLine } from '../../src/api/shapes.ts'
import { Client } from '../../src/cli/client.ts'
import { query } from '../../src/dns/query.ts'
import { TYPE } from '../../src/dns/records.ts'
import { findHolder } from '../../src/runtime/watchdog-lock.ts'

const SHOAL = join(import.meta.dirname, '../../bin/shoal')

/** A daemon of a busy machine is up within this. */
const START_MS = 40_000

/** What every condition may take, on a machine that runs other tests, too. */
export const DEADLINE_MS = 30_000

const POLL_MS = 50

/** How long a client keeps an answer of DNS: nearly the records' second. */
const KEEP_MS = 900

/** How a test file is ended early: by a person, by the runner, by tap's own clock. */
const DEADLY = ['SIGINT', 'SIGTERM', 'SIGALRM'] as const

/** What a command left behind. */
export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** What the hello app of {@link helloApp} answers over HTTP. */
export interface Hello {
  readonly pid: number
  readonly slot: string
  readonly word: string
}

/** The ports and the cluster that a daemon tells when it is up. */
interface Up {
  readonly cluster: string
  readonly ports: { readonly api: number; readonly gossip: number; readonly dns: number }
}

/** A daemon that can be started, killed and started again. */
export class Daemon {
  readonly name: string
  readonly address: string
  readonly dir: string
  readonly api: Client
  /** What it logged, oldest first. */
  readonly log: string[] = []
  #child: ChildProcess | undefined
  #exited: Promise<unknown> = Promise.resolve()
  #up: Up | undefined

  constructor(name: string, address: string, dir: string) {
    this.name = name
    this.address = address
    this.dir = dir
    this.api = new Client({ data: dir })
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`${this.name} does not run`)
    return this.#child.pid
  }

  get ports(): Up['ports'] {
    if (this.#up === undefined) throw new Error(`${this.name} was never up`)
    return this.#up.ports
  }

  get cluster(): string {
    return this.#up?.cluster ?? ''
  }

  get isRunning(): boolean {
    return this.#child?.pid !== undefined && this.#child.exitCode === null && !this.#isSignalled
  }

  get #isSignalled(): boolean {
    return typeof this.#child?.signalCode === 'string'
  }

  /** Starts it, and waits until it says that it is up. */
  async start(...more: readonly string[]): Promise<void> {
    await this.begin(...more)
    const log = this.log
    const up = await until(`${this.name} is up`, START_MS, () => {
      if (!this.isRunning) throw new Error(`${this.name} ended: ${log.slice(-5).join('\n')}`)
      const line = log.find(one => one.includes('"msg":"up"'))
      return line === undefined ? undefined : (JSON.parse(line) as Up)
    })
    this.#up = up
  }

  /** Starts it without waiting for anything but the process. */
  async begin(...more: readonly string[]): Promise<void> {
    if (this.isRunning) throw new Error(`${this.name} runs already`)
    this.log.length = 0
    const { name, address, dir } = this
    const args = [
      'up',
      '--data',
      dir,
      '--name',
      name,
      '--advertise',
      address,
      '--docker',
      'none',
      '--dns-forward',
      'none',
    ]
    // As everywhere, it is found where it was: others that are killed before they met it would never find it elsewhere.
    const port = String(this.#up?.ports.gossip ?? 0)
    const ports = ['--port', port, '--api-port', '0', '--dns-port', '0', '--no-mdns']
    const child = spawn(SHOAL, [...args, ...ports, ...more], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = child
    this.#exited = once(child, 'exit')
    createInterface({ input: child.stderr }).on('line', line => void this.log.push(line))
    await once(child, 'spawn')
  }

  /** Ends it by a signal, and waits until it is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#child?.kill(signal)
    await this.exited()
  }

  /** Ends it at once and without a chance to wait: for the end of a test. */
  killNow(): void {
    if (this.isRunning) this.#child?.kill('SIGKILL')
  }

  /** Waits until it ended by itself; its exit code. */
  async exited(): Promise<number | null> {
    await this.#exited
    return this.#child?.exitCode ?? null
  }

  /** Runs a command of the command line against this daemon. */
  async shoal(...args: readonly string[]): Promise<Ran> {
    return await shoal(['--data', this.dir, ...args])
  }

  /** Runs a command that must work; what it printed. */
  async must(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.shoal(...args)
    if (status !== 0) throw new Error(`shoal ${args.join(' ')} exited with ${status}: ${stderr}`)
    return stdout
  }

  /** A real DNS client of this daemon. */
  resolver(): Resolver {
    const resolver = new Resolver({ timeout: 2_000, tries: 2 })
    resolver.setServers([`${this.address}:${this.ports.dns}`])
    return resolver
  }

  async status(): Promise<StatusAnswer> {
    return await this.api.get<StatusAnswer>('/v1/status')
  }

  async nodes(): Promise<NodeLine[]> {
    return await this.api.get<NodeLine[]>('/v1/nodes')
  }

  async tasks(app?: string): Promise<TaskLine[]> {
    return await this.api.get<TaskLine[]>('/v1/tasks', { app })
  }

  /** The tasks of an app once all its slots serve, as this daemon sees it. */
  async serving(app: string, count: number): Promise<TaskLine[]> {
    let seen: TaskLine[] = []
    const what = (): string =>
      `${this.name} sees ${count} serving slots of ${app}, now ${JSON.stringify(seen)}`
    return await until(what, DEADLINE_MS, async () => {
      seen = await this.tasks(app)
      return seen.length === count && seen.every(isServing) ? seen : undefined
    })
  }
}

/** Daemons on loopback in a temporary folder, ended with all their tasks when the test ends. */
export class LoopbackCluster {
  readonly root: string
  readonly daemons: readonly Daemon[]

  private constructor(root: string, daemons: readonly Daemon[]) {
    this.root = root
    this.daemons = daemons
  }

  /** Prepares `count` daemons and starts none: each on an address of its own, or all on that which is given. */
  static prepare(t: Test, count: number, address?: string): LoopbackCluster {
    const root = mkdtempSync(join(tmpdir(), 'shoal-test-'))
    const daemons = Array.from(
      { length: count },
      (_, index) =>
        new Daemon(`n${index + 1}`, address ?? `127.0.0.${index + 1}`, join(root, `n${index + 1}`)),
    )
    const cluster = new LoopbackCluster(root, daemons)
    const onSignal = (): void => {
      cluster.#close()
      process.exit(1)
    }
    for (const signal of DEADLY) process.once(signal, onSignal)
    t.teardown(() => {
      for (const signal of DEADLY) process.removeListener(signal, onSignal)
      cluster.#close()
    })
    return cluster
  }

  /** Starts `count` daemons as one cluster, and waits until each sees all. */
  static async start(t: Test, count: number): Promise<LoopbackCluster> {
    const cluster = LoopbackCluster.prepare(t, count)
    const [first, ...others] = cluster.daemons
    await first!.start()
    if (others.length > 0) {
      const token = (await first!.must('token', 'create')).trim()
      await Promise.all(others.map(async daemon => await daemon.start('--join', token)))
    }
    await cluster.whole()
    return cluster
  }

  /** Waits until each running daemon sees every other as alive. */
  async whole(): Promise<void> {
    const running = this.daemons.filter(({ isRunning }) => isRunning)
    for (const daemon of running) {
      let seen: NodeLine[] = []
      const what = (): string => {
        const told = seen.map(({ name, verdict, address }) => `${name} ${verdict} ${address}`)
        return `${daemon.name} sees ${running.length} nodes alive, now ${told.join(', ')}`
      }
      await until(what, DEADLINE_MS, async () => {
        seen = await daemon.nodes()
        const alive = seen.filter(({ verdict, address }) => verdict === 'alive' && address)
        return alive.length === running.length || undefined
      })
    }
  }

  #close(): void {
    for (const daemon of this.daemons) daemon.killNow()
    // They would end by themselves, but only when the last claim has run out.
    for (const { dir } of this.daemons) {
      const watchdog = findHolder(join(dir, 'watchdog'))
      if (watchdog !== undefined) process.kill(watchdog.pid, 'SIGKILL')
    }
    for (const pid of tasksUnder(this.root)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    }
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Runs the command line. */
export async function shoal(
  args: readonly string[],
  { input = '', env = {} }: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  const child = spawn(SHOAL, args, { env: { ...process.env, ...env } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (piece: Buffer) => void (stdout += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => void (stderr += piece.toString()))
  // A command that fails early reads nothing.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, stdout, stderr }
}

/** Waits until `look` gives something. Throws with what was waited for. */
export async function until<T>(
  what: string | (() => string),
  timeoutMs: number,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadlineMs) {
      throw new Error(
        `${typeof what === 'string' ? what : what()}: not within ${timeoutMs / 1000} s`,
      )
    }
    await sleep(POLL_MS)
  }
}

/** A manifest of an app that answers over HTTP with who it is. */
export function helloApp(id: string, changes: Readonly<Record<string, unknown>> = {}): string {
  const answer =
    'JSON.stringify({ pid: process.pid, slot: process.env.SHOAL_SLOT, word: process.env.WORD ?? "" })'
  const script = `require('http').createServer((request, response) => response.end(${answer})).listen(process.env.PORT0, process.env.HOST)`
  return JSON.stringify({
    id,
    command: ['/bin/sh', '-c', 'exec "$SHOAL_NODE_BIN" -e "$SCRIPT"'],
    env: { SCRIPT: script, WORD: 'hello' },
    instances: 3,
    resources: { cpus: 0.05, memMb: 32 },
    ports: [{ name: 'http' }],
    health: [
      {
        kind: 'http',
        port: 'http',
        grace: '15s',
        interval: '500ms',
        timeout: '2s',
        maxFailures: 5,
      },
    ],
    update: { monitor: '1s' },
    stopGrace: '2s',
    ...changes,
  })
}

/** Fetches what serves at an address. */
export async function hello(address: string, port: number): Promise<Hello> {
  const response = await fetch(`http://${address}:${port}/`, { signal: AbortSignal.timeout(5_000) })
  if (!response.ok) throw new Error(`${address}:${port} answered ${response.status}`)
  return (await response.json()) as Hello
}

/**
 * Calls an app as a client does that keeps answers of DNS as long as it may: asks for the SRV records,
 * with the addresses in the same answer, and calls them until they are out of date. Ends with the
 * signal, or with the first call that fails; gives what it heard.
 */
export async function keepCalling(
  { address: server, ports }: Daemon,
  name: string,
  over: AbortSignal,
): Promise<Hello[]> {
  const heard: Hello[] = []
  while (!over.aborted) {
    const answer = await query(name, TYPE.SRV, { address: server, port: ports.dns })
    const goodUntilMs = performance.now() + KEEP_MS
    const addresses = new Map(
      answer.additionals.flatMap(record =>
        record.type === 'A' ? [[record.name, record.address] as const] : [],
      ),
    )
    const records = answer.answers.filter(record => record.type === 'SRV')
    if (records.length === 0) throw new Error(`${name} has no records`)
    while (performance.now() < goodUntilMs) {
      for (const { target, port } of records) heard.push(await hello(addresses.get(target)!, port))
    }
  }
  return heard
}

/** Which process serves each slot, asked over HTTP. */
export async function pidsOf(tasks: readonly TaskLine[]): Promise<Record<string, number>> {
  const pairs = tasks.map(async ({ slot, address = '', ports }) => {
    const { pid } = await hello(address, ports[0]!.hostPort)
    return [slot, pid] as const
  })
  return Object.fromEntries(
    (await Promise.all(pairs)).toSorted(([one], [other]) => (one < other ? -1 : 1)),
  )
}

/** True for a task that clients are sent to. */
function isServing({ state, health, nodeVerdict }: TaskLine): boolean {
  return (
    state === 'running' && (health === 'healthy' || health === 'none') && nodeVerdict === 'alive'
  )
}

/** All processes that were started as tasks in a folder, by the environment they were given. */
export function tasksUnder(root: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`SHOAL_TASK_DIR=${root}/`)
      } catch {
        return false // It ended, or is another user's: not ours in either case.
      }
    })
}
