/** What the tests of the watchdog share: folders, daemons to kill, and waiting for what must come. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { isAlive } from '../../src/runtime/process-identity.ts'
import { startProcessRuntime } from '../../src/runtime/process-runtime.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import { findHolder, type Holder } from '../../src/runtime/watchdog-lock.ts'
import type { Order } from '../../src/runtime/watchdog-orders.ts'
import { startWatchdog, type Watchdog } from '../../src/runtime/watchdog.ts'
import type { Launch } from '../../src/runtime/runtime.ts'
import type { Said, Told } from './watchdog-daemon.ts'

/** A clock that all processes of the machine share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}

/** A data folder that is gone at the end of the test, with its watchdog. */
export function dataDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-watchdog-'))
  t.teardown(() => {
    const holder = holderIn(dir)
    if (holder !== undefined) process.kill(holder.pid, 'SIGKILL')
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  return dir
}

/** The watchdog of a data folder that runs now. */
export function holderIn(dir: string): Holder | undefined {
  const folder = join(dir, 'watchdog')
  return existsSync(folder) ? findHolder(folder) : undefined
}

/** What the watchdog of a data folder wrote in its log. */
export function logIn(dir: string): string {
  const path = join(dir, 'watchdog', 'log')
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

/** Opens the parent's side for a data folder, until the end of the test. */
export async function openWatchdog(
  t: Test,
  dir: string,
  more: { readonly dockerSocket?: string; readonly log?: (message: string) => void } = {},
): Promise<Watchdog> {
  const watchdog = await startWatchdog({
    dataDir: dir,
    cluster: 'c',
    processDir: join(dir, 'processes'),
    now: monotonicMs,
    log: () => undefined,
    ...more,
  })
  t.teardown(() => watchdog.close())
  return watchdog
}

/** Opens the process runtime of a data folder; its tasks end with the test. */
export async function openProcesses(t: Test, dir: string, cluster = 'c'): Promise<Runtime> {
  const runtime = await startProcessRuntime({ dir: join(dir, 'processes'), cluster })
  t.teardown(async () => {
    for (const { task } of await runtime.list()) await runtime.stop(task, { graceMs: 0 })
    await runtime.close()
  })
  return runtime
}

/** The order that a launch is to end in so many milliseconds. */
export function orderOf(launch: Launch, inMs: number, more: Partial<Order> = {}): Order {
  const { task, slot, spec } = launch
  const stopAtMs = monotonicMs() + inMs
  const runtime = spec.image === undefined ? 'process' : 'docker'
  return { task, slot, runtime, token: 1, untilMs: stopAtMs, stopAtMs, graceMs: 2_000, ...more }
}

/** Starts a daemon with one task, in a process group of its own. `kill` kills that group. */
export async function startDaemon(
  t: Test,
  told: Told,
): Promise<Said & { readonly pid: number; kill(): Promise<void> }> {
  const script = fileURLToPath(new URL('watchdog-daemon.ts', import.meta.url))
  const daemon = spawn(process.execPath, [script, JSON.stringify(told)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  const kill = async (): Promise<void> => {
    if (daemon.exitCode !== null || daemon.signalCode !== null) return
    process.kill(-daemon.pid!, 'SIGKILL')
    await once(daemon, 'exit')
  }
  t.teardown(kill)
  const signal = AbortSignal.timeout(40_000)
  const [said] = (await once(daemon.stdout, 'data', { signal })) as [Buffer]
  return { ...(JSON.parse(String(said)) as Said), pid: daemon.pid!, kill }
}

/** Looks every 5 ms until `look` gives something, and gives that with the time. */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  deadlineMs = 20_000,
): Promise<{ readonly found: T; readonly atMs: number }> {
  const late = monotonicMs() + deadlineMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return { found, atMs: monotonicMs() }
    if (monotonicMs() > late) throw new Error(`${what}: not within ${deadlineMs} ms`)
    await wait(5)
  }
}

/** Waits for the end of a data folder's watchdog. */
export async function gone(holder: Holder): Promise<void> {
  await until(`process ${holder.pid} is gone`, () => (isAlive(holder) ? undefined : true))
}

/** Lets time pass: for what must *not* happen meanwhile. */
export async function passUntil(atMs: number): Promise<void> {
  await wait(Math.max(0, atMs - monotonicMs()))
}
