import { CLIENT_COOKIE_BYTES, SERVER_COOKIE_BYTES } from './cookies.ts'
import { LABEL_BYTES_MAX, NAME_BYTES_MAX, RCODE, TYPE } from './records.ts'
import { HEADER_BYTES } from './wire.ts'

/**
 * What a query says, as numbers: where things stand in it, and what was asked
 * for. One object is filled again for each query, so that a query leaves no
 * garbage.
 */
export interface QueryFacts {
  /** Where the question's name ends; where the header ends in a query without a question. */
  nameEnd: number
  questionEnd: number
  type: number
  qclass: number
  hasEdns: boolean
  ednsVersion: number
  /** The largest UDP answer that the client takes. */
  ednsBytes: number
  /** 0x80 where the client wants DNSSEC records, else 0. */
  dnssecOk: number
  /** Where the client's cookie is; 0 without one. */
  cookieAt: number
  /** True when a cookie of ours may stand behind it: it has the length of one. */
  hasServerCookie: boolean
  /** True when the client asks who answers (RFC 5001). */
  wantsNsid: boolean
  /** True when the client asks how long a connection may be idle (RFC 7828). */
  wantsKeepalive: boolean
}

/** EDNS options that mean something here (IANA, "DNS EDNS0 Option Codes"). */
export const OPTION = { NSID: 3, COOKIE: 10, KEEPALIVE: 11 } as const

/** Bytes of an option before its data. */
export const OPTION_HEADER_BYTES = 4

const SERVER_COOKIE_BYTES_MAX = 32

/** Makes facts of nothing yet. */
export function createQueryFacts(): QueryFacts {
  return {
    nameEnd: 0,
    questionEnd: 0,
    type: 0,
    qclass: 0,
    hasEdns: false,
    ednsVersion: 0,
    ednsBytes: 0,
    dnssecOk: 0,
    cookieAt: 0,
    hasServerCookie: false,
    wantsNsid: false,
    wantsKeepalive: false,
  }
}

/**
 * Finds its way through `query`, which has a whole header. Work is bounded by
 * its length: nothing is read twice, and no pointer is followed.
 *
 * @returns NOERROR; FORMERR when it is broken (then `facts` says nothing); BADVERS; or NOTIMP for what only looks like a type.
 */
export function readQuery(query: Buffer, facts: QueryFacts): number {
  clear(facts)
  const questions = word(query, 4)
  if (questions === 1) {
    facts.nameEnd = skipName(query, HEADER_BYTES, false)
    facts.questionEnd = facts.nameEnd + 4
    if (facts.nameEnd === 0 || facts.questionEnd > query.length) return RCODE.FORMERR
    facts.type = word(query, facts.nameEnd)
    facts.qclass = word(query, facts.nameEnd + 2)
  } else {
    facts.nameEnd = HEADER_BYTES
    facts.questionEnd = HEADER_BYTES
  }
  // Only IXFR has a record to show before the additional section.
  const others = word(query, 6) + word(query, 8)
  if (others > 0 && facts.type !== TYPE.IXFR) return RCODE.FORMERR
  const records = others + word(query, 10)
  if (records > 0 && !readRecords(query, others, records, facts)) return RCODE.FORMERR
  // RFC 9619: one question; none only to get a cookie (RFC 7873, section 5.4).
  if (questions !== 1 && (questions !== 0 || facts.cookieAt === 0)) return RCODE.FORMERR
  if (facts.hasEdns && facts.ednsVersion !== 0) return RCODE.BADVERS
  switch (facts.type) {
    case TYPE.OPT:
      return RCODE.FORMERR
    case TYPE.TKEY:
    case TYPE.TSIG:
    case TYPE.MAILA:
    case TYPE.MAILB:
      return RCODE.NOTIMP
    default:
      return RCODE.NOERROR
  }
}

/** Where the name at `start` ends; 0 when it is broken. A pointer ends it, where one may be. */
export function skipName(bytes: Buffer, start: number, mayPoint: boolean): number {
  let at = start
  while (at < bytes.length) {
    const length = bytes[at]!
    if (length === 0) return at + 1 - start > NAME_BYTES_MAX ? 0 : at + 1
    if (length > LABEL_BYTES_MAX) {
      return mayPoint && length >= 0xc0 && at + 2 <= bytes.length ? at + 2 : 0
    }
    at += length + 1
    if (at - start >= NAME_BYTES_MAX) return 0
  }
  return 0
}

/**
 * A name as text, without its last dot. What cannot be in our names becomes `\DDD`, so that it matches none of them.
 *
 * @param bytes The name as on the wire, in lower case, one character for each byte.
 */
export function nameText(bytes: string): string {
  const labels: string[] = []
  for (let at = 0; at < bytes.length - 1;) {
    const length = bytes.charCodeAt(at)
    labels.push(bytes.slice(at + 1, at + 1 + length).replaceAll(/[^a-z0-9_-]/g, escapeCharacter))
    at += length + 1
  }
  return labels.join('.')
}

/** The 16-bit number at `at`. */
export function word(bytes: Buffer, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

/** Writes a 16-bit number at `at`. */
export function setWord(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value & 0xff
}

function clear(facts: QueryFacts): void {
  facts.hasEdns = false
  facts.cookieAt = 0
  facts.type = 0
}

/** Takes note of OPT (RFC 6891), behind `before` other records, and passes over everything else. False when broken. */
function readRecords(query: Buffer, before: number, count: number, facts: QueryFacts): boolean {
  let at = facts.questionEnd
  for (let index = 0; index < count; index++) {
    const start = at
    at = skipName(query, at, true)
    if (at === 0 || at + 10 > query.length) return false
    const data = at + 10
    const end = data + word(query, at + 8)
    if (end > query.length) return false
    if (index >= before && word(query, at) === TYPE.OPT) {
      // One OPT, owned by the root (sections 6.1.1 and 6.1.2).
      if (facts.hasEdns || query[start] !== 0) return false
      facts.hasEdns = true
      facts.ednsBytes = word(query, at + 2)
      facts.ednsVersion = query[at + 5]!
      facts.dnssecOk = query[at + 6]! & 0x80
      if (!readOptions(query, data, end, facts)) return false
    }
    at = end
  }
  return true
}

/** Unknown options are passed over (RFC 6891, section 6.1.2). Of two cookies the first counts (RFC 7873, section 5.2). */
function readOptions(query: Buffer, start: number, end: number, facts: QueryFacts): boolean {
  facts.hasServerCookie = false
  facts.wantsNsid = false
  facts.wantsKeepalive = false
  let at = start
  while (at < end) {
    const data = at + OPTION_HEADER_BYTES
    if (data > end) return false
    const length = word(query, at + 2)
    if (data + length > end) return false
    switch (word(query, at)) {
      case OPTION.NSID:
        facts.wantsNsid = true
        break
      case OPTION.KEEPALIVE:
        facts.wantsKeepalive = true
        break
      case OPTION.COOKIE: {
        if (facts.cookieAt > 0) break
        const server = length - CLIENT_COOKIE_BYTES
        if (server !== 0 && (server < 8 || server > SERVER_COOKIE_BYTES_MAX)) return false
        facts.cookieAt = data
        facts.hasServerCookie = server === SERVER_COOKIE_BYTES
      }
    }
    at = data + length
  }
  return true
}

function escapeCharacter(character: string): string {
  return `\\${String(character.charCodeAt(0)).padStart(3, '0')}`
}
