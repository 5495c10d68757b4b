import type { TaskLine } from '../../src/api/shapes.ts'

/** How long DNS may contradict what its own node holds, in milliseconds: the second that an event may take. */
export const TRUTH_LATE_MS = 1_000

/** Contradictions that are kept, so that one that stays fills nothing. */
const PROBLEMS_MAX = 20

/**
 * Compares what a node's DNS says of an app with what the node itself holds of its tasks. Each answer must be given between
 * two looks, and contradicts only what was so in both. One contradiction is none: a task may have come and gone between the looks.
 * It counts from the first answer to the last, of those that follow each other.
 */
export class TruthCheck {
  /** Instances that were named and did not serve, by what the node held, for too long. */
  readonly stale: string[] = []
  /** Instances that served, alone in their slots, and were not named, for too long. */
  readonly missing: string[] = []
  #worstMs = 0
  #before: View | undefined
  #answer: { readonly askedMs: number; readonly places: ReadonlySet<string> } | undefined
  #staleSince: ReadonlyMap<string, number> = new Map()
  #missingSince: ReadonlyMap<string, number> = new Map()

  /** The longest that DNS was behind, in milliseconds, true to within the time between two looks. */
  get worstMs(): number {
    return this.#worstMs
  }

  /** Takes what the node holds. */
  look(tasks: readonly TaskLine[]): void {
    const view = viewOf(tasks)
    if (this.#before !== undefined && this.#answer !== undefined) {
      this.#judge(this.#before, this.#answer, view)
    }
    this.#before = view
    this.#answer = undefined
  }

  /** Takes what DNS said to a question that was asked at `askedMs`: `address:port` of each instance. */
  answered(askedMs: number, places: readonly string[]): void {
    this.#answer = { askedMs, places: new Set(places) }
  }

  /** The node or its DNS did not answer: what was so before may have been otherwise meanwhile. */
  lost(): void {
    this.#before = undefined
    this.#answer = undefined
    this.#staleSince = new Map()
    this.#missingSince = new Map()
  }

  #judge(
    before: View,
    { askedMs, places }: { readonly askedMs: number; readonly places: ReadonlySet<string> },
    after: View,
  ): void {
    const stale = places.difference(before.serving).difference(after.serving)
    const missing = before.alone.intersection(after.alone).difference(places)
    this.#staleSince = sinceOf(stale, this.#staleSince, askedMs)
    this.#missingSince = sinceOf(missing, this.#missingSince, askedMs)
    this.#tell(this.stale, this.#staleSince, askedMs, 'is named and does not serve')
    this.#tell(this.missing, this.#missingSince, askedMs, 'serves and is not named')
  }

  #tell(
    problems: string[],
    since: ReadonlyMap<string, number>,
    askedMs: number,
    what: string,
  ): void {
    for (const [place, sinceMs] of since) {
      const lateMs = askedMs - sinceMs
      this.#worstMs = Math.max(this.#worstMs, lateMs)
      if (lateMs < TRUTH_LATE_MS || problems.length >= PROBLEMS_MAX) continue
      problems.push(`${place} ${what}, for ${(lateMs / 1000).toFixed(1)} s`)
    }
  }
}

interface View {
  readonly serving: ReadonlySet<string>
  /** Those of them that are their slot's only task: of two, DNS names the owner's. */
  readonly alone: ReadonlySet<string>
}

function viewOf(tasks: readonly TaskLine[]): View {
  const serving = tasks.filter(isServing)
  const alone = serving.filter(
    ({ slot }) => tasks.filter(other => other.slot === slot).length === 1,
  )
  return { serving: new Set(serving.map(placeOf)), alone: new Set(alone.map(placeOf)) }
}

/** Since when each of these is so: since before, or now. */
function sinceOf(
  places: ReadonlySet<string>,
  before: ReadonlyMap<string, number>,
  nowMs: number,
): Map<string, number> {
  return new Map(Array.from(places, place => [place, before.get(place) ?? nowMs]))
}

function isServing({ state, health, nodeVerdict }: TaskLine): boolean {
  const isHealthy = health === 'none' || health === 'healthy'
  return state === 'running' && isHealthy && nodeVerdict === 'alive'
}

function placeOf({ address, ports }: TaskLine): string {
  return `${address}:${ports[0]?.hostPort}`
}
