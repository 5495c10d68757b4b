import type { Transport } from '../gossip/transport.ts'
import type { NodeId } from '../model/ids.ts'

/**
 * Connections to an expelled node stay for so long, in milliseconds: a node that
 * leaves by itself waits for the word that its leave is on another disk. Whatever
 * else it says meanwhile is not listened to.
 */
const LINGER_MS = 2_000

/** Tells the transport who is admitted: newcomers at once, and who was expelled a moment later. */
export interface AdmissionGate {
  set(admitted: ReadonlySet<NodeId>): void
  close(): void
}

/** Makes the gate of a transport that already knows `before`. */
export function createAdmissionGate(
  transport: Pick<Transport, 'setAdmitted'>,
  before: ReadonlySet<NodeId>,
): AdmissionGate {
  let last = before
  let timer: NodeJS.Timeout | undefined
  return {
    set: admitted => {
      const isAnybodyGone = [...last].some(node => !admitted.has(node))
      transport.setAdmitted(isAnybodyGone ? new Set([...last, ...admitted]) : admitted)
      last = admitted
      clearTimeout(timer)
      if (isAnybodyGone) timer = setTimeout(() => transport.setAdmitted(admitted), LINGER_MS)
    },
    close: () => clearTimeout(timer),
  }
}
