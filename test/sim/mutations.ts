/**
 * The guards that the simulator must notice the loss of, each with the test that fails without it. A guard is a small
 * piece of text in `src`; a mutation puts another in its place, which still compiles.
 *
 * @module
 */

/** One guard, how it is broken, and what fails then. */
export interface Mutation {
  /** What the guard is for, in words. */
  readonly guard: string
  /** Its file under `src`, and the exact text there, which must stand there once. */
  readonly file: string
  readonly find: string
  readonly put: string
  /** The test under `test/sim` that must fail, and which of its stories (a part of the name), or which seeds. */
  readonly test: string
  readonly story?: string
  readonly seeds?: number
  readonly seed?: number
}

const CLAIMS = 'node/machine/claims.ts'
const WITNESS = 'node/machine/witness.ts'
const GATE = 'node/machine/gate.ts'
const PLAN = 'reconcile/plan.ts'
const EDITS = 'node/machine/pending-edits.ts'

/** Every mutation, in the order of the rooms. */
export const MUTATIONS: readonly Mutation[] = [
  {
    guard: 'a witness grants nobody what it has promised to another',
    file: WITNESS,
    find: 'if (entry?.holder !== undefined && isOther && nowMs < entry.untilMs) {',
    put: 'if (entry?.holder !== undefined && isOther && nowMs < entry.untilMs - 1e9) {',
    test: 'claims',
    story: 'cut off ends its task',
  },
  {
    guard: 'a witness that has just started vouches for nothing',
    file: WITNESS,
    find: 'const hasForgotten = entry === undefined && nowMs - this.#knowsSinceMs < termMs',
    put: 'const hasForgotten = entry === undefined && nowMs < this.#knowsSinceMs',
    test: 'claim-terms',
    story: 'witnesses that restart',
  },
  {
    guard: 'a promise lasts as long as the app goes on when it is cut off',
    file: CLAIMS,
    find: 'const coveredMs = CLAIM_MS + lostAfterMs + graceMs + KILL_MS',
    put: 'const coveredMs = CLAIM_MS + 0 * lostAfterMs + graceMs + KILL_MS',
    test: 'claims',
    story: 'cut off ends its task',
  },
  {
    guard: 'a promise covers the time that the task takes to end',
    file: CLAIMS,
    find: 'const coveredMs = CLAIM_MS + lostAfterMs + graceMs + KILL_MS',
    put: 'const coveredMs = CLAIM_MS + lostAfterMs + 0 * graceMs',
    test: 'claim-terms',
    story: 'ignores the signal',
  },
  {
    guard: 'a promise covers clocks that run at different rates',
    file: CLAIMS,
    find: 'const termMs = Math.ceil(coveredMs * (1 + CLOCK_RATE_ERROR))',
    put: 'const termMs = Math.ceil(coveredMs * (1 + 0 * CLOCK_RATE_ERROR) - KILL_MS)',
    test: 'claim-terms',
    story: 'clocks that run apart',
  },
  {
    guard: 'a claim counts from when it was asked for',
    file: CLAIMS,
    find: 'this.#hold(open, round.sentAtMs)',
    put: 'this.#hold(open, nowMs + 0 * round.sentAtMs)',
    test: 'claim-terms',
    story: 'answers that come late',
  },
  {
    guard: 'a claim needs a majority',
    file: CLAIMS,
    find: 'if (!isMajority(open.grantedBy, this.#options.admitted())) continue',
    put: 'if (!isMajority(open.grantedBy, new Set(open.grantedBy))) continue',
    test: 'claims',
    story: 'without a majority anywhere',
  },
  {
    guard: 'of two halves one goes on',
    file: 'node/machine/majority.ts',
    find: 'return breaker !== undefined && isSeen(breaker)',
    put: 'return breaker !== undefined',
    test: 'claims',
    story: 'of two nodes',
  },
  {
    guard: 'nothing that needs a claim starts without one',
    file: GATE,
    find: 'if (needsClaim(spec) && claims.held(slot, nowMs) === undefined) {',
    put: 'if (needsClaim(spec) && claims.held(slot, nowMs) === undefined && nowMs < 0) {',
    test: 'claims',
    story: 'cut off ends its task',
  },
  {
    guard: 'a fencing token is above all that were known before',
    file: 'node/machine/claim-desk.ts',
    find: 'return Math.max(this.#fence + 1, Math.floor(this.#nowMs))',
    put: 'return Math.max(1, Math.floor(this.#nowMs / 1e9)) + 0 * this.#fence',
    test: 'claim-terms',
    story: 'tokens only grow',
  },
  {
    guard: 'a lost node keeps its slots for as long as the app says',
    file: GATE,
    find: 'if (untilMs <= nowMs) return undefined\n    const { lostAfter }',
    put: 'if (untilMs <= nowMs + 1e9) return undefined\n    const { lostAfter }',
    test: 'hand-over',
    story: 'dead node keeps its slots',
  },
  {
    guard: 'moves keep to the budget',
    file: GATE,
    find: 'if (allowed.slots.has(slot)) return undefined',
    put: 'if (allowed.slots.size >= 0) return undefined',
    test: 'hand-over',
    story: 'no faster than the budget',
  },
  {
    guard: 'the brake',
    file: 'node/machine/mass-loss.ts',
    find: 'if (this.#brake !== undefined) return this.#startedAtMs + BRAKE_START_INTERVAL_MS',
    put: 'if (this.#brake !== undefined) return this.#startedAtMs',
    test: 'hand-over',
    story: 'vanish at once',
  },
  {
    guard: 'a node that comes and goes is avoided',
    file: 'node/machine/stability.ts',
    find: 'return this.#returnsMs.length >= FLAPS && !this.isSteady(nowMs)',
    put: 'return this.#returnsMs.length >= 1_000 * FLAPS && !this.isSteady(nowMs)',
    test: 'hand-over',
    story: 'comes and goes is avoided',
  },
  {
    guard: 'a slot that must not run twice waits for the other node',
    file: PLAN,
    find: 'if (stopFirst && remote.some(({ task }) => !isFinal(task.state))) {',
    put: 'if (stopFirst && remote.some(({ task }) => !isFinal(task.state) && input.nowMs < 0)) {',
    test: 'stories',
    story: 'stop-first app never runs twice',
  },
  {
    guard: 'a slot that must not run twice waits for its old task here',
    file: PLAN,
    find: 'if (stopFirst && old.length + going.length > 0)',
    put: 'if (stopFirst && old.length + going.length > 1_000)',
    test: 'stories',
    story: 'stop-first app never runs twice',
  },
  {
    guard: 'a task is kept until another node serves its slot',
    file: PLAN,
    find: '.map(taker => takesOverAtMs(app, taker, local))',
    put: '.map(taker => Math.min(0, takesOverAtMs(app, taker, local)))',
    test: 'stories',
    story: 'takes its slots over before the others give them up',
  },
  {
    guard: 'an old task goes on until the new one has served for the monitor window',
    file: PLAN,
    find: 'if (servingSinceMs === undefined) return Infinity',
    put: 'if (servingSinceMs === undefined) return 0',
    test: 'stories',
    story: 'never serves fewer',
  },
  {
    guard: 'a rollout goes slot by slot',
    file: PLAN,
    find: 'if (blocker !== undefined) return wait(blocker.reason, blocker)',
    put: 'if (blocker !== undefined && input.nowMs < 0) return wait(blocker.reason, blocker)',
    test: 'stories',
    story: 'bad revision stops at its first slot',
  },
  {
    guard: 'a rollout waits for the monitor window of each slot',
    file: PLAN,
    find: 'if (input.nowMs - sinceMs >= monitorMs) return true',
    put: 'if (input.nowMs - sinceMs >= 0 * monitorMs) return true',
    test: 'stories',
    story: 'never serves fewer',
  },
  {
    guard: 'a node that has just started neither starts nor stops before it knows the others',
    file: PLAN,
    find: 'if (!input.isSettled) {',
    put: 'if (!input.isSettled && input.nowMs < 0) {',
    test: 'stories',
    story: 'restarted in order moves nothing',
  },
  {
    guard: 'nothing starts above the capacity of its node',
    file: PLAN,
    find: 'if (room.take(app.spec)) {',
    put: 'if (room.take(app.spec) || input.nowMs > 0) {',
    test: 'stories',
    story: 'two full machines that swap',
  },
  {
    guard: 'two full nodes that swap their tasks do not wait for each other for ever',
    file: PLAN,
    find: 'return sinceMs !== undefined && input.nowMs - sinceMs >= ROOM_PATIENCE_MS',
    put: 'return sinceMs !== undefined && input.nowMs - sinceMs >= 1e9 * ROOM_PATIENCE_MS',
    test: 'stories',
    story: 'two full machines that swap',
  },
  {
    guard: 'what keeps failing waits longer each time',
    file: PLAN,
    find: 'if (retryAtMs !== undefined && retryAtMs > input.nowMs) {',
    put: 'if (retryAtMs !== undefined && retryAtMs > input.nowMs + 1e9) {',
    test: 'stories',
    story: 'waits longer each time',
  },
  {
    guard: 'what a node said before its last start counts for nothing',
    file: 'node/machine/members.ts',
    find: "return verdict?.kind === 'alive' && this.isOfThisLife(record) ? verdict.sinceMs : undefined",
    put: "return verdict?.kind === 'alive' ? verdict.sinceMs : undefined",
    test: 'stories',
    story: 'takes its slots over before the others give them up',
  },
  {
    guard: 'a node that went for a restart keeps its slots for a while',
    file: 'node/machine/members.ts',
    find: "return verdict?.kind === 'left' && !record.leaving && nowMs - verdict.sinceMs < LEAVE_GRACE_MS",
    put: "return verdict?.kind === 'left' && !record.leaving && nowMs - verdict.sinceMs < 0",
    test: 'stories',
    story: 'restarted in order moves nothing',
  },
  {
    guard: 'and no longer than that',
    file: 'node/machine/members.ts',
    find: "if (kind === 'left' && sinceMs + LEAVE_GRACE_MS > nowMs)",
    put: "if (kind === 'left' && sinceMs > nowMs)",
    test: 'stories',
    story: 'shut down for good',
  },
  {
    guard: 'an edit is acknowledged only when another disk has it',
    file: EDITS,
    find: 'if (reach.isAlone) return [published, this.#finish(token, pending, undefined)]',
    put: 'if (reach.isAlone || nowMs > 0) return [published, this.#finish(token, pending, this.#self)]',
    test: 'stories',
    story: 'right after its answer',
  },
  {
    guard: 'a change of a record is applied to the version before it only',
    file: 'node/machine/observed-book.ts',
    find: 'if (base?.incarnation !== delta.incarnation || base.seq !== delta.baseSeq)',
    put: 'if (base?.incarnation !== delta.incarnation)',
    test: 'cluster',
    story: 'keeps its invariants',
    seeds: 20,
  },
  {
    guard: 'anti-entropy asks for what is missing',
    file: 'node/machine/inbox.ts',
    find: 'if (offer.digest !== exchange.digest()) return [...effects, exchange.have(from, false)]',
    put: 'if (offer.digest === exchange.digest()) return [...effects, exchange.have(from, false)]',
    test: 'cluster',
    story: 'keeps its invariants',
    seeds: 20,
  },
  {
    guard: 'a restarted daemon takes over what runs',
    file: 'node/machine/own-tasks.ts',
    find: 'for (const one of found) {',
    put: 'for (const one of found.slice(1)) {',
    test: 'stories',
    story: 'restart of the daemon touches',
  },
  {
    guard: 'a node that slept gives the others that time back',
    file: 'gossip/liveness/swim.ts',
    find: 'if (lateMs > this.#options.stallMs) this.#stalled(lateMs)',
    put: 'if (lateMs > 1e9 * this.#options.stallMs) this.#stalled(lateMs)',
    test: 'freeze',
    story: 'worker stalls',
  },
  {
    guard: 'placement goes by those that are there',
    file: 'node/machine/node-machine.ts',
    find: 'record => desired.nodes.has(record.node) && this.#members.isEligible(record, this.#nowMs),',
    put: 'record => desired.nodes.has(record.node) && this.#nowMs > 0,',
    test: 'stories',
    story: 'loses its power is out of answers',
  },
  {
    guard: 'equal placements are compared',
    file: 'node/machine/placing.ts',
    find: 'this.#placement = placement\n',
    put: 'this.#placement = this.#self.charCodeAt(20) % 2 === 0 ? placement : { ...placement, placed: new Map([...placement.placed].slice(1)) }\n',
    test: 'stories',
    story: 'scaling starts and stops only',
  },
  {
    guard: 'of two machines with one key the second stops',
    file: 'node/machine/twin-watch.ts',
    find: 'const isFirst = uptimeMs > named.uptimeMs || (uptimeMs === named.uptimeMs && this.#id < run.id)',
    put: 'const isFirst = uptimeMs >= 0 || (uptimeMs === named.uptimeMs && this.#id < run.id)',
    test: 'copied-keys',
    story: 'the second stops before it did anything',
  },
  {
    guard: 'a start that is in doubt about itself does nothing',
    file: 'node/machine/twin-guard.ts',
    find: 'const isOver = nowMs >= endsAtMs',
    put: 'const isOver = nowMs >= endsAtMs - 1e12',
    test: 'copied-keys',
    story: 'the second stops before it did anything',
  },
]
