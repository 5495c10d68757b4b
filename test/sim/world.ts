import { createDesiredDoc } from '../../src/crdt/desired-doc.ts'
import type { AppSpec } from '../../src/model/app.ts'
import type { Edit } from '../../src/model/desired.ts'
import type { NodeId, TaskId } from '../../src/model/ids.ts'
import type { ClusterEvent, Effect, Message, NodeEvent } from '../../src/node/machine/events.ts'
import { encodeMessage, parseMessage } from '../../src/node/machine/wire.ts'
import type { FakeBehaviour } from '../../src/runtime/fake-engine.ts'
import type { Launch } from '../../src/runtime/runtime.ts'
import { createRandom, type Random } from '../../src/util/random.ts'
import { TimeQueue } from '../gossip/liveness/time-queue.ts'
import type { ProbeAddress } from '../../src/gossip/liveness/swim-message.ts'
import { Connections } from './connections.ts'
import { unrest } from './converged.ts'
import { SimDisk } from './disk.ts'
import { EditLedger, type AskedEdit } from './edit-ledger.ts'
import { Gossip } from './gossip.ts'
import { SimHost, type HostOptions, type HostWorld } from './host.ts'
import { nodeOf, signerOf, verify } from './keys.ts'
import { Network } from './network.ts'
import { Safety } from './safety.ts'
import { Story } from './story.ts'

const REVIEW_MS = 100
const LOOK_MS = 500
/** In larger clusters all are looked at less often: what is looked for lasts ten seconds and more. */
const LOOK_NODES = 250
const SYNC_MS = 10

/** Knobs of a simulated cluster. Every number is drawn from, or fixed by, the seed. */
export interface WorldOptions {
  readonly seed: number
  readonly nodes: number
  /** What is special about host `index`. @default nothing */
  readonly host?: (index: number, random: Random) => Partial<HostOptions>
  /** False to have what is published go to the author's own peers only. @default true, as gossipsub does */
  readonly isRelayed?: boolean
  /** True to have every message made bytes of, and read again. @default false */
  readonly isEncoded?: boolean
  /** How long a turn of a daemon's loop takes: what comes meanwhile is taken in together by the next one. @default 0 */
  readonly turnMs?: number
  /** How much longer a turn takes for each event in it. @default 0 */
  readonly eventMs?: number
  /** How long after news the liveness layer is told of new addresses. @default 10, as the daemon does */
  readonly syncMs?: number
}

/** What tasks do; change it at will. */
export interface TaskRules {
  /** What a task that starts does with its life. */
  behaviour: (host: SimHost, launch: Launch) => FakeBehaviour
  isHealthy: (host: SimHost, task: TaskId, spec: AppSpec) => boolean
}

/**
 * A whole cluster in one thread, on virtual time: real machines and real liveness on
 * simulated disks, engines, clocks and links. The same seed replays exactly. What must
 * hold at every moment is checked all along ({@link World.violations}).
 */
