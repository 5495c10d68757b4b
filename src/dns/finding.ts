import type { AddressRecord, DnsRecord, SoaRecord } from './records.ts'

/** Says when something that was worked out may no longer hold. Until then it may be kept. */
export interface Freshness {
  readonly stale: boolean
}

/** Whose word an answer is: the zone that the name is in. The same object for as long as the zone is there. */
export interface Authority {
  /** The zone's own name. */
  readonly domain: string
  /** What NXDOMAIN and NODATA are told with. Another object after each change. */
  soa(): SoaRecord
}

/** What the zones say of one name. */
export interface Finding {
  /** False: no such name, and none below it (NXDOMAIN). True with no records: NODATA. */
  readonly exists: boolean
  readonly records: readonly DnsRecord[]
  /** The addresses of the names that `records` point at. */
  readonly glue: readonly AddressRecord[]
  /** Turns stale when the app or the apex that was asked for changes. */
  readonly source: Freshness
  /** Turns stale when names come or go, or nodes change. */
  readonly structure: Freshness
  readonly authority: Authority
}

/** One zone of those that a node answers for. */
export interface ZonePart {
  readonly authority: Authority
  /** Looks up a name in lower case that is the zone's own or below it. */
  find(name: string): Finding
  /** The names that have records, but for those that only restate others: see {@link Zone.transfer}. */
  names(): Iterable<string>
}
