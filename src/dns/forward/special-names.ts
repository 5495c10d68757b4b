import type { Relayed } from '../answerer.ts'
import { CLASS_IN, RCODE, TYPE } from '../records.ts'

/** Nothing but a code. */
export function emptyReply(rcode: number): Relayed {
  const none = [0, 0, 0] as const
  return { rcode, isAuthentic: false, records: Buffer.alloc(0), counts: none, ends: none }
}

/** Top-level domains that are none, and of which nobody outside is to hear (RFC 6761, section 6.4; RFC 7686). */
const NOWHERE = new Set(['invalid', 'onion'])
const LOOPBACK: ReadonlyMap<number, Buffer> = new Map([
  [TYPE.A, Buffer.of(127, 0, 0, 1)],
  [TYPE.AAAA, Buffer.from('00000000000000000000000000000001', 'hex')],
])

/**
 * What is said of names that mean the same everywhere, without asking anybody: `localhost` is the
 * machine of whoever asks (RFC 6761, section 6.3).
 *
 * @param name In lower case, without the last dot.
 */
export function replyToSpecialName(name: string, type: number): Relayed | undefined {
  const top = name.slice(name.lastIndexOf('.') + 1)
  if (NOWHERE.has(top)) return emptyReply(RCODE.NXDOMAIN)
  if (top !== 'localhost') return undefined
  const address = LOOPBACK.get(type)
  if (address === undefined) return emptyReply(RCODE.NOERROR)
  const fixed = Buffer.alloc(12)
  fixed.writeUInt16BE(0xc00c, 0) // The question's name.
  fixed.writeUInt16BE(type, 2)
  fixed.writeUInt16BE(CLASS_IN, 4)
  fixed.writeUInt16BE(address.length, 10)
  const records = Buffer.concat([fixed, address])
  const { length } = records
  return {
    ...emptyReply(RCODE.NOERROR),
    records,
    counts: [1, 0, 0],
    ends: [length, length, length],
  }
}
