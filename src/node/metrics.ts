import type { Gauge, Registry } from 'prom-client'
import type { Dns } from '../dns/worker/start-dns.ts'
import type { Liveness } from '../gossip/liveness/start-liveness.ts'
import type { Transport } from '../gossip/transport.ts'
import { TASK_STATES } from '../model/task.ts'
import { dnsMetrics } from './dns-metrics.ts'
import type { NodeMachine } from './machine/node-machine.ts'
import { FAULTS } from './machine/refused-messages.ts'
import type { Stalls } from './stall-watch.ts'

/** What is measured. */
export interface MetricsOptions {
  readonly machine: NodeMachine
  readonly dns: Pick<Dns, 'counters' | 'restarts'>
  readonly liveness: Liveness
  readonly transport: Transport
  /** Stalls of the main thread. */
  readonly stalls: () => Stalls
}

/**
 * Returns what prints the node's figures in Prometheus' text format. Everything is
 * read when it is asked for, and nothing is measured before somebody asks: an idle
 * daemon is to cost nothing.
 */
export function createMetrics(options: MetricsOptions): () => Promise<string> {
  let registry: Registry | undefined
  return async () => {
    registry ??= createRegistry(options, await import('prom-client'))
    return `${await registry.metrics()}\n${dnsMetrics(options.dns.counters())}`
  }
}

function createRegistry(
  { machine, dns, liveness, transport, stalls }: MetricsOptions,
  client: typeof import('prom-client'),
): Registry {
  const registry = new client.Registry()
  client.collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 50 })

  const gauge = (
    name: string,
    help: string,
    labelNames: string[],
    collect: (gauge: Gauge) => void,
  ): void => {
    const made: Gauge = new client.Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect: () => {
        made.reset()
        collect(made)
      },
    })
  }

  gauge('shoal_nodes', 'Admitted nodes by verdict.', ['verdict'], nodes => {
    for (const node of machine.doc.read().nodes.keys()) {
      nodes.inc({ verdict: machine.members.verdict(node)?.kind ?? 'unseen' })
    }
  })
  gauge('shoal_tasks', 'Tasks of this node by state.', ['state'], tasks => {
    for (const state of TASK_STATES) tasks.set({ state }, 0)
    for (const { state } of machine.book.get(machine.self)?.tasks ?? []) tasks.inc({ state })
  })
  gauge(
    'shoal_slots',
    'Slots of the cluster that have a place, and that have none.',
    ['placed'],
    slots => {
      const { placed, unplaced } = machine.placed.placement
      slots.set({ placed: 'yes' }, placed.size)
      slots.set({ placed: 'no' }, unplaced.size)
    },
  )
  gauge('shoal_document_bytes', 'Size of the desired document.', [], bytes => {
    bytes.set(machine.doc.stats().sizeBytes)
  })
  gauge('shoal_connections', 'Open connections to other nodes.', [], connections => {
    connections.set(transport.connected().length)
  })
  gauge(
    'shoal_liveness_dropped_total',
    'Datagrams that were thrown away, by reason.',
    ['reason'],
    dropped => {
      for (const [reason, count] of Object.entries(liveness.counters()))
        dropped.set({ reason }, count)
    },
  )
  gauge(
    'shoal_liveness_sent_total',
    'Liveness messages sent, by way: datagrams (UDP), and streams (TCP) where these do not get through.',
    ['way'],
    sent => {
      const { sent: datagrams, streamsSent } = liveness.traffic()
      sent.set({ way: 'datagram' }, datagrams)
      sent.set({ way: 'stream' }, streamsSent)
    },
  )
  gauge(
    'shoal_liveness_by_stream',
    'Nodes that UDP does not reach, and that are watched over TCP.',
    [],
    nodes => nodes.set(liveness.byStream().size),
  )
  gauge(
    'shoal_liveness_self_doubt',
    'How much this node doubts itself (local health of Lifeguard): 0 is well, and slows its probes above.',
    [],
    doubt => doubt.set(liveness.traffic().health),
  )
  gauge(
    'shoal_liveness_restarts_total',
    'How often the liveness worker broke and was started again.',
    [],
    restarts => restarts.set(liveness.restarts()),
  )
  gauge(
    'shoal_dns_restarts_total',
    'How often a DNS thread broke and was started again.',
    [],
    restarts => restarts.set(dns.restarts()),
  )
  gauge(
    'shoal_stalls_total',
    'How often a thread did not run when it was due: the main one for 250 ms, the liveness worker for 60 ms.',
    ['thread'],
    found => {
      found.set({ thread: 'main' }, stalls().count)
      found.set({ thread: 'liveness' }, liveness.traffic().stalls)
    },
  )
  gauge('shoal_stalled_seconds_total', 'For how long the main thread did not run.', [], seconds =>
    seconds.set(stalls().totalMs / 1000),
  )
  gauge('shoal_longest_stall_seconds', 'The longest stall of the main thread.', [], seconds =>
    seconds.set(stalls().longestMs / 1000),
  )
  gauge(
    'shoal_messages_refused_total',
    'Messages and records of other nodes that were not taken, by reason.',
    ['reason'],
    refused => {
      for (const reason of FAULTS) refused.set({ reason }, machine.refused.count(reason))
    },
  )

  return registry
}
