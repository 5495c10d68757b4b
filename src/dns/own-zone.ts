import type { AppBook, AppEntry } from './app-book.ts'
import type { DnsTask } from './dns-view.ts'
import type { Finding, Freshness, ZonePart } from './finding.ts'
import { isWithin, NODE_LABEL, SERVICE_LABEL, splitFirst } from './name-claims.ts'
import type { NameTable } from './name-table.ts'
import type { AddressRecord, DnsRecord, NsRecord } from './records.ts'
import {
  addressRecords,
  isWantedPort,
  mayHavePort,
  serviceRecords,
  type ServiceTarget,
} from './task-records.ts'
import { tasksIn, VIEW_LABELS, type TaskView } from './task-views.ts'
import { whyRecord } from './why-record.ts'

/** More servers than this are not listed: thirteen with their addresses fit 512 bytes, as for the root zone. */
const NS_MAX = 13

/**
 * The zone of the cluster itself: apps under their own names and under those that Kubernetes
 * would give them, slots, nodes, and other views of all that.
 *
 * @param table Who owns which name below `domain`.
 */
export function createOwnZone(book: AppBook, table: NameTable, domain: string): ZonePart {
  const { ttlSeconds } = book
  const authority = book.authority(domain, nodeName(book.self, domain))

  return { authority, find, names }

  function find(name: string): Finding {
    if (name === domain) return found(apexRecords(), apexGlue(), book.apex)
    const relative = name.slice(0, -domain.length - 1)
    if (isWithin(relative, NODE_LABEL)) return findNode(name, relative)
    return findView(name, relative) ?? findTasks(name, relative, 'serving') ?? absent(relative)
  }

  /** `all.web`, `near._web._tcp`, `why.web`: what comes before a name that an app has, unless a slot is called so. */
  function findView(name: string, relative: string): Finding | undefined {
    const [label, rest] = splitFirst(relative)
    const view = VIEW_LABELS.get(label)
    if (view === undefined || rest === undefined || slotOf(label, rest) !== undefined)
      return undefined
    return view === 'why' ? explain(name, rest) : findTasks(name, rest, view)
  }

  /** What `relative` says of tasks; nothing when no app is meant by it. */
  function findTasks(name: string, relative: string, view: TaskView): Finding | undefined {
    const labels = relative.split('.')
    const at = labels.findLastIndex(isProtocol)
    return at < 0 ? findAddress(name, relative, view) : findService(name, labels, at, view)
  }

  /** `web`, `web.shop`, `2.web`. A slot's own name goes before the app `/web/2`: targets of SRV must be right. */
  function findAddress(name: string, relative: string, view: TaskView): Finding | undefined {
    const [label, parent] = splitFirst(relative)
    if (parent !== undefined) {
      const slot = slotOf(label, parent)
      if (slot !== undefined) return addressFinding(name, [slot.task], view, slot.entry.source)
      const { source } = entryOf(parent) ?? {}
      if (source !== undefined && isSlotNumber(label)) return absent(relative, source)
    }
    const entry = table.isReserved(relative) ? undefined : entryOf(relative)
    return entry && addressFinding(name, entry.slots.values(), view, entry.source)
  }

  /**
   * `_web._tcp`, `_http._web._tcp`; for `/shop/web` `_web-shop._tcp`, `_web.shop._tcp` (as Mesos-DNS has it
   * beside), `_web._tcp.shop` (as RFC 2782 has it) and `_http._tcp.web.shop.svc` (as Kubernetes has it).
   */
  function findService(
    name: string,
    labels: readonly string[],
    at: number,
    view: TaskView,
  ): Finding | undefined {
    const asked = serviceOf(labels, at)
    const entry = asked && entryOf(asked.app)
    if (entry === undefined) return undefined
    const { port } = asked!
    if (port !== undefined && !mayHavePort(entry.slots.values(), port)) return missing(entry.source)
    const protocol = labels[at]!.slice(1)
    const { records, glue } = serviceRecords(name, ttlSeconds, targetsOf(entry, view), candidate =>
      isWantedPort({ protocol, name: port }, candidate),
    )
    return found(records, glue, entry.source)
  }

  /** Each target is a name that has the task's own addresses, and no others. */
  function* targetsOf({ app, slots }: AppEntry, view: TaskView): Generator<ServiceTarget> {
    const home = table.homeOf(app.id)
    if (home === undefined) return
    for (const [label, task] of slots) {
      if (view === 'all' ? !task.running : !task.serving) continue
      const prefix = view === 'all' ? 'all.' : ''
      const priority = view === 'near' ? book.distanceOf(task) : 0
      yield { task, target: `${prefix}${label}.${home}.${domain}`, priority }
    }
  }

  function explain(name: string, relative: string): Finding | undefined {
    const [label, parent] = splitFirst(relative)
    const slot = parent === undefined ? undefined : slotOf(label, parent)
    const entry = slot?.entry ?? (table.isReserved(relative) ? undefined : entryOf(relative))
    return entry && found([whyRecord(name, ttlSeconds, entry.app)], [], entry.source)
  }

  function findNode(name: string, relative: string): Finding {
    if (relative === NODE_LABEL) return found([], [], book.structure)
    const records = nodeRecords(relative.slice(0, -NODE_LABEL.length - 1), name)
    return records === undefined ? missing() : found(records, [], book.structure)
  }

  /** The addresses of a node that is alive, none of one that is not; nothing for one that is not known. */
  function nodeRecords(label: string, name: string): AddressRecord[] | undefined {
    const [node] = book.nodes.get(label) ?? []
    return node && addressRecords(name, ttlSeconds, node.alive ? [node] : [])
  }

  function apexRecords(): DnsRecord[] {
    const servers = book.aliveLabels().slice(0, NS_MAX)
    return [
      authority.soa(),
      ...servers.map((label): NsRecord => {
        const target = nodeName(label, domain)
        return { name: domain, ttlSeconds, type: 'NS', target }
      }),
    ]
  }

  function apexGlue(): AddressRecord[] {
    const servers = book.aliveLabels().slice(0, NS_MAX)
    return servers.flatMap(label => nodeRecords(label, nodeName(label, domain)) ?? [])
  }

  function entryOf(name: string): AppEntry | undefined {
    const owner = table.ownerOf(name)
    return owner === undefined ? undefined : book.apps.get(owner)
  }

  function slotOf(
    label: string,
    parent: string,
  ): { readonly entry: AppEntry; readonly task: DnsTask } | undefined {
    const entry = entryOf(parent)
    const task = entry?.slots.get(label)
    return task && { entry: entry!, task }
  }

  function addressFinding(
    name: string,
    tasks: Iterable<DnsTask>,
    view: TaskView,
    source: Freshness,
  ): Finding {
    return found(addressRecords(name, ttlSeconds, tasksIn(view, tasks, book)), [], source)
  }

  function found(
    records: readonly DnsRecord[],
    glue: readonly AddressRecord[],
    source: Freshness,
  ): Finding {
    return { exists: true, records, glue, source, structure: book.structure, authority }
  }

  function missing(source: Freshness = book.structure): Finding {
    const { structure } = book
    return { exists: false, records: [], glue: [], source, structure, authority }
  }

  /** What is said of a name that nothing owns: it may still have names below it (an empty non-terminal, RFC 8020). */
  function absent(relative: string, source?: Freshness): Finding {
    const [, parent] = splitFirst(relative)
    const nearest = source ?? (parent === undefined ? undefined : entryOf(parent)?.source)
    return { ...missing(nearest), exists: hasBelow(relative) }
  }

  function hasBelow(relative: string): boolean {
    if (table.hasBelow(relative)) return true
    const labels = relative.split('.')
    const at = labels.findLastIndex(isProtocol)
    if (at < 0) return false
    const rest = labels.slice(at + 1)
    if (at > 0) return rest.length === 0 && table.hasBelow(labels.slice(0, at).join('.'))
    const parent = rest.join('.')
    return (
      parent === '' || table.hasBelow(parent) || (isService(rest) && entryOf(parent) !== undefined)
    )
  }

  function* names(): Generator<string> {
    yield domain
    for (const label of book.nodes.keys()) yield nodeName(label, domain)
    for (const { app, slots } of book.apps.values()) {
      const ports = [...slots.values()].flatMap(task => task.ports)
      const services = new Set(ports.map(({ protocol }) => `_${protocol}`))
      const named = new Set(
        ports.map(({ name, protocol }) =>
          name === '' ? '' : `_${name.slice(0, 62)}._${protocol}`,
        ),
      )
      for (const own of table.namesOf(app.id)) {
        yield `${own}.${domain}`
        for (const label of slots.keys()) yield `${label}.${own}.${domain}`
        if (isService(own.split('.'))) {
          for (const port of named) if (port !== '') yield `${port}.${own}.${domain}`
          continue
        }
        for (const protocol of services) yield `_${own}.${protocol}.${domain}`
        for (const port of named) {
          const [first, protocol] = splitFirst(port)
          if (protocol !== undefined) yield `${first}._${own}.${protocol}.${domain}`
        }
      }
    }
  }
}

