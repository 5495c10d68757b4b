/**
 * Which names exist, and what they say. Names are worked out when they are asked
 * for, from one small entry per app: ten thousand apps cost megabytes, and a
 * change of one app touches nothing but that app.
 *
 * @module
 */

import { strict as assert } from 'node:assert'
import type { AppId } from '../model/ids.ts'
import type { TaskPort } from '../model/task.ts'
import { formatAddress, parseAddress } from './address.ts'
import type { DnsApp, DnsNode, DnsTask, DnsView } from './dns-view.ts'
import { mangleLabel } from './labels.ts'
import { createNameTable, isSlotNumber, splitFirst, type NameConflict } from './name-table.ts'
import type { AddressRecord, DnsRecord, NsRecord, SoaRecord, SrvRecord } from './records.ts'
import { isName } from './wire.ts'

/** Says when something that was worked out may no longer hold. Until then it may be kept. */
export interface Freshness {
  readonly stale: boolean
}

/** Whose word an answer is: the zone that the name is in. The same object for as long as the zone is there. */
export interface Authority {
  /** The zone's own name. */
  readonly domain: string
  /** What NXDOMAIN and NODATA are told with. Another object after each change. */
  soa(): SoaRecord
}

/** What the zone says of one name. */
export interface Finding {
  /** False: no such name, and none below it (NXDOMAIN). True with no records: NODATA. */
  readonly exists: boolean
  readonly records: readonly DnsRecord[]
  /** The addresses of the names that `records` point at. */
  readonly glue: readonly AddressRecord[]
  /** Turns stale when the app or the apex that was asked for changes. */
  readonly source: Freshness
  /** Turns stale when names come or go, or nodes change. */
  readonly structure: Freshness
  readonly authority: Authority
}

/** A zone that is kept up to date, app by app. */
export interface Zone {
  readonly domain: string
  /** What NXDOMAIN and NODATA are told with. Another object after each change. */
  soa(): SoaRecord
  /**
   * Looks a name up.
   *
   * @param name In lower case, without the last dot.
   * @returns Nothing for a name outside the zone.
   */
  find(name: string): Finding | undefined
  /** Puts `app` in, or in place of what was known of it. Costs what the app has slots, whatever the zone has apps. */
  update(app: DnsApp): void
  /** Takes an app out. One that is not in does not matter. */
  remove(app: AppId): void
  /** Replaces what is known of all nodes. */
  setNodes(nodes: readonly DnsNode[]): void
  /** The names that two things claim, and who got them. Walks all slots: for reports, not for queries. */
  conflicts(): NameConflict[]
}

/** The subdomain of the nodes' own names: `NODE.node.shoal`. */
const NODE_LABEL = 'node'
const PROTOCOLS: ReadonlySet<string> = new Set(['_tcp', '_udp'])
/** More servers than this are not listed: thirteen with their addresses fit 512 bytes, as for the root zone. */
const NS_MAX = 13
/** Secondaries are not expected, so their times are any that tools do not complain of (RFC 1912, section 2.2). */
const [REFRESH_SECONDS, RETRY_SECONDS, EXPIRE_SECONDS] = [3_600, 600, 1_209_600]

interface AppEntry {
  readonly app: DnsApp
  readonly tasks: ReadonlyMap<string, DnsTask>
  readonly source: { stale: boolean }
}

