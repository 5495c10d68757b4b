import type { Connection } from '@libp2p/interface'
import type { NodeId } from '../model/ids.ts'
import { backoffMs } from '../util/backoff.ts'
import type { Random } from '../util/random.ts'
import { createOutbox, type Outbox } from './outbox.ts'
import { sendOver } from './send-stream.ts'

/** What links tell their owner. */
export interface LinksOptions {
  readonly self: NodeId
  readonly random: Random
  /** `node` welcomed us on `connection`; `first` when it was not connected before. */
  readonly onWelcome: (node: NodeId, connection: Connection, first: boolean) => void
  /** The last connection to `node` closed. */
  readonly onDown: (node: NodeId) => void
  readonly onRefused: (node: NodeId, reason: string) => void
}

/** Open connections to admitted nodes: for each node a few connections, of which one carries what is sent. */
export interface Links {
  add(node: NodeId, connection: Connection): void
  remove(connection: Connection): void
  /** Hangs up on everybody else. */
  keep(nodes: ReadonlySet<NodeId>): void
  hangUp(node: NodeId): void
  /** `node` opened its stream, so it has admitted us by now: tries ours again at once. */
  welcomedBy(node: NodeId): void
  connectionOf(node: NodeId): Connection | undefined
  /** False when `to` is not connected. */
  send(to: NodeId, bytes: Uint8Array): boolean
  dropped(): number
  close(): void
}

/** When both nodes dial at once, they get two connections: one is closed after this, in milliseconds. */
const DUPLICATE_MS = 1500
/** Connections that opened further apart than this are not of one such moment: the older may be dead. */
const SAME_MOMENT_MS = 3000
const REOPEN = { initialMs: 100, factor: 2, maxMs: 10_000 }

interface Link {
  readonly connections: Connection[]
  readonly outbox: Outbox
  readonly closed: AbortController
  welcome: boolean
  /** The connection that carries what is sent, and what makes it stop to. */
  carrier: { readonly connection: Connection; readonly stop: AbortController } | undefined
  failures: number
  timer: NodeJS.Timeout | undefined
  tidying: NodeJS.Timeout | undefined
}

/** No links yet. */
export function createLinks(options: LinksOptions): Links {
  const links = new Map<NodeId, Link>()
  let dropped = 0

  /** Opens the stream to `node` and keeps it open while there is a connection. */
  function stream(node: NodeId, link: Link): void {
    clearTimeout(link.timer)
    link.timer = undefined
    const connection = best(options.self, node, link.connections)
    if (link.carrier !== undefined || connection === undefined || links.get(node) !== link) return
    const stop = new AbortController()
    link.carrier = { connection, stop }
    const over = AbortSignal.any([link.closed.signal, stop.signal, closing(connection)])
    void keepSending(node, link, connection, over)
  }

  async function keepSending(
    node: NodeId,
    link: Link,
    connection: Connection,
    over: AbortSignal,
  ): Promise<void> {
    const end = await sendOver(connection, link.outbox, over, () => {
      const first = !link.welcome
      link.welcome = true
      link.failures = 0
      options.onWelcome(node, connection, first)
    })
    const isReplaced = link.carrier?.stop.signal.aborted === true
    link.carrier = undefined
    if (end.kind === 'refused') options.onRefused(node, end.reason)
    if (links.get(node) !== link) return
    if (isReplaced) {
      stream(node, link)
      return
    }
    link.failures++
    const wait = backoffMs(link.failures, REOPEN) * (0.75 + 0.5 * options.random())
    link.timer ??= setTimeout(() => stream(node, link), wait)
  }

  function drop(node: NodeId, link: Link): void {
    if (links.get(node) !== link) return
    links.delete(node)
    clearTimeout(link.timer)
    clearTimeout(link.tidying)
    link.closed.abort(new Error('disconnected'))
    dropped += link.outbox.clear()
    options.onDown(node)
  }

  function hangUp(node: NodeId): void {
    const link = links.get(node)
    if (link === undefined) return
    const connections = [...link.connections]
    drop(node, link)
    for (const connection of connections) connection.abort(new Error('hung up'))
  }

  /** Closes all connections but the one that both sides choose. */
  function tidy(node: NodeId, link: Link): void {
    link.tidying = undefined
    const chosen = best(options.self, node, link.connections)
    for (const connection of link.connections.slice()) {
      if (connection === chosen) continue
      connection.close().catch((cause: unknown) => {
        connection.abort(cause instanceof Error ? cause : new Error(String(cause)))
      })
    }
  }

  return {
    add: (node, connection) => {
      let link = links.get(node)
      if (link?.connections.includes(connection) === true) return
      if (link === undefined) {
        link = {
          connections: [],
          outbox: createOutbox(),
          closed: new AbortController(),
          welcome: false,
          carrier: undefined,
          failures: 0,
          timer: undefined,
          tidying: undefined,
        }
        links.set(node, link)
      }
      link.connections.push(connection)
      const known = link
      if (link.connections.length > 1) {
        link.tidying ??= setTimeout(() => tidy(node, known), DUPLICATE_MS)
        // The node sends on its newest connection, and may not listen on an older one any more.
        if (link.carrier?.connection !== best(options.self, node, link.connections)) {
          link.carrier?.stop.abort(new Error('another connection is newer'))
        }
      }
      stream(node, link)
    },
    remove: connection => {
      for (const [node, link] of links) {
        const at = link.connections.indexOf(connection)
        if (at === -1) continue
        link.connections.splice(at, 1)
        if (link.connections.length === 0) drop(node, link)
        else stream(node, link)
      }
    },
    keep: nodes => {
      for (const node of links.keys()) if (!nodes.has(node)) hangUp(node)
    },
    hangUp,
    welcomedBy: node => {
      const link = links.get(node)
      if (link !== undefined && link.carrier === undefined) stream(node, link)
    },
    connectionOf: node => best(options.self, node, links.get(node)?.connections ?? []),
    send: (to, bytes) => {
      const link = links.get(to)
      if (link?.welcome !== true) return false
      dropped += link.outbox.push(bytes)
      return true
    },
    dropped: () => dropped,
    close: () => {
      for (const link of links.values()) {
        clearTimeout(link.timer)
        clearTimeout(link.tidying)
        link.closed.abort(new Error('closed'))
      }
      links.clear()
    },
  }
}

/**
 * Which of several connections both ends choose: the newest, because an older one may be dead without anybody
 * having noticed; of those that opened in the same moment, the one that the lesser id dialled.
 */
function best(
  self: NodeId,
  node: NodeId,
  connections: readonly Connection[],
): Connection | undefined {
  const open = connections.filter(({ status }) => status === 'open')
  const newestMs = Math.max(...open.map(({ timeline }) => timeline.open))
  const recent = open.filter(({ timeline }) => newestMs - timeline.open < SAME_MOMENT_MS)
  const preferred = self < node ? 'outbound' : 'inbound'
  return recent.findLast(({ direction }) => direction === preferred) ?? recent.at(-1)
}

/** A signal that is aborted when the connection closes. */
function closing(connection: Connection): AbortSignal {
  const controller = new AbortController()
  connection.addEventListener('close', () => controller.abort(new Error('disconnected')), {
    once: true,
  })
  return controller.signal
}
