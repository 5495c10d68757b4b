import { isNeverTwice, runtimeOf, type AppSpec } from '../../model/app.ts'
import { toMs } from '../../model/duration.ts'
import {
  appOfSlot,
  taskIdOf,
  type AppId,
  type NodeId,
  type RevisionId,
  type SlotId,
  type TaskId,
} from '../../model/ids.ts'
import type { Refusal } from '../../model/node-record.ts'
import { isFinal, isServing, mayMove, type Task, type TaskState } from '../../model/task.ts'
import type { LocalTask, WantedApp } from '../../reconcile/plan.ts'
import type { Random } from '../../util/random.ts'
import { workDigest } from '../../util/work-digest.ts'
import type { FoundTask } from '../../runtime/runtime.ts'
import { CheckRun, type ProbeResult } from './check-run.ts'
import type { Effect } from './events.ts'
import { choosePorts } from './ports.ts'
import { SlotFailures } from './slot-failures.ts'

/** A port that was taken by a stranger is not tried again for so long. */
const PORT_BAN_MS = 60_000

/** A stop that failed is tried again after so long. */
const STOP_RETRY_MS = 5_000

/**
 * A task that served goes on for so long after it left DNS: clients keep an answer for a second
 * (the records' TTL), and other nodes hear of the change a little later than this one.
 */
export const CLIENTS_MS = 1_500

interface Own {
  task: Task
  spec: AppSpec
  /** What was found, while nobody knows its revision, and `spec` is a guess. */
  guessedFrom?: FoundTask
  startedAtMs: number
  servingSinceMs: number | undefined
  /** False until it has served for the first time; of one that was found nobody knows, so it counts as true. */
  hasServed: boolean
  /** When a stop that waits for clients to go elsewhere, or that failed, is to be tried. */
  stopAgainAtMs: number
  checks: CheckRun
  /** The next revision, whose other health checks are tried on a task that would be the very same. */
  trial?: { readonly revision: RevisionId; readonly spec: AppSpec; readonly checks: CheckRun }
  /** True when this run of the daemon started it. */
  readonly isBegun: boolean
}

/** What {@link OwnTasks} must know of its node. */
export interface OwnTasksOptions {
  readonly self: NodeId
  readonly random: Random
}

/**
 * The tasks of this node and their life: from the decision to start one to its
 * end, with health, backoff and refusals. Events in, effects out, like the whole
 * machine that it is a part of.
 */
export class OwnTasks {
  readonly #options: OwnTasksOptions
  readonly #tasks = new Map<TaskId, Own>()
  readonly #failures = new SlotFailures()
  readonly #bannedPorts = new Map<number, number>()
  /** Counts the changes that others should hear of. */
  #changes = 0

  constructor(options: OwnTasksOptions) {
    this.#options = options
  }

  get changes(): number {
    return this.#changes
  }

  /** The tasks as the node's record tells them, in a fixed order. */
  tasks(): Task[] {
    return Array.from(this.#tasks.values(), ({ task }) => task).toSorted((one, other) =>
      one.id < other.id ? -1 : 1,
    )
  }

  /** The tasks as the plan wants them. */
  local(): LocalTask[] {
    return Array.from(
      this.#tasks.values(),
      ({ task, spec, servingSinceMs, hasServed, checks, trial }) => ({
        task,
        spec,
        hasServed,
        mustReplace: checks.mustReplace,
        isTried: trial?.checks.health === 'unknown',
        ...(servingSinceMs !== undefined && { servingSinceMs }),
      }),
    )
  }

  has(task: TaskId): boolean {
    return this.#tasks.has(task)
  }

  refusals(): Refusal[] {
    return this.#failures.refusals()
  }

  /** True for a slot that failed here so that others are to try, at this revision. */
  isRefused(slot: SlotId, revision: RevisionId): boolean {
    return this.#failures.isRefused(slot, revision)
  }

  /** When a slot that failed here may be tried again. */
  retryAtMs(slot: SlotId, revision: RevisionId): number | undefined {
    return this.#failures.retryAtMs(slot, revision)
  }

  /** What a slot's last failures here were, in words; empty when there were none. */
  failureText(slot: SlotId): string {
    return this.#failures.textOf(slot)
  }

