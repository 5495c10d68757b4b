/**
 * Names and records as bytes (RFC 1035, section 4.1; RFC 2782; RFC 3596). What
 * encodes here runs once per answer that is then kept, so it is written to be
 * read; the path that each query takes is `answer.ts` alone.
 *
 * @module
 */

import { strict as assert } from 'node:assert'
import { formatAddress, parseAddress } from './address.ts'
import {
  CLASS_IN,
  LABEL_BYTES_MAX,
  NAME_BYTES_MAX,
  TXT_BYTES_MAX,
  TYPE,
  type DnsRecord,
  type UnknownRecord,
} from './records.ts'

/** Bytes of a message's header. */
export const HEADER_BYTES = 12

/** Bits of a header's second 16-bit word (RFC 1035, section 4.1.1; RFC 4035, section 3.2). */
export const FLAG = {
  QR: 0x8000,
  OPCODE: 0x7800,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  AD: 0x0020,
  CD: 0x0010,
  RCODE: 0x000f,
} as const

/** Where names already stand in a message, so that others can point there: name to offset, in lower case. */
export type Pointers = ReadonlyMap<string, number>

const POINTER = 0xc000
/** Only the first 16 KiB of a message can be pointed at (RFC 1035, section 4.1.4). */
const POINTER_MAX = 0x3fff

/** True for a name that fits the wire: labels of 1–63 printable characters, 255 bytes in all. The root is empty text. */
export function isName(name: string): boolean {
  if (name === '') return true
  if (name.length + 2 > NAME_BYTES_MAX) return false
  return name.split('.').every(label => /^[!-~]{1,63}$/.test(label))
}

/**
 * A name as bytes, ended by a pointer where a tail of it is in `pointers`.
 * Asserts that the name fits the wire ({@link isName}).
 */
export function encodeName(name: string, pointers: Pointers = new Map()): Buffer {
  assert(isName(name), `Not a DNS name: ${name}`)
  const parts: Buffer[] = []
  let rest = name
  while (rest !== '') {
    const pointer = pointers.get(rest)
    if (pointer !== undefined && pointer <= POINTER_MAX) {
      const end = Buffer.alloc(2)
      end.writeUInt16BE(POINTER | pointer)
      return Buffer.concat([...parts, end])
    }
    const dot = rest.indexOf('.')
    const label = dot < 0 ? rest : rest.slice(0, dot)
    parts.push(Buffer.from(String.fromCharCode(label.length) + label, 'latin1'))
    rest = dot < 0 ? '' : rest.slice(dot + 1)
  }
  return Buffer.concat([...parts, Buffer.of(0)])
}

/** The tails of `name`, itself included, and where each stands when the name stands at `offset`. */
export function pointersTo(name: string, offset: number): Map<string, number> {
  const pointers = new Map<string, number>()
  let [rest, at] = [name, offset]
  while (rest !== '') {
    pointers.set(rest, at)
    const dot = rest.indexOf('.')
    if (dot < 0) break
    rest = rest.slice(dot + 1)
    at += dot + 1
  }
  return pointers
}

/** A record as bytes. Every name in it that may be compressed points into `pointers`. */
export function encodeRecord(record: DnsRecord, pointers: Pointers): Buffer {
  const data = encodeData(record, pointers)
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(TYPE[record.type], 0)
  fixed.writeUInt16BE(CLASS_IN, 2)
  fixed.writeUInt32BE(record.ttlSeconds, 4)
  fixed.writeUInt16BE(data.length, 8)
  return Buffer.concat([encodeName(record.name, pointers), fixed, data])
}

function encodeData(record: DnsRecord, pointers: Pointers): Buffer {
  switch (record.type) {
    case 'A':
    case 'AAAA': {
      const bytes = parseAddress(record.address)
      assert(bytes?.length === (record.type === 'A' ? 4 : 16), `Not an ${record.type} address`)
      return Buffer.from(bytes)
    }
    case 'SRV': {
      const fixed = Buffer.alloc(6)
      fixed.writeUInt16BE(record.priority, 0)
      fixed.writeUInt16BE(record.weight, 2)
      fixed.writeUInt16BE(record.port, 4)
      // RFC 2782: "name compression is not to be used for this field".
      return Buffer.concat([fixed, encodeName(record.target)])
    }
    case 'NS':
    case 'PTR':
      return encodeName(record.target, pointers)
    case 'TXT':
      return Buffer.concat(record.strings.map(encodeString))
    case 'SOA': {
      const times = Buffer.alloc(20)
      const { serial, refresh, retry, expire, minimum } = record
      for (const [index, value] of [serial, refresh, retry, expire, minimum].entries()) {
        times.writeUInt32BE(value, 4 * index)
      }
      const names = [record.primary, record.mailbox].map(name => encodeName(name, pointers))
      return Buffer.concat([...names, times])
    }
  }
}

/** Text with its length before it (RFC 1035, section 3.3). */
function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  assert(bytes.length <= TXT_BYTES_MAX, `Too long for a string of TXT: ${text}`)
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

/** A message's bytes as data. */
export interface Message {
  readonly id: number
  /** The second word of the header: see {@link FLAG}. */
  readonly flags: number
  /** With the upper bits from OPT, where there is one. */
  readonly rcode: number
  readonly questions: readonly {
    readonly name: string
    readonly type: number
    readonly class: number
  }[]
  readonly answers: readonly (DnsRecord | UnknownRecord)[]
  readonly authorities: readonly (DnsRecord | UnknownRecord)[]
  /** Without OPT. */
  readonly additionals: readonly (DnsRecord | UnknownRecord)[]
  /** The largest UDP answer the other side takes, in bytes; nothing where it speaks no EDNS. */
  readonly udpPayloadBytes?: number
}

