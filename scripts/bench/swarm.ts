import type { TestHost } from '../testbed/test-host.ts'
import { runCommand, type CommandResult } from '../testbed/run-command.ts'
import { until } from '../testbed/process-table.ts'
import { mustAsk } from '../testbed/engine-api.ts'
import { awaitGone } from './engine-watch.ts'

/** The label that Swarm gives the containers of a service. */
export const swarmLabel = (service: string): string => `com.docker.swarm.service.name=${service}`

/** A network over all hosts, in which services find each other by name. */
const NETWORK = 'bench'
const COMMAND_MS = 120_000

/** A Docker Swarm on the hosts of a test bed, all of them managers, used by its command line as its users do. */
export class Swarm implements AsyncDisposable {
  readonly #hosts: readonly TestHost[]
  /** A container on each host that asks the engine's DNS server, as any service of the network would. */
  readonly #askers = new Map<number, number>()

  private constructor(hosts: readonly TestHost[]) {
    this.#hosts = hosts
  }

  /** Makes the swarm, its network, and on each host a container of that network. */
  static async start(hosts: readonly TestHost[]): Promise<Swarm> {
    const [first, ...others] = hosts
    if (first === undefined) throw new RangeError('Cannot make a swarm of no hosts')
    const swarm = new Swarm(hosts)
    await docker(first, 'swarm', 'init', '--advertise-addr', first.address)
    const token = (await docker(first, 'swarm', 'join-token', '-q', 'manager')).trim()
    for (const host of others) {
      // oxlint-disable-next-line eslint/no-await-in-loop -- two managers that join at once disturb each other
      await docker(
        host,
        'swarm',
        'join',
        '--advertise-addr',
        host.address,
        '--token',
        token,
        first.address,
      )
    }
    await swarm.untilWhole()
    await docker(first, 'network', 'create', '-d', 'overlay', '--attachable', NETWORK)
    for (const host of hosts) {
      const run = ['run', '-d', `--network=${NETWORK}`, 'hello_world:latest', 'sleep', '100000']
      // oxlint-disable-next-line eslint/no-await-in-loop -- the network is brought to one host after the other
      const id = (await docker(host, ...run)).trim()
      const inspected = await mustAsk(host.dockerSocket ?? '', {
        method: 'GET',
        path: `/containers/${id}/json`,
      })
      const { State } = JSON.parse(inspected) as { readonly State: { readonly Pid: number } }
      swarm.#askers.set(host.number, State.Pid)
    }
    return swarm
  }

  /** Waits until a manager on each host sees all of them ready and reachable. */
  async untilWhole(): Promise<void> {
    await until('the swarm is whole', 120_000, async () => {
      const views = await Promise.all(
        this.#hosts.map(async host => {
          const format = '{{.Status}} {{.ManagerStatus}}'
          const { stdout } = await tryDocker(host, 'node', 'ls', '--format', format)
          return stdout.trim().split('\n')
        }),
      )
      return views.every(
        lines =>
          lines.length === this.#hosts.length &&
          lines.every(line => /^Ready (Leader|Reachable)$/.test(line)),
      )
    })
  }

  /** Asks for a service, and does not wait for it. Each task publishes its port on its host, as Shoal's do. */
  async create(
    service: string,
    replicas: number,
    { isNamed }: { readonly isNamed: boolean },
  ): Promise<void> {
    // Names of tasks, because there is no IPVS for virtual addresses where we test.
    const network = isNamed ? ['--network', NETWORK, '--endpoint-mode', 'dnsrr'] : []
    const options = ['--no-resolve-image', '-d', '--replicas', String(replicas)]
    const ports = ['--publish', 'mode=host,target=9001']
    const argv = ['service', 'create', '--name', service, ...options, ...network, ...ports]
    await docker(this.#hosts[0]!, ...argv, 'hello_world:latest')
  }

  /** Removes a service, and waits until none of its containers is left. */
  async remove(service: string): Promise<void> {
    await docker(this.#hosts[0]!, 'service', 'rm', service)
    await awaitGone(this.#hosts, swarmLabel(service))
  }

  /** The addresses that a service's name has for a container on a host, sorted. */
  async resolve(host: TestHost, service: string): Promise<string[]> {
    const pid = String(this.#askers.get(host.number))
    const lookUp = ['busybox', 'nslookup', '-type=a', `tasks.${service}.`, '127.0.0.11']
    const { stdout } = await runCommand(['nsenter', '-t', pid, '-n', ...lookUp])
    const found = [...stdout.matchAll(/^Address:\s*([\d.]+)$/gm)]
    // The server's own has a port behind it.
    return found.map(([, address = '']) => address).toSorted()
  }

  /** Every host leaves; the network and the askers go. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.#hosts) {
      const running = await tryDocker(host, 'ps', '-aq')
      const ids = running.stdout.trim().split('\n').filter(Boolean)
      if (ids.length > 0) await tryDocker(host, 'rm', '-f', ...ids)
    }
    for (const host of this.#hosts) await docker(host, 'swarm', 'leave', '--force')
    for (const host of this.#hosts) await tryDocker(host, 'system', 'prune', '-f')
  }
}

async function tryDocker(host: TestHost, ...args: readonly string[]): Promise<CommandResult> {
  const argv = ['docker', '-H', `unix://${host.dockerSocket}`, ...args]
  return await host.exec(argv, { timeoutMs: COMMAND_MS })
}

async function docker(host: TestHost, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await tryDocker(host, ...args)
  if (code !== 0) throw new Error(`docker ${args.join(' ')}: ${stderr.trim()}`)
  return stdout
}
