/**
 * From the bytes of a query to the bytes of its answer, with no clock, chance or
 * socket: the same in the daemon, in a worker and in a fuzzer.
 *
 * Tens of thousands of queries a second pass here, so the path of a known
 * question makes one string and nothing else: find the end of the name, look the
 * name up as it stands, copy the answer that was encoded when the question first
 * came, set the id and the flags. Anything else happens once per change.
 *
 * @module
 */

import { strict as assert } from 'node:assert'
import { encodeAnswer, type EncodedAnswer, type EncodedRecords } from './encode-answer.ts'
import {
  CLASS_IN,
  LABEL_BYTES_MAX,
  NAME_BYTES_MAX,
  RCODE,
  TYPE,
  type SoaRecord,
} from './records.ts'
import { encodeRecord, HEADER_BYTES, pointersTo } from './wire.ts'
import type { Authority, Freshness, Zone } from './zone.ts'

/** What carries a query: it decides how long an answer may be. */
export type DnsTransport = 'udp' | 'tcp'

/** Knobs of {@link createAnswerer}. */
export interface AnswererOptions {
  /**
   * Largest UDP answer, in bytes, that is given to clients who allow as much, and that we say we take.
   * More would be cut into IP fragments on some path, and those get lost and forged (RFC 9715).
   * Clients without EDNS get 512, whatever stands here.
   *
   * @default 1232
   */
  readonly udpAnswerBytesMax?: number
  /**
   * Room for encoded answers, in bytes. When it is full all are dropped and encoded anew as they are asked for.
   * Too little shows as CPU time, not as wrong answers.
   *
   * @default 32 MiB
   */
  readonly cacheBytesMax?: number
}

/** Answers queries from a zone. */
export interface Answerer {
  /**
   * Writes the answer to `query` into `out`.
   *
   * @param out At least 65,535 bytes for TCP, {@link AnswererOptions.udpAnswerBytesMax} for UDP.
   * @returns The answer's length; 0 when there must be none (an answer itself, or less than a header).
   */
  answer(query: Buffer, out: Buffer, transport: DnsTransport): number
  /** Answers from `zone` from now on. A zone that was changed in place need not be set again. */
  setZone(zone: Zone): void
}

/** Longest answer over TCP, in bytes: its length is told in 16 bits. */
export const TCP_ANSWER_BYTES_MAX = 65_535

/** Longest answer to a client without EDNS over UDP, in bytes (RFC 1035, section 4.2.1). */
const CLASSIC_UDP_BYTES = 512
const OPT_BYTES = 11
/** Measured cost of a cached name, or answer, beside its bytes: objects, map entries, the key. */
const CACHE_OVERHEAD_BYTES = 600
/** Of the 65,536 types that a name has not, so many are remembered: the few that clients ask of every name. */
const TYPES_PER_NAME_MAX = 8

/** A name that was asked for: not what was found, which the encoded answers say in less room. */
interface CachedName {
  readonly name: string
  readonly exists: boolean
  readonly source: Freshness
  readonly structure: Freshness
  readonly authority: Authority
  readonly answers: Map<number, EncodedAnswer>
}

/** A zone's SOA as an authority record, by where the zone's name begins in the question. */
interface EncodedSoa {
  readonly soa: SoaRecord
  readonly at: (Buffer | undefined)[]
}

