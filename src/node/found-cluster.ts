import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { createDesiredDoc } from '../crdt/desired-doc.ts'
import { encodeJoinRequest, parseJoinAnswer, type JoinAnswer } from '../gossip/join.ts'
import { startLibp2pTransport } from '../gossip/libp2p-transport.ts'
import { parseToken } from '../gossip/token.ts'
import { TransportError, type TransportListener } from '../gossip/transport.ts'
import type { NodeId } from '../model/ids.ts'
import type { ClusterFile } from '../store/cluster-file.ts'
import type { Identity } from '../store/identity.ts'
import type { Store } from '../store/store.ts'
import { createNodeKey, createVerify, isNodeId } from '../util/keys.ts'
import { bindAddress, type NodeOptions } from './options.ts'
import { VERSION } from './version.ts'

/** How long a node tries to join before it gives up, in milliseconds. */
const JOIN_TIMEOUT_MS = 20_000

/** Addresses that did not answer are tried again after so long. */
const RETRY_MS = 1_000

/** The store's key for the addresses of last time. */
export const ADDRESSES_KEY = 'addresses'

const remembered = z.array(
  z.tuple([
    z.custom<NodeId>(value => typeof value === 'string' && isNodeId(value)),
    z.array(z.string()),
  ]),
)

/** A cluster could not be made or joined. The message is one line that says what to do. */
export class JoinError extends Error {
  override readonly name = 'JoinError'
}

/** Makes a new cluster with this node as its only member, durably. */
export async function foundCluster(
  identity: Identity,
  store: Store,
  name: string,
): Promise<ClusterFile> {
  const key = createNodeKey(identity.seed)
  const doc = createDesiredDoc({
    self: key.node,
    clientId: identity.clientId,
    sign: bytes => key.sign(bytes),
    verify: createVerify(),
  })
  const edited = doc.edit({ kind: 'admit', node: key.node, name }, { timeMs: Date.now() })
  if (!edited.ok || edited.update === undefined)
    throw new Error('A new document refused its first node')
  await store.appendUpdate(edited.update)
  return { cluster: randomBytes(8).toString('hex'), psk: randomBytes(32).toString('hex') }
}

/**
 * Joins the cluster of a token: asks one of the nodes it names, or one that discovery
 * finds, and keeps the document that it answers with.
 *
 * @throws {JoinError} When the token is no good, or nobody who could let us in answers.
 */
export async function joinCluster(
  identity: Identity,
  store: Store,
  options: NodeOptions & { readonly join: string },
  log: (line: string) => void,
): Promise<ClusterFile> {
  const parsed = parseToken(options.join, { nowMs: Date.now(), verify: createVerify() })
  if (!parsed.ok) throw new JoinError(parsed.reason)
  const { token } = parsed
  const asker = new Asker()
  const transport = await startLibp2pTransport({
    cluster: token.cluster,
    seed: identity.seed,
    psk: token.psk,
    listen: { address: bindAddress(options.advertise), port: options.port },
    advertise: options.advertise,
    listener: asker,
    log,
    discovery: {
      mdns: options.mdns,
      ...(options.dht && { dht: options.dht }),
    },
  })
  try {
    const request = encodeJoinRequest({
      token: options.join,
      name: options.name,
      multiaddrs: transport.multiaddrs(),
      version: VERSION,
    })
    asker.add(token.addresses)
    const signal = AbortSignal.timeout(JOIN_TIMEOUT_MS)
    const answer = await asker.ask(async multiaddr => {
      const pieces: Uint8Array[] = []
      const call = transport.call({ multiaddr }, 'join', request, { signal, timeoutMs: 8_000 })
      for await (const piece of call) pieces.push(piece)
      const read = parseJoinAnswer(Buffer.concat(pieces))
      if (!read.ok) throw new Error(read.reason)
      return read.value
    }, signal)
    if (answer.cluster !== token.cluster)
      throw new JoinError('the node answered for another cluster')
    await store.appendUpdate(answer.document)
    rememberAddresses(store, answer.addresses)
    return { cluster: token.cluster, psk: Buffer.from(token.psk).toString('hex') }
  } finally {
    await transport.close()
  }
}

/** Keeps where nodes were last seen, for the next start. */
export function rememberAddresses(
  store: Store,
  addresses: ReadonlyMap<NodeId, readonly string[]>,
): void {
  const text = JSON.stringify([...addresses])
  if (store.get(ADDRESSES_KEY) !== text) store.set(ADDRESSES_KEY, text)
}

/** Where nodes were last seen. */
export function rememberedAddresses(store: Store): Map<NodeId, readonly string[]> {
  const text = store.get(ADDRESSES_KEY)
  return text === undefined
    ? new Map<NodeId, string[]>()
    : new Map(remembered.parse(JSON.parse(text)))
}

/** Asks one address after the other, those of the token first, then what discovery finds. */
class Asker implements TransportListener {
  readonly #waiting: string[] = []
  readonly #failures = new Map<string, string>()
  #wake: (() => void) | undefined

  readonly onPublished = (): void => undefined
  readonly onSent = (): void => undefined
  readonly onConnected = (): void => undefined
  readonly onDisconnected = (): void => undefined
  readonly onRefused = (): void => undefined
  readonly onFound = (_node: NodeId, multiaddrs: readonly string[]): void => this.add(multiaddrs)

  // eslint-disable-next-line require-yield
  async *onCall(): AsyncIterable<Uint8Array> {
    throw new Error('This node is joining and serves nothing yet')
  }

  add(multiaddrs: readonly string[]): void {
    for (const one of multiaddrs) {
      if (!this.#waiting.includes(one)) this.#waiting.push(one)
    }
    this.#wake?.()
  }

  async ask(
    one: (multiaddr: string) => Promise<JoinAnswer>,
    signal: AbortSignal,
  ): Promise<JoinAnswer> {
    for (;;) {
      const multiaddr = this.#waiting.shift()
      if (multiaddr !== undefined) {
        try {
          return await one(multiaddr)
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error)
          if (isRefusal(error)) throw new JoinError(`Cannot join: ${reason}`)
          this.#failures.set(multiaddr, reason)
        }
      } else if (!(await this.#nextOrEnd(signal))) {
        const tried = Array.from(this.#failures, ([where, why]) => `${where}: ${why}`)
        const text =
          tried.length === 0
            ? 'the token names no address and discovery found no node'
            : tried.join('; ')
        throw new JoinError(
          `Cannot join: nobody of the cluster answered within ${JOIN_TIMEOUT_MS / 1000} s (${text}); check that the inviting node runs and that its port is open`,
        )
      }
    }
  }

  /** Waits for another address, or for a moment before those that failed are tried again. */
  async #nextOrEnd(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const timer = setTimeout(resolve, RETRY_MS)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    clearTimeout(timer)
    if (this.#waiting.length === 0) this.#waiting.push(...this.#failures.keys())
    return !signal.aborted
  }
}

/** True when a node of the cluster answered, and said no: asking another would not help. */
function isRefusal(error: unknown): boolean {
  return error instanceof TransportError && error.code === 'failed'
}
