/**
 * The thread that answers probes. It has its own socket and does nothing else, so that a busy
 * main thread does not make a healthy node look dead.
 *
 * @module
 */

import { createSocket, type RemoteInfo } from 'node:dgram'
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import type { NodeId } from '../../model/ids.ts'
import { createRandom } from '../../util/random.ts'
import { createCodec } from './codec.ts'
import type { ProbeAddress, SwimMessage } from './swim-message.ts'
import type { SwimEvent } from './swim-event.ts'
import { Swim } from './swim.ts'
import {
  COUNTERS,
  type CounterName,
  type FromWorker,
  type ToWorker,
  type WorkerInit,
} from './worker-protocol.ts'

const IPV4_IN_IPV6 = '::ffff:'

/** Runs the worker: binds, then turns datagrams, time and the main thread's messages into events of {@link Swim}. */
function run(
  init: WorkerInit,
  tellMain: (message: FromWorker) => void,
): (message: ToWorker) => void {
  const { self, psk, bind, incarnation, options, seed } = init
  const counters = new Float64Array(init.counters)
  const codec = createCodec({ self, psk })
  const random = seed === undefined ? Math.random : createRandom(seed)
  const swim = new Swim({ self, incarnation, options, random, nowMs: performance.now() })
  const type = isIPv6(bind.address) ? 'udp6' : 'udp4'
  const socket = createSocket({ type, lookup: lookupAddress })
  let members: ReadonlySet<NodeId> = new Set()
  let timer: NodeJS.Timeout | undefined
  let timerAtMs = Infinity
  let isLeaving = false

  function count(name: CounterName, by = 1): void {
    counters[COUNTERS.indexOf(name)]! += by
  }

  function drive(event: SwimEvent): void {
    for (const effect of swim.handle(event, performance.now())) {
      if (effect.kind === 'send') send(effect.address, effect.message)
      else tellMain({ kind: 'verdict', verdict: effect.verdict })
    }
    counters[COUNTERS.indexOf('health')] = swim.health
    counters[COUNTERS.indexOf('stalls')] = swim.stalls
    schedule()
    if (isLeaving && swim.wakeAtMs === Infinity) tellMain({ kind: 'left' })
  }

  function schedule(): void {
    const atMs = swim.wakeAtMs
    if (atMs === timerAtMs) return
    clearTimeout(timer)
    timerAtMs = atMs
    if (atMs === Infinity) return
    timer = setTimeout(onTimer, Math.max(0, Math.ceil(atMs - performance.now())))
  }

  function onTimer(): void {
    // Read what already arrived before time is called: an answer in the buffer is an answer.
    setImmediate(() => {
      timerAtMs = Infinity
      if (swim.wakeAtMs <= performance.now()) drive({ kind: 'tick' })
      else schedule()
    })
  }

  function send({ address, port }: ProbeAddress, message: SwimMessage): void {
    const datagram = codec.seal(message)
    const target = type === 'udp6' && isIPv4(address) ? IPV4_IN_IPV6 + address : address
    try {
      socket.send(datagram, port, target, error => {
        if (error !== null) count('sendErrors')
      })
    } catch {
      // A port that no socket can send to: whoever announced it will count as dead.
      count('sendErrors')
      return
    }
    count('sent')
    count('sentBytes', datagram.length)
  }

  function onDatagram(datagram: Buffer, { address, port }: RemoteInfo): void {
    count('received')
    count('receivedBytes', datagram.length)
    const opened = codec.open(datagram)
    if ('dropped' in opened) {
      count(opened.dropped)
      return
    }
    const { from, message } = opened
    if (!members.has(from)) {
      count('stranger')
      return
    }
    const plain = address.startsWith(IPV4_IN_IPV6) ? address.slice(IPV4_IN_IPV6.length) : address
    drive({ kind: 'received', from, address: { address: plain, port }, message })
  }

  socket.once('error', error => tellMain({ kind: 'bind-failed', message: error.message }))
  socket.bind({ address: bind.address, port: bind.port, exclusive: true }, () => {
    socket.removeAllListeners('error')
    // From here on an error is one of the network (ICMP): that datagram is lost, nothing else.
    socket.on('error', () => count('sendErrors'))
    socket.on('message', onDatagram)
    tellMain({ kind: 'listening', port: socket.address().port })
  })

  return message => {
    switch (message.kind) {
      case 'members':
        members = new Set(message.members.keys())
        drive({ kind: 'members', members: message.members })
        break
      case 'connection-lost':
        drive({ kind: 'connection-lost', node: message.node })
        break
      case 'leave':
        isLeaving = true
        drive({ kind: 'leaving' })
        break
    }
  }
}

/** Addresses are numbers here; names are not looked up, because a resolver can hang. */
function lookupAddress(
  host: string,
  _options: unknown,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  const family = isIP(host)
  const error = family === 0 ? new Error(`Not an IP address: ${host}`) : null
  done(error, host, family)
}

const port = parentPort
if (port === null) throw new Error('worker.ts runs only as a worker of startLiveness')
// eslint-disable-next-line typescript/no-unsafe-type-assertion -- only start-liveness.ts starts and posts to this file.
const receive = run(workerData as WorkerInit, message => port.postMessage(message))
port.on('message', receive)
