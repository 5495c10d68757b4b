/** Our DNS as the daemon runs it, in threads of a process of its own, so that its processor time and memory can be told. */

import { query } from '../../src/dns/query.ts'
import { TYPE } from '../../src/dns/records.ts'
import { startDns, type Dns } from '../../src/dns/worker/start-dns.ts'
import { askedApps, makeBenchApp, makeBenchView } from './dns-names.ts'

/** What the child is to hold, as its argument. */
export interface DnsChildInput {
  readonly apps: 'asked' | 'none' | { readonly count: number; readonly slots: number }
  readonly workers: number
}

/** What the child is told to do; it answers each with a number or a list of them. */
export type DnsChildOrder =
  /** Keeps the main thread busy. */
  | { readonly kind: 'stall'; readonly ms: number }
  /** Changes one app so often. Answers how long it took each time, in ms, until the answer was the new one. */
  | {
      readonly kind: 'update'
      readonly index: number
      readonly slots: number
      readonly rounds: number
    }
  /** Answers what the process holds, in bytes. */
  | { readonly kind: 'memory' }

const ADDRESS = '127.0.0.1'
/** An update that is not answered by then is a fault, in ms. */
const UPDATE_DEADLINE_MS = 5_000

async function main(text: string): Promise<void> {
  const { apps, workers } = JSON.parse(text) as DnsChildInput
  const dns = await startDns({
    addresses: [ADDRESS],
    port: 0,
    view: makeBenchView(appsOf(apps)),
    identity: { name: 'n1', version: 'Shoal bench' },
    workers,
    log: message => process.stderr.write(`${message}\n`),
  })
  process.on('message', order => void obey(order as DnsChildOrder, dns))
  process.on('disconnect', () => process.exit(0))
  process.send!(dns.port)
}

function appsOf(apps: DnsChildInput['apps']): ReturnType<typeof askedApps> {
  if (apps === 'asked') return askedApps()
  if (apps === 'none') return []
  return Array.from({ length: apps.count }, (_, index) => makeBenchApp(index, apps.slots))
}

async function obey(order: DnsChildOrder, dns: Dns): Promise<void> {
  switch (order.kind) {
    case 'stall': {
      const end = performance.now() + order.ms
      let turns = 0
      while (performance.now() < end) turns++
      process.send!(turns)
      break
    }
    case 'update':
      process.send!(await update(order, dns))
      break
    case 'memory':
      globalThis.gc?.()
      process.send!(process.memoryUsage.rss())
  }
}

async function update(
  { index, slots, rounds }: DnsChildOrder & { kind: 'update' },
  dns: Dns,
): Promise<number[]> {
  const to = { address: ADDRESS, port: dns.port, timeoutMs: UPDATE_DEADLINE_MS }
  const tookMs: number[] = []
  for (let round = 0; round < rounds; round++) {
    const app = makeBenchApp(index, slots, 11 + (round % 2))
    const wanted = app.tasks[0]!.addresses[0]
    const startMs = performance.now()
    dns.apply([{ kind: 'app', app }])
    for (let isNew = false; !isNew;) {
      // oxlint-disable-next-line no-await-in-loop -- until it is the new one
      const { answers } = await query(`0.a${index}.shoal`, TYPE.A, to)
      isNew = answers.some(one => one.type === 'A' && one.address === wanted)
      if (performance.now() - startMs > UPDATE_DEADLINE_MS) throw new Error('no update came')
    }
    tookMs.push(performance.now() - startMs)
  }
  return tookMs
}

await main(process.argv[2] ?? '')
