/**
 * Which names exist, and what they say, in all zones that a node answers for. Names are
 * worked out when they are asked for, from one small entry per app: ten thousand apps cost
 * megabytes, and a change of one app touches nothing but that app.
 *
 * @module
 */

import { strict as assert } from 'node:assert'
import type { AppId } from '../model/ids.ts'
import { AppBook } from './app-book.ts'
import type { DnsApp, DnsNode, DnsView } from './dns-view.ts'
import type { Finding, ZonePart } from './finding.ts'
import { createMesosZone, MESOS_SUFFIX, type MesosTask } from './mesos-zone.ts'
import { mesosClaims, NODE_LABEL, ownClaims, SERVICE_LABEL } from './name-claims.ts'
import { createNameTable, type NameConflict, type NamedApp, type NameTable } from './name-table.ts'
import { createOwnZone, isSlotNumber, nodeName } from './own-zone.ts'
import type { DnsRecord, SoaRecord } from './records.ts'
import { createReverseZones } from './reverse-zones.ts'
import { VIEW_WORDS } from './task-views.ts'
import { isName } from './wire.ts'

/** The zones of a node, kept up to date app by app: its own, that of Mesos-DNS, and one for each address. */
export interface Zone {
  /** The name of the cluster's own zone. */
  readonly domain: string
  /** What NXDOMAIN and NODATA of the own zone are told with. Another object after each change. */
  soa(): SoaRecord
  /**
   * Looks a name up.
   *
   * @param name In lower case, without the last dot.
   * @returns Nothing for a name outside the zones.
   */
  find(name: string): Finding | undefined
  /** The names of an app in all zones, whole, each zone's best one first; without slots, services and views. */
  namesOf(app: AppId): string[]
  /** Puts `app` in, or in place of what was known of it. Costs what the app has slots, whatever the zone has apps. */
  update(app: DnsApp): void
  /** Takes an app out. One that is not in does not matter. */
  remove(app: AppId): void
  /** Replaces what is known of all nodes. */
  setNodes(nodes: readonly DnsNode[]): void
  /** The names that two things claim, and who got them. Walks all names: for reports, not for queries. */
  conflicts(): NameConflict[]
  /** The conflicts that these apps would be in, with one another and with those that are there. */
  conflictsWith(apps: readonly NamedApp[]): NameConflict[]
  /**
   * Every record of the zone called `domain`, its SOA first: for transfers and listings. Without what
   * only restates other names, and what depends on who asks whom: `all.`, `near.` and `why.` names, and
   * the several spellings of a service with a path.
   *
   * @returns Nothing for a name that is no zone here.
   */
  transfer(domain: string): Iterable<DnsRecord> | undefined
  /** The tasks that the zone of Mesos-DNS tells of, with their records there; none without that zone. */
  mesosTasks(): Iterable<MesosTask>
}

/** What the reserved subdomains are for, in words. */
const RESERVED_WORDS: ReadonlyMap<string, string> = new Map([
  [NODE_LABEL, 'the names of nodes'],
  [SERVICE_LABEL, 'the names of services'],
])

