import type { Launch } from '../../src/runtime/runtime.ts'
import type { FakeBehaviour } from '../../src/runtime/fake-engine.ts'
import type { AppSpec } from '../../src/model/app.ts'
import type { NodeId, TaskId } from '../../src/model/ids.ts'
import type { Capacity } from '../../src/model/node-record.ts'
import type { Effect, NodeEvent } from '../../src/node/machine/events.ts'
import { NodeMachine } from '../../src/node/machine/node-machine.ts'
import { swimOptions } from '../../src/gossip/liveness/swim-options.ts'
import { Swim, type SwimEvent } from '../../src/gossip/liveness/swim.ts'
import type { ProbeAddress, SwimMessage } from '../../src/gossip/liveness/swim-message.ts'
import { createRandom, type Random } from '../../src/util/random.ts'
import type { SimDisk } from './disk.ts'
import { signerOf, verify } from './keys.ts'
import type { Network } from './network.ts'
import type { Story } from './story.ts'
import { TaskHost } from './task-host.ts'

/** What a host needs of the world around it. */
export interface HostWorld {
  readonly nowMs: number
  readonly random: Random
  readonly network: Network
  readonly story: Story
  /** Does something after so long. */
  after(ms: number, act: () => void): void
  hostOf(node: NodeId): SimHost | undefined
  hostAt(address: ProbeAddress): SimHost | undefined
  /** The nodes that the daemon of `of` holds a connection to. */
  peersOf(of: SimHost): SimHost[]
  /** Where the daemon of `of` sends what is for `node`: its newest connection to it. */
  peerOf(of: SimHost, node: NodeId): SimHost | undefined
  /** The daemon of `of` gives the connection to `node` up. */
  disconnect(of: SimHost, node: NodeId): void
  /** What a task does with its life. */
  behaviourOf(host: SimHost, launch: Launch): FakeBehaviour
  isHealthy(host: SimHost, task: TaskId, spec: AppSpec): boolean
  /** Called after each event of a machine, before its effects are carried out. */
  handled(host: SimHost, event: NodeEvent, effects: readonly Effect[]): void
}

/** Timers fire up to so much late, as they do on a busy machine. */
const TIMER_LATE_MS = 5

/** What a simulated machine is. */
export interface HostOptions {
  readonly index: number
  readonly node: NodeId
  /** Names the machine in the network. @default its node, which is not enough for two machines with one key */
  readonly link?: NodeId
  readonly disk: SimDisk
  readonly labels: Readonly<Record<string, string>>
  readonly capacity: Capacity
  readonly hasDocker: boolean
  /** Its clock is ahead by so much. */
  readonly clockMs: number
  /** Its clock runs so much faster: 0.0001 is 100 ppm. */
  readonly drift: number
}

/** `up`: all runs. `stopped`: only the tasks run. `off`: nothing does. `gone`: nor will it ever again. */
export type HostState = 'up' | 'stopped' | 'off' | 'gone'

/** 2023-11-14, where every simulation starts. */
const EPOCH_MS = 1_700_000_000_000

/** Addresses are passed on so long after an event, as the daemon does. */
const SYNC_MS = 10

/** A simulated machine: a real {@link NodeMachine} and {@link Swim} on a disk, a clock and engines that outlive them. */
export class SimHost {
  readonly options: HostOptions
  readonly node: NodeId
  readonly link: NodeId
  readonly name: string
  readonly address: ProbeAddress
  readonly disk: SimDisk
  readonly tasks: TaskHost
  machine: NodeMachine | undefined
  swim: Swim | undefined
  state: HostState = 'stopped'
  /** Counts the lives of the daemon: what was meant for an earlier one is dropped. */
  life = 0
  /** Since when the daemon runs, or does not. */
  sinceMs = 0
  isLeaving = false
  readonly #world: HostWorld
  #wakeAtMs = Infinity
  #isSyncDue = false
  #membersKey = ''
  #diskFreeAtMs = 0

  constructor(world: HostWorld, options: HostOptions) {
    this.#world = world
    this.options = options
    this.node = options.node
    this.link = options.link ?? options.node
    this.name = `n${options.index}`
    this.address = { address: `10.0.0.${options.index + 1}`, port: 7440 }
    this.disk = options.disk
    this.tasks = new TaskHost(world, this)
  }

  /** The time by this machine's clock. */
  get localMs(): number {
    return EPOCH_MS + this.options.clockMs + this.#world.nowMs * (1 + this.options.drift)
  }

