import { networkInterfaces } from 'node:os'
import type { Logger } from 'pino'
import type { DnsView } from '../dns/dns-view.ts'
import { isPortUnavailable } from '../dns/start-dns-server.ts'
import { startDns, type Dns } from '../dns/worker/start-dns.ts'
import { explainListen } from './explain-listen.ts'
import { bindAddress, DEFAULT_DNS_PORT, FALLBACK_DNS_PORT, type NodeOptions } from './options.ts'
import { VERSION } from './version.ts'

/**
 * Starts the DNS server on the advertised address: on the port that was asked for,
 * else on 53, else, where that may not be bound, on 7453 with a warning.
 *
 * @throws {Error} When the port that was asked for, or both of the others, cannot be bound.
 */
export async function openDns(options: NodeOptions, view: DnsView, log: Logger): Promise<Dns> {
  const bind = bindAddress(options.advertise)
  const start = async (port: number): Promise<Dns> =>
    await startDns({
      addresses: [...new Set([bind, ...options.advertiseAlso.map(bindAddress)])],
      port,
      view,
      identity: { name: options.name, version: `Shoal ${VERSION}` },
      local: ownAddresses(),
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

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap(list =>
    (list ?? []).map(({ address }) => address),
  )
}
