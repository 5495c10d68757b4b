/** A host lost, for Docker Swarm and for Shoal in turn, on the same three hosts with the same image. */

import { probedApp } from '../chaos/apps.ts'
import { DnsWatch } from '../chaos/dns-watch.ts'
import { measureReaction, type Reaction } from '../chaos/measure.ts'
import { quantile } from '../chaos/report.ts'
import { formCluster } from '../testbed/form-cluster.ts'
import { eventually, tryApply } from '../testbed/host-daemon.ts'
import { until } from '../testbed/process-table.ts'
import { missingForTestbed } from '../testbed/requirements.ts'
import type { TestHost } from '../testbed/test-host.ts'
import { Testbed } from '../testbed/testbed.ts'
import { awaitRunning, listRunning } from './engine-watch.ts'
import type { BenchRow } from './row.ts'
import { Swarm, swarmLabel } from './swarm.ts'

const ROUNDS = 5
const REPLICAS = 9
/** Each host has a third of them. */
const PER_HOST = REPLICAS / 3
const APP = 'hello'
const LABEL = `shoal.app=/${APP}`
/** How long a cluster may take to come up, to spread out again, or to fail over. */
const DEADLINE_MS = 180_000

/** One round, in milliseconds from the loss. */
interface Round extends Reaction {
  /** Until each replica ran on the survivors, by the word of their engines. */
  readonly runningMs: number
  /** Until DNS of each survivor named all of these, and nothing else. */
  readonly namedMs: number
}

/**
 * Pulls the cable of one host after another, five times: how long until the engines of the survivors run every
 * replica that was lost, and until their DNS servers name exactly those that run. Then crashes a host's daemon
 * and engine with all their processes, while its network goes on: how long until nobody is sent there.
 */
export async function benchFailover(): Promise<BenchRow[]> {
  const missing = missingForTestbed({ docker: true })
  if (missing !== undefined) {
    process.stderr.write(`failover: not measured, it ${missing}\n`)
    return []
  }
  await using bed = await Testbed.create({ hosts: 3, docker: true })
  await Promise.all(bed.hosts.map(async host => await host.loadImage()))
  const swarm = await runSwarm(bed)
  const { cable, crash } = await runShoal(bed)
  return [
    ...compare(
      'lost replicas run on the survivors',
      of('runningMs', swarm),
      of('runningMs', cable),
    ),
    ...compare(
      "survivors' DNS names exactly those that run",
      of('namedMs', swarm),
      of('namedMs', cable),
    ),
    ...spread('Shoal: cable pulled → out of DNS', of('outOfDnsMs', cable), { p50: 0.7, p99: 1.8 }),
    ...spread('Shoal: crash → out of DNS', of('outOfDnsMs', crash), { p50: 0.7, p99: 1.8 }),
  ]
}

function of(what: keyof Round, rounds: readonly Partial<Round>[]): number[] {
  return rounds.map(round => round[what] ?? Infinity)
}

async function runSwarm(bed: Testbed): Promise<Round[]> {
  await using swarm = await Swarm.start(bed.hosts)
  const label = swarmLabel(APP)
  const isRight = async (hosts: readonly TestHost[]): Promise<boolean> => {
    const addresses = (await listRunning(hosts, label)).flatMap(one => one.addresses).toSorted()
    const named = await Promise.all(hosts.map(async host => await swarm.resolve(host, APP)))
    return addresses.length === REPLICAS && named.every(one => String(one) === String(addresses))
  }
  const rounds: Round[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await swarm.create(APP, REPLICAS, { isNamed: true })
    await awaitRunning(bed.hosts, label, REPLICAS)
    await until('Swarm names all tasks', DEADLINE_MS, async () => await isRight(bed.hosts))
    const { victim, survivors } = sidesOf(bed, round)
    await bed.pullCable(victim)
    const sinceMs = performance.now()
    const [runningMs] = await Promise.all([
      awaitRunning(survivors, label, REPLICAS, { sinceMs }),
      until('Swarm names the tasks that run', DEADLINE_MS, async () => await isRight(survivors)),
    ])
    rounds.push({ runningMs, namedMs: performance.now() - sinceMs })
    tell('swarm, cable', rounds.at(-1)!)
    await bed.plugCable(victim)
    await swarm.untilWhole()
    await swarm.remove(APP)
  }
  return rounds
}