/** Makes the zone that `view` describes. Asserts that its domain is a name of at most 100 characters. */
export function createZone(view: DnsView): Zone {
  const { domain, ttlSeconds } = view
  assert(isName(domain) && domain !== '' && domain.length <= 100, `Not a domain: ${domain}`)
  assert(domain === domain.toLowerCase(), `Domain must be in lower case: ${domain}`)
  const apps = new Map<AppId, AppEntry>()
  const table = createNameTable(NODE_LABEL)
  let nodes = nodesByLabel(view.nodes)
  let serial = view.serial >>> 0
  let structure = { stale: false }
  let apex = { stale: false }
  let soa = soaRecord()

  const authority: Authority = { domain, soa: () => soa }

  for (const app of view.apps) insert(app)

  return {
    domain,
    soa: () => soa,
    find,
    update: app => changed(insert(app)),
    remove: id => {
      const before = apps.get(id)
      if (before === undefined) return
      before.source.stale = true
      apps.delete(id)
      table.release(id)
      changed(true)
    },
    setNodes: next => {
      nodes = nodesByLabel(next)
      changed(true)
    },
    conflicts: () => [
      ...nodeConflicts(nodes),
      ...table.conflicts(app => apps.get(app)?.tasks.keys() ?? []),
    ],
  }

  function changed(structureChanged: boolean): void {
    serial = (serial + 1) >>> 0
    apex.stale = true
    apex = { stale: false }
    soa = soaRecord()
    if (!structureChanged) return
    structure.stale = true
    structure = { stale: false }
  }

  /** Returns true when names came or went with it. */
  function insert(app: DnsApp): boolean {
    const before = apps.get(app.id)
    if (before !== undefined) before.source.stale = true
    apps.set(app.id, { app, tasks: tasksByLabel(app.tasks), source: { stale: false } })
    if (before !== undefined && sameItems(before.app.aliases, app.aliases)) return false
    table.claim(app.id, app.aliases)
    return true
  }

  function find(name: string): Finding | undefined {
    if (name === domain) return finding(nsRecords(), nsGlue(), apex)
    if (!name.endsWith(`.${domain}`)) return undefined
    const relative = name.slice(0, -domain.length - 1)
    const labels = relative.split('.')
    const protocol = labels.findLastIndex(label => PROTOCOLS.has(label))
    if (protocol >= 0) return findService(name, labels, protocol)
    if (labels.at(-1) === NODE_LABEL) return findNode(name, labels)
    return findAddress(name, relative)
  }

  /** `web`, `web.shop`, `2.web`. A slot's own name goes before the app `/web/2`: targets of SRV must be right. */
  function findAddress(name: string, relative: string): Finding {
    const [label, parent] = splitFirst(relative)
    const parentEntry = parent === undefined ? undefined : entryOf(parent)
    if (parentEntry !== undefined) {
      const task = parentEntry.tasks.get(label)
      if (task !== undefined) {
        return finding(addressRecords(name, [task]), [], parentEntry.source)
      }
      if (isSlotNumber(label)) return absent(relative, parentEntry.source)
    }
    const entry = entryOf(relative)
    if (entry === undefined) return absent(relative, parentEntry?.source)
    return finding(addressRecords(name, entry.tasks.values()), [], entry.source)
  }

  /**
   * `_web._tcp`, `_http._web._tcp`; for `/shop/web` `_web-shop._tcp`, `_web.shop._tcp` (as Mesos-DNS has it beside),
   * and `_web._tcp.shop` (as RFC 2782 has it).
   */
  function findService(name: string, labels: readonly string[], at: number): Finding {
    const rest = labels.slice(at + 1)
    const before = labels.slice(0, at)
    if (before.length === 0) {
      const parent = rest.join('.')
      return parent === '' || table.hasBelow(parent) ? finding([], [], structure) : absent(parent)
    }
    const hasPort = before[1]?.startsWith('_') ?? false
    const [service, ...path] = hasPort ? before.slice(1) : before
    const app = [service!.slice(1), ...path, ...rest].join('.')
    if (!service!.startsWith('_')) return absent(rest.length > 0 ? '' : before.join('.'))
    const entry = entryOf(app)
    if (entry === undefined) return absent('')
    const protocol = labels[at]!.slice(1)
    const portName = hasPort ? before[0]!.slice(1) : undefined
    if (portName !== undefined && (!before[0]!.startsWith('_') || !mayHavePort(entry, portName))) {
      return absent('', entry.source)
    }
    return serviceFinding(
      name,
      entry,
      ({ name: own, protocol: ownProtocol }) =>
        ownProtocol === protocol && (portName === undefined || own.slice(0, 62) === portName),
    )
  }

  function serviceFinding(
    name: string,
    { app, tasks, source }: AppEntry,
    isWanted: (port: TaskPort) => boolean,
  ): Finding {
    const home = table.homeOf(app.id)
    if (home === undefined) return finding([], [], source)
    const records: SrvRecord[] = []
    const glue: AddressRecord[] = []
    for (const [label, task] of tasks) {
      const target = `${label}.${home}.${domain}`
      const addresses = addressRecords(target, [task])
      const ports = addresses.length === 0 ? [] : task.ports.filter(isWanted)
      const numbers = new Set(ports.map(({ hostPort }) => hostPort).filter(port => port > 0))
      if (numbers.size > 0) glue.push(...addresses)
      for (const port of numbers) {
        records.push({ name, ttlSeconds, type: 'SRV', priority: 0, weight: 1, port, target })
      }
    }
    return finding(records, glue, source)
  }

  function findNode(name: string, labels: readonly string[]): Finding {
    if (labels.length === 1) return finding([], [], structure)
    const node = labels.length === 2 ? nodes.get(labels[0]!)?.[0] : undefined
    if (node === undefined) return absent('')
    return finding(addressRecords(name, [{ ...node, serving: node.alive }]), [], structure)
  }

  /** What is said of a name that nothing owns: it may still have names below it (an empty non-terminal, RFC 8020). */
  function absent(relative: string, source: Freshness = structure): Finding {
    const exists = relative !== '' && table.hasBelow(relative)
    return { exists, records: [], glue: [], source, structure, authority }
  }

  function finding(
    records: readonly DnsRecord[],
    glue: readonly AddressRecord[],
    source: Freshness,
  ): Finding {
    return { exists: true, records, glue, source, structure, authority }
  }

  function entryOf(name: string): AppEntry | undefined {
    const owner = table.ownerOf(name)
    return owner === undefined ? undefined : apps.get(owner)
  }

  /** The addresses of those that serve, each once: a set of records has no doubles (RFC 2181, section 5). */
  function addressRecords(
    name: string,
    hosts: Iterable<{ readonly address: string; readonly serving: boolean }>,
  ): AddressRecord[] {
    const addresses = new Map<string, AddressRecord>()
    for (const { address: text, serving } of hosts) {
      const bytes = serving ? parseAddress(text) : undefined
      if (bytes === undefined) continue
      const address = formatAddress(bytes)
      const type = bytes.length === 4 ? 'A' : 'AAAA'
      addresses.set(address, { name, ttlSeconds, type, address })
    }
    return [...addresses.values()]
  }

  function servers(): string[] {
    const self = mangleLabel(view.self.name)
    const others = [...nodes.keys()].filter(label => label !== self && nodes.get(label)![0]!.alive)
    return [self, ...others.toSorted()].slice(0, NS_MAX)
  }

  function nsRecords(): (NsRecord | SoaRecord)[] {
    const targets = servers().map(label => `${label}.${NODE_LABEL}.${domain}`)
    return [
      soa,
      ...targets.map(target => ({ name: domain, ttlSeconds, type: 'NS', target }) as const),
    ]
  }

  function nsGlue(): AddressRecord[] {
    return servers().flatMap(label =>
      (nodes.get(label) ?? [])
        .slice(0, 1)
        .flatMap(node =>
          addressRecords(`${label}.${NODE_LABEL}.${domain}`, [{ ...node, serving: node.alive }]),
        ),
    )
  }

  function soaRecord(): SoaRecord {
    return {
      name: domain,
      ttlSeconds,
      type: 'SOA',
      primary: `${mangleLabel(view.self.name)}.${NODE_LABEL}.${domain}`,
      mailbox: `hostmaster.${domain}`,
      serial,
      refresh: REFRESH_SECONDS,
      retry: RETRY_SECONDS,
      expire: EXPIRE_SECONDS,
      minimum: ttlSeconds,
    }
  }
}

