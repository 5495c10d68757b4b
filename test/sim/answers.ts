import { slotOfTask, type TaskId } from '../../src/model/ids.ts'
import type { NodeRecord } from '../../src/model/node-record.ts'
import { isServing } from '../../src/model/task.ts'
import type { SimHost } from './host.ts'

/** Detection at its worst, and the time to live: for so long an answer may be of before. */
const DNS_LATE_MS = 10_000

/** What gossip lost is repaired within so long of contact. */
const REPAIRED_MS = 5_000

/**
 * (8) Nobody is sent to a task that ended or is not healthy, nor to a node that is gone or stands still, for longer than it takes to
 * find that out. What a node answers is what its machine says: records, verdicts and health.
 */
export class Answers {
  readonly #fail: (text: string) => void
  /** Since when a task that once served does not. */
  readonly #silentSinceMs = new Map<TaskId, number>()
  readonly #serving = new Set<TaskId>()

  constructor(fail: (text: string) => void) {
    this.#fail = fail
  }

  /** Compares what the nodes would answer with what is so. Wanted twice a second. */
  look(hosts: readonly SimHost[], nowMs: number): void {
    this.#lookAtTasks(hosts, nowMs)
    const awake = new Set(hosts.flatMap(host => (isAwake(host) ? [host.node] : [])))
    const gone = hosts.filter(
      host => !awake.has(host.node) && nowMs - silentSince(host) > DNS_LATE_MS,
    )
    for (const host of hosts) {
      const { machine, name } = host
      if (!isAwake(host) || nowMs - awakeSince(host) < DNS_LATE_MS) continue
      for (const other of gone) {
        const record = machine!.book.get(other.node)
        const served = record?.tasks.find(task => isServing(task))
        if (served !== undefined && answersWith(host, record!)) {
          this.#fail(`${name} answers with ${served.id} of ${other.name}, which is gone`)
        }
      }
    }
    for (const [task, sinceMs] of this.#silentSinceMs) {
      if (nowMs - sinceMs >= DNS_LATE_MS) this.#checkSilent(task, hosts, nowMs)
    }
  }

  #lookAtTasks(hosts: readonly SimHost[], nowMs: number): void {
    const serving = new Set<TaskId>()
    const running = new Set<TaskId>()
    for (const { machine, node, tasks } of hosts) {
      for (const task of tasks.live.keys()) running.add(task)
      for (const task of machine?.book.get(node)?.tasks ?? []) {
        if (isServing(task) && tasks.live.has(task.id)) serving.add(task.id)
        else running.delete(task.id)
      }
    }
    for (const task of this.#serving) {
      // What runs on while its daemon does not is no worse than before.
      if (running.has(task) || this.#silentSinceMs.has(task)) continue
      this.#silentSinceMs.set(task, nowMs)
    }
    for (const task of serving) {
      this.#serving.add(task)
      this.#silentSinceMs.delete(task)
    }
  }

  /** Nobody who has been awake for long enough answers with it. Once nobody even has it in a record, it is forgotten. */
  #checkSilent(task: TaskId, hosts: readonly SimHost[], nowMs: number): void {
    let isTold = false
    for (const host of hosts) {
      const told = host.machine?.book
        .tasksOf(slotOfTask(task))
        .find(other => other.task.id === task)
      if (told === undefined || !isServing(told.task)) continue
      isTold = true
      if (!isAwake(host) || nowMs - awakeSince(host) < DNS_LATE_MS) continue
      if (answersWith(host, host.machine!.book.get(told.node)!)) {
        this.#fail(`${host.name} answers with ${task}, which does not serve any more`)
      }
    }
    if (isTold) return
    this.#silentSinceMs.delete(task)
    this.#serving.delete(task)
  }
}

/** True when what a node's record says of its tasks is answered with, as the daemon's DNS does, and had its time to be put right. */
function answersWith({ machine, localMs }: SimHost, record: NodeRecord): boolean {
  const sinceMs = machine!.members.reliableSinceMs(record)
  return sinceMs !== undefined && localMs - sinceMs >= REPAIRED_MS
}

/** True when the daemon runs and can answer. */
function isAwake({ isResponding, isFrozen }: SimHost): boolean {
  return isResponding && !isFrozen
}

function awakeSince({ sinceMs, main, thawsAtMs }: SimHost): number {
  return Math.max(sinceMs, main.freeAtMs, thawsAtMs)
}

/** A daemon whose main thread alone stands still is alive to the others, and its tasks are well. */
function silentSince({ machine, sinceMs, frozenSinceMs, isFrozen }: SimHost): number {
  if (machine === undefined) return sinceMs
  return isFrozen ? frozenSinceMs : Infinity
}
