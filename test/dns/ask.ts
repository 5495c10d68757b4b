import type { Test } from 'tap'
import type { DnsApp, DnsView } from '../../src/dns/dns-view.ts'
import { recordData } from '../../src/dns/record-data.ts'
import { createZone, type Zone } from '../../src/dns/zone.ts'
import { makeView } from './make-view.ts'

/** What the zones say of a name: `SRV 0 1 80 0.web.shoal`, but no times and no serials. */
export function ask(zone: Zone, name: string): string[] | 'NXDOMAIN' | 'NODATA' | 'REFUSED' {
  const finding = zone.find(name)
  if (finding === undefined) return 'REFUSED'
  if (!finding.exists) return 'NXDOMAIN'
  if (finding.records.length === 0) return 'NODATA'
  return finding.records.map(record =>
    record.type === 'SOA' ? `SOA ${record.primary}` : `${record.type} ${recordData(record)}`,
  )
}

/** Checks what the zones of `apps` say of each name. */
export function checkNames(
  t: Pick<Test, 'strictSame'>,
  apps: readonly DnsApp[],
  cases: Readonly<Record<string, ReturnType<typeof ask>>>,
  more: Partial<DnsView> = {},
): Zone {
  const zone = createZone(makeView(apps, more))
  for (const [name, expected] of Object.entries(cases))
    t.strictSame(ask(zone, name), expected, name)
  return zone
}
