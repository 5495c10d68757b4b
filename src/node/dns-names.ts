import type { Zone } from '../dns/zone.ts'
import type { AppSpec } from '../model/app.ts'

/**
 * The names that DNS answers for an app, service names first: those that it got, where another
 * app claims the same. The slots' names and the views (`all.`, `near.`, `why.`) go without saying.
 */
export function dnsNames({ id, ports }: AppSpec, zone: Pick<Zone, 'namesOf' | 'find'>): string[] {
  const hosts = zone.namesOf(id)
  const protocols = [...new Set(ports.map(({ protocol }) => protocol))]
  const named = ports.filter(({ name }) => name !== undefined)
  const services = hosts.flatMap(host => {
    const dot = host.indexOf('.')
    const [label, rest] = [host.slice(0, dot), host.slice(dot + 1)]
    return [
      ...protocols.map(protocol => `_${label}._${protocol}.${rest}`),
      ...named.map(({ name, protocol }) => `_${name}._${label}._${protocol}.${rest}`),
      ...named.map(({ name, protocol }) => `_${name}._${protocol}.${host}`),
    ]
  })
  return [...services.filter(name => zone.find(name)?.exists ?? false), ...hosts]
}
