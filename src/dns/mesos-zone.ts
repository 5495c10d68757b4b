import type { AppBook, AppEntry } from './app-book.ts'
import type { DnsTask, MesosView } from './dns-view.ts'
import type { Finding, Freshness, ZonePart } from './finding.ts'
import { appLabelsIn, instanceLabel } from './instance-label.ts'
import type { NameTable } from './name-table.ts'
import { isProtocol, nodeName } from './own-zone.ts'
import type { AddressRecord, DnsRecord, SrvRecord } from './records.ts'
import {
  addressRecords,
  isWantedPort,
  mayHavePort,
  serviceRecords,
  type ServiceTarget,
} from './task-records.ts'

/** The framework that all apps appear under: Marathon's users have no other. */
export const MESOS_SUFFIX = 'marathon'

/** Below the framework's name and the domain, for the addresses of agents rather than of containers: the same here. */
const SLAVE = 'slave'

/** Mesos-DNS passes over labels that are a star; odd characters of a name reach a zone as `\DDD`. */
const STAR = /\.\\042(?=\.|$)/g

/** What a zone of Mesos-DNS's names is made of. */
export interface MesosZoneOptions {
  readonly book: AppBook
  /** Who owns which name below `marathon.mesos`. */
  readonly table: NameTable
  readonly mesos: MesosView
  /** The cluster's own zone, for targets that Mesos-DNS has no name for. */
  readonly domain: string
  /** An app's best name there. */
  readonly homeOf: NameTable['homeOf']
}

/** A task, and all that Mesos-DNS says of it. */
export interface MesosTask {
  /** The app's name as one label. */
  readonly name: string
  readonly task: DnsTask
  readonly records: readonly (AddressRecord | SrvRecord)[]
}

/** A zone of Mesos-DNS's names. */
export interface MesosZone extends ZonePart {
  /** The tasks that serve, with their records. */
  tasks(): Iterable<MesosTask>
}

/**
 * The zone of those who come from Marathon and Mesos-DNS, and have its names in their
 * configurations. It says what ours says, of healthy tasks on live nodes, under the names that
 * Mesos-DNS makes: `web-shop.marathon.mesos` and `web.shop.marathon.mesos`, the same below
 * `marathon.slave.mesos`, `_http._web-shop._tcp.marathon.mesos`, one name for each task, and
 * those of masters and agents. There is no master here: `leader` is the node that answers, because
 * any node does what a leader is asked for.
 *
 * Names have no slots here: `0.web.marathon.mesos` is the app `/web/0`, as Mesos-DNS has it.
 */
