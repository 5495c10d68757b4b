import { randomBytes } from 'node:crypto'
import { encodeName } from '../wire.ts'
import { createSipHash } from '../siphash.ts'
import type { Question } from './upstream-message.ts'

/**
 * Finds resolvers that ask us again, so that a question would go round for ever: a
 * question about a name that nobody else knows is asked of each, and whoever it comes
 * back from leads to us (CoreDNS finds loops alike). The name says itself whom it was asked of, to
 * whoever has the secret, so nothing is kept and any thread can tell.
 */
export interface LoopProbe {
  /** A question for this upstream, new each time. */
  question(upstream: string): Question
  /**
   * Whom `name` was asked of, if it is one of these questions.
   *
   * @param upstreams All that may have been asked.
   */
  askedOf(name: string, upstreams: () => Iterable<string>): string | undefined
}

/** HINFO: a type that no program asks for by itself. */
const PROBE_TYPE = 13
const PROBE_NAME = /^[0-9a-f]{16}\.([0-9a-f]{16})$/

/**
 * Makes probes.
 *
 * @param secret 16 bytes, the same in all threads.
 */
export function createLoopProbe(secret: Uint8Array): LoopProbe {
  const sipHash = createSipHash(secret)

  function seal(nonce: string, upstream: string): string {
    const hash = Buffer.alloc(8)
    sipHash(Buffer.from(`${nonce} ${upstream}`), hash, 0)
    return hash.toString('hex')
  }

  return {
    question: upstream => {
      const nonce = randomBytes(8).toString('hex')
      const name = encodeName(`${nonce}.${seal(nonce, upstream)}`)
      const bytes = Buffer.concat([name, Buffer.of(0, PROBE_TYPE, 0, 1)])
      return { bytes, dnssecOk: false, checkingDisabled: false }
    },
    askedOf: (name, upstreams) => {
      const [, sealed] = PROBE_NAME.exec(name) ?? []
      if (sealed === undefined) return undefined
      const nonce = name.slice(0, 16)
      for (const upstream of upstreams()) if (seal(nonce, upstream) === sealed) return upstream
      return undefined
    },
  }
}
