import { networkInterfaces } from 'node:os'
import type { Logger } from 'pino'
import type { DnsView } from '../dns/dns-view.ts'
import { asksNobody, parseForwardPlan } from '../dns/forward/forward-plan.ts'
import { LOOPBACK_NETWORKS, PRIVATE_NETWORKS } from '../dns/networks.ts'
import { isPortUnavailable } from '../dns/start-dns-server.ts'
import { startDns, type Dns, type DnsOptions } from '../dns/worker/start-dns.ts'
import { explainListen } from './explain-listen.ts'
import {
  bindAddress,
  DEFAULT_DNS_PORT,
  FALLBACK_DNS_PORT,
  listenAddresses,
  type NodeOptions,
} from './options.ts'
import { VERSION } from './version.ts'

/** What Docker, Podman and CNI call their bridges. */
const BRIDGE_NAME = /^(?:docker\d+|docker_gwbridge|br-[0-9a-f]{12}|podman\d+|cni-?\w*)$/

/**
 * Starts the DNS server on the advertised address: on the port that was asked for,
 * else on 53, else, where that may not be bound, on 7453 with a warning.
 *
 * @throws {Error} When the port that was asked for, or both of the others, cannot be bound.
 */
export async function openDns(options: NodeOptions, view: DnsView, log: Logger): Promise<Dns> {
  const bind = bindAddress(options.advertise)
  const rules = dnsRules(options, ownInterfaces())
  const start = async (port: number): Promise<Dns> =>
    await startDns({
      addresses: listenAddresses(options),
      port,
      view,
      identity: { name: options.name, version: `Shoal ${VERSION}` },
      ...rules,
      log: (message, error) => log.error(error === undefined ? {} : { err: error }, message),
    })
  const { dnsPort } = options
  if (dnsPort !== undefined) {
    const listening = { what: 'DNS', address: bind, port: dnsPort, flag: '--dns-port' }
    return await explainListen(listening, async () => await start(dnsPort))
  }
  try {
    return await start(DEFAULT_DNS_PORT)
  } catch (error) {
    if (!isPortUnavailable(error)) throw error
    log.warn(
      { port: FALLBACK_DNS_PORT },
      `port ${DEFAULT_DNS_PORT} may not be bound: DNS is on ${FALLBACK_DNS_PORT}; resolvers must be told so, or run as root with the port free`,
    )
    const listening = { what: 'DNS', address: bind, port: FALLBACK_DNS_PORT, flag: '--dns-port' }
    return await explainListen(listening, async () => await start(FALLBACK_DNS_PORT))
  }
}

/** An address of this machine. */
export interface OwnInterface {
  readonly name: string
  readonly address: string
  /** Nothing where the system does not tell the length of the prefix. */
  readonly cidr: string | null
}

/**
 * Who may what, how often, and who is asked about other domains: what the options say, and where they say
 * nothing, what `own` does.
 */
export function dnsRules(
  options: Pick<
    NodeOptions,
    'dnsForward' | 'dnsAllow' | 'dnsTransfer' | 'dnsWorkers' | 'dnsRateLimit'
  >,
  own: readonly OwnInterface[],
): Pick<DnsOptions, 'workers' | 'answersPerSecond' | 'local' | 'home' | 'transfer' | 'forward'> {
  const local = own.map(({ address }) => address)
  const plan = parseForwardPlan(options.dnsForward)
  return {
    workers: options.dnsWorkers,
    answersPerSecond: options.dnsRateLimit,
    local,
    home: options.dnsAllow ?? [...PRIVATE_NETWORKS, ...bridgeNetworks(own)],
    transfer: [...LOOPBACK_NETWORKS, ...local, ...options.dnsTransfer],
    ...(!asksNobody(plan) && { forward: plan }),
  }
}

function ownInterfaces(): OwnInterface[] {
  return Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).map(({ address, cidr }) => ({ name, address, cidr })),
  )
}

/** The networks that container engines have made on this machine: whatever addresses they have, who is there is at home. */
function bridgeNetworks(own: readonly OwnInterface[]): string[] {
  return own.flatMap(({ name, cidr }) => (BRIDGE_NAME.test(name) && cidr !== null ? [cidr] : []))
}
