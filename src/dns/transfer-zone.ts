import { createQueryFacts, readQuery, setWord } from './read-query.ts'
import { RCODE, TYPE, type DnsRecord, type SoaRecord } from './records.ts'
import { decodeMessage, encodeRecord, HEADER_BYTES, pointersTo, type Message } from './wire.ts'

/** What whole zones are read from. */
export interface TransferSource {
  /**
   * Every record of the zone called `domain`, its SOA first.
   *
   * @returns Nothing for a name that is no zone here.
   */
  transfer(domain: string): Iterable<DnsRecord> | undefined
}

/** Messages are closed when they reach this size: any place in them can be pointed at, and the client gets on with them early. */
const MESSAGE_BYTES = 15_000
const OPT_BYTES = 11

/**
 * The messages of a zone transfer (RFC 5936), made as they are asked for: a large zone
 * costs no memory, and whoever sends can do other work in between. IXFR is told the whole
 * zone, too, or that the client has it (RFC 1995, section 4).
 *
 * A zone that changes in between is told as it is when each part is read, with the serial
 * of the beginning at both ends, so that the client comes again for the rest.
 *
 * @param query For a zone of `source`, and readable.
 */
export function* transferZone(query: Buffer, source: TransferSource): Generator<Buffer> {
  const facts = createQueryFacts()
  readQuery(query, facts)
  const asked = decode(query)
  const records = asked && source.transfer(asked.questions[0]!.name)
  if (asked === undefined || records === undefined) {
    const rcode = asked === undefined ? RCODE.FORMERR : RCODE.SERVFAIL
    yield emptyMessage(query, facts.questionEnd, rcode)
    return
  }
  const { questions, authorities } = asked
  const domain = questions[0]!.name
  const builder = createBuilder(query, facts.questionEnd, domain, facts.hasEdns)
  let soa: SoaRecord | undefined
  for (const record of records) {
    if (soa === undefined) {
      if (record.type !== 'SOA') throw new TypeError(`zone ${domain} does not begin with its SOA`)
      soa = record
    } else if (record.type === 'SOA') {
      continue // Where the name of the zone is told again.
    }
    const full = builder.add(record)
    if (full !== undefined) yield full
    if (record === soa && facts.type === TYPE.IXFR && hasSerial(authorities, soa.serial)) {
      yield builder.close() // One SOA: that is all there is to tell.
      return
    }
  }
  const full = soa && builder.add(soa)
  if (full !== undefined) yield full
  yield builder.close()
}

/** Nothing for a query whose records are not what they say: only their lengths were looked at so far. */
function decode(query: Buffer): Message | undefined {
  try {
    return decodeMessage(query)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function hasSerial(records: Message['authorities'], serial: number): boolean {
  return records.some(one => one.type === 'SOA' && one.serial === serial)
}

interface Builder {
  /** Returns a message that is full, if this record begins another. */
  add(record: DnsRecord): Buffer | undefined
  close(): Buffer
}

function createBuilder(
  query: Buffer,
  questionEnd: number,
  domain: string,
  hasEdns: boolean,
): Builder {
  let parts: Buffer[] = []
  let pointers = pointersTo(domain, HEADER_BYTES)
  let size = questionEnd
  let isFirst = true

  function close(): Buffer {
    const message = emptyMessage(query, questionEnd, RCODE.NOERROR)
    setWord(message, 6, parts.length)
    const ends = isFirst && hasEdns ? [opt()] : []
    setWord(message, 10, ends.length)
    isFirst = false
    const whole = Buffer.concat([message, ...parts, ...ends])
    parts = []
    pointers = pointersTo(domain, HEADER_BYTES)
    size = questionEnd
    return whole
  }

  return {
    add: record => {
      let bytes = encodeRecord(record, pointers)
      let full: Buffer | undefined
      if (size + bytes.length > MESSAGE_BYTES && parts.length > 0) {
        full = close()
        bytes = encodeRecord(record, pointers)
      }
      if (!pointers.has(record.name)) pointers.set(record.name, size)
      parts.push(bytes)
      size += bytes.length
      return full
    },
    close,
  }
}

function emptyMessage(query: Buffer, questionEnd: number, rcode: number): Buffer {
  const message = Buffer.from(query.subarray(0, questionEnd))
  message[2] = 0x84 | (query[2]! & 0x01) // QR, AA, and RD as it was.
  message[3] = rcode
  message.fill(0, 6, HEADER_BYTES)
  return message
}

/** OPT in the first message (RFC 5936, section 2.2.5). */
function opt(): Buffer {
  const bytes = Buffer.alloc(OPT_BYTES)
  setWord(bytes, 1, TYPE.OPT)
  setWord(bytes, 3, 1_232)
  return bytes
}
