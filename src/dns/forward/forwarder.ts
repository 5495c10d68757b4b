import type { Relayed } from '../answerer.ts'
import type { Client } from '../clients.ts'
import { createQueryFacts, nameText, readQuery } from '../read-query.ts'
import { RCODE } from '../records.ts'
import type { Tally } from '../tally.ts'
import { FLAG, HEADER_BYTES } from '../wire.ts'
import { askUpstream, type Manners } from './ask-upstream.ts'
import { createForwardCache } from './forward-cache.ts'
import { upstreamsFor, type ForwardPlan } from './forward-plan.ts'
import { createLoopProbe } from './loop-probe.ts'
import { resolveQuestion, type ResolveListener } from './resolve-question.ts'
import { emptyReply, replyToSpecialName } from './special-names.ts'
import { createUpstreamBook } from './upstream-book.ts'
import { formatUpstream, type Upstream } from './upstream.ts'
import type { Question } from './upstream-message.ts'

/**
 * Asks others a question about another domain.
 *
 * @param query Readable, with one question. Not kept.
 * @param reply Called once, before this returns where the answer is known; never after the forwarder was closed.
 */
export type Forward = (
  query: Buffer,
  client: Client,
  reply: (relayed: Relayed, source: 'cache' | 'forward') => void,
) => void

/** What forwarding needs, and its knobs. */
export interface ForwarderOptions {
  readonly plan: ForwardPlan
  /** The resolvers that this machine asks itself, now. */
  readonly hostResolvers: () => readonly Upstream[]
  /** True for an address and port that this daemon answers at. */
  readonly isSelf: (upstream: Upstream) => boolean
  /** 16 bytes, the same in all threads. */
  readonly secret: Uint8Array
  readonly tally: Tally
  /** A clock that does not go back, in milliseconds. */
  readonly nowMs: () => number
  /** Room for answers that are kept, in bytes. @default 8 MiB */
  readonly cacheBytesMax?: number
  /** A resolver, by its address and port, turned out to lead back to us. */
  readonly onLoop: (upstream: string) => void
  /** Told when a question cannot be asked for a fault of ours or of this machine: its clients get SERVFAIL. */
  readonly onBroken: (error: unknown) => void
}

/** Forwarding that runs. */
export interface Forwarder {
  readonly forward: Forward
  /** This resolver leads back to us: another thread found out. */
  looped(upstream: string): void
  /** Forgets answers and how resolvers behaved: the host has other ones now. */
  clear(): void
  /** Gives up every question; nobody gets a reply any more. */
  close(): void
}

/** Questions that are asked of others at one time. */
const PENDING_MAX = 512
/** Of these, so many for one client. */
const PENDING_PER_CLIENT_MAX = 128
/** Clients that wait for the answer to one question. */
const WAITERS_MAX = 256
/** A resolver that may lead back to us is looked at again after so long, in milliseconds. */
const PROBE_AGAIN_MS = 30_000
/** An answer to such a look means nothing: after so long nobody waits for it, in milliseconds. */
const PROBE_MS = 3_000

/** A question that is being asked, and who waits for the answer. */
interface Pending {
  readonly waiters: { readonly client: string; readonly reply: Parameters<Forward>[2] }[]
}

/**
 * Makes what asks other resolvers. Answers are kept for as long as they allow, a question is
 * asked once however many clients wait for it, and everything has a bound; beyond it clients are
 * told SERVFAIL at once, and try another server.
 */
