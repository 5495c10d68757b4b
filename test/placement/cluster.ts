import fc from 'fast-check'
import type { Constraint } from '../../src/model/app.ts'
import {
  appOfSlot,
  type AppId,
  type NodeId,
  type RevisionId,
  type SlotId,
} from '../../src/model/ids.ts'
import { attributeOf, isHostname, staticRefusal } from '../../src/placement/constraint.ts'
import type {
  Placement,
  PlacementApp,
  PlacementInput,
  PlacementNode,
} from '../../src/placement/input.ts'

/** An app with room for anything said otherwise. */
export function app(id: string, over: Partial<PlacementApp> = {}): PlacementApp {
  return {
    id: id as AppId,
    revision: 'r1' as RevisionId,
    mode: 'replicated',
    instances: 1,
    resources: { cpus: 0.1, memMb: 128, diskMb: 0, gpus: 0 },
    fixedPorts: [],
    constraints: [],
    runtime: 'process',
    ...over,
  }
}

/** A node that has everything, unless said otherwise. */
export function node(id: string, over: Partial<PlacementNode> = {}): PlacementNode {
  return {
    id: id as NodeId,
    name: id,
    labels: {},
    runtimes: { docker: true, process: true },
    capacity: { cpus: 64, memMb: 65_536, diskMb: 100_000, gpus: 0 },
    mode: 'active',
    refusals: [],
    ...over,
  }
}

/** `count` nodes, all alike. */
export function nodes(count: number, over: Partial<PlacementNode> = {}): PlacementNode[] {
  return Array.from({ length: count }, (_, index) => node(`n${index}`, over))
}

/** The whole answer as text, to compare by. */
export function print({ placed, unplaced }: Placement): string {
  const lines = [...placed].map(([slot, on]) => `${slot} ${on}`)
  for (const slot of unplaced.keys()) lines.push(`${slot} -`)
  return lines.toSorted().join('\n')
}

/** Slots that are somewhere else in `after`, or nowhere. */
export function moved(before: Placement, after: Placement): SlotId[] {
  return [...before.placed]
    .filter(([slot, on]) => after.placed.get(slot) !== on)
    .map(([slot]) => slot)
}

const constraint: fc.Arbitrary<Constraint> = fc.constantFrom<Constraint>(
  { field: 'disk', operator: 'IS', value: 'ssd' },
  { field: 'disk', operator: 'LIKE', value: 's.d' },
  { field: 'disk', operator: 'UNLIKE', value: 'hdd' },
  { field: '@zone', operator: 'CLUSTER', value: 'z1' },
  { field: '@zone', operator: 'CLUSTER' },
  { field: '@zone', operator: 'GROUP_BY' },
  { field: '@zone', operator: 'MAX_PER', value: '2' },
  { field: 'disk', operator: 'UNIQUE' },
  { field: '@hostname', operator: 'UNIQUE' },
  { field: '@hostname', operator: 'MAX_PER', value: '2' },
  { field: 'hostname', operator: 'GROUP_BY', value: '3' },
)

/** Who holds which of the first slots, whether or not there are such nodes. */
const anyHolders = fc
  .array(fc.tuple(fc.nat(9), fc.uniqueArray(fc.nat(15), { minLength: 1, maxLength: 3 })), {
    maxLength: 6,
  })
  .map(pairs =>
    pairs.map(([slot, holders]) => ({ slot, nodes: holders.map(at => `n${at}`).toSorted() })),
  )

