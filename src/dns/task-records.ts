import type { TaskPort } from '../model/task.ts'
import { formatAddress, parseAddress } from './address.ts'
import type { DnsNode, DnsTask } from './dns-view.ts'
import type { AddressRecord, SrvRecord } from './records.ts'

/** The address records of `hosts`, each address once: a set of records has no doubles (RFC 2181, section 5). */
export function addressRecords(
  name: string,
  ttlSeconds: number,
  hosts: Iterable<DnsTask | DnsNode>,
): AddressRecord[] {
  const records = new Map<string, AddressRecord & { readonly of: (DnsTask | DnsNode)[] }>()
  for (const host of hosts) {
    for (const text of host.addresses) {
      const bytes = parseAddress(text)
      if (bytes === undefined) continue
      const address = formatAddress(bytes)
      const type = bytes.length === 4 ? 'A' : 'AAAA'
      const known = records.get(address)
      if (known === undefined) records.set(address, { name, ttlSeconds, type, address, of: [host] })
      else known.of.push(host)
    }
  }
  return [...records.values()]
}

/** A task, and the name that its SRV records point at. */
export interface ServiceTarget {
  readonly task: DnsTask
  readonly target: string
  readonly priority: number
}

/** The SRV records (RFC 2782) of `targets`, one for each wanted port, and the targets' addresses. */
export function serviceRecords(
  name: string,
  ttlSeconds: number,
  targets: Iterable<ServiceTarget>,
  isWanted: (port: TaskPort) => boolean,
): { readonly records: SrvRecord[]; readonly glue: AddressRecord[] } {
  const records: SrvRecord[] = []
  const glue: AddressRecord[] = []
  for (const { task, target, priority } of targets) {
    const addresses = addressRecords(target, ttlSeconds, [task])
    const ports = addresses.length === 0 ? [] : task.ports.filter(isWanted)
    const numbers = new Set(ports.map(({ hostPort }) => hostPort).filter(port => port > 0))
    if (numbers.size > 0) glue.push(...addresses)
    const { weight } = task
    for (const port of numbers) {
      records.push({ name, ttlSeconds, type: 'SRV', priority, weight, port, target, of: [task] })
    }
  }
  return { records, glue }
}

/** What a port must be to be answered: of this protocol and, where a name is asked for, of this name. */
export interface WantedPort {
  /** `tcp` or `udp`. */
  readonly protocol: string
  readonly name: string | undefined
}

/** True for a port that is wanted. `_` takes a character of the label, so a name of 63 is asked for by its first 62. */
export function isWantedPort(
  { protocol, name }: WantedPort,
  port: Pick<TaskPort, 'name' | 'protocol'>,
): boolean {
  return port.protocol === protocol && (name === undefined || isPortName(name, port))
}

/** False only when the serving tasks show their ports and none is called so: while none serves, nobody knows. */
export function mayHavePort(tasks: Iterable<DnsTask>, name: string): boolean {
  const all = [...tasks]
  return (
    !all.some(({ serving }) => serving) ||
    all.some(({ ports }) => ports.some(port => isPortName(name, port)))
  )
}

function isPortName(asked: string, { name }: Pick<TaskPort, 'name'>): boolean {
  return name !== '' && name.slice(0, 62) === asked
}