export function createMesosZone(options: MesosZoneOptions): MesosZone {
  const { book, table, mesos, homeOf } = options
  const { ttlSeconds } = book
  const { domain } = mesos
  const server = `ns1.${domain}`
  const authority = book.authority(domain, server)
  const instances = new WeakMap<
    DnsTask,
    { readonly appLabel: string; readonly label: string | undefined }
  >()

  return { authority, find, names, tasks: servingTasks }

  function find(name: string): Finding {
    if (name === domain) return found(apexRecords(), hostRecords(server, [book.self]), book.apex)
    const relative = name.slice(0, -domain.length - 1).replaceAll(STAR, '')
    return findSpecial(name, relative) ?? findTasks(name, relative) ?? absent(relative)
  }

  function findSpecial(name: string, relative: string): Finding | undefined {
    const hosts = hostsOf(relative)
    if (hosts !== undefined) return found(hostRecords(name, hosts))
    switch (relative) {
      case '_leader._tcp':
      case '_leader._udp':
        return ownService(name, `leader.${domain}`)
      case `_framework._tcp.${MESOS_SUFFIX}`:
        return ownService(name, `${MESOS_SUFFIX}.${domain}`)
      case `_${SLAVE}._tcp`:
        return daemons(name)
      default:
        return undefined
    }
  }

  /** The labels of the nodes that a name of the cluster's machines stands for. */
  function hostsOf(relative: string): readonly string[] | undefined {
    if (relative === 'ns1' || relative === 'leader' || relative === MESOS_SUFFIX) return [book.self]
    if (relative === SLAVE || relative === 'master') return book.aliveLabels()
    const [, index] = /^master(0|[1-9]\d{0,5})$/.exec(relative) ?? []
    const label = index === undefined ? undefined : book.aliveLabels().toSorted()[Number(index)]
    return label === undefined ? undefined : [label]
  }

  /** What this node does for the whole cluster, at its HTTP API. */
  function ownService(name: string, target: string): Finding {
    const port = mesos.apiPort
    if (port === 0) return found([])
    const glue = hostRecords(target, [book.self])
    return found([{ name, ttlSeconds, type: 'SRV', priority: 0, weight: 1, port, target }], glue)
  }

  /** Each daemon under its node's own name: their ports may differ, so one name for all would not say whose is which. */
  function daemons(name: string): Finding {
    const records: SrvRecord[] = []
    const glue: AddressRecord[] = []
    for (const label of book.aliveLabels()) {
      const port = book.nodes.get(label)?.[0]?.port ?? 0
      const target = nodeName(label, options.domain)
      if (port === 0) continue
      records.push({ name, ttlSeconds, type: 'SRV', priority: 0, weight: 1, port, target })
      glue.push(...hostRecords(target, [label]))
    }
    return found(records, glue)
  }

  function findTasks(name: string, relative: string): Finding | undefined {
    const inner = innerOf(relative)
    if (inner === undefined) return undefined
    const labels = inner.split('.')
    const at = labels.length - 1
    if (isProtocol(labels[at]!))
      return findService(name, labels.slice(0, at), labels[at]!, relative)
    const entry = entryOf(inner)
    if (entry !== undefined) return addresses(name, entry.slots.values(), entry.source)
    return findInstance(name, inner)
  }

  /** `web-jhy6r-h1`. Two tasks of one slot, during a move, have two names. */
  function findInstance(name: string, label: string): Finding | undefined {
    for (const appLabel of appLabelsIn(label)) {
      const entry = entryOf(appLabel)
      const same = entry?.app.tasks.filter(task => instanceOf(appLabel, task) === label)
      if (same !== undefined && same.length > 0) return addresses(name, same, entry!.source)
    }
    return undefined
  }

  /** `_web-shop`, `_web.shop`, and with a port's name before either. */
  function findService(
    name: string,
    before: readonly string[],
    protocolLabel: string,
    relative: string,
  ): Finding | undefined {
    const hasPort = before[1]?.startsWith('_') ?? false
    const [service, ...path] = hasPort ? before.slice(1) : before
    if (service?.startsWith('_') !== true || (hasPort && !before[0]!.startsWith('_')))
      return undefined
    const entry = entryOf([service.slice(1), ...path].join('.'))
    if (entry === undefined) return undefined
    const port = hasPort ? before[0]!.slice(1) : undefined
    if (port !== undefined && !mayHavePort(entry.slots.values(), port)) return missing(entry.source)
    const wanted = { protocol: protocolLabel.slice(1), name: port }
    const { records, glue } = serviceRecords(
      name,
      ttlSeconds,
      targetsOf(entry, isOfSlave(relative) ? `${MESOS_SUFFIX}.${SLAVE}` : MESOS_SUFFIX),
      candidate => isWantedPort(wanted, candidate),
    )
    return found(records, glue, entry.source)
  }

  function* targetsOf(entry: AppEntry, suffix: string): Generator<ServiceTarget> {
    for (const [slot, task] of entry.slots) {
      if (!task.serving) continue
      const target = instanceName(entry, task, suffix) ?? slotName(entry, slot)
      if (target !== undefined) yield { task, target, priority: 0 }
    }
  }

  function instanceName({ app }: AppEntry, task: DnsTask, suffix: string): string | undefined {
    const appLabel = table.namesOf(app.id).find(own => !own.includes('.'))
    const label = appLabel && instanceOf(appLabel, task)
    return label && `${label}.${suffix}.${domain}`
  }

  /** The task's label. Its hash is the dearest part of a name, and asked for again with every service that the task is of. */
  function instanceOf(appLabel: string, task: DnsTask): string | undefined {
    const known = instances.get(task)
    if (known?.appLabel === appLabel) return known.label
    const label = instanceLabel(appLabel, task.task, task.node)
    instances.set(task, { appLabel, label })
    return label
  }

  /** In our own zone: for apps whose name leaves no room for an instance's, or that lost every name here. */
  function slotName({ app }: AppEntry, slot: string): string | undefined {
    const home = homeOf(app.id)
    return home && `${slot}.${home}.${options.domain}`
  }

  function addresses(name: string, tasks: Iterable<DnsTask>, source: Freshness): Finding {
    const serving = [...tasks].filter(task => task.serving)
    return found(addressRecords(name, ttlSeconds, serving), [], source)
  }

  function hostRecords(name: string, labels: readonly string[]): AddressRecord[] {
    const nodes = labels.flatMap(label => book.nodes.get(label)?.slice(0, 1) ?? [])
    return addressRecords(
      name,
      ttlSeconds,
      nodes.filter(({ alive }) => alive),
    )
  }

  function apexRecords(): DnsRecord[] {
    return [authority.soa(), { name: domain, ttlSeconds, type: 'NS', target: server }]
  }

  function entryOf(name: string): AppEntry | undefined {
    const owner = table.ownerOf(name)
    return owner === undefined ? undefined : book.apps.get(owner)
  }

  function found(
    records: readonly DnsRecord[],
    glue: readonly AddressRecord[] = [],
    source: Freshness = book.structure,
  ): Finding {
    return { exists: true, records, glue, source, structure: book.structure, authority }
  }

  function missing(source: Freshness = book.structure): Finding {
    const { structure } = book
    return { exists: false, records: [], glue: [], source, structure, authority }
  }

  function absent(relative: string): Finding {
    return { ...missing(), exists: hasBelow(relative) }
  }

  function hasBelow(relative: string): boolean {
    if (isProtocol(relative) || relative === `${MESOS_SUFFIX}.${SLAVE}`) return true
    const inner = innerOf(relative)
    if (inner === undefined) return false
    const [last, ...before] = inner.split('.').toReversed()
    const parent = isProtocol(last!) ? before.toReversed().join('.') : inner
    return parent === '' || table.hasBelow(parent)
  }

  function* names(): Generator<string> {
    yield domain
    const masters = book.aliveLabels().map((_, index) => `master${index}`)
    for (const host of ['ns1', 'leader', 'master', ...masters, SLAVE, MESOS_SUFFIX]) {
      yield `${host}.${domain}`
    }
    yield `_leader._tcp.${domain}`
    yield `_leader._udp.${domain}`
    yield `_${SLAVE}._tcp.${domain}`
    yield `_framework._tcp.${MESOS_SUFFIX}.${domain}`
    for (const entry of book.apps.values()) yield* namesOfEntry(entry, [...entry.slots.values()])
  }

  function* namesOfEntry(entry: AppEntry, of: readonly DnsTask[]): Generator<string> {
    const owned = table.namesOf(entry.app.id)
    const ports = of.flatMap(task => task.ports)
    const services = new Set(ports.map(({ protocol }) => `_${protocol}`))
    const named = new Set(
      ports
        .filter(({ name }) => name !== '')
        .map(port => `${port.name.slice(0, 62)}._${port.protocol}`),
    )
    for (const suffix of [MESOS_SUFFIX, `${MESOS_SUFFIX}.${SLAVE}`]) {
      for (const own of owned) {
        yield `${own}.${suffix}.${domain}`
        for (const protocol of services) yield `_${own}.${protocol}.${suffix}.${domain}`
      }
      for (const task of of) {
        const instance = instanceName(entry, task, suffix)
        if (instance !== undefined) yield instance
      }
    }
    for (const own of owned) {
      for (const port of named) {
        const [name, protocol] = port.split('.')
        yield `_${name}._${own}.${protocol}.${MESOS_SUFFIX}.${domain}`
      }
    }
  }

  function* servingTasks(): Generator<MesosTask> {
    for (const entry of book.apps.values()) {
      const [name = ''] = table.namesOf(entry.app.id)
      for (const [task, records] of recordsOf(entry)) yield { name, task, records }
    }
  }

  /** The records of an app's serving tasks, by the task that each is of: several have an address in common. */
  function recordsOf(entry: AppEntry): Map<DnsTask, (AddressRecord | SrvRecord)[]> {
    const byTask = new Map<DnsTask, (AddressRecord | SrvRecord)[]>()
    const byTarget = new Map<string, DnsTask>()
    const byAddress = new Map<string, DnsTask[]>()
    for (const [slot, task] of entry.slots) {
      if (!task.serving) continue
      byTask.set(task, [])
      for (const target of [
        instanceName(entry, task, MESOS_SUFFIX),
        instanceName(entry, task, `${MESOS_SUFFIX}.${SLAVE}`),
        slotName(entry, slot),
      ]) {
        if (target !== undefined) byTarget.set(target, task)
      }
      for (const { address } of addressRecords('', 0, [task])) {
        const there = byAddress.get(address)
        if (there === undefined) byAddress.set(address, [task])
        else there.push(task)
      }
    }
    const ownersOf = (name: string, record: AddressRecord | SrvRecord): readonly DnsTask[] => {
      const only = byTarget.get(record.type === 'SRV' ? record.target : name)
      if (only !== undefined) return [only]
      return record.type === 'SRV' ? [] : (byAddress.get(record.address) ?? [])
    }
    for (const name of namesOfEntry(entry, [...byTask.keys()])) {
      for (const record of find(name).records) {
        if (record.type !== 'SRV' && record.type !== 'A' && record.type !== 'AAAA') continue
        for (const task of ownersOf(name, record)) byTask.get(task)!.push(record)
      }
    }
    return byTask
  }
}

/** What stands before `marathon` or `marathon.slave`; nothing for a name that is not below them. */
function innerOf(relative: string): string | undefined {
  const framework = isOfSlave(relative) ? relative.slice(0, -SLAVE.length - 1) : relative
  if (!framework.endsWith(`.${MESOS_SUFFIX}`)) return undefined
  return framework.slice(0, -MESOS_SUFFIX.length - 1)
}

function isOfSlave(relative: string): boolean {
  return relative.endsWith(`.${SLAVE}`)
}
