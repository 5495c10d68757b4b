import type { Launch } from '../../src/runtime/runtime.ts'
import type { FakeBehaviour } from '../../src/runtime/fake-engine.ts'
import type { AppSpec } from '../../src/model/app.ts'
import type { NodeId, TaskId } from '../../src/model/ids.ts'
import type { Capacity, NodeRecord } from '../../src/model/node-record.ts'
import type { Verdict } from '../../src/model/verdict.ts'
import type { Effect, Message, NodeEvent } from '../../src/node/machine/events.ts'
import { NodeMachine } from '../../src/node/machine/node-machine.ts'
import { createNewsCheck } from '../../src/node/news-check.ts'
import type { ProbeAddress } from '../../src/gossip/liveness/swim-message.ts'
import { createRandom, type Random } from '../../src/util/random.ts'
import { Alarm } from './alarm.ts'
import type { SimDisk } from './disk.ts'
import { THIS, type Dialect } from './dialect.ts'
import { checkRecord, signerOf, verify } from './keys.ts'
import { Lane, type Timeline } from './lane.ts'
import { LivenessHost } from './liveness-host.ts'
import type { Network } from './network.ts'
import { SimClock } from './sim-clock.ts'
import type { Story } from './story.ts'
import { TaskHost } from './task-host.ts'

/** What a host needs of the world around it. */
export interface HostWorld extends Timeline {
  readonly random: Random
  readonly network: Network
  readonly story: Story
  hostOf(node: NodeId): SimHost | undefined
  hostAt(address: ProbeAddress): SimHost | undefined
  /** Where the daemon of `of` sends what is for `node`: its newest connection to it. */
  peerOf(of: SimHost, node: NodeId): SimHost | undefined
  /** The daemon of `of` gives the connection to `node` up. */
  disconnect(of: SimHost, node: NodeId): void
  /** Has a message of the daemon of `from` spread. */
  publish(from: SimHost, message: Message): void
  /** A message as it is on the other side of the wire. */
  overTheWire(message: Message): Message
  /** What a task does with its life. */
  behaviourOf(host: SimHost, launch: Launch): FakeBehaviour
  isHealthy(host: SimHost, task: TaskId, spec: AppSpec): boolean
  /** Called after a machine took an event, or settled what it had taken; before the effects are carried out. */
  handled(host: SimHost, event: NodeEvent | 'settled', effects: readonly Effect[]): void
  /** The main thread of every daemon is busy for so long with what it took in one turn of its loop. */
  readonly turnMs: number
  /** And for so long more with each event in it. */
  readonly eventMs: number
  /** Addresses are passed on so long after an event. */
  readonly syncMs: number
}

/** Timers fire up to so much late, as they do on a busy machine. */
const TIMER_LATE_MS = 5

/** Events that may wait for the main thread: the loop's own limit is higher, and the buffers of connections are not. */
const EVENTS_MAX = 10_000

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
  /** Its wall clock is ahead by so much at first. */
  readonly clockMs: number
  /** Its clocks run so much faster: 0.0001 is 100 ppm. */
  readonly drift: number
  /** Another version of Shoal runs here. @default this one */
  readonly dialect?: Dialect
}

/** `up`: all runs. `stopped`: only the tasks run. `off`: nothing does. `gone`: nor will it ever again. */
export type HostState = 'up' | 'stopped' | 'off' | 'gone'

/**
 * A simulated machine: a real {@link NodeMachine} on a main thread, a real liveness worker, and a disk, clocks and engines
 * that outlive them. Each of the two threads may stand still for a while, and so may the whole machine.
 */
export class SimHost {
  readonly options: HostOptions
  readonly node: NodeId
  readonly link: NodeId
  readonly name: string
  readonly address: ProbeAddress
  readonly disk: SimDisk
  readonly clock: SimClock
  readonly tasks: TaskHost
  readonly liveness: LivenessHost
  /** The daemon's main thread. */
  readonly main: Lane
  machine: NodeMachine | undefined
  state: HostState = 'stopped'
  /** Counts the lives of the daemon: what was meant for an earlier one is dropped. */
  life = 0
  /** Since when the daemon runs, or does not. */
  sinceMs = 0
  isLeaving = false
  /** How many events it took in the present second. */
  readonly rate = { second: -1, events: 0 }
  /** When the machine froze last, and when it thaws or did; 0 for never. */
  frozenSinceMs = 0
  thawsAtMs = 0
  readonly #world: HostWorld
  readonly #alarm: Alarm
  readonly #taskAlarm: Alarm
  /** Events that wait for the next turn of the loop. */
  readonly #queue: NodeEvent[] = []
  #isTurnDue = false
  #turnEndsAtMs = 0
  #isSyncDue = false
  readonly #dialect: Dialect
  /** Who was admitted when the liveness layer was told last, and how many of them had an address. */
  #told: { readonly admitted: ReadonlySet<NodeId>; readonly known: number } | undefined
  #isNews = (): boolean => true
  #diskFreeAtMs = 0