  /** Starts the daemon. */
  start(): void {
    const { node: self, disk, options } = this
    if (this.state === 'gone' || this.machine !== undefined) return
    disk.starts++
    this.life++
    this.state = 'up'
    this.sinceMs = this.#world.nowMs
    this.isLeaving = false
    this.#membersKey = ''
    this.#diskFreeAtMs = 0
    const nowMs = this.localMs
    const seed = this.#world.random() * 2 ** 32
    this.machine = new NodeMachine({
      self,
      incarnation: disk.starts,
      clientId: disk.clientId,
      facts: {
        name: this.name,
        address: this.address.address,
        multiaddrs: [],
        probePort: 0,
        dnsPort: 0,
        labels: options.labels,
        runtimes: { docker: false, process: false },
        capacity: options.capacity,
        version: '0.1.0',
      },
      engines: options.hasDocker ? ['docker', 'process'] : ['process'],
      sign: signerOf(self),
      verify,
      random: createRandom(seed),
      drawRun: () => `${this.name} ${this.life}`,
      updates: disk.read(),
      orders: this.tasks.orders,
      fence: disk.fence,
      nowMs,
    })
    this.swim = new Swim({
      self,
      incarnation: disk.starts,
      options: swimOptions('lan'),
      random: createRandom(seed + 1),
      nowMs,
    })
    this.#world.story.add(this.#world.nowMs, this.name, `== the daemon starts (${disk.starts})`)
    if (disk.read().length > 20) disk.compact(this.machine.doc.snapshot())
    this.take({ kind: 'ticked' })
    const { address, port } = this.address
    this.take({
      kind: 'facts-changed',
      facts: { multiaddrs: [`/ip4/${address}/tcp/${port}`], probePort: port, dnsPort: 53 },
    })
    this.#sync()
    this.tasks.list()
  }

  /** Ends the daemon at once; its tasks run on. */
  crash(how = 'is killed'): void {
    if (this.machine === undefined) return
    this.#world.story.add(this.#world.nowMs, this.name, `== the daemon ${how}`)
    this.machine = this.swim = undefined
    this.life++
    this.state = 'stopped'
    this.sinceMs = this.#world.nowMs
    this.disk.crash(this.#world.random)
    this.tasks.daemonGone()
  }

  /** Cuts the power: the daemon and all tasks end at once. */
  powerOff(forGood = false): void {
    this.crash()
    this.#world.story.add(
      this.#world.nowMs,
      this.name,
      forGood ? '== is destroyed' : '== loses its power',
    )
    this.tasks.powerOff()
    this.state = forGood ? 'gone' : 'off'
    this.sinceMs = this.#world.nowMs
  }

  /** Says good-bye to the others and ends the daemon, as SIGTERM does; its tasks run on. */
  terminate(): void {
    if (this.machine === undefined) return
    this.isLeaving = true
    this.hear({ kind: 'leaving' })
  }

  /** Hands an event to the machine, and carries out what it asks for. */
  take(event: NodeEvent): void {
    const { machine } = this
    if (machine === undefined) return
    const effects = machine.handle(event, this.localMs)
    this.#world.handled(this, event, effects)
    for (const effect of effects) this.#perform(effect)
    if (!this.#isSyncDue) {
      this.#isSyncDue = true
      this.#later(SYNC_MS, () => this.#sync())
    }
    this.wake()
  }