export function createForwarder(options: ForwarderOptions): Forwarder {
  const { plan, hostResolvers, isSelf, secret, tally, nowMs, onLoop, onBroken } = options
  const cache = createForwardCache(options.cacheBytesMax ?? 8 * 1024 * 1024)
  const book = createUpstreamBook()
  const probe = createLoopProbe(secret)
  const facts = createQueryFacts()
  const pending = new Map<string, Pending>()
  const perClient = new Map<string, number>()
  const closing = new AbortController()
  const listener: ResolveListener = {
    count: event => tally.happened(event),
    mannersOf: upstream => book.mannersOf(upstream),
    answered: upstream => book.answered(upstream),
    failed: upstream => book.failed(upstream, nowMs()),
  }

  return {
    forward,
    looped: upstream => void book.looped(upstream, nowMs()),
    clear,
    close: () => {
      closing.abort(new Error('the forwarder was closed'))
      pending.clear()
      clear()
    },
  }

  function clear(): void {
    cache.clear()
    book.clear()
  }

  function forward(query: Buffer, client: Client, reply: Parameters<Forward>[2]): void {
    readQuery(query, facts)
    const nameBytes = query.toString('latin1', HEADER_BYTES, facts.nameEnd).toLowerCase()
    const question: Question = {
      bytes: Buffer.concat([
        Buffer.from(nameBytes, 'latin1'),
        query.subarray(facts.nameEnd, facts.questionEnd),
      ]),
      dnssecOk: facts.hasEdns && facts.dnssecOk !== 0,
      checkingDisabled: (query[3]! & FLAG.CD) !== 0,
    }
    const key = keyOf(question)
    const kept = cache.get(key, nowMs()) ?? replyToSpecialName(nameText(nameBytes), facts.type)
    if (kept !== undefined) {
      tally.happened('forward-hits')
      reply(kept, 'cache')
      return
    }
    const waiter = { client: Buffer.from(client.address).toString('latin1'), reply }
    const asked = pending.get(key)
    if (!mayWait(waiter.client, asked)) {
      tally.dropped('forward-queue')
      reply(emptyReply(RCODE.SERVFAIL), 'forward')
      return
    }
    tally.happened('forward-misses')
    wait(waiter.client, 1)
    if (asked !== undefined) {
      asked.waiters.push(waiter)
      return
    }
    const begun = { waiters: [waiter] }
    pending.set(key, begun)
    tally.set('forward-pending', pending.size)
    void ask(key, question, nameText(nameBytes), begun)
  }

  function mayWait(client: string, asked: Pending | undefined): boolean {
    if ((perClient.get(client) ?? 0) >= PENDING_PER_CLIENT_MAX) return false
    return asked === undefined ? pending.size < PENDING_MAX : asked.waiters.length < WAITERS_MAX
  }

  function wait(client: string, change: 1 | -1): void {
    const count = (perClient.get(client) ?? 0) + change
    if (count > 0) perClient.set(client, count)
    else perClient.delete(client)
  }

  async function ask(key: string, question: Question, name: string, asked: Pending): Promise<void> {
    let relayed: Relayed
    try {
      relayed = await find(key, question, name, asked)
    } catch (error) {
      onBroken(error)
      relayed = emptyReply(RCODE.SERVFAIL)
    }
    if (closing.signal.aborted) return
    pending.delete(key)
    tally.set('forward-pending', pending.size)
    tally.set('forward-cache-bytes', cache.bytes)
    tally.set('forward-cache-entries', cache.entries)
    for (const { client, reply } of asked.waiters) {
      wait(client, -1)
      reply(relayed, 'forward')
    }
  }

  async function find(
    key: string,
    question: Question,
    name: string,
    asked: Pending,
  ): Promise<Relayed> {
    const failure = emptyReply(RCODE.SERVFAIL)
    const loop = probe.askedOf(name, everybody)
    if (loop !== undefined) {
      tellLoop(loop)
      return failure
    }
    const planned = upstreamsFor(plan, name)
    if (planned.length === 0) return emptyReply(RCODE.REFUSED)
    const all = planned === 'host' ? hostResolvers() : planned
    for (const upstream of all) if (isSelf(upstream)) tellLoop(formatUpstream(upstream))
    const upstreams = book.order(all, nowMs())
    for (const upstream of upstreams) lookForLoop(upstream, Infinity)
    const answer = await resolveQuestion(upstreams, question, listener, closing.signal)
    if (answer === undefined) {
      tally.happened('forward-failures')
      // Several asked the same and nobody answers: as it would be if the question went round.
      if (asked.waiters.length > 1) {
        for (const upstream of upstreams) lookForLoop(upstream, PROBE_AGAIN_MS)
      }
      cache.putFailure(key, failure, nowMs())
      return failure
    }
    cache.put(key, answer, nowMs())
    return answer.relayed
  }

  function tellLoop(upstream: string): void {
    if (book.looped(upstream, nowMs())) onLoop(upstream)
  }

  /** Everybody who may be asked anything, by address and port. */
  function everybody(): string[] {
    const { fallback, zones } = plan
    const all = fallback === 'host' ? hostResolvers() : fallback
    return [all, ...zones.values()].flat().map(formatUpstream)
  }

  /** @param afterMs How long ago the last look must be; without end: once. */
  function lookForLoop(upstream: Upstream, afterMs: number): void {
    if (!book.isProbeDue(upstream, afterMs, nowMs())) return
    void look(upstream)
  }

  async function look(upstream: Upstream): Promise<void> {
    const question = probe.question(formatUpstream(upstream))
    const end = new AbortController()
    const giveUp = (): void => end.abort(new Error('nobody waits for it'))
    const timer = setTimeout(giveUp, PROBE_MS)
    closing.signal.addEventListener('abort', giveUp, { once: true })
    const manners: Manners = { edns: true, keepsCase: true }
    // Whatever it answers: only whether the question comes back to us matters, see `find`.
    await Promise.allSettled([askUpstream(upstream, question, manners, ignore, end.signal)])
    clearTimeout(timer)
    closing.signal.removeEventListener('abort', giveUp)
  }
}

function keyOf({ bytes, dnssecOk, checkingDisabled }: Question): string {
  return `${bytes.toString('latin1')}${Number(dnssecOk)}${Number(checkingDisabled)}`
}

function ignore(): void {
  // A look is no try: it is not counted.
}
