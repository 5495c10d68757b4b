/**
 * What the answerer takes and gives: the words between the bytes of a query and
 * whoever has the sockets.
 *
 * @module
 */

import type { Client } from './clients.ts'
import type { Cookies } from './cookies.ts'
import type { AnswerKind } from './response-limiter.ts'
import type { Finding } from './finding.ts'

/** What carries a query: it decides how long an answer may be. */
export type DnsTransport = 'udp' | 'tcp'

/** What queries are answered from: a zone, or several. */
export interface Names {
  /**
   * Looks a name up.
   *
   * @param name In lower case, without the last dot.
   * @returns Nothing for a name that others answer for.
   */
  find(name: string): Finding | undefined
}

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
  /** True when questions about other names can be asked of others: see {@link FORWARD}. @default false */
  readonly forwards?: boolean
  /** Server cookies, and the time that they need. @default none are given */
  readonly cookies?: { readonly jar: Cookies; readonly nowSeconds: () => number }
  /** Who answers, for those who ask: NSID (RFC 5001), and `id.server` and `version.bind` of the class CH (RFC 4892). @default not told */
  readonly identity?: { readonly name: string; readonly version: string }
  /** How long a TCP connection may be idle, for clients who ask (RFC 7828), in milliseconds. @default 10000 */
  readonly tcpIdleMs?: number
}

/** No answer must be given: it was an answer itself, or less than a header. */
export const NO_ANSWER = 0
/** The question is about another domain, and the client may have it asked of others: see {@link Answerer.relay}. */
export const FORWARD = -1
/** The client wants the whole zone over TCP (AXFR, or IXFR), and may have it. */
export const TRANSFER = -2

/** What others answered, without its header, question and OPT. */
export interface Relayed {
  readonly rcode: number
  /** AD: the one who answered has checked signatures. */
  readonly isAuthentic: boolean
  /** Answers, authorities and additionals, one after the other; they may point at the question's name and at each other. */
  readonly records: Buffer
  /** How many of each, and where in `records` they end. */
  readonly counts: readonly [answers: number, authorities: number, additionals: number]
  readonly ends: readonly [answers: number, authorities: number, additionals: number]
}

/** What the last query was and got, for whoever counts and limits. */
export interface AnswerFacts {
  /** 0 for a query that could not be read. */
  type: number
  rcode: number
  kind: AnswerKind
  isTruncated: boolean
  cookie: 'none' | 'valid' | 'invalid'
}

/** Answers queries. */
export interface Answerer {
  /**
   * Writes the answer to `query` into `out`.
   *
   * @param out At least 65,535 bytes for TCP, {@link AnswererOptions.udpAnswerBytesMax} for UDP.
   * @param client Who asks. Somebody of no rights when nothing is said.
   * @returns The answer's length, or {@link NO_ANSWER}, {@link FORWARD} or {@link TRANSFER}.
   */
  answer(query: Buffer, out: Buffer, transport: DnsTransport, client?: Client): number
  /** Writes the answer to a query, for which {@link FORWARD} was returned, with what others say. Returns its length. */
  relay(
    query: Buffer,
    out: Buffer,
    transport: DnsTransport,
    client: Client,
    relayed: Relayed,
  ): number
  /**
   * Writes, in place of the last query's answer, one without records: it says to come back over TCP, or with the cookie
   * in it. Returns its length, which is no more than the query's but for a cookie.
   */
  slip(out: Buffer): number
  /** Writes the answer to a query that cannot be answered for a fault of ours: SERVFAIL, and the question where it can be read. Returns its length. */
  fail(query: Buffer, out: Buffer): number
  /** Of the last query. One object, written to by each. */
  readonly last: Readonly<AnswerFacts>
}

/** Longest answer over TCP, in bytes: its length is told in 16 bits. */
export const TCP_ANSWER_BYTES_MAX = 65_535
