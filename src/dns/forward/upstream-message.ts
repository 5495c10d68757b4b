/**
 * Questions to other resolvers, and their answers, as bytes.
 *
 * @module
 */

import type { Relayed } from '../answerer.ts'
import { setWord, skipName, word } from '../read-query.ts'
import { LABEL_BYTES_MAX, NAME_BYTES_MAX, RCODE, TYPE } from '../records.ts'
import { FLAG, HEADER_BYTES } from '../wire.ts'

/** A question to others, apart from how it is written in one packet. */
export interface Question {
  /** The name in lower case as on the wire, with its length bytes and the root's; then type and class. */
  readonly bytes: Buffer
  /** The client wants DNSSEC records (DO). */
  readonly dnssecOk: boolean
  /** The client checks signatures itself (CD). */
  readonly checkingDisabled: boolean
}

/** An answer that is one to what was asked. */
export interface UpstreamAnswer {
  readonly relayed: Relayed
  /** Where TTLs stand in the records. */
  readonly ttls: readonly number[]
  /** How long it may be kept, in seconds; 0 for not at all. */
  readonly keepSeconds: number
}

/** What a packet from a resolver is. */
export type Reading =
  | { readonly kind: 'answer'; readonly answer: UpstreamAnswer }
  /** There is more than fits a packet. */
  | { readonly kind: 'truncated' }
  /** The one who answers did not understand: what else was said matters not. */
  | { readonly kind: 'not-understood' }
  /** Right but for the case of letters: not one who keeps it, or forged. */
  | { readonly kind: 'other-case' }
  /** Not an answer to this. */
  | { readonly kind: 'mismatch' }

/** The largest UDP answer that is asked for, in bytes, as for our own. */
const UDP_BYTES = 1232
const OPT_BYTES = 11
/** Longer than this nothing is kept, in seconds: a mistake of others ends some day. */
const KEEP_SECONDS_MAX = 86_400
/** "There is no such name" is kept for less (RFC 2308, section 5). */
const KEEP_NEGATIVE_SECONDS_MAX = 3_600
const LABELS_MAX = 127

/**
 * Writes a query. What an answer must repeat is drawn by chance, so that nobody who does not see
 * the query can write one (RFC 5452): its id, and which letters are capitals.
 *
 * @param noise Two random bytes, and as many more as the name has.
 */
export function encodeUpstreamQuery(
  { bytes, dnssecOk, checkingDisabled }: Question,
  noise: Uint8Array,
  withEdns: boolean,
): Buffer {
  const query = Buffer.alloc(HEADER_BYTES + bytes.length + (withEdns ? OPT_BYTES : 0))
  query[0] = noise[0]!
  query[1] = noise[1]!
  // AD asks whether signatures were checked (RFC 6840, section 5.7).
  setWord(query, 2, FLAG.RD | FLAG.AD | (checkingDisabled ? FLAG.CD : 0))
  setWord(query, 4, 1)
  bytes.copy(query, HEADER_BYTES)
  for (let at = 0; at < bytes.length - 4; at++) {
    const byte = bytes[at]!
    // Length bytes are below all letters.
    const isLetter = byte >= 0x61 && byte <= 0x7a
    if (isLetter && (noise[2 + at]! & 1) === 1) query[HEADER_BYTES + at] = byte & 0xdf
  }
  if (!withEdns) return query
  setWord(query, 10, 1)
  const opt = HEADER_BYTES + bytes.length
  setWord(query, opt + 1, TYPE.OPT)
  setWord(query, opt + 3, UDP_BYTES)
  query[opt + 7] = dnssecOk ? 0x80 : 0
  return query
}

/** Reads a packet that came back for `query`. Work is bounded by its length. */
export function readUpstreamAnswer(query: Buffer, packet: Buffer): Reading {
  if (packet.length < HEADER_BYTES || word(packet, 0) !== word(query, 0)) return MISMATCH
  const flags = word(packet, 2)
  if ((flags & (FLAG.QR | FLAG.OPCODE)) !== FLAG.QR) return MISMATCH
  const rcode = flags & FLAG.RCODE
  if (rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP) return { kind: 'not-understood' }
  const questionEnd = skipName(query, HEADER_BYTES, false) + 4
  if (word(packet, 4) !== 1 || packet.length < questionEnd) return MISMATCH
  const [asked, told] = [query, packet].map(one => one.subarray(HEADER_BYTES, questionEnd))
  if (!asked!.equals(told!)) {
    return isSameName(asked!, told!) ? { kind: 'other-case' } : MISMATCH
  }
  if ((flags & FLAG.TC) !== 0) return { kind: 'truncated' }
  const answer = readRecords(packet, questionEnd)
  return answer === undefined ? MISMATCH : { kind: 'answer', answer }
}