/** Makes the zones that `view` describes. Asserts that their domains are different names of at most 100 characters. */
export function createZone(view: DnsView): Zone {
  const { domain, mesos } = view
  for (const one of [domain, ...(mesos === undefined ? [] : [mesos.domain])]) {
    assert(isName(one) && one !== '' && one.length <= 100, `Not a domain: ${one}`)
    assert(one === one.toLowerCase(), `Domain must be in lower case: ${one}`)
  }
  assert(domain !== mesos?.domain, `Two zones cannot both be ${domain}`)
  const book = new AppBook(view)
  const table = createNameTable({
    claimsOf: ownClaims,
    reserved: RESERVED_WORDS,
    meaningOf: (label, app) => meaningOf(label, app, book),
  })
  const mesosTable =
    mesos && createNameTable({ claimsOf: (app, aliases) => mesosClaims(app, aliases, mesos.rule) })
  const tables = mesosTable === undefined ? [table] : [table, mesosTable]
  const own = createOwnZone(book, table, domain)
  const parts = new Map<string, ZonePart>([[domain, own]])
  const mesosZone =
    mesosTable &&
    createMesosZone({
      book,
      table: mesosTable,
      mesos,
      domain,
      homeOf: app => table.homeOf(app),
    })
  if (mesosZone !== undefined) parts.set(mesosZone.authority.domain, mesosZone)
  const reverse = createReverseZones(book, domain)
  reverse.setNodes(view.nodes)
  for (const app of view.apps) insert(app)

  return {
    domain,
    soa: () => own.authority.soa(),
    find: name => partOf(name)?.find(name),
    namesOf: app => [
      ...table.namesOf(app).map(name => `${name}.${domain}`),
      ...(mesosTable?.namesOf(app) ?? []).map(name => `${name}.${MESOS_SUFFIX}.${mesos!.domain}`),
    ],
    update: app => book.changed({ structure: insert(app) }),
    remove: id => {
      if (!book.remove(id)) return
      for (const one of tables) one.release(id)
      book.changed({ structure: true })
    },
    setNodes: nodes => {
      book.setNodes(nodes)
      reverse.setNodes(nodes)
      book.changed({ structure: true })
    },
    conflicts: () => [...nodeConflicts(book, domain), ...conflictsIn(one => one.conflicts())],
    conflictsWith: apps => conflictsIn(one => one.conflictsWith(apps)),
    transfer: name => {
      const part = parts.get(name) ?? reverse.partOf(name)
      return part?.authority.domain === name ? recordsOf(part) : undefined
    },
    mesosTasks: () => mesosZone?.tasks() ?? [],
  }

  /** The innermost zone that `name` is in. */
  function partOf(name: string): ZonePart | undefined {
    if (name.endsWith('.arpa')) return reverse.partOf(name)
    let rest = name
    for (;;) {
      const part = parts.get(rest)
      if (part !== undefined) return part
      const dot = rest.indexOf('.')
      if (dot < 0) return undefined
      rest = rest.slice(dot + 1)
    }
  }

  /** Returns true when names came or went with it. */
  function insert(app: DnsApp): boolean {
    const before = book.apps.get(app.id)
    book.put(app)
    if (before !== undefined && sameItems(before.app.aliases, app.aliases)) return false
    for (const one of tables) one.claim(app)
    return true
  }

  /** Most conflicts below `marathon.mesos` are ours as well, and told once. */
  function conflictsIn(of: (table: NameTable) => NameConflict[]): NameConflict[] {
    const conflicts = of(table)
    const told = new Set(conflicts.map(conflict => JSON.stringify(conflict)))
    const others = (mesosTable === undefined ? [] : of(mesosTable)).filter(
      conflict => !told.has(JSON.stringify(conflict)),
    )
    return [
      ...conflicts.map(one => ({ ...one, name: `${one.name}.${domain}` })),
      ...others.map(one => ({ ...one, name: `${one.name}.${MESOS_SUFFIX}.${mesos!.domain}` })),
    ]
  }
}

/** Every record of a zone, those of its own name first. */
function* recordsOf(part: ZonePart): Generator<DnsRecord> {
  const told = new Set<string>()
  for (const name of part.names()) {
    if (told.has(name)) continue
    told.add(name)
    yield* part.find(name).records
  }
}

function meaningOf(label: string, app: AppId, book: AppBook): string | undefined {
  if (isSlotNumber(label) || book.apps.get(app)?.slots.has(label)) return `slot ${label} of ${app}`
  const words = VIEW_WORDS.get(label)
  return words && `${words} of ${app}`
}

function nodeConflicts({ nodes }: AppBook, domain: string): NameConflict[] {
  return Array.from(nodes, ([label, [first, ...others]]) => ({
    name: nodeName(label, domain),
    kept: describeNode(first!),
    lost: others.map(describeNode),
  })).filter(({ lost }) => lost.length > 0)
}

function describeNode({ name, addresses }: DnsNode): string {
  return `node ${name} at ${addresses.join(', ')}`
}

function sameItems(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index])
}