/** An app of a small cluster that is short of everything. */
export const anyApp: fc.Arbitrary<PlacementApp> = fc
  .record({
    id: fc.constantFrom('/a', '/b', '/c', '/d', '/e', '/f', '/g/h'),
    mode: fc.constantFrom<PlacementApp['mode']>('replicated', 'replicated', 'replicated', 'global'),
    instances: fc.nat(9),
    memMb: fc.constantFrom(0, 100, 100, 300, 900),
    cpus: fc.constantFrom(0, 0.1, 0.7),
    fixedPorts: fc.constantFrom([], [], [], ['tcp 80'], ['tcp 80', 'tcp 81']),
    constraints: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 2, arbitrary: fc.array(constraint, { maxLength: 2 }) },
    ),
    maxPerNode: fc.constantFrom(undefined, undefined, undefined, 1, 2),
    runtime: fc.constantFrom<PlacementApp['runtime']>('docker', 'process'),
    sticky: fc.constantFrom(undefined, undefined, true),
    holders: fc.oneof(fc.constant([]), anyHolders),
  })
  .map(({ id, memMb, cpus, maxPerNode, sticky, holders, ...rest }) =>
    app(id, {
      ...rest,
      ...(sticky !== undefined && { sticky }),
      ...(holders.length > 0 && { held: heldMap(id, rest.mode, holders) }),
      resources: { cpus, memMb, diskMb: 0, gpus: 0 },
      ...(maxPerNode !== undefined && { maxPerNode }),
    }),
  )

function heldMap(
  id: string,
  mode: PlacementApp['mode'],
  holders: readonly { readonly slot: number; readonly nodes: readonly string[] }[],
): ReadonlyMap<SlotId, readonly NodeId[]> {
  return new Map(
    holders.map(({ slot, nodes: on }) => {
      const only = mode === 'global' ? on.slice(0, 1) : on
      return [`${id}.${mode === 'global' ? only[0] : slot}` as SlotId, only as NodeId[]] as const
    }),
  )
}

/** The app when nobody holds its slots, sticky or not. */
export function unheld(each: PlacementApp, isSticky = each.sticky): PlacementApp {
  const copy: { -readonly [Key in keyof PlacementApp]: PlacementApp[Key] } = { ...each }
  delete copy.held
  delete copy.sticky
  return isSticky === true ? { ...copy, sticky: true } : copy
}

/** The input with what a placement says as what the nodes hold: of sticky apps all, of others what is on a cordoned node. */
export function holding(
  { apps, nodes: all }: PlacementInput,
  { placed }: Placement,
): PlacementInput {
  const cordoned = new Set(all.filter(({ mode }) => mode === 'cordoned').map(({ id }) => id))
  return {
    nodes: all,
    apps: apps.map(wanted => {
      const each = unheld(wanted)
      const own = [...placed].filter(
        ([slot, on]) => appOfSlot(slot) === each.id && (each.sticky === true || cordoned.has(on)),
      )
      return own.length === 0
        ? each
        : { ...each, held: new Map(own.map(([slot, on]) => [slot, [on]])) }
    }),
  }
}

/** A small node. */
export const anyNode: fc.Arbitrary<PlacementNode> = fc
  .record({
    index: fc.nat(15),
    memMb: fc.constantFrom(500, 1000, 4000),
    zone: fc.constantFrom(undefined, 'z1', 'z1', 'z2', 'z3'),
    disk: fc.constantFrom(undefined, 'ssd', 'hdd'),
    docker: fc.boolean(),
    mode: fc.constantFrom<PlacementNode['mode']>(
      'active',
      'active',
      'active',
      'cordoned',
      'drained',
    ),
    maxSlots: fc.constantFrom(undefined, undefined, 3),
    refused: fc.constantFrom(undefined, undefined, '/a.0', '/b.1'),
  })
  .map(({ index, memMb, zone, disk, docker, mode, maxSlots, refused }) =>
    node(`n${index}`, {
      labels: { ...(zone !== undefined && { zone }), ...(disk !== undefined && { disk }) },
      runtimes: { docker, process: true },
      capacity: { cpus: 2, memMb, diskMb: 0, gpus: 0 },
      mode,
      ...(maxSlots !== undefined && { maxSlots }),
      refusals:
        refused === undefined
          ? []
          : [{ slot: refused as SlotId, revision: 'r1' as RevisionId, reason: 'image not found' }],
    }),
  )

