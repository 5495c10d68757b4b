import {
  abandonedBeds,
  allocateBed,
  bedNames,
  readState,
  removeState,
  writeState,
  type BedState,
} from './bed-state.ts'
import { removeCgroup, processesOf } from './cgroups.ts'
import { awaitEngine, killEngine, startEngine, stopEngine } from './engine.ts'
import type { Faults } from './faults.ts'
import { applyFaults, createNetwork, removeNetwork, setCable } from './network.ts'
import { findProcesses, isRunning, killAll, networkOf, signalProcess } from './process-table.ts'
import { missingForTestbed } from './requirements.ts'
import { TestHost } from './test-host.ts'

/** What a bed is to have. */
export interface TestbedOptions {
  /** 1 to 200. */
  readonly hosts: number
  /** Whether each host runs a Docker engine of its own: about 120 MB and 3 s each. */
  readonly docker: boolean
  /** Leaves the bed up when this process ends; else the next one removes it. @default false */
  readonly keep?: boolean
}

/** Why there is no bed on this machine. */
export interface Unavailable {
  readonly unavailable: string
}

/**
 * N hosts on this machine, wired by one bridge, each a network namespace with its own Docker engine if
 * asked for. Anything can be done to them that is done to machines: pull cables, freeze, cut, lose
 * packets, kill engines. Many beds live beside each other. `await using` removes one at the end of its
 * block; {@link removeAbandoned} removes those whose maker died.
 */
export class Testbed implements AsyncDisposable {
  readonly id: number
  readonly hosts: readonly TestHost[]
  private state: BedState

  private constructor(state: BedState, docker: boolean) {
    this.id = state.id
    this.state = state
    this.hosts = Array.from({ length: state.hosts }, (_, index) => {
      const number = index + 1
      return new TestHost(state.id, number, {
        docker,
        daemon: state.daemons[number],
        record: daemon => this.save({ daemons: { ...this.state.daemons, [number]: daemon } }),
      })
    })
  }

  /** Makes a bed; throws, and leaves nothing, if any part of it fails. */
  static async create({ hosts, docker, keep = false }: TestbedOptions): Promise<Testbed> {
    if (!Number.isInteger(hosts) || hosts < 1 || hosts > 200) {
      throw new RangeError(`Cannot make a test bed: hosts must be 1 to 200, got ${hosts}`)
    }
    const bed = new Testbed(allocateBed(hosts, { keep }), docker)
    try {
      await createNetwork(bed.state)
      if (docker) await Promise.all(bed.hosts.map(async host => await bed.startDockerd(host)))
      return bed
    } catch (error) {
      await bed.remove()
      throw error
    }
  }

  /** Takes hold of a bed that another process made, by its number. */
  static open(id: number): Testbed | undefined {
    const state = readState(id)
    return state && new Testbed(state, Object.keys(state.engines).length > 0)
  }

  /** Host `number`, counted from 1; throws if there is none. */
  host(number: number): TestHost {
    const host = this.hosts[number - 1]
    if (host === undefined)
      throw new RangeError(`No host ${number}: there are ${this.hosts.length}`)
    return host
  }

  /** Starts the host's Docker engine and waits until it answers. */
  async startDockerd(host: TestHost): Promise<void> {
    const engine = startEngine(this.id, host.number)
    this.save({ engines: { ...this.state.engines, [host.number]: engine } })
    await awaitEngine(this.id, host.number, engine)
  }

  /** Stops the host's Docker engine politely; its containers stop with it. */
  async stopDockerd(host: TestHost): Promise<void> {
    const engine = this.state.engines[host.number]
    if (engine !== undefined) await stopEngine(engine)
  }

  /** Kills the host's Docker engine and all its containers, as a power cut does. */
  async killDockerd(host: TestHost): Promise<void> {
    const engine = this.state.engines[host.number]
    if (engine !== undefined) await killEngine(this.id, host.number, engine)
  }

  /** Pulls the host's network cable. */
  async pullCable(host: TestHost): Promise<void> {
    await setCable(this.id, host.number, 'down')
  }