/** The app's name and the port's in a service name whose protocol stands at `at`; nothing when it is none. */
function serviceOf(
  labels: readonly string[],
  at: number,
): { readonly app: string; readonly port: string | undefined } | undefined {
  const before = labels.slice(0, at)
  const rest = labels.slice(at + 1)
  if (isService(rest)) {
    return before.length === 1 && isNamed(before[0])
      ? { app: rest.join('.'), port: before[0]!.slice(1) }
      : undefined
  }
  const hasPort = isNamed(before[1])
  const [service, ...path] = hasPort ? before.slice(1) : before
  if (!isNamed(service) || (hasPort && !isNamed(before[0]))) return undefined
  const app = [service!.slice(1), ...path, ...rest].join('.')
  return { app, port: hasPort ? before[0]!.slice(1) : undefined }
}

function isNamed(label: string | undefined): boolean {
  return label?.startsWith('_') ?? false
}

/** True for `SERVICE.NAMESPACE.svc`. */
function isService(labels: readonly string[]): boolean {
  return labels.length === 3 && labels[2] === SERVICE_LABEL
}

/** True for the labels that make a name one of a service. */
export function isProtocol(label: string): boolean {
  return label === '_tcp' || label === '_udp'
}

/** True for a label that always means a slot when it stands before the name of an app, even of one that is not there now. */
export function isSlotNumber(label: string): boolean {
  return /^(?:0|[1-9]\d*)$/.test(label)
}

/** The name of a node, by its label. */
export function nodeName(label: string, domain: string): string {
  return `${label}.${NODE_LABEL}.${domain}`
}
