import type { AnswererOptions, AnswerFacts, DnsTransport } from './answerer.ts'
import { ANYBODY, type Client } from './clients.ts'
import { CLIENT_COOKIE_BYTES, SERVER_COOKIE_BYTES } from './cookies.ts'
import {
  createQueryFacts,
  OPTION,
  OPTION_HEADER_BYTES,
  setWord,
  word,
  type QueryFacts,
} from './read-query.ts'
import { TYPE } from './records.ts'

/** Writes the OPT record of answers (RFC 6891): one for each query that has one. */
export interface OptWriter {
  /** Takes a query in hand. Returns how its cookie stands. */
  begin(
    query: Buffer,
    facts: QueryFacts,
    transport: DnsTransport,
    client: Client,
  ): AnswerFacts['cookie']
  /** How long the OPT record of the query in hand will be; 0 where it has none itself. */
  readonly bytes: number
  /** Writes it at `end`, and counts it in the header. Returns where the answer ends now. */
  write(out: Buffer, end: number, rcode: number): number
}

const OPT_BYTES = 11
const COOKIE_BYTES = CLIENT_COOKIE_BYTES + SERVER_COOKIE_BYTES

/** Makes what writes OPT: our UDP size, DO as it was, and the options that were asked for and mean something. */
export function createOptWriter(options: AnswererOptions): OptWriter {
  const { udpAnswerBytesMax = 1232, cookies, identity, tcpIdleMs = 10_000 } = options
  const nsid = Buffer.from(identity?.name ?? '', 'latin1')
  let bytes = 0
  let query: Buffer = Buffer.alloc(0)
  let facts = createQueryFacts()
  let client = ANYBODY
  let hasCookie = false
  let hasNsid = false
  let hasKeepalive = false

  return {
    begin,
    get bytes() {
      return bytes
    },
    write,
  }

  function begin(
    asked: Buffer,
    about: QueryFacts,
    transport: DnsTransport,
    by: Client,
  ): AnswerFacts['cookie'] {
    bytes = 0
    if (!about.hasEdns) return 'none'
    query = asked
    facts = about
    client = by
    hasCookie = about.cookieAt > 0 && cookies !== undefined
    hasNsid = about.wantsNsid && nsid.length > 0
    hasKeepalive = about.wantsKeepalive && transport === 'tcp' // RFC 7828, section 3.2.1: over UDP it is passed over.
    bytes = OPT_BYTES
    if (hasCookie) bytes += OPTION_HEADER_BYTES + COOKIE_BYTES
    if (hasNsid) bytes += OPTION_HEADER_BYTES + nsid.length
    if (hasKeepalive) bytes += OPTION_HEADER_BYTES + 2
    if (!hasCookie) return 'none'
    const isValid =
      about.hasServerCookie &&
      cookies!.jar.isValid(asked, about.cookieAt, by.address, cookies!.nowSeconds())
    return isValid ? 'valid' : 'invalid'
  }

  function write(out: Buffer, end: number, rcode: number): number {
    out[end] = 0
    setWord(out, end + 1, TYPE.OPT)
    setWord(out, end + 3, udpAnswerBytesMax)
    out[end + 5] = rcode >> 4
    out[end + 6] = 0
    out[end + 7] = facts.dnssecOk // RFC 3225, section 3: copied.
    out[end + 8] = 0
    setWord(out, end + 9, bytes - OPT_BYTES)
    setWord(out, 10, word(out, 10) + 1)
    if (bytes > OPT_BYTES) writeOptions(out, end + OPT_BYTES)
    return end + bytes
  }

  function writeOptions(out: Buffer, start: number): void {
    let at = start
    if (hasCookie) {
      at = writeHeader(out, at, OPTION.COOKIE, COOKIE_BYTES)
      cookies!.jar.write(query, facts.cookieAt, client.address, cookies!.nowSeconds(), out, at)
      at += COOKIE_BYTES
    }
    if (hasNsid) {
      at = writeHeader(out, at, OPTION.NSID, nsid.length)
      at += nsid.copy(out, at)
    }
    if (hasKeepalive) {
      at = writeHeader(out, at, OPTION.KEEPALIVE, 2)
      setWord(out, at, Math.min(0xffff, Math.floor(tcpIdleMs / 100))) // In tenths of a second.
    }
  }
}

/** Returns where the option's data begins. */
function writeHeader(out: Buffer, at: number, option: number, length: number): number {
  setWord(out, at, option)
  setWord(out, at + 2, length)
  return at + OPTION_HEADER_BYTES
}
