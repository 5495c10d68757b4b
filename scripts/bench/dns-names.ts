/**
 * The zone that the DNS bench asks, for every server that is asked: apps of ten tasks for SRV, and of one for A.
 *
 * @module
 */

import type { DnsApp, DnsView } from '../../src/dns/dns-view.ts'
import { recordData } from '../../src/dns/record-data.ts'
import { createZone } from '../../src/dns/zone.ts'
import { parseAppId, slotIdOf, taskIdOf } from '../../src/model/ids.ts'

/** Names that are asked one after the other, again and again. */
const NAMES = 1_000

/** What is asked, as dnsperf takes it, and what must be in the answer. */
export interface BenchQuestion {
  readonly name: string
  readonly lines: readonly string[]
  readonly edns: boolean
  readonly answers: number
  readonly additionals: number
}

const indexes = Array.from({ length: NAMES }, (_, index) => index)

/** The questions whose rates are measured. */
export const QUESTIONS = {
  a: {
    name: 'one A',
    lines: indexes.map(index => `a${10_000 + index}.shoal A`),
    edns: false,
    answers: 1,
    additionals: 0,
  },
  srv: {
    name: 'ten SRV with ten A',
    lines: indexes.map(index => `_a${index}._tcp.shoal SRV`),
    edns: true,
    answers: 10,
    additionals: 10,
  },
} as const satisfies Readonly<Record<string, BenchQuestion>>

/** The apps behind {@link QUESTIONS}. */
export function askedApps(): DnsApp[] {
  return indexes.flatMap(index => [makeBenchApp(index, 10), makeBenchApp(10_000 + index, 1)])
}

/** The app `/aINDEX`; another `generation` has other addresses. */
export function makeBenchApp(index: number, slots: number, generation = 10): DnsApp {
  const id = parseAppId(`/a${index}`)
  if (id === undefined) throw new RangeError(`no app id: ${index}`)
  const tasks = Array.from({ length: slots }, (_, slot) => ({
    slot: slotIdOf(id, slot),
    suffix: String(slot),
    task: taskIdOf(slotIdOf(id, slot), 'k3f9x1'),
    addresses: [`${generation}.${slot}.${index >> 8}.${index & 255}`],
    ports: [{ name: 'http', protocol: 'tcp' as const, containerPort: 80, hostPort: 31_000 + slot }],
    serving: true,
    running: true,
    node: 'n1',
    zone: '',
    weight: 100,
    note: 'serving',
  }))
  return { id, aliases: [], tasks, wanted: slots, missing: [] }
}

/** A view of a cluster of one node with these apps. */
export function makeBenchView(apps: readonly DnsApp[]): DnsView {
  const nodes = [{ name: 'n1', addresses: ['10.0.0.1'], alive: true, zone: '', port: 7440 }]
  return {
    domain: 'shoal',
    mesos: { domain: 'mesos', rule: 'rfc1123', apiPort: 8080 },
    ttlSeconds: 5,
    serial: 1,
    self: { name: 'n1' },
    apps,
    nodes,
  }
}

/** The zone `shoal` as a master file (RFC 1035, section 5): all that we tell in a transfer. */
export function zoneFile(): string {
  const zone = createZone(makeBenchView(askedApps()))
  const lines = Array.from(
    zone.transfer('shoal')!,
    record => `${record.name}. ${record.ttlSeconds} IN ${record.type} ${recordData(record)}`,
  )
  return `$ORIGIN .\n${lines.join('\n')}\n`
}

/**
 * For dnsmasq, which reads no zones: hosts(5) with every address, and its option for every SRV record that `question` asks
 * for. It looks through all of these for each query of any type, so that with none it is at its best for addresses.
 */
export function dnsmasqFiles(question: BenchQuestion): {
  readonly hosts: string
  readonly services: string
} {
  const zone = createZone(makeBenchView(askedApps()))
  const records = [...zone.transfer('shoal')!]
  const asked = new Set(question.lines)
  const hosts = records.flatMap(one => (one.type === 'A' ? [`${one.address} ${one.name}`] : []))
  const services = records.flatMap(one =>
    one.type === 'SRV' && asked.has(`${one.name} SRV`)
      ? [`srv-host=${one.name},${one.target},${one.port},${one.priority},${one.weight}`]
      : [],
  )
  return { hosts: `${hosts.join('\n')}\n`, services: services.join('\n') }
}
