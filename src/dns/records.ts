/**
 * DNS records as plain data, and the numbers that stand for things on the wire.
 * The zone makes records, the answerer encodes them, the client decodes them.
 *
 * @module
 */

import type { DnsNode, DnsTask } from './dns-view.ts'

/** Numbers of the record types that Shoal answers with or treats specially (IANA, "Resource Record (RR) TYPEs"). */
export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  HTTPS: 65,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  MAILB: 253,
  MAILA: 254,
  ANY: 255,
} as const

/** Response codes (RFC 1035, section 4.1.1). Those above 15 are extended: their upper bits travel in OPT (RFC 6891). */
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  NOTAUTH: 9,
  BADVERS: 16,
  BADCOOKIE: 23,
} as const

/** The Internet class, the one of all our names. */
export const CLASS_IN = 1

/** The class of what a server says of itself (RFC 4892). */
export const CLASS_CH = 3

/** Longest name on the wire, with its length bytes and the root's (RFC 1035, section 2.3.4). */
export const NAME_BYTES_MAX = 255

/** Longest label, in bytes. */
export const LABEL_BYTES_MAX = 63

/** Longest string of a TXT record, in bytes. */
export const TXT_BYTES_MAX = 255

/** What every record has. Names are in lower case, without the last dot. */
interface RecordBase {
  readonly name: string
  readonly ttlSeconds: number
  /** The tasks or nodes that a zone made the record of, for people who ask where it comes from. Not on the wire. */
  readonly of?: readonly (DnsTask | DnsNode)[]
}

/** An IPv4 or IPv6 address, as text. */
export interface AddressRecord extends RecordBase {
  readonly type: 'A' | 'AAAA'
  readonly address: string
}

/** Where a service is (RFC 2782). */
export interface SrvRecord extends RecordBase {
  readonly type: 'SRV'
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly target: string
}

/** A server of the zone. */
export interface NsRecord extends RecordBase {
  readonly type: 'NS'
  readonly target: string
}

/** The name of an address (RFC 1035, section 3.3.12). */
export interface PtrRecord extends RecordBase {
  readonly type: 'PTR'
  readonly target: string
}

/** Words for people (RFC 1035, section 3.3.14): each string of printable ASCII, at most {@link TXT_BYTES_MAX} long. */
export interface TxtRecord extends RecordBase {
  readonly type: 'TXT'
  readonly strings: readonly string[]
}

/** The zone's start of authority (RFC 1035, section 3.3.13). Times are in seconds. */
export interface SoaRecord extends RecordBase {
  readonly type: 'SOA'
  readonly primary: string
  readonly mailbox: string
  readonly serial: number
  readonly refresh: number
  readonly retry: number
  readonly expire: number
  /** How long "there is no such thing" may be remembered (RFC 2308, section 4). */
  readonly minimum: number
}

/** A record that our zones hold. */
export type DnsRecord = AddressRecord | SrvRecord | NsRecord | SoaRecord | PtrRecord | TxtRecord

/** Any other record that a server may send: its data as hex, its type as RFC 3597 writes it. */
export interface UnknownRecord extends RecordBase {
  readonly type: `TYPE${number}`
  readonly data: string
}

const TYPE_NUMBERS = new Map<string, number>(Object.entries(TYPE))
const RCODE_NAMES = new Map<number, string>(
  Object.entries(RCODE).map(([name, number]) => [number, name]),
)

/** The name of a response code, `RCODE11` where it has none here. */
export function rcodeName(rcode: number): string {
  return RCODE_NAMES.get(rcode) ?? `RCODE${rcode}`
}

/**
 * The number of a record type that a person typed: `srv`, `TYPE33`, `any`.
 *
 * @returns Nothing for a type that is not known here.
 */
export function parseType(text: string): number | undefined {
  const name = text.toUpperCase()
  const known = TYPE_NUMBERS.get(name)
  if (known !== undefined) return known
  const number = /^TYPE(\d{1,5})$/.exec(name)?.[1]
  return number !== undefined && Number(number) <= 0xffff ? Number(number) : undefined
}