  /** Starts a new task of `slot`, with a fencing token. */
  begin(slot: SlotId, app: WantedApp, fence: number, nowMs: number): Effect[] {
    const { self, random } = this.#options
    const nonce = Math.floor(random() * 36 ** 6)
      .toString(36)
      .padStart(6, '0')
    const id = taskIdOf(slot, nonce)
    const ports = choosePorts(app.spec, `${id} ${self}`, this.#portsInUse(nowMs))
    const task: Task = {
      id,
      app: app.id,
      slot,
      revision: app.revision,
      state: 'preparing',
      health: app.spec.health.length === 0 ? 'none' : 'unknown',
      ports,
      sinceMs: nowMs,
      message: '',
      fence,
    }
    this.#add(task, app.spec, nowMs, true)
    const { revision, spec } = app
    return [
      ...this.#forgetEnded(slot, id),
      { kind: 'start', task: id, slot, revision, spec, ports, fence },
    ]
  }

  /** Asks a task to end. */
  stop(id: TaskId, reason: string, nowMs: number): Effect[] {
    const own = this.#tasks.get(id)
    if (own === undefined) return []
    const hasClients = isServing(own.task) && own.task.ports.length > 0
    if (!this.#move(own, 'stopping', reason, nowMs)) return []
    if (!hasClients || isNeverTwice(own.spec)) return [stopOf(own)]
    own.stopAgainAtMs = nowMs + CLIENTS_MS
    return []
  }

  /** Asks every task to end that this run of the daemon started; those that it found go on. */
  stopBegun(reason: string, nowMs: number): Effect[] {
    return [...this.#tasks.values()]
      .filter(({ isBegun }) => isBegun)
      .flatMap(({ task }) => this.stop(task.id, reason, nowMs))
  }

  /** True while a task that this run of the daemon started has not ended. */
  get hasBegun(): boolean {
    return [...this.#tasks.values()].some(({ isBegun, task }) => isBegun && !isFinal(task.state))
  }

  started(id: TaskId, nowMs: number): Effect[] {
    const own = this.#tasks.get(id)
    if (own === undefined) return []
    own.startedAtMs = nowMs
    own.checks = new CheckRun({ revision: own.task.revision, spec: own.spec }, nowMs)
    this.#move(own, 'running', '', nowMs)
    return []
  }

  progressed(id: TaskId, message: string): void {
    const own = this.#tasks.get(id)
    if (own === undefined || isFinal(own.task.state) || own.task.message === message) return
    own.task = { ...own.task, message: message.slice(0, 500) }
    this.#changes++
  }

  startFailed(
    id: TaskId,
    failure: { readonly code: string; readonly temporary: boolean; readonly message: string },
    nowMs: number,
  ): Effect[] {
    const own = this.#tasks.get(id)
    if (own === undefined || isFinal(own.task.state)) return []
    const wasStopping = own.task.state === 'stopping'
    this.#move(own, wasStopping ? 'stopped' : 'failed', failure.message, nowMs)
    if (failure.code === 'port-taken') {
      for (const { hostPort } of own.task.ports)
        this.#bannedPorts.set(hostPort, nowMs + PORT_BAN_MS)
    }
    if (!wasStopping) this.#countFailure(own, failure, nowMs)
    return []
  }

  exited(id: TaskId, exitCode: number, message: string, nowMs: number): Effect[] {
    const own = this.#tasks.get(id)
    if (own === undefined || isFinal(own.task.state)) return []
    if (own.task.state === 'stopping') return [] // The `stop` will say when it is over.
    own.task = { ...own.task, exitCode }
    const text = message === '' ? `exited with code ${exitCode}` : message
    this.#move(own, 'failed', text, nowMs)
    this.#countFailure(own, { temporary: true, message: text }, nowMs)
    return []
  }

  stopped(id: TaskId, nowMs: number): Effect[] {
    const own = this.#tasks.get(id)
    if (own === undefined) return []
    this.#move(own, 'stopped', own.task.message, nowMs)
    const { mustReplace, complaint } = own.checks
    if (mustReplace) {
      this.#countFailure(own, { temporary: true, message: `unhealthy: ${complaint}` }, nowMs)
    }
    return this.#forget(own)
  }

  /** A stop that did not work: the task still runs, and the next plan tries again. */
  stopFailed(id: TaskId, message: string, nowMs: number): Effect[] {
    const own = this.#tasks.get(id)
    if (own?.task.state !== 'stopping') return []
    own.task = { ...own.task, message: `cannot be stopped: ${message}`.slice(0, 500) }
    own.stopAgainAtMs = nowMs + STOP_RETRY_MS
    this.#changes++
    return []
  }

  /** Stops that did not work and are due again. */
  stopsDue(nowMs: number): Effect[] {
    const effects: Effect[] = []
    for (const own of this.#tasks.values()) {
      if (own.task.state !== 'stopping' || own.stopAgainAtMs > nowMs) continue
      own.stopAgainAtMs = Infinity
      effects.push(stopOf(own))
    }
    return effects
  }

  /** What a probe of a task found, for the checks that were begun by one revision. */
  probed(id: TaskId, revision: RevisionId, probe: ProbeResult, nowMs: number): void {
    const own = this.#tasks.get(id)
    if (own?.task.state !== 'running') return
    const { startedAtMs, trial } = own
    if (revision === trial?.checks.revision) {
      const before = trial.checks.health
      trial.checks.probed(probe, { nowMs, startedAtMs })
      if (trial.checks.health !== before) this.#judgeTrial(own, trial, nowMs)
      return
    }
    if (revision !== own.checks.revision) return
    own.checks.probed(probe, { nowMs, startedAtMs })
    const { health } = own.checks
    if (health === own.task.health) return
    const message = health === 'healthy' ? '' : probe.message.slice(0, 500)
    own.task = { ...own.task, health, message }
    this.#touch(own, nowMs)
  }

  /** A trial that all checks pass is over: the task is of that revision now. One that they do not pass goes on, and says so. */
  #judgeTrial(
    own: Own,
    { revision, spec, checks }: NonNullable<Own['trial']>,
    nowMs: number,
  ): void {
    const { health, complaint } = checks
    if (health === 'healthy') {
      delete own.trial
      own.spec = spec
      own.checks = checks
      own.task = { ...own.task, revision, health, message: '' }
      this.#failures.forgive(own.task.slot, revision)
      this.#touch(own, nowMs)
    } else if (health === 'unhealthy') {
      this.progressed(own.task.id, `the new revision's health checks fail: ${complaint}`)
    }
  }

  /**
   * An engine is away for good. Its tasks may run on, but nobody can vouch for those that nothing
   * checks: clients are sent elsewhere until it lists them again.
   */
  loseEngine(runtime: 'docker' | 'process', nowMs: number): void {
    for (const own of this.#tasks.values()) {
      const { state, health } = own.task
      if (runtimeOf(own.spec) !== runtime || state !== 'running' || health !== 'none') continue
      own.task = { ...own.task, health: 'unknown', message: `the ${runtime} engine is away` }
      this.#touch(own, nowMs)
    }
  }

  /**
   * Takes tasks over to a new revision that would start the very same: what differs, such as `instances`, changes around
   * them. Other health checks are tried on a task that serves, or may, before it goes by them: if they are wrong nothing is lost.
   */
  follow(apps: ReadonlyMap<AppId, WantedApp>, specOf: SpecOf, nowMs: number): void {
    for (const own of this.#tasks.values()) {
      this.#learn(own, specOf, nowMs)
      const app = apps.get(own.task.app)
      const { state, revision, health } = own.task
      if (own.trial !== undefined && own.trial.revision !== app?.revision) this.#endTrial(own)
      if (app === undefined || app.revision === revision || isFinal(state)) continue
      if (state === 'stopping' || workDigest(app.spec) !== workDigest(own.spec)) continue
      // Once begun, a trial decides: that the old checks fail for a moment does not make the new ones right.
      if (own.trial !== undefined) continue
      const mayServe = state === 'running' && own.hasServed && health !== 'unhealthy'
      if (mayServe && app.spec.health.length > 0 && !hasSameChecks(own.spec, app.spec)) {
        own.trial = { ...app, checks: new CheckRun(app, nowMs) }
        continue
      }
      own.task = { ...own.task, revision: app.revision }
      this.#setSpec(own, app.spec, nowMs)
    }
  }

  /** The revision is wanted no more: what was said of its checks is over, too. */
  #endTrial(own: Own): void {
    delete own.trial
    if (own.task.health === 'healthy' || own.task.health === 'none')
      this.progressed(own.task.id, '')
  }

  /** A task whose revision was not known when it was found is counted by it from when it is. */
  #learn(own: Own, specOf: SpecOf, nowMs: number): void {
    if (own.guessedFrom === undefined) return
    const { spec, isGuess } = specOf(own.guessedFrom, runtimeOf(own.spec))
    if (isGuess) return
    delete own.guessedFrom
    this.#setSpec(own, spec, nowMs)
  }

  #setSpec(own: Own, spec: AppSpec, nowMs: number): void {
    const isSame = hasSameChecks(own.spec, spec)
    own.spec = spec
    if (!isSame) {
      own.checks = new CheckRun({ revision: own.task.revision, spec }, nowMs)
      own.task = { ...own.task, health: own.checks.health }
    }
    this.#touch(own, nowMs)
  }

