import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bedNames } from './bed-state.ts'
import { processesOf } from './cgroups.ts'
import { engineAnswers } from './engine-api.ts'
import { enter } from './network.ts'
import {
  commandOf,
  findProcesses,
  isRunning,
  killAll,
  networkOf,
  signalProcess,
  until,
  type ProcessRef,
} from './process-table.ts'
import { startDetached } from './run-command.ts'

/** How long an engine may take to answer after its start: 3 s when idle, more when ten start at once. */
const START_MS = 60_000
/** How long an engine may take to stop its containers, which get 1 s each, all at once. */
const STOP_MS = 15_000

/** Where a host's engine keeps what. */
export interface EnginePaths {
  readonly dir: string
  readonly socket: string
  readonly log: string
}

/** The paths of the engine of one host. */
export function enginePaths(id: number, host: number): EnginePaths {
  const dir = join(bedNames(id).host(host).dir, 'docker')
  return { dir, socket: join(dir, 'docker.sock'), log: join(dir, 'dockerd.log') }
}

/**
 * Starts the Docker engine of one host, without waiting for it: see {@link awaitEngine}. It gets a
 * mount namespace with its own /run/docker, and a resolv.conf that fails at once, because
 * every look-up of a registry that is not there costs 20 s otherwise.
 */
export function startEngine(id: number, host: number): ProcessRef {
  const { dir, socket, log } = enginePaths(id, host)
  // After a hard kill, a new engine waits in vain for the containerd that this folder names.
  rmSync(join(dir, 'exec'), { recursive: true, force: true })
  rmSync(join(dir, 'pid'), { force: true })
  // What a dying containerd writes for its makers goes with the bed, too.
  const temporary = join(dir, 'tmp')
  mkdirSync(temporary, { recursive: true, mode: 0o700 })
  const resolver = join(dir, 'resolv.conf')
  writeFileSync(resolver, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n')
  const script = [
    'mkdir -p /run/docker',
    'mount -t tmpfs none /run/docker',
    'mount --bind "$1" /etc/resolv.conf',
    'shift',
    'exec dockerd "$@"',
  ].join(' && ')
  const options = [
    `--data-root=${join(dir, 'data')}`,
    `--exec-root=${join(dir, 'exec')}`,
    `--pidfile=${join(dir, 'pid')}`,
    `--host=unix://${socket}`,
    '--exec-opt=native.cgroupdriver=cgroupfs',
    `--cgroup-parent=/${engineCgroup(id, host)}`,
    '--shutdown-timeout=1',
    '--log-level=warn',
  ]
  const argv = ['unshare', '-m', 'sh', '-c', script, 'sh', resolver, ...options]
  return startDetached(enter(bedNames(id).host(host).namespace, argv), log, { TMPDIR: temporary })
}

/** Waits until the engine answers; throws the end of its log if it dies or takes too long. */
export async function awaitEngine(id: number, host: number, engine: ProcessRef): Promise<void> {
  const { socket, log } = enginePaths(id, host)
  try {
    await until('the engine answers', START_MS, async () => {
      if (!isRunning(engine)) throw new Error('it ended')
      return await engineAnswers(socket)
    })
  } catch (cause) {
    const tail = readFileSync(log, 'utf8').trim().split('\n').slice(-5).join('\n')
    throw new Error(`Cannot start Docker on host ${host}: ${String(cause)}\n${tail}`, { cause })
  }
}

/** Stops an engine and its containers, as `systemctl stop docker` does. */
export async function stopEngine(engine: ProcessRef): Promise<void> {
  signalProcess(engine, 'SIGTERM')
  await until('the engine stops', STOP_MS, async () => !isRunning(engine))
}

/**
 * Kills an engine with its containerd, shims and containers, at once: what a power cut leaves.
 * containerd and the shims leave the engine's tree on purpose, and are told by the engine's folder
 * in their arguments; containers are told by their control group.
 */
export async function killEngine(id: number, host: number, engine: ProcessRef): Promise<void> {
  const helpers = `${join(enginePaths(id, host).dir, 'exec')}/`
  const network = networkOf(`/run/netns/${bedNames(id).host(host).namespace}`)
  const group = engineCgroup(id, host)
  await killAll(() => [
    ...[engine].filter(isRunning),
    ...findProcesses(entry => entry.network === network && commandOf(entry.pid).includes(helpers)),
    ...processesOf(group),
  ])
}

function engineCgroup(id: number, host: number): string {
  return `${bedNames(id).cgroup}/h${host}`
}
