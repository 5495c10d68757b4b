import type { NodeLine } from '../../src/api/shapes.ts'
import { formCluster } from '../testbed/form-cluster.ts'
import { askDaemon, tryApply } from '../testbed/host-daemon.ts'
import { until } from '../testbed/process-table.ts'
import type { TestHost } from '../testbed/test-host.ts'
import { createTestbed, type Testbed } from '../testbed/testbed.ts'
import { onceApp, probedApp, sideApp } from './apps.ts'
import { findProblems } from './check-cluster.ts'
import { availabilityOf, Clients, type Away } from './clients.ts'
import { DnsWatch } from './dns-watch.ts'
import { Editor } from './editor.ts'
import { planFaults, type PlannedFault } from './fault-plan.ts'
import { measureReaction } from './measure.ts'
import { OnceWatch } from './once-watch.ts'
import type { ChaosReport, FaultReport } from './report.ts'
import { Story } from './story.ts'
import { Striker } from './strike.ts'
import { TruthWatch } from './truth-watch.ts'

/** What a run is to be. */
export interface ChaosOptions {
  /** How long there are faults, in minutes. */
  readonly minutes: number
  /** Decides the faults and the edits. */
  readonly seed: number
  /** 3 to 20. @default 5 */
  readonly hosts?: number
  /** Hears what happens, line by line. */
  readonly onLine?: (line: string) => void
  /** Ends the run early, and removes the hosts. */
  readonly signal?: AbortSignal
}

/** How long a cluster with apps may take to come up. */
const FORM_MS = 90_000
/** How long after the last fault all must be well again: refusals stand for a minute, and moves have a budget. */
const SETTLE_MS = 150_000
/** And stay well for so long. */
const QUIET_MS = 3_000
/** Each client asks so often. */
const PROBE_MS = 200
/** A host that was struck counts again when its daemon sees the others, or after this. */
const BACK_MS = 30_000

