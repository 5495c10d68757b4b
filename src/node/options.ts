import { statfsSync } from 'node:fs'
import { availableParallelism, homedir, hostname, networkInterfaces, totalmem } from 'node:os'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { parseForwardPlan } from '../dns/forward/forward-plan.ts'
import type { LabelRule } from '../dns/labels.ts'
import { isNetwork } from '../dns/networks.ts'
import { isDnsLabel } from '../model/app.ts'
import { ADDRESSES_MAX, type Capacity } from '../model/node-record.ts'

/** Gossip (TCP) and liveness (UDP) share this port number by default. */
export const DEFAULT_PORT = 7440

/** Where Marathon's users, and a `kubectl` without a kubeconfig, look. */
export const DEFAULT_API_PORT = 8080

/** The port of DNS, and the one that is taken where that may not be bound. */
export const DEFAULT_DNS_PORT = 53
/** The port of DNS where {@link DEFAULT_DNS_PORT} is taken, or needs rights that the daemon has not. */
export const FALLBACK_DNS_PORT = 7453

/** The name of the cluster's own zone. */
export const DOMAIN = 'shoal'

/** Where Mesos-DNS has its names. No real top-level domain, so it stands in nobody's way. */
export const DEFAULT_MESOS_DOMAIN = 'mesos'

/** Short, because DNS is how clients learn that a task is gone. */
export const DEFAULT_DNS_TTL_SECONDS = 1

/** Longer than this, a dead task is asked for longer than Mesos-DNS's minute. */
const DNS_TTL_SECONDS_MAX = 60

/** Each holds zones of its own; a machine that needs more than this answers several hundred thousand queries a second. */
const DNS_WORKERS_MAX = 16

/** Everything that can be chosen about a node. Composed here, and read nowhere else. */
export interface NodeOptions {
  /** The node's folder: key, document, socket, processes' logs. @default /var/lib/shoal for root, else ~/.local/share/shoal */
  readonly dataDir: string
  /** The node's name in `ps` and in DNS: one label. Must be unique in the cluster. @default the host's name */
  readonly name: string
  /** The IP address that the other nodes and the clients reach this machine at. @default the first that is not loopback */
  readonly advertise: string
  /**
   * More addresses that clients reach this machine at, of the other kind of IP most of all: DNS listens there, and tells them
   * for the node and for its containers. Never taken by itself: an address that not every client has a way to is worse than none.
   *
   * @default none
   */
  readonly advertiseAlso: readonly string[]
  /** TCP port of gossip and UDP port of liveness; 0 takes free ones. @default 7440 */
  readonly port: number
  /** Port of the HTTP API on 127.0.0.1; 0 takes a free one. @default 8080 */
  readonly apiPort: number
  /** Port of DNS on the advertised address; 0 takes a free one. Nothing: 53, or 7453 where 53 may not be bound. */
  readonly dnsPort: number | undefined
  /** How long clients may keep an answer of DNS, in seconds: what is out of date for so long at most. More means fewer queries. @default 1 */
  readonly dnsTtlSeconds: number
  /** The second domain, with the names of Mesos-DNS; `none` for no such names. @default mesos */
  readonly mesosDomain: string
  /** Who is asked about other domains, one text for each resolver: see `FORWARD_RULE`. @default those of /etc/resolv.conf */
  readonly dnsForward: readonly string[]
  /**
   * The networks of our own clients (`10.0.0.0/8`): they may ask for other domains, and get more answers than strangers.
   *
   * @default private and link-local networks, and those of this machine's container bridges
   */
  readonly dnsAllow: readonly string[] | undefined
  /** The networks that whole zones may be read from (AXFR). @default this machine alone */
  readonly dnsTransfer: readonly string[]
  /** Threads that answer DNS. Two answer almost twice as much, where there are processors for them, and hold everything twice. @default 1 */
  readonly dnsWorkers: number
  /** UDP answers of one kind to one network of strangers each second, so that nobody is flooded through us; 0 for no limit. @default 200 */
  readonly dnsRateLimit: number
  /** What labels may be there: `rfc952` for clients whose Mesos-DNS had `enforceRFC952`. @default rfc1123 */
  readonly mesosLabels: LabelRule
  /**
   * Port of HTTP discovery on the advertised address: Mesos-DNS's `/v1/…` (8123 there) and Prometheus' targets.
   * Off by default: it is for those whose programs ask there, and each open port is one more to guard.
   *
   * @default no
   */
  readonly discoveryPort: number | undefined
  /** The Docker engine's socket, or `none`. @default /var/run/docker.sock */
  readonly docker: string
  /** What constraints can ask for. `zone` also spreads an app's slots. @default {} */
  readonly labels: Readonly<Record<string, string>>
  /** The join token; without one, and without a cluster in `dataDir`, the node makes a new cluster. */
  readonly join: string | undefined
  /** Announce and look for nodes by multicast DNS on the LAN. @default true, but for loopback addresses */
  readonly mdns: boolean
  /** Announce and look on a DHT, which is public unless bootstrap nodes (`host:port`) are given. @default no */
  readonly dht: { readonly bootstrap: readonly string[] } | undefined
}

/** What a person may give; the rest is filled in. */
export type NodeChoices = Partial<NodeOptions>

/** A choice that cannot be. The message is one line that says what to do. */
export class OptionError extends Error {
  override readonly name = 'OptionError'
}

/**
 * Fills in the defaults.
 *
 * @throws {OptionError} When a choice makes no sense.
 */