  constructor(world: HostWorld, options: HostOptions) {
    this.#world = world
    this.options = options
    this.node = options.node
    this.link = options.link ?? options.node
    this.#dialect = options.dialect ?? THIS
    this.name = `n${options.index}`
    const { index } = options
    this.address = { address: `10.0.${index >> 8}.${(index & 255) + 1}`, port: 7440 }
    this.disk = options.disk
    this.clock = new SimClock(options)
    this.main = new Lane(world, EVENTS_MAX)
    this.tasks = new TaskHost(world, this)
    this.liveness = new LivenessHost(world, this)
    this.#alarm = new Alarm(world, () => this.#tick())
    this.#taskAlarm = new Alarm(world, () => this.#advanceTasks())
  }

  /** The loop's time of the daemon that runs. */
  get localMs(): number {
    return this.clock.loopMs(this.#world.nowMs)
  }

  get isPowered(): boolean {
    return this.state === 'up' || this.state === 'stopped'
  }

  get isFrozen(): boolean {
    return this.#world.nowMs < this.thawsAtMs
  }

  /** True when the daemon can answer. */
  get isResponding(): boolean {
    return this.machine !== undefined && this.main.freeAtMs <= this.#world.nowMs
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
    this.#told = undefined
    this.#diskFreeAtMs = 0
    this.#isSyncDue = this.#isTurnDue = false
    this.#turnEndsAtMs = 0
    this.clock.read()
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
      checkRecord,
      random: createRandom(seed),
      drawRun: () => `${this.name} ${this.life}`,
      updates: disk.read(),
      orders: this.tasks.orders,
      fence: disk.fence,
      nowMs,
    })
    this.#isNews = createNewsCheck(this.machine)
    this.liveness.start(disk.starts, createRandom(seed + 1))
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
    this.machine = undefined
    this.#queue.length = 0
    this.main.clear()
    this.liveness.end()
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
    this.thaw()
    this.tasks.powerOff()
    this.state = forGood ? 'gone' : 'off'
    this.sinceMs = this.#world.nowMs
  }

  /** Says good-bye to the others and ends the daemon, as SIGTERM does; its tasks run on. */
  terminate(): void {
    if (this.machine === undefined) return
    this.isLeaving = true
    this.liveness.leave()
  }

  /** The whole machine stands still for so long: daemon, watchdog and tasks. Its clocks go on. */
  freeze(forMs: number): void {
    this.#world.story.add(this.#world.nowMs, this.name, `== freezes for ${inSeconds(forMs)}`)
    if (!this.isFrozen) this.frozenSinceMs = this.#world.nowMs
    this.thawsAtMs = Math.max(this.thawsAtMs, this.#world.nowMs + forMs)
    this.main.standStill(forMs)
    this.liveness.thread.standStill(forMs)
    this.tasks.standStill(forMs)
  }

  /** The main thread alone stands still for so long. */
  stall(forMs: number): void {
    this.#world.story.add(this.#world.nowMs, this.name, `== stalls for ${inSeconds(forMs)}`)
    this.main.standStill(forMs)
  }

  /** The liveness worker alone stands still for so long. */
  stallLiveness(forMs: number): void {
    const text = `== its liveness worker stalls for ${inSeconds(forMs)}`
    this.#world.story.add(this.#world.nowMs, this.name, text)
    this.liveness.thread.standStill(forMs)
  }

  /** Everything here runs again now. */
  thaw(): void {
    this.thawsAtMs = Math.min(this.thawsAtMs, this.#world.nowMs)
    this.tasks.resume()
    this.liveness.thread.resume()
    this.main.resume()
  }

  /** Hands an event to the machine once the main thread runs, and carries out what it asks for. */
  take(event: NodeEvent): void {
    if (this.main.isFree) this.#handle(event)
    else this.onMain(() => this.#handle(event))
  }

  /** Has this done by the main thread of this life of the daemon, once it runs. */
  onMain(act: () => void): void {
    const { life } = this
    if (this.main.isFree) {
      act()
      return
    }
    this.main.run(() => {
      if (this.life === life) act()
    })
  }

  /** The transport says that there is a connection to `node`. */
  connectionOpened(node: NodeId): void {
    this.onMain(() => {
      this.liveness.connectionOpened(node)
      this.#handle({ kind: 'connected', node })
    })
  }

  /** The transport says that the last connection to `node` is closed. */
  connectionClosed(node: NodeId): void {
    this.onMain(() => {
      this.liveness.connectionClosed(node)
      this.#handle({ kind: 'disconnected', node })
    })
  }

  /** The liveness worker has a verdict. */
  judge(verdict: Verdict): void {
    this.onMain(() => {
      const isGone = verdict.kind === 'dead' || verdict.kind === 'left'
      if (isGone) this.#world.disconnect(this, verdict.node)
      this.#handle({ kind: 'verdict-came', verdict })
    })
  }

  /** An engine has something to say at `atMs`, or later if the machine stands still. */
  wakeForTasks(): void {
    const atMs = Math.max(this.tasks.nextAtMs, this.thawsAtMs)
    if (atMs === Infinity) return
    this.#taskAlarm.set(Math.max(this.#world.nowMs, atMs) + TIMER_LATE_MS * this.#world.random())
  }

  #advanceTasks(): void {
    if (!this.isFrozen) this.tasks.advance()
    this.wakeForTasks()
  }

  #handle(happened: NodeEvent): void {
    if (this.machine === undefined) return
    const event = this.#heard(happened)
    if (event === undefined) return
    this.#queue.push(event)
    const inMs = this.#turnEndsAtMs - this.#world.nowMs
    if (inMs <= 0) this.#turn()
    else if (!this.#isTurnDue) {
      this.#isTurnDue = true
      this.#later(inMs, () => this.onMain(() => this.#turn()))
    }
  }

  /** One turn of the daemon's loop: what has come since the last one is taken in, and then settled. */
  #turn(): void {
    this.#isTurnDue = false
    const { life } = this
    const events = this.#queue.splice(0)
    const { turnMs, eventMs } = this.#world
    this.#turnEndsAtMs = this.#world.nowMs + turnMs + eventMs * events.length
    for (const event of events) {
      if (this.life !== life) return
      this.#carryOut(event, this.machine!.take(event, this.localMs))
    }
    if (this.life !== life) return
    this.#carryOut('settled', this.machine!.settle(this.localMs))
    if (this.life !== life) return
    if (!this.#isSyncDue && this.#isNews()) {
      this.#isSyncDue = true
      this.#later(this.#world.syncMs, () => this.#sync())
    }
    this.#wake()
  }

  #carryOut(event: NodeEvent | 'settled', effects: readonly Effect[]): void {
    this.#world.handled(this, event, effects)
    for (const effect of effects) this.#perform(effect)
  }

  /** Sees to it that the machine runs when something is due. */
  #wake(): void {
    if (this.machine === undefined) return
    const dueMs = this.clock.worldMs(this.machine.wakeAtMs)
    if (dueMs === Infinity) return
    const late = 0.001 + this.#world.random() * TIMER_LATE_MS
    this.#alarm.set(Math.max(this.#world.nowMs + 1, dueMs + late))
  }

  #tick(): void {
    if (this.machine === undefined) return
    if (this.machine.wakeAtMs > this.localMs) this.#wake()
    else this.take({ kind: 'ticked' })
  }

  /** Does something later, if this life of the daemon still goes on. */
  #later(ms: number, act: () => void): void {
    const { life } = this
    this.#world.after(ms, () => {
      if (this.life === life) act()
    })
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'publish':
        for (const message of this.#inWords(effect.message)) this.#world.publish(this, message)
        return
      case 'send': {
        const peer = this.#world.peerOf(this, effect.to)
        if (peer === undefined) return
        for (const message of this.#inWords(effect.message)) this.#send(peer, message)
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

  /** What is said, by the version that runs here. */
  #inWords(message: Message): readonly Message[] {
    const said = this.#dialect.say(this, message)
    return said.map(one => this.#world.overTheWire(one))
  }

  /** What is heard, by the version that runs here: a message of an unknown kind is none. */
  #heard(event: NodeEvent): NodeEvent | undefined {
    if (event.kind !== 'received') return event
    const { from, message } = event
    const { kinds, ownKinds } = this.#dialect
    if (ownKinds.includes(message.kind)) return undefined
    if (kinds.includes(message.kind)) return event
    return { kind: 'message-refused', from, fault: 'unknown-kind', reason: message.kind }
  }

  #send(to: SimHost, message: Message): void {
    const { life } = to
    this.#world.network.send(this.link, to.link, delayMs =>
      this.#world.after(delayMs, () => {
        // What a machine without power had not yet got through its own buffers is gone with it.
        if (this.isPowered && to.life === life)
          to.take({ kind: 'received', from: this.node, message })
      }),
    )
  }

  /** Writes take their time, and end in order. */
  #persist(token: number, update: Uint8Array): void {
    const { nowMs, random } = this.#world
    this.disk.begin(token, update)
    const takesMs = random() < 0.05 ? 50 * random() : 0.2 + 4 * random()
    this.#diskFreeAtMs = Math.max(nowMs, this.#diskFreeAtMs) + this.disk.slowMs + takesMs
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
    const { admitted, book } = machine
    // Once all are known nothing is news but who is admitted: simulated machines keep their addresses.
    const told = this.#told
    if (told?.admitted === admitted && told.known === admitted.size - 1) return
    const members = new Map<NodeId, ProbeAddress | undefined>()
    let known = 0
    for (const node of admitted) {
      if (node === this.node) continue
      const record = book.get(node)
      const isKnown = record !== undefined && record.probePort > 0
      if (isKnown) known++
      members.set(node, isKnown ? addressIn(record) : undefined)
    }
    if (told?.admitted === admitted && told.known === known) return
    this.#told = { admitted, known }
    this.liveness.hear({ kind: 'members', members })
  }
}

const addresses = new WeakMap<NodeRecord, ProbeAddress>()

/** Where a record says that its node listens: one object for all simulated nodes, which have the same records. */
function addressIn(record: NodeRecord): ProbeAddress {
  let address = addresses.get(record)
  if (address === undefined) {
    address = { address: record.address, port: record.probePort }
    addresses.set(record, address)
  }
  return address
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
