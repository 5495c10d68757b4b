import type { NodeId } from '../../../src/model/ids.ts'
import type { Verdict, VerdictKind } from '../../../src/model/verdict.ts'
import { createRandom, type Random } from '../../../src/util/random.ts'
import {
  updateBytes,
  type ProbeAddress,
  type SwimMessage,
} from '../../../src/gossip/liveness/swim-message.ts'
import { swimOptions, type SwimOptions } from '../../../src/gossip/liveness/swim-options.ts'
import type { SwimEffect, SwimEvent } from '../../../src/gossip/liveness/swim-event.ts'
import { Swim } from '../../../src/gossip/liveness/swim.ts'
import { TimeQueue } from './time-queue.ts'

/** Knobs of a simulated cluster. Every number is drawn from, or fixed by, the seed. */
export interface SwimWorldOptions {
  readonly seed: number
  readonly nodes: number
  readonly swim?: SwimOptions
  /** Chance that any one datagram is lost. */
  readonly loss?: number
  /** A datagram takes between these, in virtual milliseconds. */
  readonly delayMs?: readonly [min: number, max: number]
  /** True to connect every node to every other, so that streams carry what datagrams do not. @default false */
  readonly streams?: boolean
  /** How far ahead the clock of the node with this index is, in milliseconds. */
  readonly clockMs?: (index: number) => number
  /** Called with every verdict, as it is given. */
  readonly onVerdict?: (verdict: Verdict, by: NodeId, atMs: number) => void
  /** Called with every message that goes out as a datagram: for a test that says it again later. */
  readonly onSent?: (from: NodeId, to: NodeId, message: SwimMessage) => void
  /** Called when a node finds that only streams reach another, or datagrams do again. */
  readonly onReached?: (node: NodeId, way: 'stream' | 'datagram', by: NodeId) => void
}

/** A machine in the world, with what is wrong with it. */
interface Host {
  readonly index: number
  readonly node: NodeId
  readonly address: ProbeAddress
  swim: Swim | undefined
  starts: number
  /** Its clock is ahead by so much. */
  readonly clockMs: number
  /** It does not run before then. */
  asleepUntilMs: number
  /** The thread that carries its streams does not run before then. */
  mainBusyUntilMs: number
  /** A firewall drops its datagrams, both ways. */
  isBlocked: boolean
  /** When its next wake-up is queued for; others in the queue are void. */
  wakeAtMs: number
}

type Item =
  | { readonly kind: 'wake'; readonly host: Host; readonly atMs: number }
  | {
      readonly kind: 'deliver'
      readonly host: Host
      readonly from: Host
      readonly message: SwimMessage
      readonly isStream: boolean
    }
  | { readonly kind: 'act'; readonly act: () => void }

/** TCP sends again what was lost after so long (RFC 6298, as Linux has it on a LAN). */
const RETRANSMIT_MS = 200
/** A stream that the main thread has not taken on for so long is held: the worker's own limit is about this. */
const HELD_MS = 60
/** A new connection takes a few round trips. */
const CONNECT_MS = 20

/**
 * Nodes that run nothing but {@link Swim}, on virtual time. Faults are set from
 * outside, at once or by {@link at}; the same seed replays exactly.
 */
export class SwimWorld {
  readonly random: Random
  readonly nodes: readonly NodeId[]
  /** Datagrams sent so far. */
  sent = 0
  /** Their size, with UDP and IPv4 headers. */
  sentBytes = 0
  /** Messages that went by stream so far. */
  streamed = 0
  readonly #options: SwimWorldOptions
  readonly #hosts: readonly Host[]
  readonly #byNode: ReadonlyMap<NodeId, Host>
  readonly #queue = new TimeQueue<Item>()
  #islands: ReadonlyMap<NodeId, number> | undefined
  /** Links that lose datagrams in one direction, `from>to`, with the chance. */
  readonly #lossy = new Map<string, number>()
  #nowMs = 0

