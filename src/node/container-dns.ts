import { readFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { serviceNamesOf } from '../dns/labels.ts'
import { SERVICE_LABEL } from '../dns/name-claims.ts'
import type { AppId } from '../model/ids.ts'
import type { Dns } from '../dns/worker/start-dns.ts'
import type { ContainerDns } from '../runtime/container-options.ts'
import type { NodeMachine } from './machine/node-machine.ts'
import { DEFAULT_DNS_PORT, DOMAIN, type NodeOptions } from './options.ts'

/** A node's DNS, as far as containers are concerned. */
export interface DnsOfNode {
  readonly name: string
  /** Where clients reach it. */
  readonly address: string
  readonly port: number
}

/** What decides whom containers ask. */
export interface ContainerDnsOptions {
  readonly self: DnsOfNode
  /** The address that our server is bound to. */
  readonly bound: string
  /** True when our server answers for other domains as well: a container that asks us can ask nobody else. */
  readonly forwards: boolean
  readonly domain: string
  /** The other nodes that are alive now. */
  readonly others: () => readonly DnsOfNode[]
  /** The node's own resolv.conf, read anew each time. */
  readonly resolvConf: () => string
}

/** More servers than this a resolver does not read (glibc's `MAXNS`). */
const SERVERS_MAX = 3
/** More domains than this older resolvers do not read (glibc before 2.26). */
const SEARCH_MAX = 6

/**
 * Returns whom a container of an app asks about names: this node first, and two others, because a
 * container outlives its node's daemon and must find its database all the same. A bare name
 * is looked for beside the app, as Kubernetes would, then among all apps, then where the node
 * itself looks: `db` of `/shop/web` is `/shop/db`, else `/db`.
 *
 * Nothing, and the engine's own resolver, where a container could not ask us (a port other than 53, which
 * no resolv.conf can name; an address that is not this machine's or is its loopback; IPv6, which a
 * bridge does not have) or would be cut off from all other names (a server that does not forward).
 */
export function createContainerDns(
  options: ContainerDnsOptions,
): (app: AppId) => ContainerDns | undefined {
  const { self, bound, forwards, domain, others, resolvConf } = options
  if (!forwards || bound !== self.address || !isAskable(self)) return () => undefined
  return app => ({
    servers: [self, ...nextOf(self, others())].slice(0, SERVERS_MAX).map(({ address }) => address),
    search: [
      ...new Set([
        `${serviceNamesOf(app).namespace}.${SERVICE_LABEL}.${domain}`,
        `${SERVICE_LABEL}.${domain}`,
        domain,
        ...searchOf(resolvConf()),
      ]),
    ].slice(0, SEARCH_MAX),
  })
}

/** {@link createContainerDns} of a node that runs: the others are those alive when a container is made. */
export function containerDnsOf(
  { name, advertise }: Pick<NodeOptions, 'name' | 'advertise'>,
  dns: Pick<Dns, 'addresses' | 'port' | 'forwards'>,
  { book, members, self }: Pick<NodeMachine, 'book' | 'members' | 'self'>,
): ReturnType<typeof createContainerDns> {
  return createContainerDns({
    self: { name, address: advertise, port: dns.port },
    bound: dns.addresses[0]!,
    forwards: dns.forwards,
    domain: DOMAIN,
    others: () =>
      [...book.records()]
        .filter(({ node }) => node !== self && members.isAlive(node))
        .map(record => ({ name: record.name, address: record.address, port: record.dnsPort })),
    resolvConf: readResolvConf,
  })
}

/** A machine without the file searches nowhere. */
function readResolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}

/** Those that come after a node in the order of names, around: so no node is everybody's second. */
function nextOf(self: DnsOfNode, others: readonly DnsOfNode[]): DnsOfNode[] {
  const sorted = others
    .filter(node => isAskable(node))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
  return [
    ...sorted.filter(({ name }) => name > self.name),
    ...sorted.filter(({ name }) => name < self.name),
  ]
}

function isAskable({ address, port }: DnsOfNode): boolean {
  return port === DEFAULT_DNS_PORT && isIPv4(address) && !address.startsWith('127.')
}

/** The last `search` or `domain` line counts (resolv.conf(5)). */
function searchOf(text: string): string[] {
  const lines = [...text.matchAll(/^(?:search|domain)[ \t]+(.*)$/gm)]
  const domains = (lines.at(-1)?.[1] ?? '').trim().split(/\s+/)
  return domains.filter(domain => domain !== '' && domain !== '.')
}
