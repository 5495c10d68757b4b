import { hashText } from './hash.ts'
import type { Placement, PlacementApp, PlacementInput, PlacementNode } from './input.ts'
import { SlotMap } from './slot-map.ts'

const known = new WeakMap<PlacementApp | PlacementNode, readonly [number, number]>()
/** The nodes are the same list as long as none of them changed. */
const knownLists = new WeakMap<readonly PlacementNode[], readonly [number, number]>()

/**
 * A digest of everything that decides a placement: 16 hex digits, whatever the order
 * of the lists. Each app and node is hashed once and remembered with its object,
 * so it costs an addition for each that did not change. Finds bugs, not forgers: it is no cryptographic hash.
 */
export function inputsHash({ apps, nodes }: PlacementInput): string {
  const [appsLow, appsHigh] = sumOf(apps)
  let ofNodes = knownLists.get(nodes)
  if (ofNodes === undefined) {
    ofNodes = sumOf(nodes)
    knownLists.set(nodes, ofNodes)
  }
  const [nodesLow, nodesHigh] = ofNodes
  return hex((appsHigh + nodesHigh) >>> 0) + hex((appsLow + nodesLow) >>> 0)
}

/** Two sums of the hashes of all, of 32 bits each. */
function sumOf(items: readonly (PlacementApp | PlacementNode)[]): readonly [number, number] {
  let [low, high] = [0, 0]
  for (const item of items) {
    let hashes = known.get(item)
    if (hashes === undefined) {
      const text = canonical(item)
      hashes = [hashText(text, 1), hashText(text, 2)]
      known.set(item, hashes)
    }
    low = (low + hashes[0]) >>> 0
    high = (high + hashes[1]) >>> 0
  }
  return [low, high]
}

/** A digest of where each slot goes: 16 hex digits, whatever the order of the map. */
export function placementHash({ placed }: Pick<Placement, 'placed'>): string {
  const [low, high] = (placed instanceof SlotMap ? placed : new SlotMap(placed)).sums()
  return hex(high) + hex(low)
}

/** JSON with the keys of objects and maps in order, and without those that are undefined. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown): unknown => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part
    const entries: [unknown, unknown][] = part instanceof Map ? [...part] : Object.entries(part)
    return Object.fromEntries(
      entries.toSorted(([one], [other]) => (String(one) < String(other) ? -1 : 1)),
    )
  })
}

function hex(number: number): string {
  return number.toString(16).padStart(8, '0')
}
