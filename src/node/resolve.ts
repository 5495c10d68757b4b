import { query } from '../dns/query.ts'
import { namesOfApp } from '../dns/labels.ts'
import { recordData } from '../dns/record-data.ts'
import { parseType, rcodeName, type DnsRecord, type UnknownRecord } from '../dns/records.ts'
import type { AppSpec } from '../model/app.ts'

/** A record as `shoal resolve` shows it. */
export interface ResolvedRecord {
  readonly section: 'answer' | 'authority' | 'additional'
  readonly name: string
  readonly ttl: number
  readonly type: string
  readonly data: string
}

/** What a DNS server said. */
export interface Resolved {
  readonly name: string
  readonly type: string
  /** `NOERROR`, `NXDOMAIN`, … */
  readonly status: string
  readonly records: readonly ResolvedRecord[]
}

/**
 * Asks this node's own DNS server over the network, as any client would. A name
 * without the domain gets it: `web`, `_web._tcp`. Without a type, names that start
 * with `_` are asked for SRV, others for A.
 *
 * @throws {RangeError} When name or type cannot be asked for.
 */
export async function resolve(
  server: { readonly address: string; readonly port: number; readonly domain: string },
  asked: string,
  askedType: string | undefined,
): Promise<Resolved> {
  const bare = asked.replace(/\.$/, '').toLowerCase()
  const isWhole =
    bare === server.domain || bare.endsWith(`.${server.domain}`) || asked.endsWith('.')
  const name = isWhole ? bare : `${bare}.${server.domain}`
  const type = askedType ?? (name.startsWith('_') ? 'SRV' : 'A')
  const number = parseType(type)
  if (number === undefined)
    throw new RangeError(`there is no record type ${type}: try A, AAAA or SRV`)
  const address = server.address === '0.0.0.0' ? '127.0.0.1' : server.address
  const message = await query(name, number, { address, port: server.port })
  return {
    name,
    type: type.toUpperCase(),
    status: rcodeName(message.rcode),
    records: [
      ...section('answer', message.answers),
      ...section('authority', message.authorities),
      ...section('additional', message.additionals),
    ],
  }
}

/** The names that DNS answers for an app, SRV names first. */
export function dnsNames(spec: AppSpec, domain: string): string[] {
  const { dotted, dashed } = namesOfApp(spec.id)
  const hosts = [...new Set([dotted, dashed, ...spec.aliases])]
  const protocols = [...new Set(spec.ports.map(({ protocol }) => protocol))]
  const named = spec.ports.flatMap(({ name, protocol }) =>
    name === undefined ? [] : [`_${name}._${dashed}._${protocol}.${domain}`],
  )
  return [
    ...protocols.map(protocol => `_${dashed}._${protocol}.${domain}`),
    ...named,
    ...hosts.map(host => `${host}.${domain}`),
  ]
}

function section(
  of: ResolvedRecord['section'],
  records: readonly (DnsRecord | UnknownRecord)[],
): ResolvedRecord[] {
  return records.map(record => ({
    section: of,
    name: record.name,
    ttl: record.ttlSeconds,
    type: record.type,
    data: recordData(record),
  }))
}
