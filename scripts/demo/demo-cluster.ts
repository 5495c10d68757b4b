import { spawn, type ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StatusAnswer, TaskLine } from '../../src/api/shapes.ts'
import { mustAsk } from '../testbed/engine-api.ts'
import { mustRun } from '../testbed/run-command.ts'
import { lookUp, type Instance, type Server } from './client.ts'
import { childrenOf } from './kill-with-tasks.ts'
import { say } from './say.ts'

const SHOAL = join(import.meta.dirname, '../../bin/shoal')
const START_MS = 30_000
const POLL_MS = 100

interface Member {
  readonly name: string
  readonly address: string
  readonly dir: string
  child?: ChildProcess
  node?: string
  dnsPort?: number
}

/** Three daemons of one machine, in a temporary folder. */
export class DemoCluster {
  readonly #root: string
  readonly #members: readonly Member[]
  #engine: string | undefined
  #isClosed = false

  private constructor(root: string, addresses: readonly string[]) {
    this.#root = root
    this.#members = addresses.map((address, index) => ({
      name: `node-${index + 1}`,
      address,
      dir: join(root, `node-${index + 1}`),
    }))
  }

  /** Prepares a cluster on 127.0.0.1 to 127.0.0.3, or on ports of 127.0.0.1 where a system has no more addresses. */
  static async create(): Promise<DemoCluster> {
    const wanted = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
    const has = await Promise.all(wanted.map(canBind))
    const addresses = has.every(Boolean) ? wanted : wanted.map(() => '127.0.0.1')
    return new DemoCluster(mkdtempSync(join(tmpdir(), 'shoal-demo-')), addresses)
  }

  /** Starts the three, and waits until each sees all. */
  async start(docker: string): Promise<void> {
    this.#engine = docker === 'none' ? undefined : docker
    await this.#startOne(0, docker, [])
    const token = (await this.shoal(0, ['token', 'create'])).trim()
    await Promise.all(
      [1, 2].map(async index => await this.#startOne(index, docker, ['--join', token])),
    )
    await until(START_MS, 'the three daemons see each other', async () => {
      const seen = await Promise.all([0, 1, 2].map(async index => await this.#status(index)))
      const isReady =
        docker === 'none' || (await this.shoal(0, ['node', 'ls'])).match(/yes/g)?.length === 3
      return isReady && seen.every(({ nodes }) => nodes.alive === 3)
    })
  }

  /** Starts a daemon that died again, in the folder that it had. */
  async restart(index: number): Promise<void> {
    rmSync(`${this.#at(index).dir}.log`)
    await this.#startOne(index, this.#engine ?? 'none', [])
  }

  /** Runs a command of the command line against one of the daemons; its whole output. */
  async shoal(index: number, args: readonly string[]): Promise<string> {
    return await mustRun([SHOAL, '--data', this.#at(index).dir, ...args], { timeoutMs: 60_000 })
  }

  nameOf(index: number): string {
    return this.#at(index).name
  }

  nodeOf(index: number): string {
    return this.#at(index).node ?? ''
  }

  pidOf(index: number): number {
    return this.#at(index).child?.pid ?? 0
  }

  dnsOf(index: number): Server {
    const { address, dnsPort = 0 } = this.#at(index)
    return { address, port: dnsPort }
  }

  /** A daemon that runs a task of the app, and the two others. */
  async pickVictim(app: string): Promise<{ victim: number; others: number[] }> {
    const [task] = await this.#tasks(0, app)
    const victim = this.#members.findIndex(({ name }) => name === task?.node)
    if (victim === -1) throw new Error(`no node runs ${app}`)
    return { victim, others: [0, 1, 2].filter(index => index !== victim) }
  }

  /** Waits until every slot of the app serves, on other nodes than `gone`. */
  async untilServing(index: number, app: string, gone: string, timeoutMs: number): Promise<void> {
    await until(timeoutMs, `every slot of ${app} serves on the survivors`, async () => {
      const tasks = await this.#tasks(index, app)
      return tasks.every(
        ({ node, state, health }) =>
          node !== gone && state === 'running' && (health === 'healthy' || health === 'none'),
      )
    })
  }

  /** Waits until DNS of all these nodes answers with instances of living nodes only, as many as there are slots. */
  async untilResolved(
    indexes: readonly number[],
    app: string,
    timeoutMs: number,
  ): Promise<Instance[]> {
    const [first = 0] = indexes
    // A slot that moves runs twice for a moment.
    const slots = new Set((await this.#tasks(first, app)).map(({ slot }) => slot)).size
    const alive = new Set(indexes.map(index => this.#at(index).address))
    let found: Instance[] = []
    const told = (): string =>
      `DNS has every slot of ${app} on every survivor (now: ${found.map(({ line }) => line).join('; ')})`
    await until(timeoutMs, told, async () => {
      const answers = await Promise.all(
        indexes.map(async index => await lookUp(this.dnsOf(index), app)),
      )
      found = answers[0] ?? []
      return answers.every(
        answer => answer.length === slots && answer.every(({ address }) => alive.has(address)),
      )
    })
    return found
  }

  /** Says how to play with a cluster that is kept. */
  explain(app: string): void {
    say(`\nThe cluster is up in ${this.#root}. Try:`)
    for (const { dir } of this.#members.slice(0, 1)) say(`  export SHOAL_DATA=${dir}`)
    say('  bin/shoal status; bin/shoal ps; bin/shoal events -f')
    say(`  bin/shoal scale ${app}=5; bin/shoal why ${app}`)
    const { address, port } = this.dnsOf(0)
    say(`  dig @${address} -p ${port} _${app}._tcp.shoal SRV`)
    const pids = this.#members.flatMap(({ child }) => (child?.pid === undefined ? [] : [child.pid]))
    say(`To end it: bin/shoal rm ${app}; then kill ${pids.join(' ')}; rm -r ${this.#root}`)
  }

  /** Lets the daemons live on without this process. */
  release(): void {
    for (const { child } of this.#members) child?.unref()
  }

  /** Ends every daemon and every task, and removes the folder. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await Promise.all(this.#members.map(async member => await endMember(member)))
    if (this.#engine !== undefined) await this.#removeContainers(this.#engine)
    rmSync(this.#root, { recursive: true, force: true })
  }

  async #startOne(index: number, docker: string, more: readonly string[]): Promise<void> {
    const member = this.#at(index)
    const log = `${member.dir}.log`
    const output = openSync(log, 'a', 0o600)
    const { name, address, dir } = member
    const args = ['up', '--data', dir, '--name', name, '--advertise', address, '--docker', docker]
    const ports = ['--port', '0', '--api-port', '0', '--dns-port', '0', '--no-mdns']
    const child = spawn(SHOAL, [...args, ...ports, ...more], {
      stdio: ['ignore', output, output],
      detached: true,
    })
    closeSync(output)
    member.child = child
    await until(START_MS, `${name} is up`, async () => {
      if (child.exitCode !== null)
        throw new Error(`${name} ended: ${readFileSync(log, 'utf8').trim()}`)
      return readFileSync(log, 'utf8').includes('"msg":"up"')
    })
    const status = await this.#status(index)
    member.node = status.node
    member.dnsPort = status.dns.port
  }

  async #status(index: number): Promise<StatusAnswer> {
    return JSON.parse(await this.shoal(index, ['status', '--json'])) as StatusAnswer
  }

  async #tasks(index: number, app: string): Promise<TaskLine[]> {
    return JSON.parse(await this.shoal(index, ['ps', app, '--json'])) as TaskLine[]
  }

  async #removeContainers(engine: string): Promise<void> {
    for (const { node } of this.#members) {
      if (node === undefined) continue
      const filters = encodeURIComponent(JSON.stringify({ label: [`shoal.node=${node}`] }))
      const path = `/containers/json?all=1&filters=${filters}`
      const containers = JSON.parse(await mustAsk(engine, { method: 'GET', path })) as {
        Id: string
      }[]
      for (const { Id } of containers) {
        await mustAsk(engine, {
          method: 'DELETE',
          path: `/containers/${Id}?force=1`,
          timeoutMs: 20_000,
        })
      }
    }
  }

  #at(index: number): Member {
    const member = this.#members[index]
    if (member === undefined) throw new RangeError(`There is no daemon ${index}`)
    return member
  }
}

/** Ends a daemon at once, with its tasks: a demo leaves nothing running. */
async function endMember({ child, dir }: Member): Promise<void> {
  if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    const tasks = childrenOf(child.pid)
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    for (const task of tasks) killGroup(task)
  }
  for (const task of taskGroups(dir)) killGroup(task)
}

/** Tasks that outlived their daemon, by the environment that the process runtime gave them. */
function taskGroups(dir: string): number[] {
  return childrenOf(1).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`SHOAL_TASK_DIR=${dir}`)
    } catch {
      return false // It ended, or is another user's: not ours in either case.
    }
  })
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** Polls until `holds` is true. Throws with what was waited for. */
async function until(
  timeoutMs: number,
  what: string | (() => string),
  holds: () => Promise<boolean>,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  while (!(await holds())) {
    if (performance.now() > deadlineMs) {
      throw new Error(
        `${typeof what === 'string' ? what : what()}: not within ${timeoutMs / 1000} s`,
      )
    }
    await sleep(POLL_MS)
  }
}

async function canBind(address: string): Promise<boolean> {
  const socket = createSocket('udp4')
  try {
    socket.bind(0, address)
    await once(socket, 'listening')
    return true
  } catch {
    return false // macOS has only 127.0.0.1 of the loopback range.
  } finally {
    socket.close()
  }
}