export function nodeOptions(choices: NodeChoices): NodeOptions {
  const advertise = choices.advertise ?? firstAddress()
  if (isIP(advertise) === 0) {
    throw new OptionError(`--advertise must be an IP address of this machine, got ${advertise}`)
  }
  const advertiseAlso = choices.advertiseAlso ?? []
  if (advertiseAlso.length > ADDRESSES_MAX || !advertiseAlso.every(one => isIP(one) !== 0)) {
    throw new OptionError(
      `--advertise must be IP addresses of this machine, at most ${ADDRESSES_MAX + 1}, got ${[advertise, ...advertiseAlso].join(' ')}`,
    )
  }
  const name = (choices.name ?? hostname().split('.')[0]!).toLowerCase()
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
    throw new OptionError(
      `--name must be a DNS label (letters, digits and "-", at most 63), got ${name}`,
    )
  }
  for (const [flag, port] of [
    ['--port', choices.port],
    ['--api-port', choices.apiPort],
    ['--dns-port', choices.dnsPort],
    ['--discovery-port', choices.discoveryPort],
  ] as const) {
    if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
      throw new OptionError(`${flag} must be a port from 0 to 65535, got ${port}`)
    }
  }
  return {
    dataDir: choices.dataDir ?? defaultDataDir(),
    name,
    advertise,
    advertiseAlso,
    port: choices.port ?? DEFAULT_PORT,
    apiPort: choices.apiPort ?? DEFAULT_API_PORT,
    dnsPort: choices.dnsPort,
    dnsTtlSeconds: checkCount(
      '--dns-ttl',
      choices.dnsTtlSeconds ?? DEFAULT_DNS_TTL_SECONDS,
      0,
      DNS_TTL_SECONDS_MAX,
    ),
    dnsForward: checkForward(choices.dnsForward ?? []),
    dnsAllow: choices.dnsAllow && checkNetworks('--dns-allow', choices.dnsAllow),
    dnsTransfer: checkNetworks('--dns-transfer', choices.dnsTransfer ?? []),
    dnsWorkers: checkCount('--dns-workers', choices.dnsWorkers ?? 1, 1, DNS_WORKERS_MAX),
    dnsRateLimit: checkCount('--dns-rate-limit', choices.dnsRateLimit ?? 200, 0, 1_000_000),
    mesosDomain: checkDomain(choices.mesosDomain ?? DEFAULT_MESOS_DOMAIN),
    mesosLabels: choices.mesosLabels ?? 'rfc1123',
    // 0 is no port here: nobody could be told which one was taken.
    discoveryPort: choices.discoveryPort || undefined,
    docker: choices.docker ?? '/var/run/docker.sock',
    labels: choices.labels ?? {},
    join: choices.join,
    mdns: choices.mdns ?? !isLoopback(advertise),
    dht: choices.dht,
  }
}

/** Where a daemon keeps its folder when nobody says where. */
export function defaultDataDir(): string {
  const chosen = process.env['SHOAL_DATA']
  if (chosen !== undefined && chosen !== '') return chosen
  return process.getuid?.() === 0 ? '/var/lib/shoal' : join(homedir(), '.local', 'share', 'shoal')
}

/** What this machine has to give, as the operating system tells it. */
export function machineCapacity(dataDir: string): Capacity {
  const disk = statfsSync(dataDir)
  return {
    cpus: availableParallelism(),
    memMb: Math.floor(totalmem() / 1024 / 1024),
    diskMb: Math.floor((disk.blocks * disk.bsize) / 1024 / 1024),
    gpus: 0,
  }
}

/** The address to listen on so that `advertise` is reached: itself if this machine has it, else all (it is a router's). */
export function bindAddress(advertise: string): string {
  if (isLoopback(advertise)) return advertise
  const own = Object.values(networkInterfaces()).flatMap(list => list ?? [])
  if (own.some(({ address }) => address === advertise)) return advertise
  return isIP(advertise) === 6 ? '::' : '0.0.0.0'
}

/** {@link bindAddress} of every address that clients are told, the first one's first; one that stands for all of its kind of IP is alone of it. */
export function listenAddresses({
  advertise,
  advertiseAlso,
}: Pick<NodeOptions, 'advertise' | 'advertiseAlso'>): string[] {
  const addresses = [...new Set([advertise, ...advertiseAlso].map(bindAddress))]
  return addresses.filter(address => {
    const all = isIP(address) === 6 ? '::' : '0.0.0.0'
    return address === all || !addresses.includes(all)
  })
}

function checkCount(flag: string, count: number, min: number, max: number): number {
  if (Number.isInteger(count) && count >= min && count <= max) return count
  throw new OptionError(`${flag} must be from ${min} to ${max}, got ${count}`)
}

function checkForward(texts: readonly string[]): readonly string[] {
  try {
    parseForwardPlan(texts)
    return texts
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new OptionError(`--dns-forward ${error.message}`, { cause: error })
  }
}

/** `none` stands for no network. */
function checkNetworks(flag: string, texts: readonly string[]): readonly string[] {
  const networks = texts.filter(text => text !== 'none')
  const wrong = networks.find(text => !isNetwork(text))
  if (wrong === undefined) return networks
  throw new OptionError(
    `${flag} must be IP networks such as 10.0.0.0/8 or fd00::/8, or "none", got ${wrong}`,
  )
}

function checkDomain(text: string): string {
  const domain = text.toLowerCase().replace(/\.$/, '')
  const isName = domain.length <= 100 && domain.split('.').every(label => isDnsLabel(label))
  if (isName && domain !== DOMAIN && !domain.endsWith('.arpa')) return domain
  throw new OptionError(
    `--mesos-domain must be a domain of at most 100 characters other than ${DOMAIN}, or "none", got ${text}`,
  )
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}

function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap(list => list ?? [])
  const outside = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
  const first = outside.find(({ family }) => family === 'IPv4') ?? outside[0]
  return first?.address ?? '127.0.0.1'
}
