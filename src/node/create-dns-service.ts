import { reverseName } from '../dns/reverse-zones.ts'
import type { Zone } from '../dns/zone.ts'
import type { DesiredApp } from '../model/desired.ts'
import type { AppId } from '../model/ids.ts'
import { dnsNames } from './dns-names.ts'
import type { DnsService, VerifyReport } from './dns-service.ts'
import { labelsOf } from './machine/placement-input.ts'
import type { NodeMachine } from './machine/node-machine.ts'
import { mesosHosts, mesosServices, printEnumeration, printTransfer } from './mesos-discovery.ts'
import { reachable, resolve } from './resolve.ts'
import { scrapeTargets } from './scrape-targets.ts'
import type { NodeView, TaskView } from './service.ts'
import { verifyDns, type VerifiedServer } from './verify-dns.ts'

/** Apps that one verification asks about: some thousand questions for each server. */
const VERIFIED_APPS_MAX = 100

/** What the service is made of. */
export interface CreateDnsServiceOptions extends Pick<
  DnsService,
  'address' | 'port' | 'domain' | 'mesosDomain' | 'ttlSeconds'
> {
  readonly machine: NodeMachine
  /** What this node knows. */
  readonly zone: Zone
  readonly nodes: () => readonly NodeView[]
  readonly tasks: () => readonly TaskView[]
}

/** Makes what the API asks about DNS. */
export function createDnsService(options: CreateDnsServiceOptions): DnsService {
  const { address, port, domain, mesosDomain, ttlSeconds, zone, machine, nodes, tasks } = options
  const domains = mesosDomain === undefined ? [domain] : [domain, mesosDomain]

  async function verify(app: AppId | undefined, signal: AbortSignal): Promise<VerifyReport> {
    const all = [...machine.doc.read().apps.values()]
    const apps =
      app === undefined ? spread(all, VERIFIED_APPS_MAX) : all.filter(one => one.id === app)
    const names = [
      ...apps.flatMap(({ spec }) => dnsNames(spec, zone)),
      ...(app === undefined ? machineNames() : []),
    ]
    const skipped: VerifyReport['skipped'][number][] = []
    const servers: VerifiedServer[] = []
    for (const { name, isSelf, verdict, record } of nodes()) {
      if (record === undefined) skipped.push({ node: name, reason: 'was never heard of' })
      else if (verdict?.kind !== 'alive')
        skipped.push({ node: name, reason: `is ${verdict?.kind ?? 'unseen'}` })
      else if (record.dnsPort === 0) skipped.push({ node: name, reason: 'tells no port of DNS' })
      else {
        const at = isSelf ? reachable(record.address) : record.address
        servers.push({ node: name, address: at, port: record.dnsPort })
      }
    }
    const verification = await verifyDns({ zone, names, servers, signal })
    return { ...verification, skipped, apps: { asked: apps.length, all: all.length } }
  }

  /** Names of machines that every node gives the same meaning. */
  function machineNames(): string[] {
    const own = nodes().flatMap(({ name, record }) => {
      const reverse = record === undefined ? undefined : reverseName(record.address)
      return [`${name}.node.${domain}`, ...(reverse === undefined ? [] : [reverse])]
    })
    const inMesos = mesosDomain === undefined ? [] : ['slave', 'master', '_slave._tcp']
    return [...own, ...inMesos.map(name => `${name}.${mesosDomain}`)]
  }

  return {
    address,
    port,
    domain,
    mesosDomain,
    ttlSeconds,
    names: spec => dnsNames(spec, zone),
    resolve: async (asked, type) => await resolve({ address, port, domains }, zone, asked, type),
    verify,
    conflicts: () => zone.conflicts(),
    conflictsWith: apps => zone.conflictsWith(apps),
    discovery: {
      hosts: host => mesosHosts(zone, host),
      services: service => mesosServices(zone, service),
      enumerate: () => printEnumeration(zone),
      transfer: () => printTransfer(zone, mesosDomain ?? domain),
      responsible: () => {
        const soa = zone.find(mesosDomain ?? domain)?.authority.soa() ?? zone.soa()
        return { Mname: `${soa.primary}.`, Email: `${soa.mailbox}.` }
      },
    },
    targets: () => {
      const { apps, nodes: admissions } = machine.doc.read()
      return scrapeTargets(
        tasks(),
        app => apps.get(app)?.spec.labels ?? {},
        ({ node, record }) => labelsOf(record, admissions.get(node))['zone'] ?? '',
      )
    },
  }
}

/** At most `max` of `apps`, from all over the list. */
function spread(apps: readonly DesiredApp[], max: number): DesiredApp[] {
  const step = Math.max(1, Math.ceil(apps.length / max))
  return apps.filter((_, index) => index % step === 0)
}