/**
 * Real hosts through random faults, with edits and clients all the while; then the repair, and a look at
 * everything. What did not hold is in the report's `problems`, with the story of how it came to be.
 *
 * @throws {Error} When this machine cannot have a test bed, the cluster did not even come up, or `signal` was aborted.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const bed = await createTestbed({ hosts: options.hosts ?? 5, docker: true })
  if ('unavailable' in bed) throw new Error(`chaos ${bed.unavailable}`)
  await using removed = bed
  const aborted = Promise.withResolvers<never>()
  options.signal?.addEventListener('abort', () => aborted.reject(new Error('it was stopped')))
  return await Promise.race([new Chaos(removed, options).run(), aborted.promise])
}

interface Happened {
  readonly fault: PlannedFault
  readonly beganMs: number
  healedMs: number
  backMs: number | undefined
}

class Chaos {
  readonly #bed: Testbed
  readonly #options: ChaosOptions
  readonly #plan: readonly PlannedFault[]
  readonly #story: Story
  readonly #striker: Striker
  readonly #happened: Happened[] = []

  constructor(bed: Testbed, options: ChaosOptions) {
    const { seed, minutes, onLine } = options
    this.#bed = bed
    this.#options = options
    this.#plan = planFaults({ seed, hosts: bed.hosts.length, durationMs: minutes * 60_000 })
    this.#story = new Story(onLine ?? (() => undefined))
    this.#striker = new Striker(bed)
  }

  async run(): Promise<ChaosReport> {
    const { hosts } = this.#bed
    const story = this.#story
    story.add(`seed ${this.#options.seed}: ${this.#plan.length} faults on ${hosts.length} hosts`)
    await this.#form()
    const watch = new DnsWatch(hosts, probedApp.id.slice(1))
    const once = new OnceWatch(hosts, onceApp.id)
    const truth = new TruthWatch(hosts, probedApp.id)
    const editor = new Editor(hosts, this.#options.seed)
    await until('DNS of every host names the app', FORM_MS, async () =>
      watch.now().every(places => places?.length === probedApp.instances),
    )
    const clients = new Clients(hosts, { app: probedApp.id.slice(1), intervalMs: PROBE_MS })
    const startedMs = performance.now()
    story.add('the cluster is up, and clients ask')

    const durationMs = this.#options.minutes * 60_000
    await Promise.all(this.#plan.map(async fault => await this.#let(fault, startedMs)))
    await rest(startedMs + durationMs - performance.now())
    story.add('== no more faults, no more edits')
    await editor.stop()
    const healedMs = performance.now()
    const unsettled = await this.#settle(editor)
    const settledMs = performance.now() - healedMs - QUIET_MS
    clients.stop()
    await Promise.all([watch.stop(), once.stop(), truth.stop()])
    const problems = [...once.problems, ...truth.stale(), ...unsettled]

    const report: ChaosReport = {
      seed: this.#options.seed,
      minutes: this.#options.minutes,
      hosts: hosts.length,
      edits: { ...editor.ledger.stats, tookMs: editor.tookMs },
      availability: availabilityOf(clients.probes, this.#away()),
      faults: this.#happened.map(one => this.#report(one, watch, startedMs)),
      settledMs,
      problems,
      story: problems.length === 0 ? [] : story.tell(hosts),
    }
    return report
  }

  async #form(): Promise<void> {
    const { hosts } = this.#bed
    await Promise.all(hosts.map(async host => await host.loadImage()))
    await formCluster(hosts)
    await until('every node sees all, with Docker', FORM_MS, async () => {
      const views = await Promise.all(hosts.map(nodesOf))
      return views.every(nodes => nodes.filter(isWell).length === hosts.length)
    })
    if ((await tryApply(hosts[0]!, [probedApp, sideApp, onceApp])) === undefined) {
      throw new Error('The apps could not be applied')
    }
  }

  /** One fault, from its begin until its hosts have recovered. */
  async #let(fault: PlannedFault, startedMs: number): Promise<void> {
    await rest(startedMs + fault.atMs - performance.now())
    const what = `${fault.kind} of ${fault.hosts.map(host => `h${host}`).join(' ')}`
    this.#story.add(`== ${what}`)
    const one: Happened = {
      fault,
      beganMs: performance.now(),
      healedMs: Infinity,
      backMs: undefined,
    }
    this.#happened.push(one)
    await this.#striker.strike(fault)
    await rest(one.beganMs + fault.forMs - performance.now())
    one.healedMs = performance.now()
    this.#story.add(`== ${what} ends`)
    await this.#striker.heal(fault)
    const missed = await this.#awaitBack(fault)
    one.backMs = performance.now()
    if (missed === undefined) return
    this.#story.add(`${what}: not back ${BACK_MS / 1000} s after its end: ${missed}`)
  }

  /** Waits until the hosts that were struck see all that are well; what they miss, in words, if they do not. */
  async #awaitBack({ hosts }: PlannedFault): Promise<string | undefined> {
    let views: readonly (readonly NodeLine[])[] = []
    try {
      await until('the struck are back', BACK_MS, async () => {
        const struck = new Set(
          this.#happened.filter(one => one.backMs === undefined).flatMap(one => one.fault.hosts),
        )
        const well = this.#bed.hosts.length - struck.size
        views = await Promise.all(hosts.map(async number => await nodesOf(this.#bed.host(number))))
        return views.every(nodes => nodes.filter(isWell).length >= well + 1)
      })
      return undefined
    } catch {
      // It is told, and the check at the end decides.
      const missed = views.map((nodes, at) => `h${hosts[at]} ${describeMissed(nodes)}`)
      return missed.join(', ')
    }
  }

  /** Waits until nothing is wrong, and stays so for a while; gives what was wrong last. */
  async #settle({ ledger }: Editor): Promise<readonly string[]> {
    const { hosts } = this.#bed
    const deadlineMs = performance.now() + SETTLE_MS
    let wellSinceMs = Infinity
    for (;;) {
      // oxlint-disable-next-line eslint/no-await-in-loop -- one look after the other
      const problems = await findProblems(hosts, ledger).catch((error: unknown) => [String(error)])
      const nowMs = performance.now()
      wellSinceMs = problems.length > 0 ? Infinity : Math.min(wellSinceMs, nowMs)
      if (nowMs - wellSinceMs >= QUIET_MS) return []
      if (nowMs > deadlineMs) {
        return problems.length > 0 ? problems : ['all is well now, but it did not stay so']
      }
      // oxlint-disable-next-line eslint/no-await-in-loop
      await rest(250)
    }
  }

  /** When the clients of which hosts do not count, by the clock of all processes. */
  #away(): Away[] {
    return this.#happened.flatMap(({ fault, beganMs, backMs }) =>
      fault.hosts.map(host => ({
        host,
        fromMs: performance.timeOrigin + beganMs,
        toMs: performance.timeOrigin + (backMs ?? Infinity),
      })),
    )
  }

  #report(
    { fault, beganMs, healedMs, backMs }: Happened,
    watch: DnsWatch,
    startedMs: number,
  ): FaultReport {
    const { kind, hosts } = fault
    const overlapping = this.#happened.filter(
      other =>
        other.fault !== fault && other.beganMs < healedMs && (other.backMs ?? Infinity) > beganMs,
    )
    const report: FaultReport = {
      kind,
      hosts,
      atMs: beganMs - startedMs,
      lastedMs: healedMs - beganMs,
      isAlone: overlapping.length === 0,
      ...(backMs !== undefined && { backMs: backMs - healedMs }),
    }
    const struck = new Set([...hosts, ...overlapping.flatMap(other => other.fault.hosts)])
    const others = this.#bed.hosts.filter(({ number }) => !struck.has(number))
    const addresses = hosts.map(number => this.#bed.host(number).address)
    const answers = others.map(({ number }) => watch.answersOf(number))
    return {
      ...report,
      ...measureReaction({ beganMs, healedMs, addresses }, answers, probedApp.instances),
    }
  }
}

/** The nodes as a host's daemon sees them; none while it does not answer. */
async function nodesOf(host: TestHost): Promise<readonly NodeLine[]> {
  try {
    return await askDaemon<NodeLine[]>(host, '/v1/nodes', { timeoutMs: 2_000 })
  } catch {
    return [] // It is down, or on its way up.
  }
}

function isWell({ verdict, docker }: NodeLine): boolean {
  return verdict === 'alive' && docker
}

function describeMissed(nodes: readonly NodeLine[]): string {
  if (nodes.length === 0) return 'does not answer'
  const missed = nodes.filter(node => !isWell(node))
  const words = missed.map(({ name, verdict, docker }) =>
    verdict === 'alive'
      ? `${name} without Docker`
      : `${name} ${verdict}${docker ? '' : ' without Docker'}`,
  )
  return `sees ${words.join(' and ')}`
}

async function rest(ms: number): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, Math.max(0, ms)))
}