  /** Takes over what a runtime found: after a start of the daemon, after the engine was away, or when something did not work there. */
  adopt(
    found: readonly FoundTask[],
    runtime: 'docker' | 'process',
    specOf: SpecOf,
    nowMs: number,
  ): Effect[] {
    const effects: Effect[] = []
    const listed = new Set(found.map(({ task }) => task))
    for (const own of this.#tasks.values()) {
      const isHere = runtimeOf(own.spec) === runtime && !listed.has(own.task.id)
      if (isHere && (own.task.state === 'running' || own.task.state === 'stopping')) {
        effects.push(
          ...this.#ended(own.task.id, -1, 'it was gone when the engine came back', nowMs),
        )
      }
    }
    for (const one of found) {
      const own = this.#tasks.get(one.task)
      if (own !== undefined) {
        if (one.running && isFinal(own.task.state)) {
          // Its start was given up, and worked all the same.
          effects.push(stopOf(own))
        } else if (!one.running && own.task.state !== 'preparing') {
          effects.push(...this.#ended(one.task, one.exitCode ?? -1, '', nowMs))
        } else if (own.spec.health.length === 0 && own.task.health === 'unknown') {
          own.task = { ...own.task, health: 'none', message: '' }
          this.#touch(own, nowMs)
        }
        continue
      }
      const { spec, isGuess } = specOf(one, runtime)
      const task: Task = {
        id: one.task,
        app: appOfSlot(one.slot),
        slot: one.slot,
        revision: one.revision,
        state: 'running',
        health: spec.health.length === 0 ? 'none' : 'unknown',
        ports: one.ports,
        sinceMs: one.startedAtMs,
        message: '',
      }
      const adopted = this.#add(task, spec, nowMs, false)
      adopted.checks = new CheckRun({ revision: one.revision, spec }, nowMs)
      if (isGuess) adopted.guessedFrom = one
      if (!one.running) effects.push(...this.exited(one.task, one.exitCode ?? -1, '', nowMs))
    }
    return effects
  }

  /** The probes that are due. */
  probesDue(nowMs: number): Effect[] {
    const effects: Effect[] = []
    for (const own of this.#tasks.values()) {
      if (own.task.state !== 'running') continue
      const { id: task, ports } = own.task
      for (const { spec, checks } of own.trial === undefined ? [own] : [own, own.trial]) {
        for (const check of checks.takeDue(nowMs)) {
          effects.push({ kind: 'probe', task, revision: checks.revision, check, spec, ports })
        }
      }
    }
    return effects
  }

  /** Drops what has run out: refusals, port bans, and the failures and ended tasks of slots that are not here. */
  expire(nowMs: number, isOwn: (slot: SlotId) => boolean): Effect[] {
    const effects: Effect[] = []
    this.#changes += this.#failures.expire(nowMs, isOwn)
    for (const [port, untilMs] of this.#bannedPorts) {
      if (untilMs <= nowMs) this.#bannedPorts.delete(port)
    }
    for (const own of this.#tasks.values()) {
      const { slot, state } = own.task
      if (isFinal(state) && !isOwn(slot) && !this.#failures.isRefused(slot))
        effects.push(...this.#forget(own))
    }
    return effects
  }

  /** When something here is due next. */
  wakeAtMs(): number {
    let at = this.#failures.wakeAtMs()
    for (const own of this.#tasks.values()) {
      at = Math.min(at, own.stopAgainAtMs)
      if (own.task.state !== 'running') continue
      at = Math.min(at, own.checks.wakeAtMs, own.trial?.checks.wakeAtMs ?? Infinity)
    }
    return at
  }

  /** Forgets refusals of revisions that are no longer wanted. */
  dropStaleRefusals(revisionOf: (slot: SlotId) => RevisionId | undefined): void {
    this.#changes += this.#failures.dropStale(revisionOf)
  }

  #ended(id: TaskId, exitCode: number, message: string, nowMs: number): Effect[] {
    const own = this.#tasks.get(id)
    return own?.task.state === 'stopping'
      ? this.stopped(id, nowMs)
      : this.exited(id, exitCode, message, nowMs)
  }

  #add(task: Task, spec: AppSpec, nowMs: number, isBegun: boolean): Own {
    const own: Own = {
      task,
      spec,
      startedAtMs: nowMs,
      servingSinceMs: undefined,
      hasServed: !isBegun,
      stopAgainAtMs: Infinity,
      checks: new CheckRun({ revision: task.revision, spec }, nowMs),
      isBegun,
    }
    this.#tasks.set(task.id, own)
    this.#touch(own, nowMs)
    return own
  }

  #move(own: Own, to: TaskState, message: string, nowMs: number): boolean {
    if (!mayMove(own.task.state, to)) return false
    const ranSinceMs = own.task.state === 'running' ? own.task.sinceMs : nowMs
    own.task = { ...own.task, state: to, message: message.slice(0, 500), sinceMs: nowMs }
    if (to === 'stopping') own.task = { ...own.task, ranSinceMs }
    this.#touch(own, nowMs)
    return true
  }

