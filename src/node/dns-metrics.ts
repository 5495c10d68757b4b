import { LATENCY_BOUNDS, SOURCES, type DnsCounters, type DnsEvent } from '../dns/tally.ts'

/** Events that are told as outcomes of forwarding, by the word for them. */
const FORWARD_OUTCOMES: Readonly<Partial<Record<DnsEvent, string>>> = {
  'forward-hits': 'cached',
  'forward-misses': 'asked',
  'forward-failures': 'failed',
  'forward-refusals': 'refused',
}

/** A line: what comes behind the metric's name, the labels, and the value. */
type Sample = readonly [
  suffix: '' | '_bucket' | '_sum' | '_count',
  labels: Readonly<Record<string, string | number>>,
  value: number,
]

/**
 * The figures of DNS in Prometheus' text format. They are counted by other threads,
 * so that the library that prints the rest has no part in them.
 */
export function dnsMetrics({ queries, drops, events, gauges, latency }: DnsCounters): string {
  const eventEntries = typedEntries(events)
  return [
    metric(
      'shoal_dns_queries_total',
      'counter',
      'DNS queries answered, by type, response code and transport.',
      queries.map(({ count, ...labels }) => ['', labels, count]),
    ),
    metric(
      'shoal_dns_drops_total',
      'counter',
      'Packets, answers and connections that came to nothing, by reason.',
      typedEntries(drops).map(([reason, count]) => ['', { reason }, count]),
    ),
    metric(
      'shoal_dns_forwards_total',
      'counter',
      'Questions about other domains, by what became of them.',
      eventEntries.flatMap(([event, count]): Sample[] => {
        const outcome = FORWARD_OUTCOMES[event]
        return outcome === undefined ? [] : [['', { outcome }, count]]
      }),
    ),
    metric(
      'shoal_dns_events_total',
      'counter',
      'What else happened in DNS, by kind.',
      eventEntries
        .filter(([event]) => FORWARD_OUTCOMES[event] === undefined)
        .map(([event, count]) => ['', { event }, count]),
    ),
    metric(
      'shoal_dns_now',
      'gauge',
      'Connections, forwarded questions that wait, and what the cache of forwarded answers holds.',
      typedEntries(gauges).map(([what, value]) => ['', { what }, value]),
    ),
    metric(
      'shoal_dns_latency_seconds',
      'histogram',
      'From a query to its answer, by where the answer came from. Of those from the zone one in 64 is measured.',
      SOURCES.flatMap(source => histogram(source, latency[source])),
    ),
  ].join('\n')
}

function histogram(
  source: string,
  { buckets, count, sumSeconds }: DnsCounters['latency']['zone'],
): Sample[] {
  return [
    ...LATENCY_BOUNDS.map((le, index): Sample => ['_bucket', { source, le }, buckets[index]!]),
    ['_bucket', { source, le: '+Inf' }, count],
    ['_sum', { source }, sumSeconds],
    ['_count', { source }, count],
  ]
}

function metric(
  name: string,
  type: 'counter' | 'gauge' | 'histogram',
  help: string,
  samples: readonly Sample[],
): string {
  const lines = samples.map(([suffix, labels, value]) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`)
    return `${name}${suffix}{${pairs.join(',')}} ${value}`
  })
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n')
}

function typedEntries<Key extends string>(record: Readonly<Record<Key, number>>): [Key, number][] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a record of that type
  return Object.entries(record) as [Key, number][]
}
