import type { StreamOut } from '../gossip/liveness/stream-desk.ts'
import type { Transport } from '../gossip/transport.ts'

/** The service that takes liveness messages where datagrams do not get through. */
export const LIVENESS_SERVICE = 'liveness'

/** An answer that takes longer is of no use to a probe, in milliseconds. */
const ANSWER_MS = 2_000

/**
 * Makes what carries liveness messages over the connections of `transport`. It goes through the main thread and
 * the port of gossip on purpose: that port is open where the one for datagrams was forgotten, and behind NAT the
 * connection may be the only way at all.
 */
export function createLivenessStream(transport: Pick<Transport, 'call' | 'connected'>): StreamOut {
  return async function* carry(to, datagram, mayDial) {
    if (!mayDial && !transport.connected().includes(to)) return
    const signal = AbortSignal.timeout(ANSWER_MS)
    yield* transport.call(to, LIVENESS_SERVICE, datagram, { signal, timeoutMs: ANSWER_MS })
  }
}
