import type { Faults } from '../testbed/faults.ts'
import type { TestHost } from '../testbed/test-host.ts'
import type { Testbed } from '../testbed/testbed.ts'
import type { PlannedFault } from './fault-plan.ts'

/** Percent of packets that a `loss` loses. */
const LOSS_PERCENT = 5

/** Does to the hosts of a bed what was planned, several things at once if need be, and undoes each by itself. */
export class Striker {
  readonly #bed: Testbed
  readonly #wires = new Map<PlannedFault, Faults>()

  constructor(bed: Testbed) {
    this.#bed = bed
  }

  /** Resolves when it is done. */
  async strike(fault: PlannedFault): Promise<void> {
    const bed = this.#bed
    const [host, other] = fault.hosts.map(number => bed.host(number)) as [TestHost, TestHost]
    switch (fault.kind) {
      case 'cable':
        return await bed.pullCable(host)
      case 'freeze':
        return await bed.freeze(host)
      case 'daemon':
        return await host.killDaemon('SIGKILL')
      case 'engine':
        return await bed.killDockerd(host)
      case 'power':
        // The cable first: a machine without power says no good-bye.
        await bed.pullCable(host)
        await Promise.all([host.killDaemon('SIGKILL'), bed.killDockerd(host)])
        return
      case 'partition':
        return await this.#wire(fault, { partition: [fault.hosts, this.#others(fault)] })
      case 'one-way':
        return await this.#wire(fault, { oneWay: [[host.number, other.number]] })
      case 'loss':
        return await this.#wire(fault, { loss: { [host.number]: LOSS_PERCENT } })
    }
  }

  /** Takes it back. What was killed is started again, and may still be on its way up. */
  async heal(fault: PlannedFault): Promise<void> {
    const bed = this.#bed
    const host = bed.host(fault.hosts[0]!)
    switch (fault.kind) {
      case 'cable':
        return await bed.plugCable(host)
      case 'freeze':
        return await bed.thaw(host)
      case 'daemon':
        return host.startDaemon()
      case 'engine':
        return await bed.startDockerd(host)
      case 'power':
        await bed.plugCable(host)
        host.startDaemon()
        return await bed.startDockerd(host)
      case 'partition':
      case 'one-way':
      case 'loss':
        this.#wires.delete(fault)
        return await bed.setFaults(mergeFaults([...this.#wires.values()], bed.hosts.length))
    }
  }

  async #wire(fault: PlannedFault, faults: Faults): Promise<void> {
    this.#wires.set(fault, faults)
    await this.#bed.setFaults(mergeFaults([...this.#wires.values()], this.#bed.hosts.length))
  }

  #others({ hosts }: PlannedFault): number[] {
    return this.#bed.hosts.map(({ number }) => number).filter(number => !hosts.includes(number))
  }
}

/** All of these at once: who is apart in one partition is apart, and the worst loss counts. */
export function mergeFaults(all: readonly Faults[], hosts: number): Faults {
  const partitions = all.flatMap(({ partition }) => (partition === undefined ? [] : [partition]))
  const sides = new Map<string, number[]>()
  for (let host = 1; host <= hosts; host++) {
    const side = partitions
      .map(groups => groups.findIndex(group => group.includes(host)))
      // In no group is alone.
      .map(index => (index === -1 ? `alone ${host}` : String(index)))
      .join()
    sides.set(side, [...(sides.get(side) ?? []), host])
  }
  const loss: Record<number, number> = {}
  for (const one of all) {
    for (const [host, percent] of Object.entries(one.loss ?? {})) {
      loss[Number(host)] = Math.max(loss[Number(host)] ?? 0, percent)
    }
  }
  return {
    ...(partitions.length > 0 && { partition: [...sides.values()] }),
    oneWay: all.flatMap(({ oneWay }) => oneWay ?? []),
    loss,
  }
}
