import type { NameConflict, NamedApp } from '../dns/name-table.ts'
import type { AppSpec } from '../model/app.ts'
import type { AppId } from '../model/ids.ts'
import type { MesosHost, MesosService } from './mesos-discovery.ts'
import type { Resolved } from './resolve.ts'
import type { ScrapeTarget } from './scrape-targets.ts'
import type { Verification } from './verify-dns.ts'

/** What a node's DNS can do for whoever talks to the node. */
export interface DnsService {
  /** The address that clients ask at. */
  readonly address: string
  readonly port: number
  /** The cluster's own domain. */
  readonly domain: string
  /** The domain of Mesos-DNS's names; nothing where there are none. */
  readonly mesosDomain: string | undefined
  readonly ttlSeconds: number
  /** The names that DNS answers for an app. */
  names(spec: AppSpec): string[]
  /** Asks this node's DNS server over the network, as any client would. Throws when it cannot be asked. */
  resolve(name: string, type?: string): Promise<Resolved>
  /** Asks every alive node's DNS server, and compares. About one app, or about as many as can be asked. */
  verify(app: AppId | undefined, signal: AbortSignal): Promise<VerifyReport>
  /** The names that two things claim. */
  conflicts(): NameConflict[]
  /** The conflicts that these apps are in, or would be in if they were applied. */
  conflictsWith(apps: readonly NamedApp[]): NameConflict[]
  /** What Mesos-DNS tells over HTTP. */
  readonly discovery: {
    hosts(host: string): MesosHost[]
    services(service: string): MesosService[]
    /** JSON, in parts: there may be some hundred thousand records. */
    enumerate(): Iterable<string>
    transfer(): Iterable<string>
    /** The zone's first server, and the mailbox of who looks after it. */
    responsible(): { readonly Mname: string; readonly Email: string }
  }
  /** What Prometheus is to scrape. */
  targets(): Iterable<ScrapeTarget>
}

/** What came of a verification, and what it left out. */
export interface VerifyReport extends Verification {
  readonly apps: { readonly asked: number; readonly all: number }
  /** Nodes that were not asked, and why. */
  readonly skipped: readonly { readonly node: string; readonly reason: string }[]
}