/** By the slot's label. Of two tasks of one slot, during a move, the first that serves is the slot's. */
function tasksByLabel(tasks: readonly DnsTask[]): Map<string, DnsTask> {
  const byLabel = new Map<string, DnsTask>()
  for (const task of tasks) {
    const label = mangleLabel(task.suffix)
    const before = byLabel.get(label)
    const isBetter = before === undefined || (task.serving && !before.serving)
    if (label !== '' && isBetter) byLabel.set(label, task)
  }
  return byLabel
}

/** Nodes by the label of their name, those that answer to it first: alive ones, then by address. */
function nodesByLabel(nodes: readonly DnsNode[]): Map<string, DnsNode[]> {
  const byLabel = Map.groupBy(nodes, ({ name }) => mangleLabel(name))
  byLabel.delete('')
  for (const [label, same] of byLabel) {
    const sorted = same.toSorted(
      (a, b) => Number(b.alive) - Number(a.alive) || (a.address < b.address ? -1 : 1),
    )
    byLabel.set(label, sorted)
  }
  return byLabel
}

function nodeConflicts(nodes: ReadonlyMap<string, readonly DnsNode[]>): NameConflict[] {
  return Array.from(nodes, ([label, [first, ...others]]) => ({
    name: `${label}.${NODE_LABEL}`,
    kept: describeNode(first!),
    lost: others.map(describeNode),
  })).filter(({ lost }) => lost.length > 0)
}

function describeNode({ name, address }: DnsNode): string {
  return `node ${name} at ${address}`
}

/** False only when the app's serving tasks show their ports and none is called so: while none serves, nobody knows. */
function mayHavePort({ tasks }: AppEntry, portName: string): boolean {
  const all = [...tasks.values()]
  return (
    !all.some(({ serving }) => serving) ||
    all.some(({ ports }) => ports.some(({ name }) => name !== '' && name.slice(0, 62) === portName))
  )
}

function sameItems(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index])
}
