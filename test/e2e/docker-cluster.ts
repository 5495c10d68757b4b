import { isDeepStrictEqual } from 'node:util'
import type { Test } from 'tap'
import type { ApplyAnswer, NodeLine, StatusAnswer, TaskLine } from '../../src/api/shapes.ts'
import { listContainers, type Container } from '../../scripts/testbed/containers.ts'
import { mustAsk } from '../../scripts/testbed/engine-api.ts'
import { formCluster } from '../../scripts/testbed/form-cluster.ts'
import { missingForTestbed } from '../../scripts/testbed/requirements.ts'
import type { CommandResult } from '../../scripts/testbed/run-command.ts'
import type { TestHost } from '../../scripts/testbed/test-host.ts'
import { createTestbed, type Testbed } from '../../scripts/testbed/testbed.ts'
import { askDaemon, eventually, tryApply } from '../../scripts/testbed/host-daemon.ts'

/** Options of a test that needs Docker hosts: where there can be none, it is skipped and says why. */
export function onDockerHosts(): { readonly skip?: string } {
  const missing = missingForTestbed({ docker: true, clients: true })
  return missing === undefined ? {} : { skip: missing }
}

/** A whole cluster on three hosts, each with its own Docker engine and daemon, and the hello image. */
export class DockerCluster {
  readonly bed: Testbed

  private constructor(bed: Testbed) {
    this.bed = bed
  }

  /** Makes the hosts and the cluster; all is removed when the test ends. */
  static async start(t: Test): Promise<DockerCluster> {
    const bed = await createTestbed({ hosts: 3, docker: true })
    if ('unavailable' in bed) throw new Error(bed.unavailable)
    t.teardown(async () => await bed.remove())
    await Promise.all(bed.hosts.map(async host => await host.loadImage()))
    await formCluster(bed.hosts)
    const cluster = new DockerCluster(bed)
    await cluster.untilWhole()
    return cluster
  }

  get hosts(): readonly TestHost[] {
    return this.bed.hosts
  }

  host(number: number): TestHost {
    return this.bed.host(number)
  }

  /** {@link tryApply} that must succeed. */
  async apply(host: TestHost, ...manifests: readonly object[]): Promise<ApplyAnswer> {
    const answer = await tryApply(host, manifests)
    if (answer === undefined) throw new Error(`host ${host.number} took no edit`)
    return answer
  }

  async status(host: TestHost): Promise<StatusAnswer> {
    return await askDaemon(host, '/v1/status')
  }

  async nodes(host: TestHost): Promise<NodeLine[]> {
    return await askDaemon(host, '/v1/nodes')
  }

  /** The slots of an app (or of all) as a host's daemon sees them. */
  async tasks(host: TestHost, app?: string): Promise<TaskLine[]> {
    return await askDaemon(host, `/v1/tasks${app === undefined ? '' : `?app=${app}`}`)
  }

