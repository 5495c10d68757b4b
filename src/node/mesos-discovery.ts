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

/** Prints a {@link MesosEnumeration}: every task that serves, and its records. In parts, a task each. */
export function* printEnumeration(zone: Pick<Zone, 'mesosTasks'>): Generator<string> {
  yield '{"frameworks":[{"name":"marathon","tasks":['
  let separator = ''
  for (const { name, task, records } of zone.mesosTasks()) {
    const line: MesosEnumeration['frameworks'][number]['tasks'][number] = {
      name,
      id: task.task,
      records: records.map(record => ({
        name: `${record.name}.`,
        host: hostOf(record),
        rtype: record.type,
      })),
    }
    yield separator + JSON.stringify(line)
    separator = ','
  }
  yield ']}]}'
}

/** Prints a {@link MesosTransfer}: the whole zone, by type and name. In parts, which are empty while records are gathered. */
export function* printTransfer(
  zone: Pick<Zone, 'find' | 'transfer'>,
  domain: string,
): Generator<string> {
  const soa = zone.find(domain)?.authority.soa()
  if (soa === undefined) return
  const sets = { A: new RecordSets(), AAAA: new RecordSets(), SRV: new RecordSets() }
  for (const record of zone.transfer(domain) ?? []) {
    if (record.type !== 'A' && record.type !== 'AAAA' && record.type !== 'SRV') continue
    sets[record.type].add(`${record.name}.`, hostOf(record))
    yield ''
  }
  const head: Omit<MesosTransfer, 'Records'> = {
    TTL: soa.ttlSeconds,
    Serial: soa.serial,
    // Records follow the cluster; there is nothing that is read again every so often.
    RefreshSeconds: 0,
    Mname: `${soa.primary}.`,
    Rname: `${soa.mailbox}.`,
    Domain: domain,
  }
  yield `${JSON.stringify(head).slice(0, -1)},"Records":{"As":`
  yield* sets.A.print()
  yield ',"AAAAs":'
  yield* sets.AAAA.print()
  yield ',"SRVs":'
  yield* sets.SRV.print()
  yield '}}'
}

class RecordSets {
  readonly #sets = new Map<string, string[]>()

  add(name: string, host: string): void {
    const set = this.#sets.get(name)
    if (set === undefined) this.#sets.set(name, [host])
    else set.push(host)
  }

  *print(): Generator<string> {
    let separator = '{'
    for (const [name, hosts] of this.#sets) {
      yield `${separator}${JSON.stringify(name)}:${JSON.stringify(hosts)}`
      separator = ','
    }
    yield separator === '{' ? '{}' : '}'
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
