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
import { awaitRunning, listRunning } from './engine-watch.ts'
import type { BenchRow } from './row.ts'
import { Swarm, swarmLabel } from './swarm.ts'

const SIZES = [30, 100]
const ROUNDS = 3
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
  await Promise.all(bed.hosts.map(async host => await host.loadImage()))
  const raw = await measure('raw', async count => await deployRaw(bed.hosts, count))
  const swarm = await runSwarm(bed)
  await formCluster(bed.hosts)
  await eventually('three nodes are there', DEADLINE_MS, async () => {
    const took = await deployShoal(bed.hosts, 3)
    return took > 0 ? undefined : took
  })
  const shoal = await measure('shoal', async count => await deployShoal(bed.hosts, count))
  return SIZES.flatMap(count => [
    row(`raw calls, ${count} tasks`, raw.get(count)),
    row(`Swarm, ${count} tasks`, swarm.get(count)),
    row(`Shoal, ${count} tasks`, shoal.get(count)),
    {
      name: `raw calls ÷ Shoal, ${count} tasks`,
      value: median(raw.get(count)) / median(shoal.get(count)),
      unit: '×',
      target: { min: 0.9 },
    },
    {
      name: `raw calls ÷ Swarm, ${count} tasks`,
      value: median(raw.get(count)) / median(swarm.get(count)),
      unit: '×',
    },
  ])
}

type Figures = ReadonlyMap<number, readonly number[]>

async function measure(who: string, deploy: (count: number) => Promise<number>): Promise<Figures> {
  const figures = new Map<number, number[]>()
  // One that does not count: the first container of an engine costs more than all others.
  await deploy(3)
  for (const count of SIZES) {
    for (let round = 0; round < ROUNDS; round++) {
      const tookMs = await deploy(count)
      process.stderr.write(`  ${who}, ${count} tasks: ${Math.round(tookMs)} ms\n`)
      figures.set(count, [...(figures.get(count) ?? []), tookMs])
    }
  }
  return figures
}

/** Makes and starts containers by the engines' API, a third on each host; gives the milliseconds, and removes them. */
async function deployRaw(hosts: readonly TestHost[], count: number): Promise<number> {
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
  const tookMs = await awaitRunning(hosts, LABEL, count, { sinceMs: startedMs })
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

async function runSwarm(bed: Testbed): Promise<Figures> {
  await using swarm = await Swarm.start(bed.hosts)
  return await measure('swarm', async count => {
    const startedMs = performance.now()
    await swarm.create('many', count, { isNamed: false })
    const tookMs = await awaitRunning(bed.hosts, swarmLabel('many'), count, { sinceMs: startedMs })
    await swarm.remove('many')
    return tookMs
  })
}

async function deployShoal(hosts: readonly TestHost[], count: number): Promise<number> {
  const [first] = hosts
  if (first === undefined) throw new RangeError('Cannot deploy on no hosts')
  const startedMs = performance.now()
  await mustApply(first, count)
  const tookMs = await awaitRunning(hosts, LABEL, count, { sinceMs: startedMs })
  await mustApply(first, 0)
  await eventually('all are gone', DEADLINE_MS, async () => {
    const left = await listRunning(hosts, LABEL)
    return left.length === 0 ? undefined : left.length
  })
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
