/**
 * Figures of the threads that answer, in memory that they share with the main
 * thread: counting is one addition, and reading disturbs nobody. Each thread
 * writes its own block alone, and a reader may see it between two additions.
 *
 * @module
 */

import { rcodeName, TYPE } from './records.ts'
import type { DnsTransport } from './answerer.ts'

/** Types that are counted by name; the others are `other`, as clients may ask for any of 65,536. */
const TYPE_LABELS = [
  'other',
  'A',
  'NS',
  'CNAME',
  'SOA',
  'PTR',
  'MX',
  'TXT',
  'AAAA',
  'SRV',
  'HTTPS',
  'IXFR',
  'AXFR',
  'ANY',
] as const
const TYPE_NUMBERS: Readonly<Record<string, number>> = TYPE
/** All response codes that a server gives, BADCOOKIE (23) the last. */
const RCODES = 24
const TRANSPORTS = ['udp', 'tcp'] as const

/** Why a packet, an answer or a connection came to nothing. */
export const DROP_REASONS = [
  /** Less than a header, or an answer. */
  'not-a-query',
  /** Beyond the rate that one network may get. */
  'rate',
  /** Too many answers wait for the system's send buffer. */
  'send-queue',
  /** Too many forwarded questions wait, of all clients or of this one. */
  'forward-queue',
  /** A TCP connection that was closed to make room for another, or because too many transfers run. */
  'connection-limit',
  /** A TCP connection that brought no whole query in time. */
  'idle',
  /** A TCP connection that said what no client says. */
  'broken-stream',
] as const

/** One of {@link DROP_REASONS}. */
export type DropReason = (typeof DROP_REASONS)[number]

/** Everything else that is counted. */
export const EVENTS = [
  /** Answers with TC, for want of room. */
  'truncated',
  /** Answers with TC or BADCOOKIE in place of records, for too high a rate. */
  'slipped',
  /** Queries with a cookie of ours that holds. */
  'cookie-valid',
  /** Queries with a cookie that is not ours, or too old. */
  'cookie-invalid',
  /** Whole-zone transfers begun. */
  'transfers',
  /** Questions about other domains that were answered from the cache. */
  'forward-hits',
  /** Those that were asked of a resolver, or joined to one that was being asked. */
  'forward-misses',
  /** Tries: UDP queries sent to resolvers. */
  'forward-tries',
  /** TCP queries sent to resolvers. */
  'forward-tcp',
  /** Tries that got no answer in time. */
  'forward-timeouts',
  /** Packets from resolvers that did not match what was asked: forged, or of another time. */
  'forward-mismatches',
  /** Questions that no resolver answered. */
  'forward-failures',
  /** Clients turned away because they may not ask for other domains. */
  'forward-refusals',
] as const

/** One of {@link EVENTS}. */
export type DnsEvent = (typeof EVENTS)[number]

/** Where an answer came from: latency is told apart by it. */
export const SOURCES = ['zone', 'cache', 'forward'] as const

/** One of {@link SOURCES}. */
export type AnswerSource = (typeof SOURCES)[number]

/** Upper bounds of the latency histogram, in seconds; what is above the last is counted, too. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
]

/** Gauges: what is so now. */
export const GAUGES = [
  'connections',
  'forward-cache-bytes',
  'forward-cache-entries',
  'forward-pending',
] as const

/** One of {@link GAUGES}. */
export type DnsGauge = (typeof GAUGES)[number]

const QUERY_CELLS = TRANSPORTS.length * TYPE_LABELS.length * RCODES
const DROPS_AT = QUERY_CELLS
const EVENTS_AT = DROPS_AT + DROP_REASONS.length
const GAUGES_AT = EVENTS_AT + EVENTS.length
const LATENCY_AT = GAUGES_AT + GAUGES.length
/** For each source: its buckets, one for what is above, and the sum in seconds. */
const LATENCY_CELLS = LATENCY_BOUNDS.length + 2
const CELLS = LATENCY_AT + SOURCES.length * LATENCY_CELLS

/** What a thread counts with. */
export interface Tally {
  answered(transport: DnsTransport, type: number, rcode: number): void
  dropped(reason: DropReason): void
  happened(event: DnsEvent): void
  set(gauge: DnsGauge, value: number): void
  /** @param weight For how many answers this one stands: not every one is measured. @default 1 */
  took(source: AnswerSource, seconds: number, weight?: number): void
}

