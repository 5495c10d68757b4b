/**
 * A thread that answers DNS from zones of its own, so that whatever keeps the main
 * thread busy delays no answer.
 *
 * @module
 */

import { parentPort, workerData } from 'node:worker_threads'
import { randomInt } from 'node:crypto'
import { createCookies, secretsFrom } from '../cookies.ts'
import { createNetworks } from '../networks.ts'
import { startDnsServer } from '../start-dns-server.ts'
import { applyChange } from '../zone-change.ts'
import { createZone } from '../zone.ts'
import type { DnsWorkerInit, FromDnsWorker, ToDnsWorker } from './worker-protocol.ts'

/** Runs the thread: makes changes as they come, and answers once it is told to. */
function run(
  init: DnsWorkerInit,
  tellMain: (message: FromDnsWorker) => void,
): (message: ToDnsWorker) => void {
  const zone = createZone(init.view)
  const cookies = createCookies(secretsFrom(init.cookieSecret))

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
        cookies: { jar: cookies, nowSeconds: () => Date.now() / 1000 },
        clients: {
          local: createNetworks(init.local),
          home: createNetworks(init.home),
          transfer: createNetworks(init.transfer),
          seed: randomInt(2 ** 32),
        },
        onError: error => tellMain({ kind: 'log', message: 'the DNS server had an error', error }),
      })
      tellMain({ kind: 'listening', port: server.port })
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
      case 'listen':
        void listen()
    }
  }
}

const port = parentPort
if (port === null) throw new Error('worker.ts runs only as a thread of startDns')
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only start-dns-worker.ts starts and posts to this file.
const receive = run(workerData as DnsWorkerInit, message => port.postMessage(message))
port.on('message', receive)