  /** Runs `shoal` on a host, which must succeed; gives what it printed. */
  async shoal(host: TestHost, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr }: CommandResult = await host.shoal(args, { timeoutMs: 60_000 })
    if (code !== 0) throw new Error(`shoal ${args.join(' ')}: exit ${code}: ${stderr}`)
    return stdout + stderr
  }

  /** Every container with a label of ours on these hosts, ended ones too. */
  async containers(hosts: readonly TestHost[] = this.hosts): Promise<Container[]> {
    return (await Promise.all(hosts.map(listContainers))).flat()
  }

  /** What the engine says of one container. */
  async inspect({ host, id }: Pick<Container, 'host' | 'id'>): Promise<Inspected> {
    const socket = this.host(host).dockerSocket ?? ''
    const text = await mustAsk(socket, { method: 'GET', path: `/containers/${id}/json` })
    return JSON.parse(text) as Inspected
  }

  /** Id and start time of each running container: equal before and after means that nobody touched one. */
  async lives(): Promise<Record<string, string>> {
    const running = (await this.containers()).filter(one => one.running)
    const pairs = await Promise.all(
      running.map(async one => {
        const { StartedAt, Pid } = (await this.inspect(one)).State
        return [one.task, `host ${one.host} ${one.id} ${StartedAt} pid ${Pid}`] as const
      }),
    )
    return Object.fromEntries(pairs)
  }

  /** Waits until every daemon sees all three nodes alive, each with its Docker engine. */
  async untilWhole(): Promise<void> {
    await eventually('every node sees three with Docker', 40_000, async () => {
      const views = await Promise.all(this.hosts.map(async host => await this.nodes(host)))
      const bad = views.flat().filter(node => node.verdict !== 'alive' || !node.docker)
      return bad.length > 0 || views.some(view => view.length !== 3) ? views : undefined
    })
  }

  /**
   * Waits until an app is as it should be on these hosts: their daemons agree on the slots, each
   * runs once and serves, and their engines run exactly those containers of it. Gives the slots.
   */
  async untilSettled(
    app: string,
    instances: number,
    { hosts = this.hosts, timeoutMs = 60_000, revision }: SettleOptions = {},
  ): Promise<TaskLine[]> {
    let settled: TaskLine[] = []
    await eventually(`${app} runs ${instances} times`, timeoutMs, async () => {
      const views = await Promise.all(hosts.map(async host => await this.tasks(host, app)))
      const containers = (await this.containers(hosts)).filter(one => isOf(app, one.slot))
      const running = containers.filter(one => one.running).map(({ task }) => task)
      settled = views[0] ?? []
      const isRight =
        settled.length === instances &&
        new Set(settled.map(({ slot }) => slot)).size === instances &&
        settled.every(({ state, health }) => state === 'running' && isFine(health)) &&
        settled.every(task => revision === undefined || task.revision === revision) &&
        views.every(view => isDeepStrictEqual(tasksOf(view), tasksOf(settled))) &&
        isDeepStrictEqual(running.toSorted(), tasksOf(settled))
      return isRight ? undefined : { views: views.map(brief), containers }
    })
    return settled
  }

  /** Removes an app and waits until no host has anything left of it, not even an ended container. */
  async remove(app: string): Promise<void> {
    await this.shoal(this.host(1), 'rm', app)
    await eventually(`nothing is left of ${app}`, 30_000, async () => {
      const left = (await this.containers()).filter(({ slot }) => isOf(app, slot))
      return left.length === 0 ? undefined : left
    })
  }

  /** Kills a daemon hard (or asks it to end), starts it again, and waits until it answers. */
  async restart(host: TestHost, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await host.killDaemon(signal)
    host.startDaemon()
    await eventually(`the daemon of host ${host.number} answers`, 30_000, async () => {
      if (!host.isDaemonRunning()) return host.readLog(10)
      await this.status(host)
      return undefined
    })
  }
}

/** What {@link DockerCluster.untilSettled} looks at, and for how long. */
export interface SettleOptions {
  readonly hosts?: readonly TestHost[]
  /** @default 60000 ms */
  readonly timeoutMs?: number
  /** The revision that all are at in the end. @default any: amid a rollout an app may look settled between two slots */
  readonly revision?: string
}

/** The part of the engine's answer that the tests read. */
export interface Inspected {
  readonly State: { readonly StartedAt: string; readonly Pid: number }
  readonly Config: { readonly Env: readonly string[] }
  readonly HostConfig: {
    readonly Memory: number
    readonly CpuShares: number
    readonly NetworkMode: string
    readonly Dns?: readonly string[]
    readonly DnsSearch?: readonly string[]
    readonly RestartPolicy: { readonly Name: string }
  }
  readonly NetworkSettings: {
    readonly Ports: Readonly<Record<string, readonly { readonly HostPort: string }[] | null>>
  }
  readonly Mounts: readonly { readonly Destination: string; readonly RW: boolean }[]
}

function isOf(app: string, slot: string): boolean {
  return slot.slice(0, slot.lastIndexOf('.')) === app
}

function isFine(health: TaskLine['health']): boolean {
  return health === 'healthy' || health === 'none'
}

function tasksOf(lines: readonly TaskLine[]): string[] {
  return lines.map(({ task = '' }) => task).toSorted()
}

function brief(lines: readonly TaskLine[]): string[] {
  return lines.map(
    ({ slot, task, node, state, health, message }) =>
      `${slot} ${task ?? '-'} on ${node}: ${state} ${health} ${message}`,
  )
}
