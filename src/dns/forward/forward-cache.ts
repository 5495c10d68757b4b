import type { Relayed } from '../answerer.ts'
import type { UpstreamAnswer } from './upstream-message.ts'

/** Answers of other resolvers, for as long as these allow. */
export interface ForwardCache {
  /** An answer with the TTLs that it has left; nothing when none is kept. */
  get(key: string, nowMs: number): Relayed | undefined
  /** Keeps an answer for its own time. */
  put(key: string, answer: UpstreamAnswer, nowMs: number): void
  /** Keeps "nobody could say" for a short while (RFC 9520), so that clients who ask again and again are no load to others. */
  putFailure(key: string, relayed: Relayed, nowMs: number): void
  clear(): void
  readonly bytes: number
  readonly entries: number
}

interface Entry extends Pick<UpstreamAnswer, 'relayed' | 'ttls'> {
  readonly keptAtMs: number
  readonly untilMs: number
  readonly bytes: number
}

/** Failures are kept for so long, in milliseconds. */
export const KEEP_FAILURE_MS = 1_000
/** Measured cost of an entry beside its bytes. */
const OVERHEAD_BYTES = 500

/**
 * Makes an empty cache. When it is full, what was not asked for longest goes first.
 *
 * @param bytesMax Room for answers, in bytes. One that would take a sixteenth of it is not kept.
 */
export function createForwardCache(bytesMax: number): ForwardCache {
  // Least recently asked first.
  const entries = new Map<string, Entry>()
  let bytes = 0

  function remove(key: string): void {
    bytes -= entries.get(key)?.bytes ?? 0
    entries.delete(key)
  }

  function keep(key: string, entry: Omit<Entry, 'bytes'>): void {
    remove(key)
    const { relayed, ttls } = entry
    const size = OVERHEAD_BYTES + 2 * key.length + relayed.records.length + 8 * ttls.length
    if (size > bytesMax / 16) return
    bytes += size
    entries.set(key, { ...entry, bytes: size })
    for (const oldest of entries.keys()) {
      if (bytes <= bytesMax) break
      remove(oldest)
    }
  }

  return {
    get: (key, nowMs) => {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      if (nowMs >= entry.untilMs) {
        remove(key)
        return undefined
      }
      entries.delete(key)
      entries.set(key, entry)
      return aged(entry, Math.floor((nowMs - entry.keptAtMs) / 1000))
    },
    put: (key, { relayed, ttls, keepSeconds }, nowMs) => {
      if (keepSeconds === 0) return
      keep(key, { relayed, ttls, keptAtMs: nowMs, untilMs: nowMs + keepSeconds * 1000 })
    },
    putFailure: (key, relayed, nowMs) =>
      keep(key, { relayed, ttls: [], keptAtMs: nowMs, untilMs: nowMs + KEEP_FAILURE_MS }),
    clear: () => {
      entries.clear()
      bytes = 0
    },
    get bytes() {
      return bytes
    },
    get entries() {
      return entries.size
    },
  }
}

function aged({ relayed, ttls }: Entry, ageSeconds: number): Relayed {
  if (ageSeconds === 0) return relayed
  const records = Buffer.from(relayed.records)
  for (const at of ttls) {
    records.writeUInt32BE(Math.max(0, records.readUInt32BE(at) - ageSeconds), at)
  }
  return { ...relayed, records }
}
