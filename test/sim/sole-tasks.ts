import { needsClaim, type AppSpec } from '../../src/model/app.ts'
import type { SlotId, TaskId } from '../../src/model/ids.ts'
import type { SimHost } from './host.ts'

/**
 * A machine that thaws after its slot was given to another goes on with its task for so long at most: until its watchdog,
 * which looks at the clock every 400 ms, or its daemon has killed it, and the engine has said so.
 */
export const THAW_OVERLAP_MS = 1_000

interface Begun {
  readonly host: SimHost
  readonly fence: number
}

interface Start {
  readonly task: TaskId
  readonly slot: SlotId
  readonly spec: AppSpec
  readonly fence: number
}

/**
 * (5) An app that needs claims never has two tasks of a slot. The one exception is what nobody can prevent:
 * a machine that was frozen, and thaws, runs on for a moment, under an older fencing token.
 */
export class SoleTasks {
  readonly #fail: (text: string) => void
  readonly #latest = new Map<SlotId, Begun>()
  readonly #fences = new Map<TaskId, number>()
  readonly #overlaps = new Map<TaskId, SimHost>()
  #longestOverlapMs = 0

  constructor(fail: (text: string) => void) {
    this.#fail = fail
  }

  /** The longest that a thawed machine went on beside the task in place of its own. */
  get longestOverlapMs(): number {
    return this.#longestOverlapMs
  }

  /** A machine starts a task. */
  started(host: SimHost, start: Start, hosts: readonly SimHost[], nowMs: number): void {
    const { task, slot, spec, fence } = start
    if (!needsClaim(spec)) return
    const before = this.#latest.get(slot)
    const isHigher =
      before === undefined ||
      fence > before.fence ||
      (fence === before.fence && host === before.host)
    if (!isHigher) this.#fail(`${host.name} starts ${task} with the token of an older task`)
    else this.#latest.set(slot, { host, fence })
    this.#fences.set(task, fence)
    for (const other of hosts) {
      for (const launch of other.tasks.live.values()) {
        if (launch.slot !== slot || launch.task === task || !needsClaim(launch.spec)) continue
        if (nowMs - other.thawsAtMs > THAW_OVERLAP_MS || other.thawsAtMs === 0) {
          this.#fail(`${host.name} starts ${task} while ${launch.task} runs on ${other.name}`)
        } else if ((this.#fences.get(launch.task) ?? 0) >= fence) {
          this.#fail(
            `${host.name} starts ${task} under a token that does not fence ${launch.task} off`,
          )
        } else this.#overlaps.set(launch.task, other)
      }
    }
  }

  /** Time passed: what still runs on thawed machines must end. */
  look(nowMs: number): void {
    for (const [task, host] of this.#overlaps) {
      if (!host.tasks.live.has(task)) {
        this.#overlaps.delete(task)
        continue
      }
      const overlapMs = nowMs - host.thawsAtMs
      this.#longestOverlapMs = Math.max(this.#longestOverlapMs, overlapMs)
      if (overlapMs <= THAW_OVERLAP_MS) continue
      this.#overlaps.delete(task)
      this.#fail(`${task} runs on for ${Math.round(overlapMs)} ms after ${host.name} thawed`)
    }
  }
}