/** Makes the answerer of a zone. Nothing of a client is remembered between queries. */
export function createAnswerer(initial: Zone, options: AnswererOptions = {}): Answerer {
  const { udpAnswerBytesMax = 1232, cacheBytesMax = 32 * 1024 * 1024 } = options
  const cache = new Map<string, CachedName>()
  let cacheBytes = 0
  let zone = initial
  let turns = 0
  const authorities = new WeakMap<Authority, EncodedSoa>()

  // Of the query in hand. Kept here and not in an object of its own, so that a query leaves no garbage.
  let nameEnd = 0
  let questionEnd = 0
  let type = 0
  let hasEdns = false
  let ednsVersion = 0
  let ednsBytes = 0
  let dnssecOk = 0

  return {
    answer,
    setZone: next => {
      zone = next
      cache.clear()
      cacheBytes = 0
    },
  }

  function answer(query: Buffer, out: Buffer, transport: DnsTransport): number {
    // Whoever answers an answer can be made to talk to another server for ever.
    if (query.length < HEADER_BYTES || (query[2]! & 0x80) !== 0) return 0
    if ((query[2]! & 0x78) !== 0) return bare(query, out, RCODE.NOTIMP)
    const rcode = parse(query)
    if (rcode === RCODE.FORMERR) return bare(query, out, rcode)
    const limit = transport === 'tcp' ? TCP_ANSWER_BYTES_MAX : udpLimit()
    begin(query, out)
    if (rcode !== RCODE.NOERROR) return finish(out, questionEnd, rcode)

    const cached = lookUp(query)
    if (cached === undefined) return finish(out, questionEnd, RCODE.REFUSED)
    out[2]! |= 0x04 // AA
    if (!cached.exists) return negative(out, limit, RCODE.NXDOMAIN, cached.authority)
    const encoded = cached.answers.get(type) ?? encode(cached)
    if (encoded.answers.count === 0) {
      return negative(out, limit, RCODE.NOERROR, cached.authority)
    }
    return positive(out, limit, encoded)
  }

  /** Finds its way through the query. NOERROR when it is one that the zone can be asked. */
  function parse(query: Buffer): number {
    // RFC 9619: one question; none only with cookies, which are not spoken here.
    if (word(query, 4) !== 1) return RCODE.FORMERR
    nameEnd = skipName(query, HEADER_BYTES, false)
    questionEnd = nameEnd + 4
    if (nameEnd === 0 || questionEnd > query.length) return RCODE.FORMERR
    type = word(query, nameEnd)
    const qclass = word(query, nameEnd + 2)
    // Only IXFR has a record to show before the additional section.
    const others = word(query, 6) + word(query, 8)
    if (others > 0 && type !== TYPE.IXFR) return RCODE.FORMERR
    if (!parseRecords(query, others)) return RCODE.FORMERR
    if (hasEdns && ednsVersion !== 0) return RCODE.BADVERS
    if (qclass !== CLASS_IN || type === TYPE.AXFR || type === TYPE.IXFR) return RCODE.REFUSED
    if (type === TYPE.OPT) return RCODE.FORMERR
    const isMeta =
      type === TYPE.TKEY || type === TYPE.TSIG || type === TYPE.MAILA || type === TYPE.MAILB
    return isMeta ? RCODE.NOTIMP : RCODE.NOERROR
  }

  /** Takes note of OPT (RFC 6891), behind `before` other records, and passes over everything else. False when broken. */
  function parseRecords(query: Buffer, before: number): boolean {
    hasEdns = false
    let at = questionEnd
    const count = before + word(query, 10)
    for (let index = 0; index < count; index++) {
      const start = at
      at = skipName(query, at, true)
      if (at === 0 || at + 10 > query.length) return false
      if (index >= before && word(query, at) === TYPE.OPT) {
        // One OPT, owned by the root (sections 6.1.1 and 6.1.2).
        if (hasEdns || query[start] !== 0) return false
        hasEdns = true
        ednsBytes = word(query, at + 2)
        ednsVersion = query[at + 5]!
        dnssecOk = query[at + 6]! & 0x80
      }
      at += 10 + word(query, at + 8)
      if (at > query.length) return false
    }
    return true
  }

  function udpLimit(): number {
    if (!hasEdns) return CLASSIC_UDP_BYTES
    return Math.max(CLASSIC_UDP_BYTES, Math.min(ednsBytes, udpAnswerBytesMax))
  }

  function lookUp(query: Buffer): CachedName | undefined {
    // Lower case by the letters of ASCII alone, as DNS has it (RFC 4343): for bytes above them it may go wrong, but
    // those are in no name of ours. Length bytes are below all letters.
    const key = query.toString('latin1', HEADER_BYTES, nameEnd).toLowerCase()
    const cached = cache.get(key)
    if (cached !== undefined && !cached.source.stale && !cached.structure.stale) {
      return cached
    }
    const name = nameOf(key)
    const finding = zone.find(name)
    if (finding === undefined) {
      cache.delete(key)
      return undefined
    }
    const { exists, source, structure, authority } = finding
    const answers = new Map<number, EncodedAnswer>()
    const found = { name, exists, source, structure, authority, answers }
    // Names that do not exist are without number, and cheap to look up.
    if (!exists) cache.delete(key)
    else remember(key, found)
    return found
  }

  function remember(key: string, found: CachedName): void {
    makeRoom(CACHE_OVERHEAD_BYTES)
    cache.set(key, found)
  }

  function makeRoom(bytes: number): void {
    cacheBytes += bytes
    if (cacheBytes <= cacheBytesMax) return
    cache.clear()
    cacheBytes = bytes
  }

  function encode({ name, answers }: CachedName): EncodedAnswer {
    const finding = zone.find(name)
    assert(finding !== undefined, `${name} left the zone within one query`)
    turns = (turns + 1) >>> 0
    const encoded = encodeAnswer(finding, name, type, turns)
    if (answers.size >= TYPES_PER_NAME_MAX) return encoded
    const bytes = encoded.answers.bytes.length + encoded.additionals.bytes.length
    answers.set(type, encoded)
    makeRoom(CACHE_OVERHEAD_BYTES + bytes)
    return encoded
  }

  function positive(out: Buffer, limit: number, encoded: EncodedAnswer): number {
    const { answers, additionals, turn } = encoded
    encoded.turn = turn + 1 === answers.count ? 0 : turn + 1
    const end = limit - (hasEdns ? OPT_BYTES : 0)
    const fitting = countFitting(answers, turn, end - questionEnd)
    let at = append(out, questionEnd, answers, turn, fitting)
    setWord(out, 6, fitting)
    if (fitting < answers.count) {
      out[2]! |= 0x02 // TC: and then nothing in the additional section (RFC 2181, section 9).
    } else if (additionals.count > 0) {
      const first = encoded.additionalAt[turn]!
      const more = countFitting(additionals, first, end - at)
      at = append(out, at, additionals, first, more)
      setWord(out, 10, more)
    }
    return finish(out, at, RCODE.NOERROR)
  }

  /** NXDOMAIN and NODATA, with the SOA that says how long to believe it (RFC 2308). */
  function negative(out: Buffer, limit: number, rcode: number, authority: Authority): number {
    const soa = soaBytes(authority)
    if (questionEnd + soa.length + (hasEdns ? OPT_BYTES : 0) > limit) {
      return finish(out, questionEnd, rcode)
    }
    soa.copy(out, questionEnd)
    setWord(out, 8, 1)
    return finish(out, questionEnd + soa.length, rcode)
  }

  /** The SOA as an authority record. Its owner is a pointer into the question's name, so there is one for each length. */
  function soaBytes(authority: Authority): Buffer {
    const soa = authority.soa()
    let known = authorities.get(authority)
    if (known?.soa !== soa) {
      known = { soa, at: [] }
      authorities.set(authority, known)
    }
    const domainAt = nameEnd - authority.domain.length - 2
    return (known.at[domainAt] ??= encodeRecord(soa, pointersTo(authority.domain, domainAt)))
  }

  /** The header, and the question as it was written: some clients check the case of each letter. */
  function begin(query: Buffer, out: Buffer): void {
    for (let at = 0; at < questionEnd; at++) out[at] = query[at]!
    out[2] = 0x80 | (query[2]! & 0x01) // QR, and RD as it was.
    out[3] = query[3]! & 0x10 // CD as it was. RA is off: nothing is asked of others.
    for (let at = 6; at < HEADER_BYTES; at++) out[at] = 0
  }

  function finish(out: Buffer, end: number, rcode: number): number {
    out[3]! |= rcode & 0x0f
    if (!hasEdns) return end
    out[end] = 0
    setWord(out, end + 1, TYPE.OPT)
    setWord(out, end + 3, udpAnswerBytesMax)
    out[end + 5] = rcode >> 4
    out[end + 6] = 0
    out[end + 7] = dnssecOk // RFC 3225, section 3: copied.
    out[end + 8] = 0
    setWord(out, end + 9, 0)
    setWord(out, 10, word(out, 10) + 1)
    return end + OPT_BYTES
  }
}