/**
 * Reads a whole message. Work and memory are bounded by its length: a pointer
 * must go backwards, so that no loop of them can be built.
 *
 * @throws {RangeError} When the bytes are not one message.
 */
export function decodeMessage(bytes: Buffer): Message {
  const cursor = { bytes, offset: HEADER_BYTES }
  if (bytes.length < HEADER_BYTES) throw new RangeError('DNS message is shorter than its header')
  const [id, flags, ...counts] = [0, 2, 4, 6, 8, 10].map(at => bytes.readUInt16BE(at))
  const [questionCount, ...recordCounts] = counts
  const questions = Array.from({ length: questionCount! }, () => ({
    name: decodeName(cursor).toLowerCase(),
    type: take(cursor, 2).readUInt16BE(),
    class: take(cursor, 2).readUInt16BE(),
  }))
  const sections = recordCounts.map(count =>
    Array.from({ length: count }, () => decodeRecord(cursor)),
  )
  const opt = sections[2]!.find(({ type }) => type === TYPE.OPT)
  const [answers, authorities, additionals] = sections.map(section =>
    section.filter(({ type }) => type !== TYPE.OPT).map(({ record }) => record),
  )
  return {
    id: id!,
    flags: flags!,
    rcode: (flags! & FLAG.RCODE) | (opt === undefined ? 0 : (opt.ttl >>> 24) << 4),
    questions,
    answers: answers!,
    authorities: authorities!,
    additionals: additionals!,
    ...(opt !== undefined && { udpPayloadBytes: opt.class }),
  }
}

/** A place in a message that moves on as things are read. */
interface Cursor {
  readonly bytes: Buffer
  offset: number
}

function take(cursor: Cursor, length: number): Buffer {
  const start = cursor.offset
  if (start + length > cursor.bytes.length) throw new RangeError('DNS message ends too early')
  cursor.offset = start + length
  return cursor.bytes.subarray(start, start + length)
}

/**
 * Reads a name, with `.`, `\` and what is not printable escaped as in a zone
 * file (RFC 1035, section 5.1), so that different names are different text.
 */
function decodeName(cursor: Cursor): string {
  const labels: string[] = []
  let [reader, limit, size] = [cursor, cursor.offset, 1]
  for (;;) {
    const length = take(reader, 1)[0]!
    if (length === 0) return labels.join('.')
    if (length > LABEL_BYTES_MAX) {
      if (length < 0xc0) throw new RangeError('DNS message has a label of an unknown kind')
      const target = ((length & 0x3f) << 8) | take(reader, 1)[0]!
      if (target >= limit) throw new RangeError('DNS message has a pointer that goes forwards')
      reader = { bytes: cursor.bytes, offset: target }
      limit = target
      continue
    }
    size += length + 1
    if (size > NAME_BYTES_MAX) throw new RangeError('DNS message has a name that is too long')
    labels.push(
      take(reader, length)
        .toString('latin1')
        .replaceAll(/[.\\]/g, String.raw`\$&`)
        .replaceAll(/[^!-~]/g, escapeByte),
    )
  }
}

function escapeByte(character: string): string {
  return `\\${String(character.charCodeAt(0)).padStart(3, '0')}`
}

function decodeRecord(cursor: Cursor): {
  type: number
  class: number
  ttl: number
  record: DnsRecord | UnknownRecord
} {
  const name = decodeName(cursor).toLowerCase()
  const fixed = take(cursor, 10)
  const [type, rrClass, ttl] = [fixed.readUInt16BE(0), fixed.readUInt16BE(2), fixed.readUInt32BE(4)]
  const start = cursor.offset
  const data = take(cursor, fixed.readUInt16BE(8))
  const end = cursor.offset
  const inner = { bytes: cursor.bytes.subarray(0, end), offset: start }
  const record = decodeData(type, { name, ttlSeconds: ttl }, inner)
  if (record !== undefined && inner.offset !== end) {
    throw new RangeError('DNS message has a record of the wrong length')
  }
  return {
    type,
    class: rrClass,
    ttl,
    record: record ?? { name, ttlSeconds: ttl, type: `TYPE${type}`, data: data.toString('hex') },
  }
}

function decodeData(
  type: number,
  base: { readonly name: string; readonly ttlSeconds: number },
  cursor: Cursor,
): DnsRecord | undefined {
  const name = (): string => decodeName(cursor).toLowerCase()
  const word = (): number => take(cursor, 2).readUInt16BE()
  const long = (): number => take(cursor, 4).readUInt32BE()
  switch (type) {
    case TYPE.A:
      return { ...base, type: 'A', address: formatAddress(take(cursor, 4)) }
    case TYPE.AAAA:
      return { ...base, type: 'AAAA', address: formatAddress(take(cursor, 16)) }
    case TYPE.NS:
      return { ...base, type: 'NS', target: name() }
    case TYPE.PTR:
      return { ...base, type: 'PTR', target: name() }
    case TYPE.TXT: {
      const strings: string[] = []
      while (cursor.offset < cursor.bytes.length) {
        strings.push(take(cursor, take(cursor, 1)[0]!).toString('latin1'))
      }
      return { ...base, type: 'TXT', strings }
    }
    case TYPE.SRV:
      return {
        ...base,
        type: 'SRV',
        priority: word(),
        weight: word(),
        port: word(),
        target: name(),
      }
    case TYPE.SOA:
      return {
        ...base,
        type: 'SOA',
        primary: name(),
        mailbox: name(),
        serial: long(),
        refresh: long(),
        retry: long(),
        expire: long(),
        minimum: long(),
      }
    default:
      return undefined
  }
}
