/**
 * The thread that answers probes. It has its own socket and does nothing else, so that a busy
 * main thread does not make a healthy node look dead.
 *
 * @module
 */

import { parentPort, workerData } from 'node:worker_threads'
import type { NodeId } from '../../model/ids.ts'
import { createRandom } from '../../util/random.ts'
import { createCodec } from './codec.ts'
import { openProbeSocket } from './probe-socket.ts'
import type { SwimEvent } from './swim-event.ts'
import type { Route } from './swim-message.ts'
import { Swim } from './swim.ts'
import {
  COUNTERS,
  type CounterName,
  type FromWorker,
  type ToWorker,
  type WorkerInit,
} from './worker-protocol.ts'

/** A stream that the main thread has not taken on for so long, in milliseconds, does not get out: no answer to it proves nothing. */
const HELD_MS = 60

/** The answers to a message that came by stream: they go back the same way. */
interface Answers {
  readonly to: NodeId
  readonly datagrams: Uint8Array[]
}

/** Runs the worker: binds, then turns datagrams, time and the main thread's messages into events of {@link Swim}. */
function run(
  init: WorkerInit,
  tellMain: (message: FromWorker) => void,
): (message: ToWorker) => void {
  const { self, psk, bind, incarnation, options, seed } = init
  const counters = new Float64Array(init.counters)
  const codec = createCodec({ self, psk })
  const swim = new Swim({
    self,
    incarnation,
    spokenWith: read('incarnation'),
    options,
    random: seed === undefined ? Math.random : createRandom(seed),
    nowMs: performance.now(),
  })
  const stallsBefore = read('stalls')
  let members: ReadonlySet<NodeId> = new Set()
  let timer: NodeJS.Timeout | undefined
  let timerAtMs = Infinity
  let isSettingTimer = false
  let isLeaving = false
  /** When the streams were handed to the main thread that it has not taken on yet. */
  const untaken: number[] = []

  const socket = openProbeSocket(bind, {
    onListening: port => tellMain({ kind: 'listening', port }),
    onFailed: message => tellMain({ kind: 'bind-failed', message }),
    onDatagram: (datagram, from) => {
      count('received')
      count('receivedBytes', datagram.length)
      receive(datagram, from)
    },
    onSendError: () => count('sendErrors'),
  })

  function count(name: CounterName, by = 1): void {
    write(name, read(name) + by)
  }

  function read(name: CounterName): number {
    return counters[COUNTERS.indexOf(name)]!
  }

  function write(name: CounterName, value: number): void {
    counters[COUNTERS.indexOf(name)] = value
  }

  function drive(event: SwimEvent, answers?: Answers): void {
    for (const effect of swim.handle(event, performance.now())) {
      switch (effect.kind) {
        case 'send': {
          const datagram = codec.seal(effect.message)
          count('sent')
          count('sentBytes', datagram.length)
          socket.send(datagram, effect.address)
          break
        }
        case 'stream': {
          // Of its own, for a message between threads takes all of the memory that a view is of.
          const datagram = new Uint8Array(codec.seal(effect.message))
          count('streamsSent')
          if (effect.to === answers?.to) answers.datagrams.push(datagram)
          else carry(effect.to, datagram, effect.mayDial)
          break
        }
        case 'verdict':
          tellMain({ kind: 'verdict', verdict: effect.verdict })
          break
        case 'reached':
          tellMain({ kind: 'reached', node: effect.node, by: effect.by })
          break
      }
    }
    write('health', swim.health)
    write('stalls', stallsBefore + swim.stalls)
    write('incarnation', swim.incarnation)
    if (event.kind === 'tick') scheduleSoon()
    else if (!isSettingTimer) schedule()
    if (isLeaving && swim.wakeAtMs === Infinity) tellMain({ kind: 'left' })
  }

  function carry(to: NodeId, datagram: Uint8Array, mayDial: boolean): void {
    untaken.push(performance.now())
    tellMain({ kind: 'stream-out', to, datagram, mayDial })
  }

  /** Sets the timer after one more look at the socket: on a LAN a probe is answered by then, and the timer for want of an answer, which Node would wake for all the same, is not set at all. */
  function scheduleSoon(): void {
    isSettingTimer = true
    setImmediate(() => {
      isSettingTimer = false
      schedule()
    })
  }

  function schedule(): void {
    const atMs = swim.wakeAtMs
    // A timer that is early costs nothing more: Node wakes for one that was cleared, too.
    if (atMs >= timerAtMs) return
    clearTimeout(timer)
    timerAtMs = atMs
    timer = setTimeout(onTimer, Math.max(0, Math.ceil(atMs - performance.now())))
  }

  function onTimer(): void {
    // What it was set for did not come, as when a probe was answered.
    if (untaken.length === 0 && swim.wakeAtMs > performance.now()) {
      timerAtMs = Infinity
      schedule()
      return
    }
    // Read what already arrived before time is called: an answer in the buffer is an answer.
    setImmediate(() => {
      timerAtMs = Infinity
      if (performance.now() - (untaken[0] ?? Infinity) > HELD_MS) drive({ kind: 'streams-held' })
      if (swim.wakeAtMs <= performance.now()) drive({ kind: 'tick' })
      else schedule()
    })
  }

  /** Opens what came, from whomever. What came by stream must be of the node at the other end of it. */
  function receive(datagram: Uint8Array, route: Route, by?: NodeId, answers?: Answers): void {
    const opened = codec.open(datagram)
    if ('dropped' in opened) {
      count(opened.dropped)
      return
    }
    const { from, message } = opened
    if (by !== undefined && by !== from) count('forged')
    else if (members.has(from)) drive({ kind: 'received', from, route, message }, answers)
    else count('stranger')
  }

  function receiveStream({ from, datagram, id }: Extract<ToWorker, { kind: 'stream-in' }>): void {
    count('streamsReceived')
    if (id === undefined) {
      receive(datagram, 'stream', from)
      return
    }
    const answers: Answers = { to: from, datagrams: [] }
    receive(datagram, 'stream', from, answers)
    tellMain({ kind: 'stream-answer', id, datagrams: answers.datagrams })
  }

  return message => {
    switch (message.kind) {
      case 'members':
        members = new Set(message.members.keys())
        drive(message)
        break
      case 'recall':
      case 'connection-up':
      case 'connection-lost':
        drive(message)
        break
      case 'stream-in':
        receiveStream(message)
        break
      case 'stream-taken':
        untaken.shift()
        break
      case 'leave':
        isLeaving = true
        drive({ kind: 'leaving' })
        break
    }
  }
}

const port = parentPort
if (port === null) throw new Error('worker.ts runs only as a worker of startLiveness')
// eslint-disable-next-line typescript/no-unsafe-type-assertion -- only start-worker.ts starts and posts to this file.
const receive = run(workerData as WorkerInit, message => port.postMessage(message))
port.on('message', receive)
