import type { Answerer, DnsTransport, Relayed } from './answerer.ts'
import type { Client } from './clients.ts'
import {
  createResponseLimiter,
  VERDICT,
  type LimiterVerdict,
  type ResponseLimiter,
} from './response-limiter.ts'
import type { AnswerSource, Tally } from './tally.ts'

/** The answerer behind limits and counters: what the UDP and TCP shells talk to. */
export interface Responder {
  /** As {@link Answerer.answer}; nothing where the client's network gets too many answers. */
  answer(query: Buffer, out: Buffer, transport: DnsTransport, client: Client): number
  /**
   * As {@link Answerer.relay}.
   *
   * @param askedAtMs When the query came, on the clock of the options.
   */
  relay(
    query: Buffer,
    out: Buffer,
    transport: DnsTransport,
    client: Client,
    relayed: Relayed,
    source: AnswerSource,
    askedAtMs: number,
  ): number
}

/** Knobs of {@link createResponder}. */
export interface ResponderOptions {
  /**
   * UDP answers of one kind to one network of strangers each second; beyond that half are dropped, half say "come by TCP". Networks of our own
   * clients get {@link HOME_FACTOR} times as many, and beyond that all are told to come by TCP. 0 limits nobody.
   *
   * @default 200
   */
  readonly answersPerSecond?: number
  /** A clock that does not go back, in milliseconds. */
  readonly nowMs: () => number
  /**
   * Told when a query breaks the answerer, which is a fault of ours: its client gets SERVFAIL, and everybody
   * else his answer. Without this, whoever found such a query could stop the server with it again and again.
   */
  readonly onBroken: (error: unknown, query: Buffer) => void
}

/** How much more our own clients get than strangers: they are many behind one network, and do not attack it. */
export const HOME_FACTOR = 50
/** Reading the clock costs as much as half an answer, so that one answer in so many is timed. */
const TIMED_ONE_IN = 64

/** Makes a responder. Clients on this machine and those with a valid cookie are not limited, as nobody else can have written their address. */
export function createResponder(
  answerer: Answerer,
  tally: Tally,
  { answersPerSecond = 200, nowMs, onBroken }: ResponderOptions,
): Responder {
  const isLimited = answersPerSecond > 0
  const strangers = createResponseLimiter({ perSecond: answersPerSecond, slip: 2 })
  const home = createResponseLimiter({ perSecond: HOME_FACTOR * answersPerSecond, slip: 1 })
  const { last } = answerer
  let untimed = 0

  return {
    answer: (query, out, transport, client) => {
      if (++untimed < TIMED_ONE_IN) return answer(query, out, transport, client)
      untimed = 0
      const startMs = nowMs()
      const length = answer(query, out, transport, client)
      if (length > 0) tally.took('zone', (nowMs() - startMs) / 1000, TIMED_ONE_IN)
      return length
    },
    relay: (query, out, transport, client, relayed, source, askedAtMs) => {
      let length: number
      try {
        length = answerer.relay(query, out, transport, client, relayed)
      } catch (error) {
        length = fail(query, out, error)
      }
      tally.took(source, (nowMs() - askedAtMs) / 1000)
      return judged(length, out, transport, client)
    },
  }

  function answer(query: Buffer, out: Buffer, transport: DnsTransport, client: Client): number {
    let length: number
    try {
      length = answerer.answer(query, out, transport, client)
    } catch (error) {
      length = fail(query, out, error)
    }
    if (length > 0) return judged(length, out, transport, client)
    if (length === 0) tally.dropped('not-a-query')
    return length
  }

  function fail(query: Buffer, out: Buffer, error: unknown): number {
    onBroken(error, query)
    return answerer.fail(query, out)
  }

  function judged(length: number, out: Buffer, transport: DnsTransport, client: Client): number {
    if (last.cookie !== 'none') {
      tally.happened(last.cookie === 'valid' ? 'cookie-valid' : 'cookie-invalid')
    }
    const isFree = !isLimited || client.isLocal || transport === 'tcp' || last.cookie === 'valid'
    const verdict = isFree ? VERDICT.SEND : judge(client.isHome ? home : strangers, client)
    if (verdict === VERDICT.DROP) {
      tally.dropped('rate')
      return 0
    }
    let sent = length
    if (verdict === VERDICT.SLIP) {
      sent = answerer.slip(out)
      tally.happened('slipped')
    } else if (last.isTruncated) {
      tally.happened('truncated')
    }
    tally.answered(transport, last.type, last.rcode)
    return sent
  }

  function judge(limiter: ResponseLimiter, { network }: Client): LimiterVerdict {
    return limiter.judge(network, last.kind, nowMs())
  }
}