  #touch(own: Own, nowMs: number): void {
    own.servingSinceMs = isServing(own.task) ? (own.servingSinceMs ?? nowMs) : undefined
    own.hasServed ||= own.servingSinceMs !== undefined
    this.#changes++
  }

  #countFailure(
    own: Own,
    failure: { readonly temporary: boolean; readonly message: string },
    nowMs: number,
  ): void {
    const { slot, revision } = own.task
    const ranMs = nowMs - own.startedAtMs
    const { backoff } = own.spec
    this.#failures.count({ slot, revision, backoff, ranMs, ...failure }, nowMs)
    this.#changes++
  }

  /** Removes the slot's ended tasks; the last one is kept for its logs until a new one begins twice over. */
  #forgetEnded(slot: SlotId, beside: TaskId): Effect[] {
    const ended = [...this.#tasks.values()]
      .filter(({ task }) => task.slot === slot && isFinal(task.state) && task.id !== beside)
      .toSorted((one, other) => other.task.sinceMs - one.task.sinceMs)
    return ended.slice(1).flatMap(own => this.#forget(own))
  }

  #forget(own: Own): Effect[] {
    this.#tasks.delete(own.task.id)
    this.#changes++
    return [{ kind: 'remove', task: own.task.id, runtime: runtimeOf(own.spec) }]
  }

  #portsInUse(nowMs: number): Set<number> {
    const used = new Set<number>()
    for (const [port, untilMs] of this.#bannedPorts) if (untilMs > nowMs) used.add(port)
    for (const { task } of this.#tasks.values()) {
      if (isFinal(task.state)) continue
      for (const { hostPort } of task.ports) used.add(hostPort)
    }
    return used
  }
}

/** Finds the app of a task that a runtime found: at its own revision where the history still has it. */
export type SpecOf = (
  found: FoundTask,
  runtime: 'docker' | 'process',
) => { readonly spec: AppSpec; readonly isGuess: boolean }

function stopOf({ task, spec }: Own): Effect {
  return { kind: 'stop', task: task.id, runtime: runtimeOf(spec), graceMs: toMs(spec.stopGrace) }
}

function hasSameChecks(one: AppSpec, other: AppSpec): boolean {
  return JSON.stringify(one.health) === JSON.stringify(other.health)
}