  /** Plugs the host's network cable in again. */
  async plugCable(host: TestHost): Promise<void> {
    await setCable(this.id, host.number, 'up')
  }

  /** Freezes the host: its daemon stands still and nothing gets in or out. */
  async freeze(host: TestHost): Promise<void> {
    await this.pullCable(host)
    if (host.daemon !== undefined) signalProcess(host.daemon, 'SIGSTOP')
  }

  /** Lets a frozen host go on, where it stood. */
  async thaw(host: TestHost): Promise<void> {
    if (host.daemon !== undefined) signalProcess(host.daemon, 'SIGCONT')
    await this.plugCable(host)
  }

  /** Splits the hosts into groups that do not hear each other; a host in none is alone. */
  async partition(groups: ReadonlyArray<readonly TestHost[]>): Promise<void> {
    await this.setFaults({
      ...this.state.faults,
      partition: groups.map(group => group.map(({ number }) => number)),
    })
  }

  /** Lets `from` speak and `to` not hear it; the other way stays whole. */
  async oneWay(from: TestHost, to: TestHost): Promise<void> {
    const oneWay = [...(this.state.faults.oneWay ?? []), [from.number, to.number] as const]
    await this.setFaults({ ...this.state.faults, oneWay })
  }

  /** Loses this percent of the packets to and from the host, with one decimal. */
  async loss(host: TestHost, percent: number): Promise<void> {
    if (!(percent >= 0 && percent <= 100)) throw new RangeError(`Loss must be 0 to 100: ${percent}`)
    await this.setFaults({
      ...this.state.faults,
      loss: { ...this.state.faults.loss, [host.number]: percent },
    })
  }

  /** Ends partition, one-way cuts and loss; pulled cables stay pulled. */
  async heal(): Promise<void> {
    await this.setFaults({})
  }

  /** Removes the bed and everything in it; what is gone already is passed over. */
  async remove(): Promise<void> {
    await removeBed(this.state)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove()
  }

  /** Puts these network faults in place of all there are; pulled cables stay pulled. */
  async setFaults(faults: Faults): Promise<void> {
    this.save({ faults })
    await applyFaults(this.state)
  }

  private save(change: Partial<BedState>): void {
    this.state = { ...this.state, ...change }
    writeState(this.state)
  }
}

/** Makes a bed, or says why this machine cannot have one, in words for a skipped test. */
export async function createTestbed(options: TestbedOptions): Promise<Testbed | Unavailable> {
  const unavailable = missingForTestbed(options)
  if (unavailable !== undefined) return { unavailable }
  await removeAbandoned()
  return await Testbed.create(options)
}

/** Removes the beds whose maker ended without doing so. */
export async function removeAbandoned(): Promise<void> {
  for (const state of abandonedBeds()) await removeBed(state)
}

/**
 * Removes a bed from what is written of it and what is found: engines politely first, so that they
 * remove their containers, then by force every process in the namespaces of the bed, what descends
 * from one, and what is in its control groups.
 */
async function removeBed(state: BedState): Promise<void> {
  const bed = bedNames(state.id)
  const engines = Object.values(state.engines).filter(isRunning)
  for (const engine of engines) signalProcess(engine, 'SIGTERM')
  const daemons = Object.values(state.daemons)
  for (const daemon of daemons) signalProcess(daemon, 'SIGKILL')
  // An engine that does not stop in time is killed with the rest.
  await Promise.allSettled(engines.map(stopEngine))

  const hosts = Array.from({ length: state.hosts }, (_, index) => bed.host(index + 1).namespace)
  const networks = new Set(
    [bed.switch, ...hosts].flatMap(name => networkOf(`/run/netns/${name}`) ?? []),
  )
  await killAll(() => [
    ...findProcesses(({ network }) => networks.has(network)),
    ...processesOf(bed.cgroup),
  ])
  await removeNetwork(state)
  removeCgroup(bed.cgroup)
  removeState(state.id)
}
