import type { TaskLine } from '../../src/api/shapes.ts'

/** How long DNS may contradict what its own node holds, in milliseconds: the second that an event may take. */
export const TRUTH_LATE_MS = 1_000

/** Contradictions that are kept, so that one that stays fills nothing. */
const PROBLEMS_MAX = 20

/**
 * Compares what a node's DNS says of an app with what the node itself holds of its tasks. Each answer must be
 * given between two looks: only what was so before and after it counts, for as long as it was so without a break.
 */
export class TruthCheck {
  /** Instances that were named and did not serve, by what the node held, for too long. */
  readonly stale: string[] = []
  /** Instances that served, alone in their slots, and were not named, for too long. */
  readonly missing: string[] = []
  #worstMs = 0
  #knownSinceMs: number | undefined
  readonly #servesSince = new Map<string, number>()
  readonly #goneSince = new Map<string, number>()
  #answer: { readonly askedMs: number; readonly places: ReadonlySet<string> } | undefined

  /** The longest that DNS was behind, in milliseconds, true to within the time between two looks. */
  get worstMs(): number {
    return this.#worstMs
  }

  /** Takes what the node held when its answer came, at `atMs`. */
  look(atMs: number, tasks: readonly TaskLine[]): void {
    this.#knownSinceMs ??= atMs
    const serving = new Set(tasks.filter(isServing).map(placeOf))
    for (const place of this.#servesSince.keys()) {
      if (serving.has(place)) continue
      this.#servesSince.delete(place)
      this.#goneSince.set(place, atMs)
    }
    for (const place of serving) {
      if (!this.#servesSince.has(place)) this.#servesSince.set(place, atMs)
      this.#goneSince.delete(place)
    }
    this.#judge(tasks)
    this.#answer = undefined
  }

  /** Takes what DNS said to a question that was asked at `askedMs`: `address:port` of each instance. */
  answered(askedMs: number, places: readonly string[]): void {
    this.#answer = { askedMs, places: new Set(places) }
  }

  /** The node did not say what it holds: how long something was so is not known any more. */
  lost(): void {
    this.#knownSinceMs = undefined
    this.#servesSince.clear()
    this.#goneSince.clear()
    this.#answer = undefined
  }

  #judge(tasks: readonly TaskLine[]): void {
    if (this.#answer === undefined) return
    const { askedMs, places } = this.#answer
    for (const place of places) {
      if (this.#servesSince.has(place)) continue
      const sinceMs = this.#goneSince.get(place) ?? this.#knownSinceMs ?? askedMs
      this.#tell(this.stale, askedMs - sinceMs, `${place} is named and does not serve`)
    }
    for (const [place, sinceMs] of this.#servesSince) {
      const own = tasks.find(task => placeOf(task) === place)
      // Of two tasks of a slot DNS names the owner's alone.
      const isAlone = tasks.filter(({ slot }) => slot === own?.slot).length === 1
      if (places.has(place) || !isAlone) continue
      this.#tell(this.missing, askedMs - sinceMs, `${place} serves and is not named`)
    }
  }

  #tell(problems: string[], lateMs: number, text: string): void {
    this.#worstMs = Math.max(this.#worstMs, lateMs)
    if (lateMs < TRUTH_LATE_MS || problems.length >= PROBLEMS_MAX) return
    problems.push(`${text}, for ${(lateMs / 1000).toFixed(1)} s`)
  }
}

function isServing({ state, health, nodeVerdict }: TaskLine): boolean {
  const isHealthy = health === 'none' || health === 'healthy'
  return state === 'running' && isHealthy && nodeVerdict === 'alive'
}

function placeOf({ address, ports }: TaskLine): string {
  return `${address}:${ports[0]?.hostPort}`
}
