import type { Test } from 'tap'
import type { Relayed } from '../../../src/dns/answerer.ts'
import { ANYBODY, type Client } from '../../../src/dns/clients.ts'
import {
  createForwarder,
  type Forwarder,
  type ForwarderOptions,
} from '../../../src/dns/forward/forwarder.ts'
import { encodeQuery } from '../../../src/dns/query.ts'
import { TYPE } from '../../../src/dns/records.ts'
import {
  createTally,
  createTallyMemory,
  readTallies,
  type DnsCounters,
} from '../../../src/dns/tally.ts'
import type { FakeResolver } from './fake-resolver.ts'

/** A forwarder of a test, and how to ask it. */
export interface Rig {
  readonly forwarder: Forwarder
  readonly loops: string[]
  readonly counters: () => DnsCounters
  readonly ask: (
    name: string,
    options?: AskOptions,
  ) => Promise<Relayed & { source: 'cache' | 'forward' }>
  /** The addresses that a name is said to have, by their last byte. */
  readonly lastBytes: (name: string) => Promise<number[]>
}

interface AskOptions {
  readonly type?: number
  readonly client?: Client
  readonly change?: (query: Buffer) => void
}

/** Makes a forwarder that asks `upstreams` about everything. A fault of it fails the test. */
export function makeRig(
  t: Test,
  upstreams: readonly FakeResolver[],
  more: Partial<ForwarderOptions> = {},
): Rig {
  const memory = createTallyMemory()
  const loops: string[] = []
  const forwarder = createForwarder({
    plan: { fallback: upstreams, zones: new Map() },
    hostResolvers: () => [],
    isSelf: () => false,
    secret: Buffer.alloc(16, 7),
    tally: createTally(memory),
    nowMs: () => performance.now(),
    onLoop: upstream => loops.push(upstream),
    onBroken: error => {
      throw error
    },
    ...more,
  })
  t.teardown(() => forwarder.close())
  const ask: Rig['ask'] = async (name, { type = TYPE.A, client = ANYBODY, change } = {}) => {
    const query = encodeQuery(name, type, 1_232)
    change?.(query)
    const { promise, resolve } = Promise.withResolvers<Relayed & { source: 'cache' | 'forward' }>()
    forwarder.forward(query, client, (relayed, source) => resolve({ ...relayed, source }))
    return await promise
  }
  return {
    forwarder,
    loops,
    counters: () => readTallies([memory]),
    ask,
    lastBytes: async name => {
      const { records, counts } = await ask(name)
      return Array.from({ length: counts[0] }, (_, index) => records[16 * index + 15]!)
    },
  }
}
