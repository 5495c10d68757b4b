import type t from 'tap'
import type { StreamOut } from '../../../src/gossip/liveness/stream-desk.ts'
import { startLiveness, type Liveness } from '../../../src/gossip/liveness/start-liveness.ts'
import type { NodeId } from '../../../src/model/ids.ts'
import type { Verdict } from '../../../src/model/verdict.ts'
import { nodeOfRawKey } from '../../../src/util/keys.ts'

/** The key that all peers share. */
export const PSK = Buffer.alloc(32, 7)
/** Where all peers listen. */
export const ADDRESS = '127.0.0.1'
/** How long a test waits for what must come, in milliseconds. */
export const DEADLINE_MS = 15_000

/** A node with its worker, and what it was told. */
export interface Peer {
  readonly node: NodeId
  readonly liveness: Liveness
  readonly verdicts: Verdict[]
  /** What it told its operator. */
  readonly log: string[]
}

/** What of tap is needed here. */
export type Tap = Pick<typeof t, 'teardown'>

/** The node of a number from 1 to 255. */
export function nodeOf(index: number): NodeId {
  return nodeOfRawKey(Buffer.alloc(32, index))
}

/** Starts one peer; closed when the test ends. */
export async function startPeer(
  t: Tap,
  index: number,
  { incarnation = 1, stream }: { incarnation?: number; stream?: StreamOut } = {},
): Promise<Peer> {
  const node = nodeOf(index)
  const log: string[] = []
  const liveness = await startLiveness({
    self: node,
    psk: PSK,
    bind: { address: ADDRESS, port: 0 },
    incarnation,
    preset: 'local',
    log: message => log.push(message),
    ...(stream && { stream }),
  })
  t.teardown(() => liveness.close())
  const verdicts: Verdict[] = []
  liveness.onVerdict(verdict => verdicts.push(verdict))
  return { node, liveness, verdicts, log }
}

/** Some peers that know each other's addresses. */
export async function startPeers(t: Tap, count: number): Promise<Peer[]> {
  const starting = Array.from({ length: count }, (_, index) => startPeer(t, index + 1))
  const peers = await Promise.all(starting)
  introduce(peers)
  return peers
}

/** Tells all of them where all of them are. */
export function introduce(peers: readonly Peer[]): void {
  const members = new Map(
    peers.map(({ node, liveness: { port } }) => [node, { address: ADDRESS, port }] as const),
  )
  for (const { liveness } of peers) liveness.setMembers(members)
}

/** What a peer holds of a node now: the last that it was told. */
export function held({ verdicts }: Peer, node: NodeId): string | undefined {
  return verdicts.findLast(verdict => verdict.node === node)?.kind
}

/** Waits until every one of `peers` holds all `nodes` but itself for `kind`, by listening to their verdicts. */
export async function agree(
  peers: readonly Peer[],
  nodes: readonly NodeId[],
  kind: string,
): Promise<void> {
  await verdictsUntil(
    peers,
    () => peers.every(peer => nodes.every(node => node === peer.node || held(peer, node) === kind)),
    `Not all hold ${nodes.length} nodes for ${kind}`,
  )
}

/** Waits until `isDone`, which is looked at after each verdict of `peers`. */
export async function verdictsUntil(
  peers: readonly Peer[],
  isDone: () => boolean,
  complaint: string,
): Promise<void> {
  if (isDone()) return
  const done = Promise.withResolvers<void>()
  const deadline = setTimeout(() => done.reject(new Error(complaint)), DEADLINE_MS)
  for (const { liveness } of peers) {
    liveness.onVerdict(() => {
      if (isDone()) done.resolve()
    })
  }
  await done.promise.finally(() => clearTimeout(deadline))
}
