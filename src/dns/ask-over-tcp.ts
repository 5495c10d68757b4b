import { connect } from 'node:net'

/**
 * Sends one query over a TCP connection of its own, and gives the first message that comes back (RFC 7766): whether it answers the
 * query is for the caller to say. No more than one message is kept, of the 65,535 bytes that two bytes can tell.
 *
 * @param signal Gives up.
 * @throws {Error} When the server cannot be reached or hangs up; or the signal's reason.
 */
export async function askOverTcp(
  query: Buffer,
  { address, port }: { readonly address: string; readonly port: number },
  signal: AbortSignal,
): Promise<Buffer> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const socket = connect({ host: address, port, noDelay: true })
  const giveUp = (): void => reject(signal.reason)
  let received: Buffer = Buffer.alloc(0)
  signal.addEventListener('abort', giveUp, { once: true })
  socket.on('error', reject)
  socket.on('close', () => reject(new Error(`DNS server ${address} port ${port} hung up`)))
  socket.on('data', chunk => {
    received = Buffer.concat([received, chunk])
    if (received.length < 2) return
    const end = 2 + received.readUInt16BE(0)
    if (received.length >= end) resolve(received.subarray(2, end))
  })
  const length = Buffer.alloc(2)
  length.writeUInt16BE(query.length)
  socket.write(Buffer.concat([length, query]))
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', giveUp)
    socket.destroy()
  }
}
