import type { NodeId } from '../../model/ids.ts'
import { shuffle, type Random } from '../../util/random.ts'
import type { Members } from './members.ts'

/** How many nodes an edit is handed to at once: the first to store it acknowledges it. */
export const ACK_PEERS = 3

/** Whom an edit can be handed to now. */
export interface Reach {
  /** Nodes that are connected, the surest first, {@link ACK_PEERS} at most. */
  readonly peers: readonly NodeId[]
  /** True when all others are known to be gone: there is nobody to wait for. */
  readonly isAlone: boolean
}

/** What {@link reachOf} looks at. */
export interface ReachInput {
  /** The admitted nodes but this one. */
  readonly others: readonly NodeId[]
  readonly members: Pick<Members, 'isAlive' | 'isPresent'>
  readonly connected: ReadonlySet<NodeId>
  readonly random: Random
}

/**
 * Whom to hand an edit to, so that it is on one more disk. A suspect that is connected is asked after those that
 * are alive: its answer is as good, and often it is only slow.
 */
export function reachOf({ others, members, connected, random }: ReachInput): Reach {
  const present = shuffle(
    others.filter(node => members.isPresent(node)),
    random,
  )
  const alive = present.filter(node => members.isAlive(node))
  const suspect = present.filter(node => !members.isAlive(node))
  const peers = [...alive, ...suspect].filter(node => connected.has(node)).slice(0, ACK_PEERS)
  return { peers, isAlone: present.length === 0 }
}