/** An answer of a header alone, for what cannot be read further. */
function bare(query: Buffer, out: Buffer, rcode: number): number {
  out.fill(0, 0, HEADER_BYTES)
  out[0] = query[0]!
  out[1] = query[1]!
  out[2] = 0x80 | (query[2]! & 0x79) // QR; opcode and RD as they were.
  out[3] = rcode
  return HEADER_BYTES
}

/** Where the name at `start` ends; 0 when it is broken. A pointer ends it, where one may be. */
function skipName(query: Buffer, start: number, mayPoint: boolean): number {
  let at = start
  while (at < query.length) {
    const length = query[at]!
    if (length === 0) return at + 1 - start > NAME_BYTES_MAX ? 0 : at + 1
    if (length > LABEL_BYTES_MAX) {
      return mayPoint && length >= 0xc0 && at + 2 <= query.length ? at + 2 : 0
    }
    at += length + 1
    if (at - start >= NAME_BYTES_MAX) return 0
  }
  return 0
}

/** A name from its bytes. What cannot be in our names becomes `\DDD`, so that it matches none of them. */
function nameOf(key: string): string {
  const labels: string[] = []
  for (let at = 0; at < key.length - 1;) {
    const length = key.charCodeAt(at)
    labels.push(key.slice(at + 1, at + 1 + length).replaceAll(/[^a-z0-9_-]/g, escapeCharacter))
    at += length + 1
  }
  return labels.join('.')
}

function escapeCharacter(character: string): string {
  return `\\${String(character.charCodeAt(0)).padStart(3, '0')}`
}

/** How many records, from `first` on and around, fit in `room` bytes. */
function countFitting({ count, starts }: EncodedRecords, first: number, room: number): number {
  const begin = starts[first]!
  if (count > 0 && starts[first + count]! - begin <= room) return count
  let fitting = 0
  while (fitting < count && starts[first + fitting + 1]! - begin <= room) fitting++
  return fitting
}

function append(
  out: Buffer,
  at: number,
  { bytes, starts }: EncodedRecords,
  first: number,
  count: number,
): number {
  return at + bytes.copy(out, at, starts[first], starts[first + count])
}

function word(bytes: Buffer, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

function setWord(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value & 0xff
}