/** What has been counted, as data. */
export interface DnsCounters {
  /** Answers, where there were any. */
  readonly queries: readonly {
    readonly type: string
    readonly rcode: string
    readonly proto: DnsTransport
    readonly count: number
  }[]
  readonly drops: Readonly<Record<DropReason, number>>
  readonly events: Readonly<Record<DnsEvent, number>>
  readonly gauges: Readonly<Record<DnsGauge, number>>
  /** Answers by latency: how many took at most each of {@link LATENCY_BOUNDS}, and all. */
  readonly latency: Readonly<
    Record<
      AnswerSource,
      { readonly buckets: readonly number[]; readonly count: number; readonly sumSeconds: number }
    >
  >
}

/** Makes the memory that one thread counts in. */
export function createTallyMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(CELLS * Float64Array.BYTES_PER_ELEMENT)
}

/** Makes what counts in `memory`. */
export function createTally(memory: SharedArrayBuffer): Tally {
  const cells = new Float64Array(memory)
  const typeIndex = new Uint8Array(256)
  for (const [index, label] of TYPE_LABELS.entries()) typeIndex[TYPE_NUMBERS[label] ?? 0] = index
  typeIndex[0] = 0
  return {
    answered: (transport, type, rcode) => {
      const kind = type < 256 ? typeIndex[type]! : 0
      const proto = transport === 'udp' ? 0 : 1
      cells[(proto * TYPE_LABELS.length + kind) * RCODES + rcode]!++
    },
    dropped: reason => {
      cells[DROPS_AT + DROP_REASONS.indexOf(reason)]!++
    },
    happened: event => {
      cells[EVENTS_AT + EVENTS.indexOf(event)]!++
    },
    set: (gauge, value) => {
      cells[GAUGES_AT + GAUGES.indexOf(gauge)] = value
    },
    took: (source, seconds, weight = 1) => {
      const at = LATENCY_AT + SOURCES.indexOf(source) * LATENCY_CELLS
      let bucket = 0
      while (bucket < LATENCY_BOUNDS.length && seconds > LATENCY_BOUNDS[bucket]!) bucket++
      cells[at + bucket]! += weight
      cells[at + LATENCY_CELLS - 1]! += weight * seconds
    },
  }
}

/** Adds up what the threads have counted, each in its own memory. */
export function readTallies(memories: readonly SharedArrayBuffer[]): DnsCounters {
  const sum = new Float64Array(CELLS)
  for (const memory of memories) {
    for (const [index, value] of new Float64Array(memory).entries()) sum[index]! += value
  }
  const queries = TRANSPORTS.flatMap((proto, protoIndex) =>
    TYPE_LABELS.flatMap((type, kind) =>
      Array.from({ length: RCODES }, (_, rcode) => ({
        type,
        rcode: rcodeName(rcode),
        proto,
        count: sum[(protoIndex * TYPE_LABELS.length + kind) * RCODES + rcode]!,
      })),
    ),
  ).filter(({ count }) => count > 0)
  return {
    queries,
    drops: named(DROP_REASONS, sum, DROPS_AT),
    events: named(EVENTS, sum, EVENTS_AT),
    gauges: named(GAUGES, sum, GAUGES_AT),
    latency: {
      zone: latencyOf('zone', sum),
      cache: latencyOf('cache', sum),
      forward: latencyOf('forward', sum),
    },
  }
}

function latencyOf(source: AnswerSource, sum: Float64Array): DnsCounters['latency'][AnswerSource] {
  const at = LATENCY_AT + SOURCES.indexOf(source) * LATENCY_CELLS
  const buckets: number[] = []
  let count = 0
  for (let index = 0; index <= LATENCY_BOUNDS.length; index++) {
    count += sum[at + index]!
    if (index < LATENCY_BOUNDS.length) buckets.push(count)
  }
  return { buckets, count, sumSeconds: sum[at + LATENCY_CELLS - 1]! }
}

function named<Name extends string>(
  names: readonly Name[],
  sum: Float64Array,
  at: number,
): Record<Name, number> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it has all of these names, and no others
  return Object.fromEntries(names.map((name, index) => [name, sum[at + index]!])) as Record<
    Name,
    number
  >
}
