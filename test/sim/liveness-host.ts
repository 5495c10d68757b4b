import type { NodeId } from '../../src/model/ids.ts'
import type { Verdict } from '../../src/model/verdict.ts'
import { Swim, type SwimEvent } from '../../src/gossip/liveness/swim.ts'
import type { ProbeAddress, SwimMessage } from '../../src/gossip/liveness/swim-message.ts'
import { swimOptions } from '../../src/gossip/liveness/swim-options.ts'
import type { Random } from '../../src/util/random.ts'
import { Alarm } from './alarm.ts'
import type { HostWorld, SimHost } from './host.ts'
import { Lane } from './lane.ts'

/** Datagrams that fit the buffer of a socket; more are lost. */
const DATAGRAMS_MAX = 256

/** A stream that the main thread has not taken on for so long is held: the worker's own limit is about this. */
const HELD_MS = 60

/** Timers fire up to so much late, as they do on a busy machine. */
const TIMER_LATE_MS = 5

/** The liveness worker of a simulated machine: a real {@link Swim} on a thread and a socket of its own. */
export class LivenessHost {
  readonly thread: Lane
  readonly #world: HostWorld
  readonly #host: SimHost
  readonly #alarm: Alarm
  #swim: Swim | undefined
  #connected = new Set<NodeId>()
  #isLeaving = false

  constructor(world: HostWorld, host: SimHost) {
    this.#world = world
    this.#host = host
    this.thread = new Lane(world, DATAGRAMS_MAX)
    this.#alarm = new Alarm(world, () => {
      if (this.thread.isFree) this.#tick()
      else this.thread.run(() => this.#tick())
    })
  }

  get swim(): Swim | undefined {
    return this.#swim
  }

  start(incarnation: number, random: Random): void {
    const { node: self, localMs: nowMs } = this.#host
    this.#swim = new Swim({ self, incarnation, options: swimOptions('lan'), random, nowMs })
    this.#connected = new Set()
    this.#isLeaving = false
  }

  /** The daemon is gone, with its threads. */
  end(): void {
    this.#swim = undefined
    this.thread.clear()
  }

  /** Says good-bye to the others, and then has the daemon end. */
  leave(): void {
    this.#isLeaving = true
    this.hear({ kind: 'leaving' })
  }

  connectionOpened(node: NodeId): void {
    this.#connected.add(node)
    this.hear({ kind: 'connection-up', node })
  }

  connectionClosed(node: NodeId): void {
    this.#connected.delete(node)
    this.hear({ kind: 'connection-lost', node })
  }

  /** Hands an event to the liveness layer, once its thread runs. */
  hear(event: SwimEvent): void {
    if (this.thread.isFree) {
      this.#handle(event)
      return
    }
    const { life } = this.#host
    this.thread.run(() => {
      if (this.#host.life === life) this.#handle(event)
    })
  }

  #handle(event: SwimEvent): void {
    if (this.#swim === undefined) return
    for (const effect of this.#swim.handle(event, this.#host.localMs)) {
      switch (effect.kind) {
        case 'send':
          this.#sendDatagram(effect.address, effect.message)
          break
        case 'stream':
          this.#sendStream(effect.to, effect.message)
          break
        case 'verdict':
          this.#tell(effect.verdict)
          break
        case 'reached': // For the operator: nothing follows from it.
      }
    }
    if (this.#isLeaving && this.#swim.wakeAtMs === Infinity) {
      this.#host.crash('says good-bye and ends')
      return
    }
    this.#wake()
  }

  #wake(): void {
    const dueMs = this.#swim?.wakeAtMs ?? Infinity
    if (dueMs === Infinity) return
    const { nowMs, random } = this.#world
    const late = 0.001 + random() * TIMER_LATE_MS
    this.#alarm.set(Math.max(nowMs + 1, this.#host.clock.worldMs(dueMs) + late))
  }

  #tick(): void {
    if (this.#swim === undefined) return
    if (this.#swim.wakeAtMs <= this.#host.localMs) this.#handle({ kind: 'tick' })
    else this.#wake()
  }

  #tell(verdict: Verdict): void {
    const { node, kind } = verdict
    this.#world.story.add(
      this.#world.nowMs,
      this.#host.name,
      `holds ${this.#world.hostOf(node)?.name ?? node} for ${kind}`,
    )
    this.#host.judge(verdict)
  }

  #sendDatagram(address: ProbeAddress, message: SwimMessage): void {
    const { network } = this.#world
    const { node: from, address: route, link } = this.#host
    const to = this.#world.hostAt(address)
    if (to === undefined) return
    network.send(link, to.link, delayMs =>
      this.#world.after(delayMs, () =>
        to.liveness.hear({ kind: 'received', from, route, message }),
      ),
    )
  }

  /** Over a connection: late rather than lost, and only as fast as the main threads at both ends take it on. */
  #sendStream(node: NodeId, message: SwimMessage): void {
    const { nowMs, network } = this.#world
    const { main, link, node: from } = this.#host
    const to = this.#world.peerOf(this.#host, node)
    if (to === undefined) return
    if (main.freeAtMs > nowMs + HELD_MS) {
      this.#world.after(HELD_MS, () => this.hear({ kind: 'streams-held' }))
    }
    const { life } = to
    main.run(() => {
      const delayMs = network.streamMs(link, to.link)
      if (delayMs === undefined) return
      this.#world.after(delayMs, () =>
        to.main.run(() => {
          if (to.life !== life) return
          to.liveness.hear({ kind: 'received', from, route: 'stream', message })
        }),
      )
    })
  }
}
