import type { NodeId } from '../model/ids.ts'
import {
  JOIN_SERVICE,
  PUBLISH_BYTES_MAX,
  SEND_BYTES_MAX,
  TransportError,
  type Transport,
  type TransportListener,
} from './transport.ts'

/** A network inside one process, with the semantics of the real one and no sockets, clocks or chance. */
export interface MemoryNetwork {
  /** Attaches a node. Its multiaddr is `/memory/<place>/p2p/<id>`; starting again at a place is a restart. */
  start(options: {
    readonly node: NodeId
    readonly listener: TransportListener
    /** Where it listens. @default its own id */
    readonly place?: string
    /** @default nobody */
    readonly admitted?: ReadonlySet<NodeId>
  }): Transport
  /** Pulls the cable between two nodes: their connection breaks, and none can be made until {@link heal}. */
  cut(a: NodeId, b: NodeId): void
  heal(a: NodeId, b: NodeId): void
}

const NOT_ADMITTED = 'it has the key of the cluster but is not admitted: it must join with a token'
const NOT_ADMITTED_HERE = 'this node does not have you among the admitted nodes'
const REFUSALS_REMEMBERED_MAX = 1000

interface Member {
  readonly node: NodeId
  readonly place: string
  readonly listener: TransportListener
  readonly calls: Set<AbortController>
  /** Who is connected; the same in both directions. */
  readonly connected: Set<NodeId>
  /** Who was already reported, as the real one reports at most once a minute. */
  readonly refused: Set<NodeId>
  admitted: ReadonlySet<NodeId>
  addresses: ReadonlyMap<NodeId, readonly string[]>
  dropped: number
  open: boolean
}

/**
 * Makes an empty network. Everything is told in a microtask of its own, in the order in which it was done, so a run
 * with the same verbs is the same run; two nodes connect as soon as they admit each other and one
 * knows where the other is.
 */
