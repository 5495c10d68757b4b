import { createHmac, timingSafeEqual } from 'node:crypto'
import { createSipHash, SIPHASH_KEY_BYTES } from './siphash.ts'

/** Bytes of the part of a cookie that the client chose. */
export const CLIENT_COOKIE_BYTES = 8
/** Bytes of the part that we made: version, three reserved, time, hash (RFC 9018, section 4). */
export const SERVER_COOKIE_BYTES = 16

/**
 * Server cookies (RFC 7873) as RFC 9018 has them: a client that shows one has
 * received an answer of ours at its address, so it is no victim whose address
 * somebody else writes on queries. Nothing is kept for a client.
 */
export interface Cookies {
  /**
   * True when the cookie of `query` at `at` (a client's and a server's part, 24 bytes) was made here for `client`,
   * not too long ago.
   *
   * @param client The client's address, 4 or 16 bytes.
   */
  isValid(query: Uint8Array, at: number, client: Uint8Array, nowSeconds: number): boolean
  /** Writes a cookie, 24 bytes, into `out` at `at`: the client's part of the one in `query` at `from`, and ours behind it. */
  write(
    query: Uint8Array,
    from: number,
    client: Uint8Array,
    nowSeconds: number,
    out: Uint8Array,
    at: number,
  ): void
}

/** Older cookies are refused, and those from a clock that is further ahead (RFC 9018, section 4.3). */
const [AGE_SECONDS_MAX, AHEAD_SECONDS_MAX] = [3_600, 300]
/** A new secret so often (section 5 leaves it open; RFC 7873, section 7.1, asks for a day). Cookies of the one before still hold. */
export const SECRET_SECONDS = 86_400
const VERSION = 1

/**
 * Makes cookies under secrets that follow each other.
 *
 * @param secretAt The 16-byte secret of a period of {@link SECRET_SECONDS}, by its number.
 */
export function createCookies(secretAt: (period: number) => Uint8Array): Cookies {
  const input = Buffer.alloc(CLIENT_COOKIE_BYTES + SERVER_COOKIE_BYTES - 8 + 16)
  const hash = Buffer.alloc(8)
  let current = hasherOf(0)
  let previous = current

  function hasherOf(period: number): { period: number; sipHash: ReturnType<typeof createSipHash> } {
    return { period, sipHash: createSipHash(secretAt(period)) }
  }

  function turnTo(nowSeconds: number): void {
    const period = Math.floor(nowSeconds / SECRET_SECONDS)
    if (current.period === period) return
    previous = current.period === period - 1 ? current : hasherOf(period - 1)
    current = hasherOf(period)
  }

  /** Lays out what is hashed: both parts of the cookie but for the hash itself, and the address. */
  function layOut(client: Uint8Array): Buffer {
    input.set(client, 16)
    return input.subarray(0, 16 + client.length)
  }

  return {
    isValid: (query, at, client, nowSeconds) => {
      if (query[at + CLIENT_COOKIE_BYTES] !== VERSION) return false
      input.set(query.subarray(at, at + 16))
      // Serial arithmetic (RFC 1982), as the RFC asks: 32 bits of seconds end in 2106.
      const age = (Math.floor(nowSeconds) - input.readUInt32BE(12)) | 0
      if (age > AGE_SECONDS_MAX || age < -AHEAD_SECONDS_MAX) return false
      turnTo(nowSeconds)
      const whole = layOut(client)
      return [current, previous].some(({ sipHash }) => {
        sipHash(whole, hash, 0)
        return timingSafeEqual(hash, query.subarray(at + 16, at + 24))
      })
    },
    write: (query, from, client, nowSeconds, out, at) => {
      turnTo(nowSeconds)
      input.set(query.subarray(from, from + CLIENT_COOKIE_BYTES))
      input.writeUInt32BE(VERSION << 24, 8)
      input.writeUInt32BE(nowSeconds >>> 0, 12)
      out.set(input.subarray(0, 16), at)
      current.sipHash(layOut(client), out, at + 16)
    },
  }
}

/**
 * Secrets for {@link createCookies} that all threads of a server work out alike
 * from one, so that they need not tell each other when a new period begins.
 */
export function secretsFrom(master: Uint8Array): (period: number) => Uint8Array {
  return period =>
    createHmac('sha256', master)
      .update(`dns cookies ${period}`)
      .digest()
      .subarray(0, SIPHASH_KEY_BYTES)
}
