import type { SlotId } from '../../src/model/ids.ts'
import type { SimHost } from './host.ts'
import type { Network } from './network.ts'

/** A slot on the move has its old task and its new one, and no more than these. */
const TASKS_MAX = 2

/** A daemon that just started, or two sides that just met, may still have to find out what runs. */
const SORTED_OUT_MS = 20_000

/**
 * (5) At most one extra task per slot per side of a split: what is on its way out is not counted, nor what runs on
 * machines whose daemon does not.
 */
export class Extras {
  readonly #fail: (text: string) => void
  readonly #tooManySinceMs = new Map<string, number>()

  constructor(fail: (text: string) => void) {
    this.#fail = fail
  }

  /** Counts the tasks of each slot on each side. Wanted twice a second. */
  look(hosts: readonly SimHost[], network: Network, nowMs: number): void {
    const tooMany = new Set<string>()
    const inCharge = hosts.filter(isInCharge)
    for (const side of network.isWhole ? [inCharge] : sidesOf(inCharge, network)) {
      for (const [slot, tasks] of tasksOf(side)) {
        if (tasks.length <= TASKS_MAX) continue
        const key = `${slot} ${side[0]!.name}`
        tooMany.add(key)
        const sinceMs = this.#tooManySinceMs.get(key) ?? nowMs
        this.#tooManySinceMs.set(key, sinceMs)
        if (nowMs - sinceMs < SORTED_OUT_MS) continue
        this.#tooManySinceMs.delete(key)
        this.#fail(`${slot} runs ${tasks.length} times on one side: ${tasks.join(', ')}`)
      }
    }
    for (const key of this.#tooManySinceMs.keys()) {
      if (!tooMany.has(key)) this.#tooManySinceMs.delete(key)
    }
  }
}

function isInCharge({ isResponding, isFrozen }: SimHost): boolean {
  return isResponding && !isFrozen
}

/** The hosts in groups that reach one another, be it by way of others. */
function sidesOf(hosts: readonly SimHost[], network: Network): SimHost[][] {
  const left = new Set(hosts)
  const sides: SimHost[][] = []
  for (const first of hosts) {
    if (!left.delete(first)) continue
    const side = [first]
    for (const one of side) {
      for (const other of left) {
        if (!network.passes(one.link, other.link) || !network.passes(other.link, one.link)) continue
        left.delete(other)
        side.push(other)
      }
    }
    sides.push(side)
  }
  return sides
}

/** What serves, by its own node's word: what still starts, or fails to, counts as none. */
function tasksOf(side: readonly SimHost[]): Map<SlotId, string[]> {
  const bySlot = new Map<SlotId, string[]>()
  for (const { machine, node, name, tasks } of side) {
    for (const { id, slot, state } of machine!.book.get(node)?.tasks ?? []) {
      if (state !== 'running' || !tasks.live.has(id)) continue
      const known = bySlot.get(slot)
      if (known === undefined) bySlot.set(slot, [`${id} on ${name}`])
      else known.push(`${id} on ${name}`)
    }
  }
  return bySlot
}