export function createMemoryNetwork(): MemoryNetwork {
  const members = new Map<NodeId, Member>()
  const cuts = new Set<string>()

  const reachable = (a: NodeId, b: NodeId): boolean => !cuts.has(pair(a, b))

  function addressed(member: Member, to: Member): boolean {
    return (member.addresses.get(to.node) ?? []).some(text => placeOf(text) === to.place)
  }

  /** Makes and breaks connections until they fit what everybody wants. */
  function settle(): void {
    for (const a of members.values()) {
      for (const b of members.values()) {
        if (a.node >= b.node) continue
        const mutual = a.admitted.has(b.node) && b.admitted.has(a.node)
        if (a.connected.has(b.node)) {
          if (mutual && reachable(a.node, b.node)) continue
          disconnect(a, b)
        }
        if (reachable(a.node, b.node)) {
          if (mutual && (addressed(a, b) || addressed(b, a))) connect(a, b)
          else if (a.admitted.has(b.node) && !mutual && addressed(a, b)) refuse(b, a)
          else if (b.admitted.has(a.node) && !mutual && addressed(b, a)) refuse(a, b)
        }
      }
    }
  }

  function connect(a: Member, b: Member): void {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      one.connected.add(other.node)
      one.refused.delete(other.node)
      later(() => one.open && one.listener.onConnected(other.node))
    }
  }

  function disconnect(a: Member, b: Member): void {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      if (one.connected.delete(other.node)) {
        later(() => one.open && one.listener.onDisconnected(other.node))
      }
    }
  }

  /** `by` turns `who` away. */
  function refuse(by: Member, who: Member): void {
    if (by.refused.has(who.node)) return
    if (by.refused.size >= REFUSALS_REMEMBERED_MAX) by.refused.clear()
    by.refused.add(who.node)
    later(() => {
      if (by.open) by.listener.onRefused(who.node, NOT_ADMITTED)
      if (who.open) who.listener.onTurnedAway?.(by.node, NOT_ADMITTED_HERE)
    })
  }

  function deliver(from: Member, to: NodeId, tell: (listener: TransportListener) => void): boolean {
    const target = members.get(to)
    if (target === undefined || !from.connected.has(to)) return false
    later(() => {
      // Looked at again: what is under way when a node is removed or a cable is pulled is lost.
      if (target.open && target.connected.has(from.node)) tell(target.listener)
    })
    return true
  }

  /** Whom gossip of `author` gets to: node hands it on to node, but only those hand it on that admit the author. */
  function reachedBy(author: Member): Set<Member> {
    const reached = new Set([author])
    for (const member of reached) {
      for (const next of member.connected) {
        const neighbour = members.get(next)
        if (neighbour?.admitted.has(author.node) === true) reached.add(neighbour)
      }
    }
    reached.delete(author)
    return reached
  }

  function locate(to: NodeId | { readonly multiaddr: string }): Member | undefined {
    if (typeof to === 'string') return members.get(to)
    return [...members.values()].find(({ place }) => place === placeOf(to.multiaddr))
  }

  async function* call(
    from: Member,
    ...[to, service, body, { signal, timeoutMs }]: Parameters<Transport['call']>
  ): AsyncGenerator<Uint8Array, void, undefined> {
    checkSize(body, SEND_BYTES_MAX)
    const who = typeof to === 'string' ? to : to.multiaddr
    const target = locate(to)
    const known = typeof to !== 'string' || from.connected.has(to) || from.addresses.has(to)
    if (!from.open) throw new TransportError('aborted', `The call of "${service}" was aborted`)
    if (target === undefined || !known || !reachable(from.node, target.node)) {
      throw new TransportError('unreachable', `Cannot reach ${who}`)
    }
    const admitted = target.admitted.has(from.node)
    if (!admitted && service !== JOIN_SERVICE) {
      refuse(target, from)
      throw new TransportError('failed', NOT_ADMITTED_HERE)
    }
    const over = new AbortController()
    const timer = setTimeout(() => over.abort('timeout'), timeoutMs)
    const stop = (): void => over.abort('aborted')
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    from.calls.add(over)
    target.calls.add(over)
    let iterator: AsyncIterator<Uint8Array> | undefined
    try {
      const request = { from: from.node, admitted, service, body: body.slice() }
      iterator = target.listener.onCall(request, over.signal)[Symbol.asyncIterator]()
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- pieces come one after the other
        const next = await orAborted(iterator.next(), over.signal)
        clearTimeout(timer)
        if (next.done === true) {
          iterator = undefined
          return
        }
        yield next.value.slice()
      }
    } catch (cause) {
      if (!over.signal.aborted) {
        iterator = undefined
        throw new TransportError('failed', cause instanceof Error ? cause.message : String(cause))
      }
      switch (over.signal.reason) {
        case 'timeout':
          throw new TransportError('timeout', `${who} did not answer "${service}" in time`)
        case 'closed':
          throw new TransportError('unreachable', `${who} hung up during "${service}"`)
        default:
          throw new TransportError('aborted', `The call of "${service}" was aborted`)
      }
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      from.calls.delete(over)
      target.calls.delete(over)
      over.abort('over')
      iterator?.return?.().catch(() => undefined)
    }
  }

  return {
    start: ({ node, listener, place = node, admitted = new Set() }) => {
      if (members.has(node)) throw new Error(`${node} is already on the network`)
      const member: Member = {
        node,
        place,
        listener,
        calls: new Set(),
        connected: new Set(),
        refused: new Set(),
        admitted,
        addresses: new Map(),
        dropped: 0,
        open: true,
      }
      members.set(node, member)
      settle()
      return {
        self: node,
        multiaddrs: () => [`/memory/${place}/p2p/${node}`],
        connected: () => [...member.connected],
        setAdmitted: nodes => {
          member.admitted = new Set(nodes)
          settle()
        },
        setAddresses: addresses => {
          member.addresses = new Map(addresses)
          settle()
        },
        publish: (topic, bytes) => {
          checkSize(bytes, PUBLISH_BYTES_MAX)
          const copy = bytes.slice()
          for (const to of reachedBy(member)) {
            later(() => {
              if (to.open && to.admitted.has(node))
                to.listener.onPublished(topic, node, copy.slice())
            })
          }
        },
        send: (to, bytes) => {
          checkSize(bytes, SEND_BYTES_MAX)
          const copy = bytes.slice()
          if (!deliver(member, to, ({ onSent }) => onSent(node, copy))) member.dropped++
        },
        call: (...request) => call(member, ...request),
        disconnect: other => {
          const target = members.get(other)
          if (target !== undefined) disconnect(member, target)
          later(settle)
        },
        redial: () => settle(),
        dropped: () => member.dropped,
        close: async () => {
          if (!member.open) return
          member.open = false
          members.delete(node)
          for (const other of members.values()) disconnect(member, other)
          for (const over of member.calls) over.abort('closed')
        },
      }
    },
    cut: (a, b) => {
      cuts.add(pair(a, b))
      settle()
    },
    heal: (a, b) => {
      cuts.delete(pair(a, b))
      settle()
    },
  }
}

function later(tell: () => void): void {
  queueMicrotask(tell)
}

function pair(a: NodeId, b: NodeId): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`
}

function placeOf(multiaddr: string): string | undefined {
  return /^\/memory\/([^/]+)/.exec(multiaddr)?.[1]
}

function checkSize(bytes: Uint8Array, max: number): void {
  if (bytes.length > max) throw new RangeError(`A message of ${bytes.length} bytes is too large`)
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(new Error('aborted'))
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
