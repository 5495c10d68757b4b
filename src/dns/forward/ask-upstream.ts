import { randomFillSync } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { askOverTcp } from '../ask-over-tcp.ts'
import type { DnsEvent } from '../tally.ts'
import type { Upstream } from './upstream.ts'
import {
  encodeUpstreamQuery,
  readUpstreamAnswer,
  type Question,
  type Reading,
  type UpstreamAnswer,
} from './upstream-message.ts'

/** What is known of how a resolver is to be asked. */
export interface Manners {
  /** False for one that did not understand EDNS. */
  edns: boolean
  /** False for one that does not keep the case of letters in a question. */
  keepsCase: boolean
}

/** So many packets that do not match are borne; who sends more is guessing, and is asked over TCP. */
const MISMATCHES_MAX = 8

/**
 * Asks one resolver one question: over UDP, from a port that the system draws for this question alone, and
 * over TCP where the answer is too long or somebody else seems to answer. Packets are only taken from the resolver's
 * own address and port.
 *
 * @param manners Written to, when the resolver turns out to need other ones.
 * @param signal Gives up.
 * @throws {Error} When it cannot be reached, hangs up, or answers what it was not asked over TCP; or the signal's reason.
 */
export async function askUpstream(
  upstream: Upstream,
  question: Question,
  manners: Manners,
  count: (event: DnsEvent) => void,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  let reading = await askOverUdp(upstream, write(question, manners), count, signal)
  if (reading.kind === 'not-understood' && manners.edns) {
    manners.edns = false
    reading = await askOverUdp(upstream, write(question, manners), count, signal)
  }
  if (reading.kind === 'answer') return reading.answer
  const otherCase = reading.kind === 'other-case'
  count('forward-tcp')
  reading = await readOverTcp(upstream, write(question, manners), signal)
  if (reading.kind === 'other-case') {
    // It says so on a connection of its own as well: that is how it is.
    manners.keepsCase = false
    reading = await readOverTcp(upstream, write(question, manners), signal)
  }
  if (reading.kind === 'answer') return reading.answer
  throw new Error(`it answered something else${otherCase ? ', in other letters' : ''}`)
}

function write(question: Question, { edns, keepsCase }: Manners): Buffer {
  const noise = Buffer.alloc(2 + question.bytes.length)
  randomFillSync(noise, 0, keepsCase ? noise.length : 2)
  return encodeUpstreamQuery(question, noise, edns)
}

async function askOverUdp(
  { address, port }: Upstream,
  query: Buffer,
  count: (event: DnsEvent) => void,
  signal: AbortSignal,
): Promise<Reading> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Reading>()
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', lookup: asIs })
  const giveUp = (): void => reject(signal.reason)
  let mismatches = 0
  let isDone = false
  signal.addEventListener('abort', giveUp, { once: true })
  socket.on('error', reject)
  socket.on('message', packet => {
    const reading = readUpstreamAnswer(query, packet)
    if (reading.kind !== 'mismatch') {
      resolve(reading)
      return
    }
    count('forward-mismatches')
    if (++mismatches === MISMATCHES_MAX) resolve({ kind: 'truncated' })
  })
  // Connected, so that the system takes packets from there alone, and tells of a closed port at once.
  socket.connect(port, address, () => {
    if (isDone) return
    count('forward-tries')
    socket.send(query, error => error !== null && reject(error))
  })
  try {
    return await promise
  } finally {
    isDone = true
    signal.removeEventListener('abort', giveUp)
    socket.removeListener('error', reject)
    // What still fails on a socket that nobody needs is nobody's trouble.
    socket.on('error', () => undefined)
    socket.close()
  }
}

async function readOverTcp(
  upstream: Upstream,
  query: Buffer,
  signal: AbortSignal,
): Promise<Reading> {
  return readUpstreamAnswer(query, await askOverTcp(query, upstream, signal))
}

/** An address is a number already. */
function asIs(
  host: string,
  _options: unknown,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  callback(null, host, host.includes(':') ? 6 : 4)
}