const MISMATCH: Reading = { kind: 'mismatch' }

/** Reads all sections; nothing when they are broken. */
function readRecords(packet: Buffer, start: number): UpstreamAnswer | undefined {
  const flags = word(packet, 2)
  const counts = [0, 0, 0]
  const ends = [start, start, start]
  const ttls: number[] = []
  let rcode = flags & FLAG.RCODE
  let ttlMin = KEEP_SECONDS_MAX
  let negativeTtl = 0
  let isPastOpt = false
  let at = start
  for (const [section, field] of [6, 8, 10].entries()) {
    for (let index = word(packet, field); index > 0; index--) {
      const owner = at
      at = skipName(packet, at, true)
      if (at === 0 || at + 10 > packet.length || !isWhole(packet, owner)) return undefined
      const type = word(packet, at)
      const end = at + 10 + word(packet, at + 8)
      if (end > packet.length) return undefined
      if (type === TYPE.OPT) {
        rcode |= packet[at + 4]! << 4
        isPastOpt = true // It is usually last. What comes behind it would move, and is left out.
      } else if (!isPastOpt) {
        const ttl = capTtl(packet, at + 4)
        if (section === 0) ttlMin = Math.min(ttlMin, ttl)
        if (section === 1 && type === TYPE.SOA && end - at >= 14) {
          negativeTtl = Math.min(ttl, packet.readUInt32BE(end - 4), KEEP_NEGATIVE_SECONDS_MAX)
        }
        ttls.push(at + 4 - start)
        counts[section]!++
        for (let later = section; later < 3; later++) ends[later] = end
      }
      at = end
    }
  }
  const isNegative = rcode === RCODE.NXDOMAIN || counts[0] === 0
  const isKept = rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN
  return {
    relayed: {
      rcode,
      isAuthentic: (flags & FLAG.AD) !== 0,
      records: Buffer.from(packet.subarray(start, ends[2])),
      counts: [counts[0]!, counts[1]!, counts[2]!],
      ends: [ends[0]! - start, ends[1]! - start, ends[2]! - start],
    },
    ttls,
    // Without an SOA nobody says how long it holds (RFC 2308, section 5).
    keepSeconds: !isKept ? 0 : isNegative ? Math.min(ttlMin, negativeTtl) : ttlMin,
  }
}

/** Writes back what is above the limit. A TTL with the highest bit set is zero (RFC 2181, section 8). */
function capTtl(packet: Buffer, at: number): number {
  const ttl = packet.readUInt32BE(at)
  const capped = ttl >= 0x80000000 ? 0 : Math.min(ttl, KEEP_SECONDS_MAX)
  packet.writeUInt32BE(capped, at)
  return capped
}

/** True when the name at `start` leads to its end, in no more steps than a name can have labels. */
function isWhole(packet: Buffer, start: number): boolean {
  let at = start
  let size = 1
  for (let steps = 0; steps < 2 * LABELS_MAX; steps++) {
    const length = packet[at]
    if (length === undefined) return false
    if (length === 0) return true
    if (length >= 0xc0) {
      const target = ((length & 0x3f) << 8) | (packet[at + 1] ?? 0)
      if (target >= at || target < HEADER_BYTES) return false
      at = target
    } else {
      size += length + 1
      if (length > LABEL_BYTES_MAX || size > NAME_BYTES_MAX) return false
      at += length + 1
    }
  }
  return false
}

/** True for names, with type and class behind them, that differ in the case of letters at most. */
function isSameName(one: Buffer, other: Buffer): boolean {
  return (
    one.subarray(-4).equals(other.subarray(-4)) &&
    one.toString('latin1', 0, one.length - 4).toLowerCase() ===
      other.toString('latin1', 0, other.length - 4).toLowerCase()
  )
}
