import { createRandom, shuffle, type Random } from '../../src/util/random.ts'

/** What can be done to hosts, in the words of the reports. */
export const FAULT_KINDS = [
  /** The network cable is pulled. */
  'cable',
  /** The daemon stands still, with the cable pulled. */
  'freeze',
  /** kill -9 of the daemon; its tasks run on. */
  'daemon',
  /** kill -9 of the Docker engine and of all its containers. */
  'engine',
  /** All of it: no daemon, no engine, no network. */
  'power',
  /** These hosts hear each other, and nobody else does. */
  'partition',
  /** The second host no longer hears the first. */
  'one-way',
  /** Each packet to and from the host is lost with a chance of one in twenty. */
  'loss',
] as const

/** One of {@link FAULT_KINDS}. */
export type FaultKind = (typeof FAULT_KINDS)[number]

/** A fault that is to come. */
export interface PlannedFault {
  readonly kind: FaultKind
  /** When it begins, from the begin of the run. */
  readonly atMs: number
  /** How long it lasts. */
  readonly forMs: number
  /** The hosts that it strikes, from 1; the smaller side of a partition. */
  readonly hosts: readonly number[]
}

/** What to draw faults for. */
export interface FaultPlanOptions {
  readonly seed: number
  /** At least 3. */
  readonly hosts: number
  /** All faults are over by then. */
  readonly durationMs: number
}

/** The cluster is left alone for so long at the begin. */
const FIRST_MS = 3_000
const LASTS_MS = [3_000, 16_000] as const
/** From the begin of one fault to that of the next: shorter than most last, so that some overlap. */
const PAUSE_MS = [3_000, 12_000] as const
/** A host that was struck is left alone for so long, or its slots would never get home. */
const REST_MS = 8_000

/** About one plan for two minutes in fifty has no room for every kind. */
const DRAWS = 20

/**
 * Draws faults from a seed; the same seed, the same faults. Every kind comes once before any comes
 * again, and a plan that lasts meets all: of two minutes for five hosts, say. At most half of the hosts, rounded
 * down to a minority, are struck at any one time: there is always a majority that nothing is wrong with, and what
 * its clients see is what is measured.
 */
export function planFaults(options: FaultPlanOptions): PlannedFault[] {
  if (options.hosts < 3) {
    throw new RangeError(`Cannot strike fewer than 3 hosts, got ${options.hosts}`)
  }
  const random = createRandom(options.seed)
  let best: PlannedFault[] = []
  for (let draw = 0; draw < DRAWS && kindsIn(best) < FAULT_KINDS.length; draw++) {
    const plan = drawPlan(options, random)
    if (draw === 0 || kindsIn(plan) > kindsIn(best)) best = plan
  }
  return best
}

function kindsIn(plan: readonly PlannedFault[]): number {
  return new Set(plan.map(({ kind }) => kind)).size
}

function drawPlan({ hosts, durationMs }: FaultPlanOptions, random: Random): PlannedFault[] {
  const struckMax = Math.floor((hosts - 1) / 2)
  // Both ends of a one-way cut are struck.
  const kinds = FAULT_KINDS.filter(kind => kind !== 'one-way' || struckMax >= 2)
  const plan: PlannedFault[] = []
  let bag: FaultKind[] = []
  let atMs = FIRST_MS
  for (;;) {
    if (bag.length === 0) bag = shuffle(kinds, random)
    const kind = bag.pop()!
    const size = sizeOf(kind, struckMax, random)
    const forMs = between(LASTS_MS, random)
    atMs = firstChance(plan, atMs, { hosts, struckMax, size })
    if (atMs + forMs > durationMs) return plan
    const free = hostsFree(plan, atMs, hosts)
    plan.push({ kind, atMs, forMs, hosts: shuffle(free, random).slice(0, size) })
    atMs += between(PAUSE_MS, random)
  }
}

function sizeOf(kind: FaultKind, struckMax: number, random: Random): number {
  if (kind === 'partition') return 1 + Math.floor(random() * struckMax)
  return kind === 'one-way' ? 2 : 1
}

/** The first moment from `atMs` on at which `size` more hosts may be struck. */
function firstChance(
  plan: readonly PlannedFault[],
  atMs: number,
  {
    hosts,
    struckMax,
    size,
  }: { readonly hosts: number; readonly struckMax: number; readonly size: number },
): number {
  const moments = [atMs, ...plan.map(endMs).filter(ms => ms > atMs)].toSorted((a, b) => a - b)
  const found = moments.find(ms => {
    return hosts - hostsFree(plan, ms, hosts).length + size <= struckMax
  })
  return found ?? atMs
}

/** The hosts that are not struck at a moment, and have recovered. */
function hostsFree(plan: readonly PlannedFault[], atMs: number, hosts: number): number[] {
  const struck = new Set(plan.filter(fault => endMs(fault) > atMs).flatMap(fault => fault.hosts))
  return Array.from({ length: hosts }, (_, index) => index + 1).filter(host => !struck.has(host))
}

function endMs({ atMs, forMs }: PlannedFault): number {
  return atMs + forMs + REST_MS
}

function between([least, most]: readonly [number, number], random: Random): number {
  return Math.round(least + (most - least) * random())
}
