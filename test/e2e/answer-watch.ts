import { createConnection, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { query } from '../../src/dns/query.ts'
import { TYPE } from '../../src/dns/records.ts'
import type { Daemon } from './loopback-cluster.ts'

/** Between an answer and the next question to the same server: a hundred a second, half of what one client may ask. */
const PAUSE_MS = 10

/** What an {@link AnswerWatch} has seen. */
export interface Watched {
  /** Answers that came, of all servers together. */
  readonly answers: number
  /** Every place that was ever named, as `address:port`. */
  readonly places: ReadonlySet<string>
  /** What was wrong with an answer, in words; an answer that is like the one before is told once. */
  readonly faults: readonly string[]
}

/** Where an answer sent clients to, for as long as somebody listens there. */
interface Place {
  socket: Socket
  /** Until when an answer that names it may be used, by `performance.now()`. */
  goodUntilMs: number
}

/**
 * Asks the DNS servers of several daemons for one service over UDP, all the time, and holds every single answer to what
 * make before break promises, with no time in which less would do:
 *
 * - It names each slot of the app, exactly once. The new task of a slot has served for the app's monitor window before
 *   the old one leaves DNS, and news takes less than that; of two that serve, DNS names one.
 * - What it names takes connections until the answer is out of date. A task leaves DNS 1.5 s before it is stopped
 *   (`CLIENTS_MS`); an answer lasts for a second of that, and so the news may take the other half.
 *
 * An answer is taken to be as old as its question, so a busy test process finds no fault that is its own. That somebody
 * still listens is known from a connection that is kept open to each place.
 */
export class AnswerWatch {
  readonly #name: string
  readonly #slots: number
  readonly #over = new AbortController()
  readonly #asking: readonly Promise<void>[]
  readonly #open = new Map<string, Place>()
  readonly #places = new Set<string>()
  readonly #faults: string[] = []
  #answers = 0

  /** @param name The service, as `_web-shop._tcp.shoal`. @param slots How many instances the app has. */
  constructor(daemons: readonly Daemon[], name: string, slots: number) {
    this.#name = name
    this.#slots = slots
    this.#asking = daemons.map(async daemon => await this.#ask(daemon))
  }

  /** Ends the watch. Gives what it saw. */
  async stop(): Promise<Watched> {
    this.#over.abort()
    await Promise.all(this.#asking)
    for (const { socket } of this.#open.values()) socket.destroy()
    return { answers: this.#answers, places: this.#places, faults: this.#faults }
  }

  async #ask({ name: daemon, address, ports }: Daemon): Promise<void> {
    let lastFault = ''
    while (!this.#over.signal.aborted) {
      const askedMs = performance.now()
      const fault = await this.#answer({ address, port: ports.dns }, askedMs).catch(String)
      if (fault !== lastFault && fault !== '') this.#faults.push(`${daemon}: ${fault}`)
      lastFault = fault
      await pause(PAUSE_MS)
    }
  }

  /** One question and its answer. Gives what is wrong with that; empty when all is well. */
  async #answer(
    server: { readonly address: string; readonly port: number },
    askedMs: number,
  ): Promise<string> {
    const { answers, additionals } = await query(this.#name, TYPE.SRV, server)
    this.#answers++
    const addresses = new Map(
      additionals.flatMap(record =>
        record.type === 'A' ? [[record.name, record.address] as const] : [],
      ),
    )
    const records = answers.filter(record => record.type === 'SRV')
    for (const { target, port, ttlSeconds } of records) {
      this.#follow(`${addresses.get(target)}:${port}`, askedMs + 1_000 * ttlSeconds)
    }
    const targets = new Set(records.map(({ target }) => target))
    if (records.length === this.#slots && targets.size === this.#slots) return ''
    return `names ${targets.size} slots of ${this.#slots}, in ${records.length} records: ${[...targets].toSorted().join(' ')}`
  }

  #follow(name: string, goodUntilMs: number): void {
    this.#places.add(name)
    const place = this.#open.get(name)
    if (place !== undefined) place.goodUntilMs = Math.max(place.goodUntilMs, goodUntilMs)
    else this.#open.set(name, { goodUntilMs, socket: this.#connect(name, performance.now()) })
  }

  /** Connects to a place. `goneMs`: when it was known last that nobody may be there any more. */
  #connect(name: string, goneMs: number): Socket {
    const [address = '', port] = name.split(':')
    const socket = createConnection({ host: address, port: Number(port) })
    let isConnected = false
    socket.once('connect', () => (isConnected = true))
    // Refused, or reset by a process that was killed: `close` follows.
    socket.on('error', () => undefined)
    socket.once('close', () => {
      const place = this.#open.get(name)
      if (place === undefined || this.#over.signal.aborted) return
      // A server may hang up on who asks nothing: only who cannot connect again knows that it has ended.
      if (isConnected) place.socket = this.#connect(name, performance.now())
      else this.#ended(name, place, goneMs)
    })
    return socket
  }

  #ended(name: string, { goodUntilMs }: Place, goneMs: number): void {
    this.#open.delete(name)
    const leftMs = goodUntilMs - goneMs
    if (leftMs > 0) {
      this.#faults.push(
        `${name} ended ${Math.round(leftMs)} ms before the last answer that names it was out of date`,
      )
    }
  }
}