export class World implements HostWorld {
  readonly random: Random
  readonly network: Network
  readonly story = new Story()
  readonly hosts: SimHost[] = []
  readonly ledger = new EditLedger()
  readonly safety = new Safety()
  readonly rules: TaskRules = {
    behaviour: () => ({ startMs: 100 + 200 * this.random(), stopMs: 50 * this.random() }),
    isHealthy: () => true,
  }
  /** Called with each event that a machine tells. */
  onTell: ((host: SimHost, event: ClusterEvent) => void) | undefined
  /** Called after each turn of a daemon's loop, for what is measured. */
  onSettled: ((host: SimHost) => void) | undefined
  /** Called after each step, for what a story wants to hold all along. */
  onStep: (() => void) | undefined
  readonly #options: WorldOptions
  readonly #connections: Connections
  readonly #gossip: Gossip
  readonly #byNode = new Map<NodeId, SimHost>()
  readonly #byAddress = new Map<string, SimHost>()
  readonly #queue = new TimeQueue<() => void>()
  #nowMs = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.random = createRandom(options.seed)
    this.network = new Network(this.random)
    this.#connections = new Connections(this.random, this.network)
    this.#gossip = new Gossip({
      time: this,
      network: this.network,
      connections: this.#connections,
      hosts: this.hosts,
      isRelayed: options.isRelayed ?? true,
    })
    const nodes = Array.from({ length: options.nodes }, (_, index) => nodeOf(index))
    const founding = found(nodes)
    for (const index of nodes.keys()) this.#addHost(index, founding)
    for (const host of this.hosts) host.start()
    this.#every(REVIEW_MS, () => this.#connections.review(this.hosts, this.#nowMs))
    const lookMs = LOOK_MS * Math.max(1, options.nodes / LOOK_NODES)
    this.#every(lookMs, () => this.safety.look(this.hosts, this.network, this.#nowMs))
  }

  get nowMs(): number {
    return this.#nowMs
  }

  get turnMs(): number {
    return this.#options.turnMs ?? 0
  }

  get eventMs(): number {
    return this.#options.eventMs ?? 0
  }

  get syncMs(): number {
    return this.#options.syncMs ?? SYNC_MS
  }

  /** Hosts whose daemon runs and stays. */
  get up(): SimHost[] {
    return this.hosts.filter(({ machine, isLeaving }) => machine !== undefined && !isLeaving)
  }

  /** What should never have been, in words. */
  get violations(): readonly string[] {
    return this.safety.violations
  }

  after(ms: number, act: () => void): void {
    this.#queue.add(this.#nowMs + Math.max(0, ms), act)
  }

  hostOf(node: NodeId): SimHost | undefined {
    return this.#byNode.get(node)
  }

  hostAt({ address, port }: ProbeAddress): SimHost | undefined {
    const host = this.#byAddress.get(address)
    return host?.address.port === port ? host : undefined
  }

  peerOf(of: SimHost, node: NodeId): SimHost | undefined {
    return this.#connections.peerOf(of, node)
  }

  publish(from: SimHost, message: Message): void {
    this.#gossip.publish(from, message)
  }

  overTheWire(message: Message): Message {
    if (this.#options.isEncoded !== true) return message
    const parsed = parseMessage(encodeMessage(message))
    if (parsed.ok) return parsed.message
    if (parsed.fault === 'unknown-kind') return message
    this.safety.violations.push(`(10) a ${message.kind} cannot be read: ${parsed.reason}`)
    return message
  }

  disconnect(of: SimHost, node: NodeId): void {
    this.#connections.close(of, node)
  }

  behaviourOf(host: SimHost, launch: Launch): FakeBehaviour {
    return this.rules.behaviour(host, launch)
  }

  isHealthy(host: SimHost, task: TaskId, spec: AppSpec): boolean {
    return this.rules.isHealthy(host, task, spec)
  }

  handled(host: SimHost, event: NodeEvent | 'settled', effects: readonly Effect[]): void {
    this.safety.handled(host, event, effects, this.#nowMs, this.hosts)
    if (event === 'settled') this.onSettled?.(host)
    this.ledger.handled(host, event, effects)
    for (const effect of effects) {
      this.#narrate(host, effect)
      if (effect.kind === 'tell') this.onTell?.(host, effect.event)
    }
  }

  /** Makes an edit through a host. The answer is in what is returned, once it has come. */
  edit(host: SimHost, edit: Edit): AskedEdit {
    const asked = this.ledger.ask(host, edit)
    this.story.add(this.#nowMs, host.name, `>> edit ${asked.request}: ${describeEdit(edit)}`)
    host.take({ kind: 'edited', request: asked.request, edit })
    return asked
  }

  /** Starts the daemon of a host again. */
  restart(host: SimHost): void {
    this.ledger.ended(host)
    host.start()
    this.safety.violations.push(...this.ledger.started(host).map(text => `(2) ${text}`))
  }

  /** Puts an old copy of a machine's disk back, and starts its daemon on that. */
  restore(host: SimHost, backup: SimDisk): void {
    if (host.isPowered) host.powerOff()
    this.ledger.ended(host)
    host.disk.restore(backup)
    this.story.add(this.#nowMs, host.name, '== gets an old backup back')
    host.start()
    this.ledger.restored(host)
  }

  /** Adds a machine once one of the others has admitted it for sure; it starts with what that one knows. */
  join(by: SimHost): void {
    const index = this.hosts.length
    const node = nodeOf(index)
    const asked = this.edit(by, { kind: 'admit', node, name: `n${index}` })
    const knows = ({ machine }: SimHost): boolean => machine?.doc.read().nodes.has(node) === true
    const look = (): void => {
      if (this.hosts.length > index || asked.result?.ok === false) return
      // Who was asked may have died without an answer: then another one's token serves, once it is sure.
      const isAnswered = by.life === asked.life ? asked.result !== undefined : true
      const sponsor = by.life === asked.life ? by : this.up.find(knows)
      if (isAnswered && sponsor !== undefined) {
        const saved = sponsor.machine?.doc.since(new Uint8Array())
        this.#addHost(index, saved === undefined ? [] : [saved]).start()
      } else this.after(by.life === asked.life ? 20 : 500, look)
    }
    look()
  }

  /** Adds a machine with a copy of all that is on the disk of `of`, its key included, and does not start it yet. */
  copy(of: SimHost): SimHost {
    const link = `${of.node} copy ${this.hosts.length}` as NodeId
    return this.#addHost(this.hosts.length, [], { node: of.node, link, disk: of.disk.copy() })
  }

  /** Runs for `forMs`, or until `done` holds (looked at ten times a second). Returns the time that passed. */
  run(forMs: number, done?: () => boolean): number {
    const startMs = this.#nowMs
    const endMs = startMs + forMs
    let lookAtMs = startMs
    while (this.#queue.nextMs <= endMs) {
      this.#nowMs = this.#queue.nextMs
      if (done !== undefined && this.#nowMs >= lookAtMs) {
        lookAtMs = this.#nowMs + 100
        if (done()) return this.#nowMs - startMs
      }
      this.#queue.take()!()
      this.onStep?.()
    }
    this.#nowMs = endMs
    return forMs
  }

  /** Runs until the cluster is at rest. Gives how long that took, or what it still lacks after `withinMs`. */
  settle(withinMs: number): { readonly tookMs: number; readonly unrest: readonly string[] } {
    let left: readonly string[] = []
    const tookMs = this.run(withinMs, () => (left = unrest(this.hosts, this.#nowMs)).length === 0)
    if (tookMs === withinMs) left = unrest(this.hosts, this.#nowMs)
    return { tookMs, unrest: left }
  }

  /** Edits that the daemon they were made through should have answered by now. */
  unanswered(): string[] {
    return this.ledger.edits
      .filter(({ result, host, life }) => result === undefined && host.life === life)
      .map(({ request, host }) => `${host.name} never answered edit ${request}`)
  }

  #addHost(index: number, saved: readonly Uint8Array[], more: Partial<HostOptions> = {}): SimHost {
    const host = new SimHost(this, {
      index,
      node: nodeOf(index),
      disk: new SimDisk(index + 1, saved),
      labels: { zone: `z${index % 3}` },
      capacity: { cpus: 4, memMb: 2048, diskMb: 10_000, gpus: 0 },
      hasDocker: true,
      clockMs: 0,
      drift: 0,
      ...this.#options.host?.(index, this.random),
      ...more,
    })
    this.hosts.push(host)
    if (!this.#byNode.has(host.node)) this.#byNode.set(host.node, host)
    this.#byAddress.set(host.address.address, host)
    return host
  }

  #every(ms: number, act: () => void): void {
    this.after(ms, () => {
      act()
      this.#every(ms, act)
    })
  }

  #narrate({ name }: SimHost, effect: Effect): void {
    const add = (text: string): void => this.story.add(this.#nowMs, name, text)
    if (effect.kind === 'start') add(`starts ${effect.task} at ${effect.revision.slice(0, 6)}`)
    else if (effect.kind === 'stop') add(`stops ${effect.task}`)
    else if (effect.kind === 'reply') {
      const { request, result } = effect
      add(
        `<< edit ${request}: ${result.ok ? `stored on ${result.storedOn.length}` : result.reason}`,
      )
    } else if (effect.kind === 'tell') {
      const { kind, subject, text } = effect.event
      // Of tasks every node tells the same: its own word will do.
      if (kind !== 'task' || text.endsWith(` on ${name}`)) add(`${kind} ${subject} ${text}`)
    }
  }
}

/** The document of a new cluster with these nodes, made by the first one. */
function found(nodes: readonly NodeId[]): Uint8Array[] {
  const self = nodes[0]!
  const doc = createDesiredDoc({ self, clientId: 1, sign: signerOf(self), verify })
  for (const [index, node] of nodes.entries()) {
    doc.edit({ kind: 'admit', node, name: `n${index}` }, { timeMs: 0 })
  }
  return [doc.snapshot()]
}

function describeEdit(edit: Edit): string {
  switch (edit.kind) {
    case 'apply':
      return `apply ${edit.specs.map(({ id, instances, update }) => `${id}×${instances} ${update.order}`).join(', ')}`
    case 'scale':
      return `scale ${edit.app} to ${edit.instances}`
    case 'remove':
      return `remove ${edit.app}`
    case 'admit':
      return `admit ${edit.name}`
    case 'expel':
      return `expel ${edit.node.slice(-4)}`
    case 'label':
      return `label ${edit.node.slice(-4)} ${JSON.stringify(edit.set)} -${edit.unset.join()}`
    case 'mode':
      return `make ${edit.node.slice(-4)} ${edit.mode}`
    case 'settings':
      return `set ${JSON.stringify(edit.set)}`
  }
}
