import { isIP } from 'node:net'
import type { DnsNode, DnsTask } from '../dns/dns-view.ts'
import { query } from '../dns/query.ts'
import { recordData } from '../dns/record-data.ts'
import { parseType, rcodeName, type DnsRecord, type UnknownRecord } from '../dns/records.ts'
import { reverseName } from '../dns/reverse-zones.ts'
import type { Zone } from '../dns/zone.ts'

/** A record as `shoal resolve` shows it. */
export interface ResolvedRecord {
  readonly section: 'answer' | 'authority' | 'additional'
  readonly name: string
  readonly ttl: number
  readonly type: string
  readonly data: string
  /** Where it comes from: the tasks, the node or the zone that it is of, or who else said it. */
  readonly from: string
}

/** What a DNS server said. */
export interface Resolved {
  readonly name: string
  readonly type: string
  /** `NOERROR`, `NXDOMAIN`, … */
  readonly status: string
  readonly records: readonly ResolvedRecord[]
}

/** Whom to ask. */
export interface ResolveServer {
  readonly address: string
  readonly port: number
  /** The zones that the server answers for; a name outside them gets the first one's. */
  readonly domains: readonly string[]
}

/** Tasks that are named where several have one address. */
const TASKS_TOLD_MAX = 3

/**
 * Asks this node's own DNS server over the network, as any client would, and says of each
 * record where it comes from. A name without a domain gets ours: `web`, `_web._tcp`; an address
 * is asked for its name. Without a type, names of services are asked for SRV, `why.` names
 * for TXT, others for A.
 *
 * @param zone What this node knows: the server has a copy of it.
 * @throws {RangeError} When name or type cannot be asked for.
 */
export async function resolve(
  server: ResolveServer,
  zone: Pick<Zone, 'find'>,
  asked: string,
  askedType: string | undefined,
): Promise<Resolved> {
  const name = wholeName(asked, server.domains)
  const type = (askedType ?? usualType(name)).toUpperCase()
  const number = parseType(type)
  if (number === undefined) {
    throw new RangeError(`there is no record type ${type}: try A, AAAA, SRV, PTR or TXT`)
  }
  const message = await query(name, number, {
    address: reachable(server.address),
    port: server.port,
  })
  const section = (
    of: ResolvedRecord['section'],
    records: readonly (DnsRecord | UnknownRecord)[],
  ): ResolvedRecord[] =>
    records.map(record => ({
      section: of,
      name: record.name,
      ttl: record.ttlSeconds,
      type: record.type,
      data: recordData(record),
      from: originOf(record, zone),
    }))
  return {
    name,
    type,
    status: rcodeName(message.rcode),
    records: [
      ...section('answer', message.answers),
      ...section('authority', message.authorities),
      ...section('additional', message.additionals),
    ],
  }
}

/** Where a server that listens on every address is reached from this machine. */
export function reachable(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1'
  return address === '::' ? '::1' : address
}

function wholeName(asked: string, domains: readonly string[]): string {
  if (isIP(asked) !== 0) return reverseName(asked) ?? asked
  const bare = asked.replace(/\.$/, '').toLowerCase()
  const isWhole = [...domains, 'arpa'].some(
    domain => bare === domain || bare.endsWith(`.${domain}`),
  )
  return isWhole || asked.endsWith('.') ? bare : `${bare}.${domains[0]!}`
}

function usualType(name: string): string {
  if (name.endsWith('.arpa')) return 'PTR'
  if (name.startsWith('why.')) return 'TXT'
  return /(?:^|\.)_(?:tcp|udp)\./.test(name) ? 'SRV' : 'A'
}

function originOf(record: DnsRecord | UnknownRecord, zone: Pick<Zone, 'find'>): string {
  const finding = zone.find(record.name)
  if (finding === undefined) return 'another server'
  const own = finding.records.find(
    one => one.type === record.type && recordData(one) === recordData(record),
  )
  if (own?.of !== undefined) return describe(own.of)
  if (own !== undefined || record.type === 'SOA') return `the zone ${finding.authority.domain}`
  return 'no longer so, as far as this node knows'
}

function describe(hosts: readonly (DnsTask | DnsNode)[]): string {
  const told = hosts
    .slice(0, TASKS_TOLD_MAX)
    .map(host =>
      'task' in host
        ? `task ${host.task} on ${host.node}, ${host.note}`
        : `node ${host.name}, ${host.alive ? 'alive' : 'not alive'}`,
    )
  const rest = hosts.length - told.length
  return [...told, ...(rest > 0 ? [`${rest} more`] : [])].join('; ')
}
