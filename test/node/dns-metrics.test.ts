import t from 'tap'
import { createTally, createTallyMemory, readTallies } from '../../src/dns/tally.ts'
import { TYPE } from '../../src/dns/records.ts'
import { dnsMetrics } from '../../src/node/dns-metrics.ts'

t.test('what was counted is printed as Prometheus reads it', async t => {
  const [one, other] = [createTallyMemory(), createTallyMemory()]
  createTally(one).answered('udp', TYPE.A, 0)
  createTally(other).answered('udp', TYPE.A, 0)
  const tally = createTally(one)
  tally.answered('tcp', TYPE.SRV, 3)
  tally.answered('udp', 65_000, 23)
  tally.dropped('rate')
  tally.happened('forward-hits')
  tally.happened('truncated')
  tally.set('connections', 7)
  tally.took('zone', 0.000_02, 64)
  tally.took('forward', 0.3)
  tally.took('forward', 60)
  const lines = dnsMetrics(readTallies([one, other])).split('\n')
  for (const line of [
    'shoal_dns_queries_total{type="A",rcode="NOERROR",proto="udp"} 2',
    'shoal_dns_queries_total{type="SRV",rcode="NXDOMAIN",proto="tcp"} 1',
    'shoal_dns_queries_total{type="other",rcode="BADCOOKIE",proto="udp"} 1',
    'shoal_dns_drops_total{reason="rate"} 1',
    'shoal_dns_drops_total{reason="idle"} 0',
    'shoal_dns_forwards_total{outcome="cached"} 1',
    'shoal_dns_events_total{event="truncated"} 1',
    'shoal_dns_now{what="connections"} 7',
    '# TYPE shoal_dns_latency_seconds histogram',
    'shoal_dns_latency_seconds_bucket{source="zone",le="0.00001"} 0',
    'shoal_dns_latency_seconds_bucket{source="zone",le="0.000025"} 64',
    'shoal_dns_latency_seconds_bucket{source="zone",le="5"} 64',
    'shoal_dns_latency_seconds_bucket{source="forward",le="0.25"} 0',
    'shoal_dns_latency_seconds_bucket{source="forward",le="5"} 1',
    'shoal_dns_latency_seconds_bucket{source="forward",le="+Inf"} 2',
    'shoal_dns_latency_seconds_sum{source="forward"} 60.3',
    'shoal_dns_latency_seconds_count{source="forward"} 2',
  ]) {
    t.ok(lines.includes(line), line)
  }
  for (const line of lines) t.match(line, /^$|^# (HELP|TYPE) |^shoal_dns_\w+\{.*\} [\d.e-]+$/)
})
