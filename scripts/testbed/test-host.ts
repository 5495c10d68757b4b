import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bedNames } from './bed-state.ts'
import { enginePaths } from './engine.ts'
import { loadHelloImage } from './hello-image.ts'
import { enter } from './network.ts'
import {
  mustRun,
  runCommand,
  startDetached,
  TOOL_PATH,
  type CommandOptions,
  type CommandResult,
} from './run-command.ts'
import { isRunning, signalProcess, until, type ProcessRef } from './process-table.ts'

/** What a host is told by its bed. */
export interface TestHostOptions {
  /** Whether it has a Docker engine. */
  readonly docker: boolean
  /** The Shoal daemon it runs already, in a bed that another process made. */
  readonly daemon: ProcessRef | undefined
  /** Writes a new daemon down, so that it is found after a crash. */
  readonly record: (daemon: ProcessRef) => void
}

/** One machine of a test bed: what can be done on it. What can be done to it, the bed does. */
export class TestHost {
  /** From 1; `eth0` of host 2 of bed 0 is 10.77.0.12. */
  readonly number: number
  readonly address: string
  /** Name of its network namespace. */
  readonly namespace: string
  /** Folder of its own on the real machine, removed with the bed. */
  readonly dir: string
  /** Socket of its Docker engine; undefined in a bed without Docker. */
  readonly dockerSocket: string | undefined
  /** Data folder of its Shoal daemon. */
  readonly dataDir: string
  /** The command line of this checkout. */
  readonly shoalPath = join(import.meta.dirname, '../../bin/shoal')
  /** Where its Shoal daemon's output goes. */
  readonly logFile: string

  private current: ProcessRef | undefined
  private readonly record: (daemon: ProcessRef) => void

  constructor(bed: number, number: number, { docker, daemon, record }: TestHostOptions) {
    const names = bedNames(bed).host(number)
    this.number = number
    this.address = names.address
    this.namespace = names.namespace
    this.dir = names.dir
    this.dockerSocket = docker ? enginePaths(bed, number).socket : undefined
    this.dataDir = join(names.dir, 'shoal')
    this.logFile = join(names.dir, 'shoal.log')
    this.current = daemon
    this.record = record
    mkdirSync(names.dir, { recursive: true, mode: 0o700 })
  }

  /** Runs a command in the host's network, to its end; a non-zero exit is an answer, not an error. */
  async exec(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return await runCommand(enter(this.namespace, argv), options)
  }

  /** {@link exec} that throws what the command complained of, and gives its output. */
  async mustExec(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    return await mustRun(enter(this.namespace, argv), options)
  }

  /** Starts a command in the host's network with its pipes open; the bed kills it if nobody did. */
  spawn(argv: readonly string[]): ChildProcess {
    const [file = '', ...args] = enter(this.namespace, argv)
    return spawn(file, args, { env: { ...process.env, PATH: TOOL_PATH } })
  }

  /** Runs Shoal's command line against this host's daemon. */
  async shoal(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const env = { ...options.env, SHOAL_DATA: this.dataDir }
    return await this.exec([this.shoalPath, ...args], { timeoutMs: 30_000, ...options, env })
  }

  /** Puts the hello image into this host's engine, under this name. */
  async loadImage(name = 'hello_world:latest'): Promise<void> {
    if (this.dockerSocket === undefined) throw new Error('Cannot load an image: no Docker here')
    await loadHelloImage([this.dockerSocket], name)
  }

  /** Its Shoal daemon as last started, running or not. */
  get daemon(): ProcessRef | undefined {
    return this.current
  }

  /** Whether its Shoal daemon runs (a frozen one does). */
  isDaemonRunning(): boolean {
    return this.current !== undefined && isRunning(this.current)
  }

  /** The last lines that its Shoal daemon printed. */
  readLog(lines: number): string {
    if (!existsSync(this.logFile)) return ''
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  }

  /**
   * Starts the host's Shoal daemon with these options besides its name, folder, engine and, unless another is given, address.
   * It returns at once: ask with {@link shoal} for what you wait for.
   */
  startDaemon(args: readonly string[] = []): void {
    if (this.isDaemonRunning()) {
      throw new Error(`Host ${this.number} runs a daemon already`)
    }
    const advertise = args.includes('--advertise') ? [] : ['--advertise', this.address]
    const fixed = ['--name', `h${this.number}`, '--data', this.dataDir, ...advertise]
    const docker = ['--docker', this.dockerSocket ?? 'none']
    const argv = enter(this.namespace, [this.shoalPath, 'up', ...fixed, ...docker, ...args])
    this.current = startDetached(argv, this.logFile)
    this.record(this.current)
  }

  /** Signals the host's daemon and waits until it has ended, 20 s at most. */
  async killDaemon(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const daemon = this.current
    if (daemon === undefined) throw new Error(`Host ${this.number} runs no daemon`)
    signalProcess(daemon, signal)
    const what = `the daemon of host ${this.number} ends after ${signal}`
    await until(what, 20_000, async () => !isRunning(daemon))
  }
}
