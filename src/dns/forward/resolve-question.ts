import { RCODE } from '../records.ts'
import type { DnsEvent } from '../tally.ts'
import { askUpstream, type Manners } from './ask-upstream.ts'
import type { Upstream } from './upstream.ts'
import type { Question, UpstreamAnswer } from './upstream-message.ts'

/** What {@link resolveQuestion} tells on its way. */
export interface ResolveListener {
  count(event: DnsEvent): void
  mannersOf(upstream: Upstream): Manners
  answered(upstream: Upstream): void
  failed(upstream: Upstream): void
}

/**
 * When the next try begins if nobody has answered, and when all is given up, in milliseconds after the
 * try before. Together less than the 5 s that C libraries wait. A resolver that asks around itself may
 * need more than the first of them: it goes on being listened to.
 */
const WAITS_MS = [700, 1_000, 1_300, 1_500] as const

/** Answers that say no more than that this resolver cannot tell. */
const NO_HELP: ReadonlySet<number> = new Set([RCODE.SERVFAIL, RCODE.REFUSED])

/**
 * Asks resolvers, one after the other and again, until one answers.
 *
 * @param upstreams Best first; at least one.
 * @param signal Gives up.
 * @returns Nothing when none answered with something that helps.
 */
export async function resolveQuestion(
  upstreams: readonly Upstream[],
  question: Question,
  listener: ResolveListener,
  signal: AbortSignal,
): Promise<UpstreamAnswer | undefined> {
  const { promise, resolve } = Promise.withResolvers<UpstreamAnswer | undefined>()
  const done = new AbortController()
  // Who said that he cannot tell is not asked the same again.
  const hopeless = new Set<Upstream>()
  const silent = new Set<Upstream>()
  let timer: NodeJS.Timeout | undefined
  let tries = 0

  function startTry(): void {
    const candidates = upstreams.filter(upstream => !hopeless.has(upstream))
    if (tries === WAITS_MS.length || candidates.length === 0) {
      resolve(undefined)
      return
    }
    void attempt(candidates[tries % candidates.length]!)
    timer = setTimeout(startTry, WAITS_MS[tries])
    tries++
  }

  /** The next try begins at once, and not when it is time. */
  function hurry(): void {
    const isLast = tries === WAITS_MS.length && hopeless.size < upstreams.length
    if (isLast) return // Others are still listened to.
    clearTimeout(timer)
    startTry()
  }

  async function attempt(upstream: Upstream): Promise<void> {
    silent.add(upstream)
    try {
      const answer = await askUpstream(
        upstream,
        question,
        listener.mannersOf(upstream),
        event => listener.count(event),
        done.signal,
      )
      silent.delete(upstream)
      if (!NO_HELP.has(answer.relayed.rcode)) {
        listener.answered(upstream)
        resolve(answer)
        return
      }
    } catch (error) {
      if (done.signal.aborted) return
      if (!(error instanceof Error)) throw error
      silent.delete(upstream)
    }
    hopeless.add(upstream)
    listener.failed(upstream)
    hurry()
  }

  const giveUp = (): void => resolve(undefined)
  signal.addEventListener('abort', giveUp, { once: true })
  startTry()
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', giveUp)
    done.abort()
    // The first try of a short question is no sign of anything; a second one, or the end of the time, is.
    if (tries > 1 && !signal.aborted) {
      for (const upstream of silent) {
        listener.count('forward-timeouts')
        listener.failed(upstream)
      }
    }
  }
}
