/**
 * What Mesos-DNS tells over HTTP, in its own words: programs that find their services at
 * `:8123/v1/…` go on as they are. Names end with a dot, ports are text, and where nothing is
 * found there is one record of empty fields, as there.
 *
 * @module
 */

import type { AddressRecord, SrvRecord } from '../dns/records.ts'
import type { Zone } from '../dns/zone.ts'

/** `GET /v1/hosts/{host}`. */
export interface MesosHost {
  readonly host: string
  readonly ip: string
}

/** `GET /v1/services/{service}`. */
export interface MesosService {
  /** As it was asked for. */
  readonly service: string
  readonly host: string
  readonly ip: string
  readonly port: string
}

/** `GET /v1/enumerate`. */
export interface MesosEnumeration {
  readonly frameworks: readonly {
    readonly name: string
    readonly tasks: readonly {
      readonly name: string
      readonly id: string
      readonly records: readonly {
        readonly name: string
        readonly host: string
        readonly rtype: 'A' | 'AAAA' | 'SRV'
      }[]
    }[]
  }[]
}

type RecordSet = Readonly<Record<string, readonly string[]>>

/** `GET /v1/axfr`. */
export interface MesosTransfer {
  readonly TTL: number
  readonly Serial: number
  readonly RefreshSeconds: number
  readonly Mname: string
  readonly Rname: string
  readonly Domain: string
  readonly Records: { readonly As: RecordSet; readonly AAAAs: RecordSet; readonly SRVs: RecordSet }
}

/** The addresses of a name in any of our zones. */
export function mesosHosts(zone: Pick<Zone, 'find'>, host: string): MesosHost[] {
  const name = plainName(host)
  const found = addressesOf(zone, name).map(ip => ({ host: `${name}.`, ip }))
  return found.length > 0 ? found : [{ host: '', ip: '' }]
}

/** Where a service is: its SRV records, each with the first IPv4 and the first IPv6 address of its target. */
export function mesosServices(zone: Pick<Zone, 'find'>, service: string): MesosService[] {
  const records = (zone.find(plainName(service))?.records ?? []).filter(isSrv)
  const found = records.flatMap(({ target, port }) =>
    firstOfEach(addressesOf(zone, target)).map(ip => ({
      service,
      host: `${target}.`,
      ip,
      port: String(port),
    })),
  )
  return found.length > 0 ? found : [{ service: '', host: '', ip: '', port: '' }]
}

/** Every task that serves, and its records. */
export function mesosEnumeration(zone: Pick<Zone, 'mesosTasks'>): MesosEnumeration {
  const tasks = Array.from(zone.mesosTasks(), ({ name, task, records }) => ({
    name,
    id: task.task,
    records: records.map(record => ({
      name: `${record.name}.`,
      host: hostOf(record),
      rtype: record.type,
    })),
  }))
  return { frameworks: [{ name: 'marathon', tasks }] }
}

/** The whole zone, by type and name. */
export function mesosTransfer(
  zone: Pick<Zone, 'find' | 'transfer'>,
  domain: string,
): MesosTransfer | undefined {
  const soa = zone.find(domain)?.authority.soa()
  if (soa === undefined) return undefined
  const sets = { A: {}, AAAA: {}, SRV: {} } satisfies Record<string, Record<string, string[]>>
  for (const record of zone.transfer(domain) ?? []) {
    if (record.type !== 'A' && record.type !== 'AAAA' && record.type !== 'SRV') continue
    const set: Record<string, string[]> = sets[record.type]
    ;(set[`${record.name}.`] ??= []).push(hostOf(record))
  }
  return {
    TTL: soa.ttlSeconds,
    Serial: soa.serial,
    // Records follow the cluster; there is nothing that is read again every so often.
    RefreshSeconds: 0,
    Mname: `${soa.primary}.`,
    Rname: `${soa.mailbox}.`,
    Domain: domain,
    Records: { As: sets.A, AAAAs: sets.AAAA, SRVs: sets.SRV },
  }
}

/** A name as zones have it; labels that are a star are passed over, as Mesos-DNS does. */
function plainName(text: string): string {
  return text.toLowerCase().replaceAll('.*', '').replace(/\.$/, '')
}

function addressesOf(zone: Pick<Zone, 'find'>, name: string): string[] {
  return (zone.find(name)?.records ?? []).flatMap(record =>
    record.type === 'A' || record.type === 'AAAA' ? [record.address] : [],
  )
}

function firstOfEach(addresses: readonly string[]): string[] {
  const v4 = addresses.find(address => !address.includes(':'))
  const v6 = addresses.find(address => address.includes(':'))
  return [v4, v6].filter(address => address !== undefined)
}

function hostOf(record: AddressRecord | SrvRecord): string {
  return record.type === 'SRV' ? `${record.target}.:${record.port}` : record.address
}

function isSrv(record: { readonly type: string }): record is SrvRecord {
  return record.type === 'SRV'
}
