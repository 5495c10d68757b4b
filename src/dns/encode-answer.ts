import { TYPE, type DnsRecord } from './records.ts'
import { encodeRecord, HEADER_BYTES, pointersTo } from './wire.ts'
import type { Finding } from './finding.ts'

/**
 * Records one after another, ready to be copied behind a question. They point at
 * nothing but the question's name, so any run of them is right at any place. With
 * more than one they are there twice, so that the list can begin at any record
 * and still be copied in one piece: fair rotation costs nothing per query.
 */
export interface EncodedRecords {
  readonly count: number
  readonly bytes: Buffer
  /** Where each record begins in `bytes`, and where the last ends. */
  readonly starts: readonly number[]
}

/** The answer to one question, for as long as its finding holds. */
export interface EncodedAnswer {
  readonly answers: EncodedRecords
  readonly additionals: EncodedRecords
  /** For each answer, the first of `additionals` that belongs to it or to one after it. */
  readonly additionalAt: readonly number[]
  /** Which record begins the next answer. */
  turn: number
}

/**
 * Encodes what `finding` says for one type. `ANY` gets the records of one type
 * (RFC 8482, section 4.1): enough for a person to see, too little to reflect.
 *
 * @param name The question's name, as {@link Finding} was looked up by.
 * @param turn Any number: which record comes first in the first answer.
 */
export function encodeAnswer(
  finding: Finding,
  name: string,
  type: number,
  turn: number,
): EncodedAnswer {
  const pointers = pointersTo(name, HEADER_BYTES)
  const encode = (records: readonly DnsRecord[]): EncodedRecords =>
    encodeRecords(records.map(record => encodeRecord(record, pointers)))
  const [first] = finding.records
  const wanted = type === TYPE.ANY && first !== undefined ? TYPE[first.type] : type
  const records = finding.records.filter(record => TYPE[record.type] === wanted)
  const glue = type !== TYPE.ANY && records.some(hasTarget) ? finding.glue : []

  const glueIndex = new Map<string, number>()
  for (const [index, { name: owner }] of glue.entries()) {
    if (!glueIndex.has(owner)) glueIndex.set(owner, index)
  }
  const additionalAt: number[] = []
  let next = 0
  for (const record of records) {
    if (hasTarget(record)) next = glueIndex.get(record.target) ?? next
    additionalAt.push(next)
  }
  return {
    answers: encode(records),
    additionals: encode(glue),
    additionalAt,
    turn: records.length === 0 ? 0 : turn % records.length,
  }
}

/** How many of `records`, from `first` on and around, fit in `room` bytes. */
export function countFitting(
  { count, starts }: EncodedRecords,
  first: number,
  room: number,
): number {
  const begin = starts[first]!
  if (count > 0 && starts[first + count]! - begin <= room) return count
  let fitting = 0
  while (fitting < count && starts[first + fitting + 1]! - begin <= room) fitting++
  return fitting
}

/** Copies `count` of `records`, from `first` on and around, into `out` at `at`. Returns where they end. */
export function appendRecords(
  out: Buffer,
  at: number,
  { bytes, starts }: EncodedRecords,
  first: number,
  count: number,
): number {
  return at + bytes.copy(out, at, starts[first], starts[first + count])
}

function hasTarget(record: DnsRecord): record is DnsRecord & { readonly target: string } {
  return record.type === 'SRV' || record.type === 'NS'
}

function encodeRecords(records: readonly Buffer[]): EncodedRecords {
  const twice = records.length > 1 ? [...records, ...records] : records
  const starts = [0]
  for (const { length } of twice) starts.push(starts.at(-1)! + length)
  return { count: records.length, bytes: Buffer.concat(twice), starts }
}
