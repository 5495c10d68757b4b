/** Starting many tasks over three hosts: the engines' own API, Docker Swarm and Shoal, on the same hosts with the same image. */

import { appSchema } from '../../src/model/app.ts'
import type { RevisionId, SlotId, TaskId } from '../../src/model/ids.ts'
import { containerOptions } from '../../src/runtime/container-options.ts'
import { STARTS_MAX } from '../../src/node/task-runner.ts'
import { quantile } from '../chaos/report.ts'
import { mustAsk } from '../testbed/engine-api.ts'
import { formCluster } from '../testbed/form-cluster.ts'
import { eventually, tryApply } from '../testbed/host-daemon.ts'
import { missingForTestbed } from '../testbed/requirements.ts'
import type { TestHost } from '../testbed/test-host.ts'
import { Testbed } from '../testbed/testbed.ts'
import { awaitGone, StartWatch } from './engine-watch.ts'
import type { BenchRow } from './row.ts'
import { Swarm, swarmLabel } from './swarm.ts'

const SIZES = [30, 100]
const ROUNDS = 5
const DEADLINE_MS = 180_000
const LABEL = 'shoal.app=/many'
const APP = {
  id: '/many',
  image: 'hello_world:latest',
  ports: [{ name: 'http', port: 9001 }],
  resources: { cpus: 0.01, memMb: 8 },
  stopGrace: '1s',
} as const

/**
 * Time from asking until all containers run, by the word of the engines. The raw calls make the same
 * containers as Shoal, with as many at once on each host as Shoal allows itself.
 */
export async function benchDeploy(): Promise<BenchRow[]> {
  const missing = missingForTestbed({ docker: true })
  if (missing !== undefined) {
    process.stderr.write(`deploy: not measured, it ${missing}\n`)
    return []
  }
  await using bed = await Testbed.create({ hosts: 3, docker: true })
  const { hosts } = bed
  await Promise.all(hosts.map(async host => await host.loadImage()))
  const swarm = await runSwarm(bed)
  await formCluster(hosts)
  await eventually('three nodes are there', DEADLINE_MS, async () => {
    const took = await deployShoal(hosts, 3)
    return took > 0 ? undefined : took
  })
  const shoal = await compare(hosts, 'Shoal', async count => await deployShoal(hosts, count))
  return [...swarm, ...shoal]
}

/** Deploys by raw calls and by `who` in turn, so that both have the machine in the same mood. */
async function compare(
  hosts: readonly TestHost[],
  who: string,
  deploy: (count: number) => Promise<number>,
): Promise<BenchRow[]> {
  // Ones that do not count: the first container of an engine costs more than all others.
  await deployRaw(hosts, 3)
  await deploy(3)
  const rows: BenchRow[] = []
  for (const count of SIZES) {
    const raw: number[] = []
    const own: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      // Who goes first meets the engines as the other left them.
      if (round % 2 === 0) raw.push(await deployRaw(hosts, count))
      own.push(await deploy(count))
      if (round % 2 === 1) raw.push(await deployRaw(hosts, count))
      const [rawMs, ownMs] = [raw, own].map(values => Math.round(values.at(-1) ?? Infinity))
      process.stderr.write(`  ${count} tasks: raw calls ${rawMs} ms, ${who} ${ownMs} ms\n`)
    }
    rows.push(
      row(`raw calls, in turn with ${who}, ${count} tasks`, raw),
      row(`${who}, ${count} tasks`, own),
      {
        name: `raw calls ÷ ${who}, ${count} tasks`,
        value: median(raw) / median(own),
        unit: '×',
        ...(who === 'Shoal' && { target: { min: 0.9 } }),
      },
    )
  }
  return rows
}

/** Makes and starts containers by the engines' API, a third on each host; gives the milliseconds, and removes them. */
async function deployRaw(hosts: readonly TestHost[], count: number): Promise<number> {
  using watch = await StartWatch.open(hosts, LABEL)
  const startedMs = performance.now()
  const made = await Promise.all(
    hosts.map(async (host, at) => {
      const slots = Array.from({ length: count }, (_, slot) => slot)
      const queue = slots.filter(slot => slot % hosts.length === at)
      const ids: string[] = []
      const work = async (): Promise<void> => {
        for (let slot = queue.shift(); slot !== undefined; slot = queue.shift()) {
          ids.push(await startRaw(host, slot))
        }
      }
      await Promise.all(Array.from({ length: STARTS_MAX }, work))
      return { host, ids }
    }),
  )
  const tookMs = await watch.reached(count, startedMs)
  await Promise.all(
    made.map(async ({ host, ids }) => {
      const socket = host.dockerSocket ?? ''
      await Promise.all(
        ids.map(async id => {
          const path = `/containers/${id}?force=1&v=1`
          await mustAsk(socket, { method: 'DELETE', path, timeoutMs: 60_000 })
        }),
      )
    }),
  )
  return tookMs
}

/** Creates and starts one container just as Shoal would. */
async function startRaw({ dockerSocket = '', number }: TestHost, slot: number): Promise<string> {
  const name = `/many.${slot}`
  const port = {
    name: 'http',
    protocol: 'tcp',
    containerPort: 9001,
    hostPort: 31_000 + slot,
  } as const
  const launch = {
    task: `${name}@raw` as TaskId,
    slot: name as SlotId,
    revision: 'raw' as RevisionId,
    spec: appSchema.parse(APP),
    ports: [port],
    env: { SHOAL_SLOT: name, PORT: '9001' },
  }
  const { name: called = '', ...options } = containerOptions(launch, {
    cluster: 'raw',
    node: `h${number}`,
  })
  const ask = async (path: string, body?: string): Promise<string> =>
    await mustAsk(dockerSocket, {
      method: 'POST',
      path,
      timeoutMs: 60_000,
      ...(body !== undefined && { body }),
    })
  const created = await ask(`/containers/create?name=${called}`, JSON.stringify(options))
  const { Id } = JSON.parse(created) as { readonly Id: string }
  await ask(`/containers/${Id}/start`)
  return Id
}

async function runSwarm(bed: Testbed): Promise<BenchRow[]> {
  await using swarm = await Swarm.start(bed.hosts)
  return await compare(bed.hosts, 'Swarm', async count => {
    using watch = await StartWatch.open(bed.hosts, swarmLabel('many'))
    const startedMs = performance.now()
    await swarm.create('many', count, { isNamed: false })
    const tookMs = await watch.reached(count, startedMs)
    await swarm.remove('many')
    return tookMs
  })
}

async function deployShoal(hosts: readonly TestHost[], count: number): Promise<number> {
  const [first] = hosts
  if (first === undefined) throw new RangeError('Cannot deploy on no hosts')
  using watch = await StartWatch.open(hosts, LABEL)
  const startedMs = performance.now()
  await mustApply(first, count)
  const tookMs = await watch.reached(count, startedMs)
  await mustApply(first, 0)
  await awaitGone(hosts, LABEL)
  return tookMs
}

async function mustApply(host: TestHost, instances: number): Promise<void> {
  const answer = await tryApply(host, [{ ...APP, instances }])
  if (answer === undefined) throw new Error(`h${host.number} took no edit`)
}

function row(name: string, valuesMs: readonly number[] = []): BenchRow {
  return {
    name,
    value: median(valuesMs) / 1000,
    unit: 's',
    note: `median of ${valuesMs.map(ms => (ms / 1000).toFixed(1)).join(' ')}`,
  }
}

function median(values: readonly number[] = []): number {
  return quantile(values, 0.5) ?? Infinity
}
