/**
 * What holds of every answer, whatever was asked: read here by code of its own, so that
 * a fault that our encoder and our decoder share would show.
 *
 * @module
 */

import { decodeMessage } from '../../src/dns/wire.ts'
import type { DnsTransport } from '../../src/dns/answerer.ts'

const HEADER_BYTES = 12

/** What is wrong with `answer` as one to `query`; nothing when all is well. */
export function faultOf(
  query: Buffer,
  answer: Buffer,
  transport: DnsTransport,
): string | undefined {
  if (answer.length < HEADER_BYTES) return 'no whole header'
  if (answer.length > 512 && answer.length > allowedBytes(query, transport)) return 'too large'
  if (answer[0] !== query[0] || answer[1] !== query[1]) return 'another id'
  if ((answer[2]! & 0x80) === 0) return 'not an answer'
  if ((answer[2]! & 0x79) !== (query[2]! & 0x79)) return 'another opcode, or another RD'
  if ((answer[3]! & 0x40) !== 0) return 'the reserved bit is set'
  const questions = answer.readUInt16BE(4)
  const end = faultOfQuestion(query, answer, questions)
  return typeof end === 'string' ? end : faultOfRecords(answer, end)
}

/** The largest answer that the sender of `query` may get, as far as a lenient reader can tell. */
function allowedBytes(query: Buffer, transport: DnsTransport): number {
  if (transport === 'tcp') return 65_535
  try {
    return Math.min(1232, Math.max(512, decodeMessage(query).udpPayloadBytes ?? 0))
  } catch (error) {
    if (error instanceof RangeError) return 512 // Not a message: it can have asked for no more.
    throw error
  }
}

/** Where the question ends. */
function faultOfQuestion(query: Buffer, answer: Buffer, questions: number): number | string {
  if (questions === 0) {
    const isOptAlone = answer.readUInt32BE(6) === 0
    return isOptAlone ? HEADER_BYTES : 'records without a question'
  }
  if (questions !== 1) return `${questions} questions`
  const end = endOfName(answer, HEADER_BYTES, false) + 4
  if (Number.isNaN(end) || end > answer.length) return 'a question that is cut off'
  const isEchoed = answer.compare(query, HEADER_BYTES, end, HEADER_BYTES, end) === 0
  return isEchoed ? end : 'another question'
}

function faultOfRecords(answer: Buffer, start: number): string | undefined {
  let at = start
  for (const field of [6, 8, 10]) {
    for (let count = answer.readUInt16BE(field); count > 0; count--) {
      const fixed = endOfName(answer, at, true)
      if (Number.isNaN(fixed) || fixed + 10 > answer.length) return `a broken record at ${at}`
      at = fixed + 10 + answer.readUInt16BE(fixed + 8)
      if (at > answer.length) return 'a record that is cut off'
    }
  }
  return at === answer.length ? undefined : `${answer.length - at} bytes too many`
}

/** NaN for a name that is broken, or leads nowhere. */
function endOfName(bytes: Buffer, start: number, mayPoint: boolean): number {
  let at = start
  let end = NaN
  for (let size = 1; size <= 255;) {
    const length = bytes[at]
    if (length === undefined) return NaN
    if (length === 0) return Number.isNaN(end) ? at + 1 : end
    if (length < 64) {
      size += length + 1
      at += length + 1
      continue
    }
    const target = ((length & 0x3f) << 8) | (bytes[at + 1] ?? 0)
    if (!mayPoint || length < 0xc0 || target >= at || target < HEADER_BYTES) return NaN
    if (Number.isNaN(end)) end = at + 2
    at = target
  }
  return NaN
}