async function runShoal(bed: Testbed): Promise<{ cable: Round[]; crash: Reaction[] }> {
  await formCluster(bed.hosts)
  const watch = new DnsWatch(bed.hosts, APP)
  const cable: Round[] = []
  const crash: Reaction[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const { victim, survivors } = sidesOf(bed, round)
    await settle(bed, watch)
    await bed.pullCable(victim)
    const beganMs = performance.now()
    const runningMs = await awaitRunning(survivors, LABEL, REPLICAS, { sinceMs: beganMs })
    cable.push({ runningMs, ...(await react(watch, { beganMs, victim, survivors })) })
    tell('shoal, cable', cable.at(-1)!)
    await bed.plugCable(victim)
  }
  for (let round = 0; round < ROUNDS; round++) {
    const { victim, survivors } = sidesOf(bed, round)
    await settle(bed, watch)
    const beganMs = performance.now()
    await Promise.all([victim.killDaemon('SIGKILL'), bed.killDockerd(victim)])
    crash.push(await react(watch, { beganMs, victim, survivors }))
    tell('shoal, crash', crash.at(-1)!)
    await bed.startDockerd(victim)
    victim.startDaemon()
  }
  await watch.stop()
  return { cable, crash }
}

/** Waits until a new app runs, a third of it on each host, and every DNS server says so. */
async function settle(bed: Testbed, watch: DnsWatch): Promise<void> {
  const app = { ...probedApp, instances: REPLICAS }
  await eventually('the app is taken', DEADLINE_MS, async () => {
    const answer = await tryApply(bed.hosts[0]!, [app])
    return answer === undefined ? 'it was not' : undefined
  })
  await eventually('each host runs a third, and DNS says so', DEADLINE_MS, async () => {
    const running = await listRunning(bed.hosts, LABEL)
    const counts = bed.hosts.map(({ number }) => running.filter(one => one.host === number).length)
    const named = watch.now().map(places => places?.length)
    const isRight =
      counts.every(count => count === PER_HOST) && named.every(count => count === REPLICAS)
    return isRight ? undefined : { counts, named }
  })
}

/** Waits until DNS of the survivors names everything again, and reads how they came there. */
async function react(
  watch: DnsWatch,
  {
    beganMs,
    victim,
    survivors,
  }: {
    readonly beganMs: number
    readonly victim: TestHost
    readonly survivors: readonly TestHost[]
  },
): Promise<Reaction & { readonly namedMs: number }> {
  const read = (): Reaction =>
    measureReaction(
      { beganMs, healedMs: performance.now(), addresses: [victim.address] },
      survivors.map(({ number }) => watch.answersOf(number)),
      REPLICAS,
    )
  await until(
    'DNS of the survivors is whole',
    DEADLINE_MS,
    async () => read().replacedMs !== undefined,
  )
  const reaction = read()
  return { ...reaction, namedMs: reaction.replacedMs ?? Infinity }
}

function sidesOf(
  bed: Testbed,
  round: number,
): { victim: TestHost; survivors: readonly TestHost[] } {
  const victim = bed.hosts[round % bed.hosts.length]!
  return { victim, survivors: bed.hosts.filter(host => host !== victim) }
}

function compare(what: string, swarm: readonly number[], shoal: readonly number[]): BenchRow[] {
  const ratio = (quantile(swarm, 0.5) ?? 0) / (quantile(shoal, 0.5) ?? Infinity)
  return [
    ...spread(`Swarm: cable pulled → ${what}`, swarm),
    ...spread(`Shoal: cable pulled → ${what}`, shoal, { p50: 4.5, p99: 6.5 }),
    { name: `Swarm ÷ Shoal: ${what}, p50`, value: ratio, unit: '×', target: { min: 3 } },
  ]
}

function spread(
  name: string,
  valuesMs: readonly number[],
  targets?: { readonly p50: number; readonly p99: number },
): BenchRow[] {
  return (['p50', 'p99'] as const).map(which => ({
    name: `${name}, ${which}`,
    value: (quantile(valuesMs, which === 'p50' ? 0.5 : 0.99) ?? Infinity) / 1000,
    unit: 's',
    ...(targets !== undefined && { target: { max: targets[which] } }),
    note: `${valuesMs.length} rounds: ${valuesMs.map(ms => (ms / 1000).toFixed(1)).join(' ')}`,
  }))
}

function tell(what: string, round: Partial<Round>): void {
  const times = Object.entries(round).map(([name, ms]) => `${name} ${Math.round(ms)}`)
  process.stderr.write(`  ${what}: ${times.join(', ')}\n`)
}