  /** Hands an event to the liveness layer. */
  hear(event: SwimEvent): void {
    const { swim } = this
    if (swim === undefined) return
    for (const effect of swim.handle(event, this.localMs)) {
      if (effect.kind === 'send') this.#sendDatagram(effect.address, effect.message)
      else if (effect.kind === 'verdict') {
        const { verdict } = effect
        this.#world.story.add(
          this.#world.nowMs,
          this.name,
          `holds ${this.#world.hostOf(verdict.node)?.name} for ${verdict.kind}`,
        )
        if (verdict.kind === 'dead' || verdict.kind === 'left') {
          this.#world.disconnect(this, verdict.node)
        }
        this.take({ kind: 'verdict-came', verdict })
      }
    }
    this.wake()
  }

  /** Sees to it that the machine, the liveness layer and the engines run when something is due. */
  wake(): void {
    const local = Math.min(this.machine?.wakeAtMs ?? Infinity, this.swim?.wakeAtMs ?? Infinity)
    const { clockMs, drift } = this.options
    const dueMs = Math.min((local - EPOCH_MS - clockMs) / (1 + drift), this.tasks.nextAtMs)
    // No timer fires sooner than in a millisecond, and none fires on time.
    const late = this.#world.random() * TIMER_LATE_MS
    const atMs = Math.max(this.#world.nowMs + 1, dueMs + 0.001 + late)
    if (this.isLeaving && this.swim?.wakeAtMs === Infinity) {
      this.crash('says good-bye and ends')
      return
    }
    if (atMs >= this.#wakeAtMs || atMs === Infinity) return
    this.#wakeAtMs = atMs
    this.#world.after(atMs - this.#world.nowMs, () => {
      if (this.#wakeAtMs !== atMs) return
      this.#wakeAtMs = Infinity
      this.tasks.advance()
      if (this.swim !== undefined && this.swim.wakeAtMs <= this.localMs) this.hear({ kind: 'tick' })
      if (this.machine !== undefined && this.machine.wakeAtMs <= this.localMs) {
        this.take({ kind: 'ticked' })
      }
      this.wake()
    })
  }

  /** Does something later, if this life of the daemon still goes on. */
  #later(ms: number, act: () => void): void {
    const { life } = this
    this.#world.after(ms, () => {
      if (this.life === life) act()
      else this.#isSyncDue = false
    })
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'publish':
        for (const peer of this.#world.peersOf(this)) this.#send(peer, effect.message)
        return
      case 'send': {
        const peer = this.#world.peerOf(this, effect.to)
        if (peer !== undefined) this.#send(peer, effect.message)
        return
      }
      case 'persist':
        return this.#persist(effect.token, effect.update)
      case 'reload': {
        const updates = this.disk.read()
        return this.#later(0, () => this.take({ kind: 'reloaded', updates }))
      }
      case 'keep-client-id':
        this.disk.clientId = effect.clientId
        return
      case 'guard':
        return this.tasks.guard(effect.orders)
      case 'keep-fence':
        if (!this.disk.isFull) this.disk.fence = effect.fence
        return
      case 'start':
      case 'stop':
      case 'remove':
      case 'probe':
        return this.tasks.perform(effect)
      case 'halt':
        return this.crash(`halts: ${effect.reason}`)
      case 'reply': // The observer has seen it.
      case 'admit': // Connections and members are looked at again anyhow.
      case 'tell':
    }
  }

  #send(to: SimHost, message: Extract<Effect, { kind: 'send' }>['message']): void {
    const { life } = to
    for (const delayMs of this.#world.network.delays(this.link, to.link)) {
      this.#world.after(delayMs, () => {
        // What a machine without power had not yet got through its own buffers is gone with it.
        const isSent = this.state === 'up' || this.state === 'stopped'
        if (isSent && to.life === life) to.take({ kind: 'received', from: this.node, message })
      })
    }
  }

  #sendDatagram(address: ProbeAddress, message: SwimMessage): void {
    const to = this.#world.hostAt(address)
    if (to === undefined) return
    for (const delayMs of this.#world.network.delays(this.link, to.link)) {
      this.#world.after(delayMs, () =>
        to.hear({ kind: 'received', from: this.node, route: this.address, message }),
      )
    }
  }

  /** Writes take their time, and end in order. */
  #persist(token: number, update: Uint8Array): void {
    const { nowMs, random } = this.#world
    this.disk.begin(token, update)
    const takesMs = random() < 0.05 ? 50 * random() : 0.2 + 4 * random()
    this.#diskFreeAtMs = Math.max(nowMs, this.#diskFreeAtMs) + takesMs
    this.#later(this.#diskFreeAtMs - nowMs, () => {
      const done = this.disk.finish()
      this.take(
        done.ok
          ? { kind: 'persisted', token: done.token }
          : { kind: 'persist-failed', token: done.token, reason: 'no space left on device' },
      )
    })
  }

  /** Tells the liveness layer who is admitted and where, as the records say. */
  #sync(): void {
    this.#isSyncDue = false
    const { machine } = this
    if (machine === undefined) return
    const members = new Map<NodeId, ProbeAddress | undefined>()
    let key = ''
    for (const node of machine.admitted) {
      if (node === this.node) continue
      const record = machine.book.get(node)
      const isKnown = record !== undefined && record.probePort > 0
      members.set(node, isKnown ? { address: record.address, port: record.probePort } : undefined)
      key += `${node} ${isKnown} `
    }
    if (key === this.#membersKey) return
    this.#membersKey = key
    this.hear({ kind: 'members', members })
  }
}
