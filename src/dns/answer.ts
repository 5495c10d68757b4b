/**
 * From the bytes of a query to the bytes of its answer, with no clock, chance or
 * socket: the same in the daemon, in a worker and in a fuzzer.
 *
 * Tens of thousands of queries a second pass here, so the path of a known
 * question makes one string and nothing else: find the end of the question, look
 * it up as it stands, copy the answer that was encoded when it first came, set
 * the id and the flags. Anything else happens once per change.
 *
 * @module
 */

import { strict as assert } from 'node:assert'
import {
  FORWARD,
  NO_ANSWER,
  TCP_ANSWER_BYTES_MAX,
  TRANSFER,
  type AnswererOptions,
  type Answerer,
  type AnswerFacts,
  type DnsTransport,
  type Names,
  type Relayed,
} from './answerer.ts'
import { chaosTexts } from './chaos.ts'
import { ANYBODY, type Client } from './clients.ts'
import { appendRecords, countFitting, encodeAnswer, type EncodedAnswer } from './encode-answer.ts'
import { createOptWriter } from './opt-writer.ts'
import { createQueryFacts, nameText, readQuery, setWord, skipName, word } from './read-query.ts'
import { CLASS_CH, CLASS_IN, RCODE, TYPE, type SoaRecord } from './records.ts'
import { ANSWER_KIND } from './response-limiter.ts'
import { encodeRecord, HEADER_BYTES, pointersTo } from './wire.ts'
import type { Authority, Freshness } from './finding.ts'

/** Longest answer to a client without EDNS over UDP, in bytes (RFC 1035, section 4.2.1). */
const CLASSIC_UDP_BYTES = 512
/** Measured cost of a cached answer beside its bytes: objects, the map's entry, the key. */
const CACHE_OVERHEAD_BYTES = 700
/** Of the 65,536 types that a name has not, these are remembered: clients ask them of every name. */
const COMMON_TYPES: ReadonlySet<number> = new Set([
  TYPE.A,
  TYPE.AAAA,
  TYPE.ANY,
  TYPE.CNAME,
  TYPE.HTTPS,
  TYPE.MX,
  TYPE.NS,
  TYPE.PTR,
  TYPE.SOA,
  TYPE.SRV,
  TYPE.TXT,
])

/** The answer to one question, and what it holds by. */
interface CachedAnswer {
  readonly exists: boolean
  readonly source: Freshness
  readonly structure: Freshness
  readonly authority: Authority
  readonly encoded: EncodedAnswer
}

/** A zone's SOA as an authority record, by where the zone's name begins in the question. */
interface EncodedSoa {
  readonly soa: SoaRecord
  readonly at: (Buffer | undefined)[]
}