  constructor(options: SwimWorldOptions) {
    this.#options = options
    this.random = createRandom(options.seed)
    this.#hosts = Array.from({ length: options.nodes }, (_, index) => ({
      index,
      node: `node-${String(index).padStart(4, '0')}` as NodeId,
      address: { address: `10.0.${index >> 8}.${index & 255}`, port: 7946 },
      swim: undefined,
      starts: 0,
      clockMs: options.clockMs?.(index) ?? 0,
      asleepUntilMs: 0,
      mainBusyUntilMs: 0,
      isBlocked: false,
      wakeAtMs: Infinity,
    }))
    this.nodes = this.#hosts.map(({ node }) => node)
    this.#byNode = new Map(this.#hosts.map(host => [host.node, host]))
    for (const host of this.#hosts) this.start(host.node)
  }

  get nowMs(): number {
    return this.#nowMs
  }

  /** The machine of a node that runs. */
  swim(node: NodeId): Swim {
    const { swim } = this.#host(node)
    if (swim === undefined) throw new Error(`${node} does not run`)
    return swim
  }

  /** What `by` holds of `node`. */
  kind(by: NodeId, node: NodeId): VerdictKind | undefined {
    return this.swim(by).verdictOf(node)?.kind
  }

  /** Nodes that run now. */
  get running(): NodeId[] {
    return this.#hosts.filter(({ swim }) => swim !== undefined).map(({ node }) => node)
  }

  /** True when each node that runs holds `node` for `kind`. */
  agreed(node: NodeId, kind: VerdictKind): boolean {
    return this.#hosts.every(
      ({ swim, node: by }) =>
        by === node || swim === undefined || swim.verdictOf(node)?.kind === kind,
    )
  }

  /** True when every node that runs holds every other one that runs for alive. */
  get isWhole(): boolean {
    return this.running.every(node => this.agreed(node, 'alive'))
  }

  /** Starts a node, or starts it again with a higher incarnation, unless `starts` says which one. */
  start(node: NodeId, starts?: number): void {
    const host = this.#host(node)
    host.starts = starts ?? host.starts + 1
    host.swim = new Swim({
      self: node,
      incarnation: host.starts,
      options: this.#options.swim ?? swimOptions('lan'),
      random: createRandom(this.#options.seed * 7919 + host.index * 31 + host.starts),
      nowMs: this.#nowMs + host.clockMs,
    })
    const members = new Map(this.#hosts.map(other => [other.node, other.address]))
    this.tell(node, { kind: 'members', members })
    if (this.#options.streams !== true) return
    for (const other of this.running.filter(one => one !== node)) {
      this.at(this.#nowMs + CONNECT_MS, () => {
        this.tell(node, { kind: 'connection-up', node: other })
        this.tell(other, { kind: 'connection-up', node })
      })
    }
  }

  /** Ends a node without a word. With `closesConnections`, others notice that their connections closed. */
  crash(node: NodeId, { closesConnections = false } = {}): void {
    this.#host(node).swim = undefined
    if (!closesConnections) return
    for (const other of this.running) {
      const delayMs = 1 + this.random() * 5
      this.at(this.#nowMs + delayMs, () => this.tell(other, { kind: 'connection-lost', node }))
    }
  }

  /** The node does not run for so long; what arrives meanwhile waits. */
  freeze(node: NodeId, forMs: number): void {
    const host = this.#host(node)
    host.asleepUntilMs = Math.max(host.asleepUntilMs, this.#nowMs + forMs)
  }

  /** The main thread of the node is busy for so long: its streams wait, and nothing else does. */
  stallMain(node: NodeId, forMs: number): void {
    const host = this.#host(node)
    host.mainBusyUntilMs = Math.max(host.mainBusyUntilMs, this.#nowMs + forMs)
  }

  /** A firewall before the node drops all datagrams, both ways, or no longer does. */
  blockDatagrams(node: NodeId, isBlocked = true): void {
    this.#host(node).isBlocked = isBlocked
  }

  /** Datagrams pass only within an island; nodes on none are alone. */
  split(...islands: (readonly NodeId[])[]): void {
    this.#islands = new Map(
      islands.flatMap((island, index) => island.map(node => [node, index] as const)),
    )
  }

  /** Ends every split and every lossy link. */
  heal(): void {
    this.#islands = undefined
    this.#lossy.clear()
  }

  /** Datagrams from `from` to `to` are lost with the chance given; the other way is not touched. */
  lose(from: NodeId, to: NodeId, chance: number): void {
    this.#lossy.set(`${from}>${to}`, chance)
  }

  /** Hands an event to a node, now. */
  tell(node: NodeId, event: SwimEvent): void {
    const host = this.#host(node)
    if (host.swim === undefined) return
    this.#perform(host, host.swim.handle(event, this.#nowMs + host.clockMs))
    this.#wake(host)
  }

  /** Does something at a moment of virtual time. */
  at(atMs: number, act: () => void): void {
    this.#queue.add(atMs, { kind: 'act', act })
  }

  /** Runs for `forMs`, or until `done` holds (it is looked at after each event). Returns the time that passed. */
  run(forMs: number, done?: () => boolean): number {
    const startMs = this.#nowMs
    const endMs = startMs + forMs
    while (this.#queue.nextMs <= endMs) {
      this.#nowMs = this.#queue.nextMs
      this.#step(this.#queue.take()!)
      if (done?.() === true) return this.#nowMs - startMs
    }
    this.#nowMs = endMs
    return forMs
  }

  #step(item: Item): void {
    if (item.kind === 'act') {
      item.act()
      return
    }
    const { host } = item
    if (item.kind === 'wake') {
      if (item.atMs !== host.wakeAtMs) return
      host.wakeAtMs = Infinity
      if (host.asleepUntilMs <= this.#nowMs) this.#tick(host)
    } else {
      const { from, message, isStream } = item
      const freeAtMs = isStream
        ? Math.max(host.asleepUntilMs, host.mainBusyUntilMs)
        : host.asleepUntilMs
      const route = isStream ? 'stream' : from.address
      if (freeAtMs > this.#nowMs) this.#queue.add(freeAtMs, item)
      else this.tell(host.node, { kind: 'received', from: from.node, route, message })
      return
    }
    this.#wake(host)
  }

  #tick({ node, swim, clockMs }: Host): void {
    if (swim !== undefined && swim.wakeAtMs <= this.#nowMs + clockMs)
      this.tell(node, { kind: 'tick' })
  }

  #wake(host: Host): void {
    if (host.swim === undefined) return
    const dueMs = host.swim.wakeAtMs - host.clockMs
    const atMs = Math.max(this.#nowMs, host.asleepUntilMs, dueMs)
    if (atMs >= host.wakeAtMs || atMs === Infinity) return
    host.wakeAtMs = atMs
    this.#queue.add(atMs, { kind: 'wake', host, atMs })
  }

  #perform(host: Host, effects: readonly SwimEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          this.#send(host, effect.to, effect.message)
          break
        case 'stream':
          this.#stream(host, effect.to, effect.message)
          break
        case 'verdict':
          this.#options.onVerdict?.(effect.verdict, host.node, this.#nowMs)
          break
        case 'reached':
          this.#options.onReached?.(effect.node, effect.by, host.node)
          break
      }
    }
  }

  #send(from: Host, to: NodeId, message: SwimMessage): void {
    this.sent++
    this.sentBytes += datagramBytes(message)
    const { loss = 0, onSent } = this.#options
    onSent?.(from.node, to, message)
    if (loss > 0 && this.random() < loss) return
    const host = this.#byNode.get(to)
    if (host === undefined || from.isBlocked || host.isBlocked) return
    if (this.#isCut(from.node, to)) return
    if (this.#lossy.size > 0) {
      const chance = this.#lossy.get(`${from.node}>${to}`)
      if (chance !== undefined && this.random() < chance) return
    }
    this.#queue.add(this.#nowMs + this.#delayMs(), {
      kind: 'deliver',
      host,
      from,
      message,
      isStream: false,
    })
  }

  /** Over TCP: late rather than lost, if there is a way at all. */
  #stream(from: Host, to: NodeId, message: SwimMessage): void {
    const host = this.#byNode.get(to)
    if (this.#options.streams !== true || host === undefined) return
    this.streamed++
    const { node, mainBusyUntilMs } = from
    if (mainBusyUntilMs > this.#nowMs + HELD_MS) {
      this.at(this.#nowMs + HELD_MS, () => this.tell(node, { kind: 'streams-held' }))
    }
    if (this.#isCut(node, to)) return
    let atMs = Math.max(this.#nowMs, mainBusyUntilMs) + this.#delayMs()
    while (this.random() < (this.#options.loss ?? 0)) atMs += RETRANSMIT_MS
    this.#queue.add(atMs, { kind: 'deliver', host, from, message, isStream: true })
  }

  #isCut(one: NodeId, other: NodeId): boolean {
    if (this.#islands === undefined) return false
    const island = this.#islands.get(one)
    return island === undefined || island !== this.#islands.get(other)
  }

  #delayMs(): number {
    const { delayMs: [minMs, maxMs] = [1, 5] } = this.#options
    return minMs + this.random() * (maxMs - minMs)
  }

  #host(node: NodeId): Host {
    const host = this.#byNode.get(node)
    if (host === undefined) throw new RangeError(`No node ${node}`)
    return host
  }
}

/** What a datagram takes on the wire: headers of IPv4 and UDP, the seal (docs/decisions/0005-liveness.md), the message. */
function datagramBytes(message: SwimMessage): number {
  let bytes = 28 + 33 + 43 + (message.kind === 'ask' ? 32 : 0)
  for (const update of message.updates) bytes += updateBytes(update)
  return bytes
}
