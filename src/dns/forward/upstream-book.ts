import type { Manners } from './ask-upstream.ts'
import { formatUpstream, type Upstream } from './upstream.ts'

/** How the resolvers that are asked have behaved. */
export interface UpstreamBook {
  /** Those of `upstreams` that may be asked, best first: those that failed lately are last, those that lead back to us are out. */
  order(upstreams: readonly Upstream[], nowMs: number): Upstream[]
  mannersOf(upstream: Upstream): Manners
  /** True once after so long: then it should be found out whether it leads back to us. */
  isProbeDue(upstream: Upstream, afterMs: number, nowMs: number): boolean
  answered(upstream: Upstream): void
  failed(upstream: Upstream, nowMs: number): void
  /** It leads back to us. Returns false when that was known. */
  looped(key: string, nowMs: number): boolean
  /** Forgets everything: they may have changed. */
  clear(): void
}

interface Conduct {
  readonly manners: Manners
  failedAtMs: number
  probedAtMs: number
  loopedAtMs: number
}

/** Who failed is asked last for so long, in milliseconds. */
const FAILED_MS = 15_000
/** Who leads back to us is not asked for so long, in milliseconds; somebody may have mended it by then. */
export const LOOPED_MS = 300_000
/** Host files come and go; so many resolvers in a daemon's life are more than any has. */
const UPSTREAMS_MAX = 256

/** Makes an empty book. */
export function createUpstreamBook(): UpstreamBook {
  const records = new Map<string, Conduct>()

  function recordOf(key: string): Conduct {
    let record = records.get(key)
    if (record === undefined) {
      if (records.size >= UPSTREAMS_MAX) records.clear()
      record = {
        manners: { edns: true, keepsCase: true },
        failedAtMs: -Infinity,
        probedAtMs: -Infinity,
        loopedAtMs: -Infinity,
      }
      records.set(key, record)
    }
    return record
  }

  return {
    order: (upstreams, nowMs) => {
      const hasFailed = (upstream: Upstream): boolean =>
        nowMs - recordOf(formatUpstream(upstream)).failedAtMs < FAILED_MS
      return upstreams
        .filter(one => nowMs - recordOf(formatUpstream(one)).loopedAtMs >= LOOPED_MS)
        .toSorted((one, other) => Number(hasFailed(one)) - Number(hasFailed(other)))
    },
    mannersOf: upstream => recordOf(formatUpstream(upstream)).manners,
    isProbeDue: (upstream, afterMs, nowMs) => {
      const record = recordOf(formatUpstream(upstream))
      if (nowMs - record.probedAtMs < afterMs) return false
      record.probedAtMs = nowMs
      return true
    },
    answered: upstream => {
      recordOf(formatUpstream(upstream)).failedAtMs = -Infinity
    },
    failed: (upstream, nowMs) => {
      recordOf(formatUpstream(upstream)).failedAtMs = nowMs
    },
    looped: (key, nowMs) => {
      const record = recordOf(key)
      const isNews = nowMs - record.loopedAtMs >= LOOPED_MS
      record.loopedAtMs = nowMs
      return isNews
    },
    clear: () => records.clear(),
  }
}
