/**
 * A thread that answers DNS from zones of its own, so that whatever keeps the main
 * thread busy delays no answer.
 *
 * @module
 */

import { parentPort, workerData } from 'node:worker_threads'
import { randomInt } from 'node:crypto'
import { createCookies, secretsFrom } from '../cookies.ts'
import { createForwarder, type Forwarder } from '../forward/forwarder.ts'
import { followResolvConf } from '../forward/host-resolvers.ts'
import { createNetworks } from '../networks.ts'
import { onceAMinute } from '../once-a-minute.ts'
import { SIPHASH_KEY_BYTES } from '../siphash.ts'
import { startDnsServer } from '../start-dns-server.ts'
import { createTally } from '../tally.ts'
import { applyChange } from '../zone-change.ts'
import { createZone } from '../zone.ts'
import type { DnsWorkerInit, FromDnsWorker, ToDnsWorker } from './worker-protocol.ts'

/** Runs the thread: makes changes as they come, and answers once it is told to. */
function run(
  init: DnsWorkerInit,
  tellMain: (message: FromDnsWorker) => void,
): (message: ToDnsWorker) => void {
  const zone = createZone(init.view)
  const cookies = createCookies(secretsFrom(init.secret))
  const forwarder = openForwarder(init, () => listeningPort, tellMain)
  let listeningPort = 0

  async function listen(): Promise<void> {
    const { addresses, port, reusePort, tally, answersPerSecond, identity } = init
    try {
      const server = await startDnsServer({
        addresses,
        port,
        reusePort,
        names: zone,
        tally,
        answersPerSecond,
        identity,
        ...(forwarder && { forward: forwarder.forward }),
        cookies: { jar: cookies, nowSeconds: () => Date.now() / 1000 },
        clients: {
          local: createNetworks(init.local),
          home: createNetworks(init.home),
          transfer: createNetworks(init.transfer),
          seed: randomInt(2 ** 32),
        },
        onError: error => tellMain({ kind: 'log', message: 'the DNS server had an error', error }),
      })
      listeningPort = server.port
      tellMain({ kind: 'listening', port: listeningPort })
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error
      tellMain({ kind: 'listen-failed', message: error.message, code: String(error.code) })
    }
  }

  return message => {
    switch (message.kind) {
      case 'changes':
        for (const change of message.changes) applyChange(zone, change)
        break
      case 'looped':
        forwarder?.looped(message.upstream)
        break
      case 'listen':
        void listen()
    }
  }
}

function openForwarder(
  { forward, addresses, local, secret, tally }: DnsWorkerInit,
  ownPort: () => number,
  tellMain: (message: FromDnsWorker) => void,
): Forwarder | undefined {
  if (forward === undefined) return undefined
  const own = new Set(addresses.some(isEveryAddress) ? [...addresses, ...local] : addresses)
  const forwarder = createForwarder({
    plan: forward.plan,
    hostResolvers: followResolvConf(forward.resolvConf, now, () => forwarder.clear()),
    isSelf: ({ address, port }) => port === ownPort() && own.has(address),
    secret: secret.subarray(0, SIPHASH_KEY_BYTES),
    tally: createTally(tally),
    nowMs: now,
    onLoop: upstream => tellMain({ kind: 'looped', upstream }),
    onBroken: onceAMinute(cause => {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      tellMain({ kind: 'log', message: 'other domains cannot be asked for', error })
    }, now),
  })
  return forwarder
}

function now(): number {
  return performance.now()
}

function isEveryAddress(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

const port = parentPort
if (port === null) throw new Error('worker.ts runs only as a thread of startDns')
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only start-dns-worker.ts starts and posts to this file.
const receive = run(workerData as DnsWorkerInit, message => port.postMessage(message))
port.on('message', receive)
