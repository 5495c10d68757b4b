import { isDeepStrictEqual } from 'node:util'
import { fixedPortsOf, runtimeOf } from '../../model/app.ts'
import type { Admission, Desired, DesiredApp } from '../../model/desired.ts'
import type { AppId, NodeId, SlotId } from '../../model/ids.ts'
import type { NodeRecord } from '../../model/node-record.ts'
import type {
  Placement,
  PlacementApp,
  PlacementInput,
  PlacementNode,
} from '../../placement/input.ts'
import type { Placer } from '../../placement/placer.ts'
import type { HeldSlots } from './holders.ts'

interface KnownNode {
  readonly record: NodeRecord
  readonly admission: Admission | undefined
  readonly made: MadeNode
  /** That of an earlier record, if nothing in it is different. */
  readonly node: PlacementNode
}

interface MadeNode {
  readonly key: string
  readonly node: PlacementNode
}

/**
 * Turns the shared facts into what placement reads. An app or a node that did not
 * change is the same object as last time, which is how placement knows it.
 */
export class PlacementInputs {
  readonly #apps = new Map<DesiredApp, PlacementApp>()
  readonly #nodes = new Map<NodeId, KnownNode>()

  /** @param held Who holds the slots that stay where they are, by app. */
  apps(desired: Desired, held: ReadonlyMap<AppId, HeldSlots>): PlacementApp[] {
    const apps = Array.from(desired.apps.values(), app => this.#app(app, held.get(app.id)))
    if (this.#apps.size > 2 * apps.length + 16) this.#prune(desired)
    return apps
  }

  /** The nodes that these are the records of. */
  nodes(desired: Desired, records: readonly NodeRecord[]): PlacementNode[] {
    return records.map(record => this.#node(record, desired.nodes.get(record.node)))
  }

  #app(app: DesiredApp, held: HeldSlots | undefined): PlacementApp {
    const known = this.#apps.get(app)
    if (known !== undefined && isDeepStrictEqual(known.held, held)) return known
    const { spec } = app
    const made: PlacementApp = {
      id: app.id,
      revision: app.revision,
      mode: spec.mode,
      instances: app.instances,
      resources: spec.resources,
      fixedPorts: fixedPortsOf(spec),
      constraints: spec.constraints,
      runtime: runtimeOf(spec),
      ...(spec.maxPerNode !== undefined && { maxPerNode: spec.maxPerNode }),
      ...(spec.placement === 'sticky' && { sticky: true }),
      ...(held !== undefined && { held }),
    }
    this.#apps.set(app, made)
    return made
  }

  #node(record: NodeRecord, admission: Admission | undefined): PlacementNode {
    const { node: id } = record
    const known = this.#nodes.get(id)
    if (known?.record === record && known.admission === admission) return known.node
    const made = placementNode(record, admission)
    const node = known?.made.key === made.key ? known.node : made.node
    this.#nodes.set(id, { record, admission, made, node })
    return node
  }

  #prune(desired: Desired): void {
    const live = new Set(desired.apps.values())
    for (const app of this.#apps.keys()) if (!live.has(app)) this.#apps.delete(app)
  }
}

const plainNodes = new WeakMap<NodeRecord, MadeNode>()

/** What placement reads of a node. Most nodes nobody said anything of: then it follows from the record alone, and is made once for it. */
function placementNode(record: NodeRecord, admission: Admission | undefined): MadeNode {
  const isPlain =
    admission === undefined ||
    (admission.mode === 'active' && Object.keys(admission.labels).length === 0)
  const plain = isPlain ? plainNodes.get(record) : undefined
  if (plain !== undefined) return plain
  const { node: id, name, runtimes, capacity, refusals, leaving } = record
  const mode = leaving ? 'leaving' : (admission?.mode ?? 'active')
  const labels = labelsOf(record, admission)
  const key = JSON.stringify([keyOf(record), mode, labels])
  const made: MadeNode = { key, node: { id, name, labels, runtimes, capacity, refusals, mode } }
  if (isPlain) plainNodes.set(record, made)
  return made
}

/** The labels that count: what people say in the document, before what the node says of itself. */
export function labelsOf(
  record: Pick<NodeRecord, 'labels'> | undefined,
  admission: Pick<Admission, 'labels'> | undefined,
): Readonly<Record<string, string>> {
  return { ...record?.labels, ...admission?.labels }
}

/**
 * Places every slot. Where every node that could run a slot refuses it, the
 * refusals do not count: somebody has to go on trying. Two placers, so that each sees
 * only small changes from call to call.
 */
export function placeOrInsist(
  placers: { readonly first: Placer; readonly insisting: Placer },
  input: PlacementInput,
): { readonly input: PlacementInput; readonly placement: Placement } {
  const first = placers.first.place(input)
  if (first.unplaced.size === 0) return { input, placement: first }
  const refused = new Set<SlotId>()
  for (const { refusals } of input.nodes) {
    for (const { slot } of refusals) if (first.unplaced.has(slot)) refused.add(slot)
  }
  if (refused.size === 0) return { input, placement: first }
  const nodes = input.nodes.map(node => {
    const kept = node.refusals.filter(({ slot }) => !refused.has(slot))
    return kept.length === node.refusals.length ? node : { ...node, refusals: kept }
  })
  const insisted = { ...input, nodes }
  return { input: insisted, placement: placers.insisting.place(insisted) }
}

/** True when the step between two versions of a record changes what placement reads of the node itself. */
export function changesNode(before: NodeRecord, after: NodeRecord): boolean {
  return keyOf(before) !== keyOf(after)
}

const keys = new WeakMap<NodeRecord, string>()

function keyOf(record: NodeRecord): string {
  let key = keys.get(record)
  if (key === undefined) {
    const { name, labels, runtimes, capacity, refusals, leaving, flapping } = record
    key = JSON.stringify([name, labels, runtimes, capacity, refusals, leaving, flapping])
    keys.set(record, key)
  }
  return key
}