/** A small cluster. */
export const anyInput: fc.Arbitrary<PlacementInput> = fc.record({
  apps: fc.uniqueArray(anyApp, { maxLength: 6, selector: ({ id }) => id }),
  nodes: fc.uniqueArray(anyNode, { maxLength: 12, selector: ({ id }) => id }),
})

/** What is wrong with a placement: every hard rule, checked the plain way. */
export function violations({ apps, nodes: all }: PlacementInput, { placed }: Placement): string[] {
  const found: string[] = []
  const byId = new Map(all.map(each => [each.id, each]))
  const load = new Map<NodeId, { cpus: number; memMb: number; slots: number; ports: string[] }>()
  for (const each of apps) {
    const mine = [...placed].filter(([slot]) => slot.slice(0, slot.lastIndexOf('.')) === each.id)
    const values = new Map<string, number>()
    for (const [slot, on] of mine) {
      const at = byId.get(on)
      if (at === undefined) {
        found.push(`${slot} is on ${on}, which is not there`)
        continue
      }
      const why = staticRefusal(each, at)
      if (why !== undefined) found.push(`${slot} is on ${on}: ${why}`)
      if (at.mode === 'cordoned' && each.held?.get(slot)?.includes(on) !== true)
        found.push(`${slot} is on ${on}, which is cordoned and does not hold it`)
      if (at.refusals.some(refusal => refusal.slot === slot))
        found.push(`${slot} is refused by ${on}`)
      const sum = load.get(on) ?? { cpus: 0, memMb: 0, slots: 0, ports: [] }
      load.set(on, {
        cpus: sum.cpus + Math.round(each.resources.cpus * 1000),
        memMb: sum.memMb + each.resources.memMb,
        slots: sum.slots + 1,
        ports: [...sum.ports, ...each.fixedPorts],
      })
      const count = (key: string): void => void values.set(key, (values.get(key) ?? 0) + 1)
      count(`node ${on}`)
      for (const { field } of each.constraints) count(`${field} ${attributeOf(at, field)}`)
    }
    const most = (prefix: string): number =>
      Math.max(0, ...[...values].filter(([key]) => key.startsWith(`${prefix} `)).map(([, n]) => n))
    if (most('node') > (each.maxPerNode ?? Infinity)) found.push(`${each.id}: maxPerNode`)
    for (const { field, operator, value } of each.constraints) {
      // Counted once per constraint on the field, so fields that occur twice count double.
      const times = each.constraints.filter(other => other.field === field).length
      const top = most(field) / times
      if (operator === 'UNIQUE' && top > 1) found.push(`${each.id}: ${field} UNIQUE`)
      if (operator === 'MAX_PER' && top > Number(value)) found.push(`${each.id}: ${field} MAX_PER`)
      if (operator === 'CLUSTER' && value === undefined) {
        const used = [...values.keys()].filter(key => key.startsWith(`${field} `))
        if (used.length > 1) found.push(`${each.id}: ${field} CLUSTER over ${used.join()}`)
      }
      if (operator === 'GROUP_BY' && isHostname(field) && top > 1) {
        const eligible = all.filter(other => staticRefusal(each, other) === undefined).length
        if (eligible < Number(value)) found.push(`${each.id}: ${field} GROUP_BY ${value}`)
      }
    }
  }
  for (const [on, { cpus, memMb, slots, ports }] of load) {
    const { capacity, maxSlots } = byId.get(on)!
    if (cpus > capacity.cpus * 1000) found.push(`${on}: cpus`)
    if (memMb > capacity.memMb) found.push(`${on}: memory`)
    if (slots > (maxSlots ?? Infinity)) found.push(`${on}: slots`)
    if (new Set(ports).size < ports.length) found.push(`${on}: ports`)
  }
  return found
}
