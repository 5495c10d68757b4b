import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { askOverTcp } from './ask-over-tcp.ts'
import { CLASS_IN, TYPE } from './records.ts'
import { decodeMessage, encodeName, FLAG, HEADER_BYTES, type Message } from './wire.ts'

/** Whom to ask, and how long to wait. */
export interface QueryOptions {
  /** The server's IP address. */
  readonly address: string
  readonly port: number
  /** For the whole, with every retry, in milliseconds. @default 2000 */
  readonly timeoutMs?: number
  /** Asks over TCP at once. @default false */
  readonly tcp?: boolean
  /** The largest UDP answer that is asked for, in bytes. 0 asks without EDNS. @default 1232 */
  readonly udpAnswerBytesMax?: number
  readonly signal?: AbortSignal
}

/** A UDP packet may get lost: it is sent again this often while the time lasts. */
const RESEND_MS = 500

/**
 * Asks one DNS server one question, and over TCP again when the answer did not
 * fit a UDP packet. For the command line and tests; it keeps nothing.
 *
 * @param type A number of {@link TYPE}.
 * @throws {Error} When no answer comes in time or the server cannot be reached.
 * @throws {RangeError} When `name` is no DNS name.
 */
export async function query(name: string, type: number, options: QueryOptions): Promise<Message> {
  const { address, port, timeoutMs = 2_000, tcp = false, udpAnswerBytesMax = 1232 } = options
  const deadline = AbortSignal.timeout(timeoutMs)
  const signal =
    options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal])
  const question = encodeQuery(name, type, udpAnswerBytesMax)
  try {
    const first = tcp ? undefined : await askUdp(question, address, port, signal)
    if (first !== undefined && (first.flags & FLAG.TC) === 0) return first
    return await askTcp(question, address, port, signal)
  } catch (error) {
    if (!deadline.aborted) throw error
    throw new Error(`DNS server ${address} port ${port} did not answer within ${timeoutMs} ms`, {
      cause: error,
    })
  }
}

/** A query with a random id, so that an answer to something else is not taken for ours (RFC 5452). */
export function encodeQuery(name: string, type: number, udpAnswerBytesMax: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt16BE(randomInt(0x10000), 0)
  header.writeUInt16BE(FLAG.RD, 2)
  header.writeUInt16BE(1, 4)
  const fixed = Buffer.alloc(4)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(CLASS_IN, 2)
  const question = [header, encodeName(name.replace(/\.$/, '')), fixed]
  if (udpAnswerBytesMax === 0) return Buffer.concat(question)
  header.writeUInt16BE(1, 10)
  const opt = Buffer.alloc(11)
  opt.writeUInt16BE(TYPE.OPT, 1)
  opt.writeUInt16BE(udpAnswerBytesMax, 3)
  return Buffer.concat([...question, opt])
}

async function askUdp(
  question: Buffer,
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<Message> {
  // Connected, so that packets of others do not arrive and a closed port is told at once.
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  const { promise, resolve, reject } = Promise.withResolvers<Message>()
  const send = (): void => socket.send(question, error => error !== null && reject(error))
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  socket.on('error', reject)
  socket.on('message', bytes => {
    const message = parseAnswer(question, bytes)
    if (message !== undefined) resolve(message)
  })
  socket.connect(port, address, send)
  const resend = setInterval(send, RESEND_MS)
  try {
    signal.throwIfAborted()
    return await promise
  } finally {
    clearInterval(resend)
    signal.removeEventListener('abort', onAbort)
    socket.close()
  }
}

async function askTcp(
  question: Buffer,
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<Message> {
  const message = parseAnswer(question, await askOverTcp(question, { address, port }, signal))
  if (message !== undefined) return message
  throw new Error(`DNS server ${address} port ${port} answered something else`)
}

/** The answer to `question`, or nothing when `bytes` is not that. */
function parseAnswer(question: Buffer, bytes: Buffer): Message | undefined {
  try {
    const message = decodeMessage(bytes)
    const isOurs = message.id === question.readUInt16BE(0) && (message.flags & FLAG.QR) !== 0
    return isOurs ? message : undefined
  } catch (error) {
    if (error instanceof RangeError) return undefined // Not a DNS message: as good as none.
    throw error
  }
}