/** Makes what answers from `names`, which may change in place. Nothing of a client is remembered between queries. */
export function createAnswerer(names: Names, options: AnswererOptions = {}): Answerer {
  const { udpAnswerBytesMax = 1232, cacheBytesMax = 32 * 1024 * 1024, forwards = false } = options
  const opt = createOptWriter(options)
  const chaosNames = chaosTexts(options.identity)
  const cache = new Map<string, CachedAnswer>()
  const authorities = new WeakMap<Authority, EncodedSoa>()
  let cacheBytes = 0
  let turns = 0

  // Of the query in hand.
  const facts = createQueryFacts()
  const last: AnswerFacts = {
    type: 0,
    rcode: 0,
    kind: ANSWER_KIND.ERROR,
    isTruncated: false,
    cookie: 'none',
  }
  let query: Buffer = Buffer.alloc(0)
  let client: Client = ANYBODY
  let limit = 0
  let isBare = false

  return {
    answer,
    relay,
    slip,
    fail,
    last,
  }

  function answer(asked: Buffer, out: Buffer, transport: DnsTransport, by = ANYBODY): number {
    // Whoever answers an answer can be made to talk to another server for ever.
    if (asked.length < HEADER_BYTES || (asked[2]! & 0x80) !== 0) return NO_ANSWER
    last.kind = ANSWER_KIND.ERROR
    last.isTruncated = false
    last.cookie = 'none'
    if ((asked[2]! & 0x78) !== 0) return bare(asked, out, RCODE.NOTIMP)
    const rcode = readQuery(asked, facts)
    if (rcode === RCODE.FORMERR) return bare(asked, out, rcode)
    begin(asked, out, transport, by)
    if (rcode !== RCODE.NOERROR) return finish(out, facts.questionEnd, rcode)
    if (facts.questionEnd === HEADER_BYTES) return finish(out, HEADER_BYTES, RCODE.NOERROR)

    const { type } = facts
    if (facts.qclass !== CLASS_IN) return chaos(out)
    if (type === TYPE.AXFR || type === TYPE.IXFR) return transfer(out, transport)
    const found = lookUp()
    if (found === undefined) {
      if (forwards && client.isHome && (query[2]! & 0x01) !== 0) return FORWARD
      return finish(out, facts.questionEnd, RCODE.REFUSED)
    }
    out[2]! |= 0x04 // AA
    if (!found.exists) return negative(out, RCODE.NXDOMAIN, found.authority)
    if (found.encoded.answers.count === 0) return negative(out, RCODE.NOERROR, found.authority)
    return positive(out, found.encoded)
  }

  function relay(
    asked: Buffer,
    out: Buffer,
    transport: DnsTransport,
    by: Client,
    { rcode, isAuthentic, records, counts, ends }: Relayed,
  ): number {
    const read = readQuery(asked, facts)
    assert(read === RCODE.NOERROR, 'only what was read once is relayed')
    begin(asked, out, transport, by)
    last.kind = ANSWER_KIND.ERROR
    last.isTruncated = false
    if (rcode === RCODE.NXDOMAIN) last.kind = ANSWER_KIND.NEGATIVE
    if (rcode === RCODE.NOERROR) last.kind = ANSWER_KIND.RECORDS
    // RFC 6840, section 5.7: only to those who understand it.
    const wantsAd = facts.dnssecOk !== 0 || (asked[3]! & 0x20) !== 0
    if (isAuthentic && wantsAd) out[3]! |= 0x20
    const room = limit - opt.bytes - facts.questionEnd
    // All sections, or the first two, or nothing with TC.
    const sections = ends[2] <= room ? 3 : ends[1] <= room ? 2 : 0
    if (sections === 0) {
      truncate(out)
      return finish(out, facts.questionEnd, rcode)
    }
    for (let section = 0; section < sections; section++) {
      setWord(out, 6 + 2 * section, counts[section]!)
    }
    const end = facts.questionEnd + records.copy(out, facts.questionEnd, 0, ends[sections - 1])
    return finish(out, end, rcode)
  }

  /** Nothing that a query may have broken is used: not the facts, not OPT. */
  function fail(asked: Buffer, out: Buffer): number {
    last.kind = ANSWER_KIND.ERROR
    last.isTruncated = false
    last.cookie = 'none'
    bare(asked, out, RCODE.SERVFAIL)
    const nameEnd = word(asked, 4) === 1 ? skipName(asked, HEADER_BYTES, false) : 0
    const end = nameEnd + 4
    if (nameEnd === 0 || end > asked.length) return HEADER_BYTES
    last.type = word(asked, nameEnd)
    setWord(out, 4, 1) // Clients pass over an answer that does not name their question.
    asked.copy(out, HEADER_BYTES, HEADER_BYTES, end)
    return end
  }

  function slip(out: Buffer): number {
    if (isBare) {
      setWord(out, 4, 0)
      return HEADER_BYTES
    }
    setWord(out, 6, 0)
    setWord(out, 8, 0)
    setWord(out, 10, 0)
    out[2]! &= 0xf9 // Nobody's word, and nothing left of it.
    out[3]! &= 0xf0
    if (last.cookie !== 'none') return finish(out, facts.questionEnd, RCODE.BADCOOKIE)
    out[2]! |= 0x02
    return finish(out, facts.questionEnd, RCODE.NOERROR)
  }

  /** The header, and the question as it was written: some clients check the case of each letter. */
  function begin(asked: Buffer, out: Buffer, transport: DnsTransport, by: Client): void {
    query = asked
    client = by
    isBare = false
    last.type = facts.type
    for (let at = 0; at < facts.questionEnd; at++) out[at] = asked[at]!
    out[2] = 0x80 | (asked[2]! & 0x01) // QR, and RD as it was.
    // RA for those whom it is true for; CD as it was.
    out[3] = (forwards && by.isHome ? 0x80 : 0) | (asked[3]! & 0x10)
    for (let at = 6; at < HEADER_BYTES; at++) out[at] = 0
    limit = transport === 'tcp' ? TCP_ANSWER_BYTES_MAX : CLASSIC_UDP_BYTES
    if (facts.hasEdns && transport === 'udp') {
      limit = Math.max(limit, Math.min(facts.ednsBytes, udpAnswerBytesMax))
    }
    last.cookie = opt.begin(asked, facts, transport, by)
  }

  function lookUp(): CachedAnswer | undefined {
    const key = query.toString('latin1', HEADER_BYTES, facts.questionEnd)
    const cached = cache.get(key)
    if (cached !== undefined && !cached.source.stale && !cached.structure.stale) return cached
    return lookUpAnyCase(key)
  }

  /** Lower case by the letters of ASCII alone, as DNS has it (RFC 4343): for bytes above them it may go wrong, but those are in no name of ours. */
  function lookUpAnyCase(asked: string): CachedAnswer | undefined {
    const nameBytes = asked.slice(0, -4).toLowerCase() // Length bytes are below all letters.
    const key = nameBytes + asked.slice(-4)
    const cached = key === asked ? undefined : cache.get(key)
    if (cached !== undefined && !cached.source.stale && !cached.structure.stale) return cached
    const name = nameText(nameBytes)
    const finding = names.find(name)
    if (finding === undefined) {
      cache.delete(key)
      return undefined
    }
    const { exists, source, structure, authority } = finding
    turns = (turns + 1) >>> 0
    const encoded = encodeAnswer(finding, name, facts.type, turns)
    const found = { exists, source, structure, authority, encoded }
    // Names that do not exist are without number, and cheap to look up; so are types.
    const isKept = exists && (encoded.answers.count > 0 || COMMON_TYPES.has(facts.type))
    if (isKept) keep(key, found)
    else cache.delete(key)
    return found
  }

  function keep(key: string, found: CachedAnswer): void {
    const { answers, additionals } = found.encoded
    const bytes = CACHE_OVERHEAD_BYTES + answers.bytes.length + additionals.bytes.length
    cacheBytes += bytes
    if (cacheBytes > cacheBytesMax) {
      cache.clear()
      cacheBytes = bytes
    }
    cache.set(key, found)
  }

  function positive(out: Buffer, encoded: EncodedAnswer): number {
    const { answers, additionals, turn } = encoded
    last.kind = ANSWER_KIND.RECORDS
    encoded.turn = turn + 1 === answers.count ? 0 : turn + 1
    const end = limit - opt.bytes
    const fitting = countFitting(answers, turn, end - facts.questionEnd)
    let at = appendRecords(out, facts.questionEnd, answers, turn, fitting)
    setWord(out, 6, fitting)
    if (fitting < answers.count) {
      truncate(out) // And then nothing in the additional section (RFC 2181, section 9).
    } else if (additionals.count > 0) {
      const first = encoded.additionalAt[turn]!
      const more = countFitting(additionals, first, end - at)
      at = appendRecords(out, at, additionals, first, more)
      setWord(out, 10, more)
    }
    return finish(out, at, RCODE.NOERROR)
  }

  /** NXDOMAIN and NODATA, with the SOA that says how long to believe it (RFC 2308). */
  function negative(out: Buffer, rcode: number, authority: Authority): number {
    last.kind = ANSWER_KIND.NEGATIVE
    const { questionEnd } = facts
    const soa = soaBytes(authority)
    if (questionEnd + soa.length + opt.bytes > limit) return finish(out, questionEnd, rcode)
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
    const domainAt = facts.nameEnd - authority.domain.length - 2
    return (known.at[domainAt] ??= encodeRecord(soa, pointersTo(authority.domain, domainAt)))
  }

  /** Over UDP, IXFR is told the serial alone: who has an older one comes over TCP (RFC 1995, section 2). AXFR is not for UDP. */
  function transfer(out: Buffer, transport: DnsTransport): number {
    const { questionEnd, nameEnd, type } = facts
    const name = nameText(query.toString('latin1', HEADER_BYTES, nameEnd).toLowerCase())
    const authority = client.mayTransfer ? names.find(name)?.authority : undefined
    if (authority === undefined || (transport === 'udp' && type === TYPE.AXFR)) {
      return finish(out, questionEnd, RCODE.REFUSED)
    }
    // RFC 5936, section 2.2.1.
    if (authority.domain !== name) return finish(out, questionEnd, RCODE.NOTAUTH)
    if (transport === 'tcp') return TRANSFER
    out[2]! |= 0x04
    setWord(out, 6, 1)
    return finish(out, questionEnd + soaBytes(authority).copy(out, questionEnd), RCODE.NOERROR)
  }

  /** `id.server`, `version.bind` and their like, as TXT of the class CH. Other classes are not served. */
  function chaos(out: Buffer): number {
    const { questionEnd, nameEnd, qclass, type } = facts
    const name = nameText(query.toString('latin1', HEADER_BYTES, nameEnd).toLowerCase())
    const text = qclass === CLASS_CH ? chaosNames.get(name) : undefined
    if (text === undefined) return finish(out, questionEnd, RCODE.REFUSED)
    out[2]! |= 0x04
    if (type !== TYPE.TXT && type !== TYPE.ANY) return finish(out, questionEnd, RCODE.NOERROR)
    setWord(out, 6, 1)
    return finish(out, questionEnd + text.copy(out, questionEnd), RCODE.NOERROR)
  }

  function truncate(out: Buffer): void {
    out[2]! |= 0x02
    last.isTruncated = true
  }

  function finish(out: Buffer, end: number, rcode: number): number {
    last.rcode = rcode
    out[3]! |= rcode & 0x0f
    return facts.hasEdns ? opt.write(out, end, rcode) : end
  }

  /** An answer of a header alone, for what cannot be read further. */
  function bare(asked: Buffer, out: Buffer, rcode: number): number {
    isBare = true
    last.type = 0
    last.rcode = rcode
    out.fill(0, 0, HEADER_BYTES)
    out[0] = asked[0]!
    out[1] = asked[1]!
    out[2] = 0x80 | (asked[2]! & 0x79) // QR; opcode and RD as they were.
    out[3] = rcode
    return HEADER_BYTES
  }
}
