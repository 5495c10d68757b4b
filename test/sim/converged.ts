import { isDeepStrictEqual } from 'node:util'
import { isServing } from '../../src/model/task.ts'
import { workDigest } from '../../src/util/work-digest.ts'
import { placementHash } from '../../src/placement/digest.ts'
import type { SlotId } from '../../src/model/ids.ts'
import type { SimHost } from './host.ts'

/** A node that just started may not even know its own engines. */
const STARTING_MS = 3_500

/** What keeps a cluster without faults from being at rest: empty when every node agrees and exactly what is wanted runs. */
export function unrest(hosts: readonly SimHost[], nowMs: number): string[] {
  const up = hosts.filter(({ machine }) => machine !== undefined)
  const fresh = up.filter(({ sinceMs }) => nowMs - sinceMs < STARTING_MS)
  if (fresh.length > 0) return fresh.map(({ name }) => `${name} has just started`)
  return [...disagreements(up), ...missingParts(hosts, up), ...wrongTasks(hosts, up)]
}

function disagreements(up: readonly SimHost[]): string[] {
  const found: string[] = []
  const [first, ...others] = up
  if (first === undefined) return ['no node runs']
  const { doc, book, placed } = first.machine!
  for (const { name, machine } of others) {
    const other = machine!
    if (!isDeepStrictEqual(other.doc.read(), doc.read())) {
      found.push(`${name} and ${first.name} want different things`)
    }
    if (Buffer.compare(other.doc.vector(), doc.vector()) !== 0) {
      found.push(`the documents of ${name} and ${first.name} differ`)
    }
    if (placementHash(other.placed.placement) !== placementHash(placed.placement)) {
      found.push(`${name} and ${first.name} place differently`)
    }
    for (const record of book.records()) {
      const seen = other.book.get(record.node)
      if (seen?.incarnation !== record.incarnation || seen.seq !== record.seq) {
        found.push(`${name} and ${first.name} have different records of ${record.name}`)
      }
    }
  }
  for (const { name, machine } of up) {
    for (const other of up) {
      if (machine!.members.isAlive(other.node) || !machine!.admitted.has(other.node)) continue
      found.push(`${name} holds ${other.name} for ${machine!.members.verdict(other.node)?.kind}`)
    }
  }
  return found
}

/** Who has an edit whose predecessor was on one disk only waits for ever where that disk is destroyed: nobody has it any more. */
function missingParts(hosts: readonly SimHost[], up: readonly SimHost[]): string[] {
  if (hosts.some(({ state }) => state === 'gone')) return []
  return up
    .filter(({ machine }) => machine!.doc.stats().waitingBytes > 0)
    .map(({ name }) => `${name} waits for a part of the document`)
}

function wrongTasks(hosts: readonly SimHost[], up: readonly SimHost[]): string[] {
  const found: string[] = []
  const { doc, placed } = up[0]!.machine!
  const { apps } = doc.read()
  const missing = new Set<SlotId>(placed.placement.placed.keys())
  for (const host of hosts) {
    for (const { task, slot, revision: started, spec } of host.tasks.live.values()) {
      const owner = placed.placement.placed.get(slot)
      const record = host.machine?.book.get(host.node)
      const told = record?.tasks.find(({ id }) => id === task)
      const app = slot.slice(0, slot.lastIndexOf('.'))
      const wanted = [...apps.values()].find(({ id }) => id === app)
      // Nothing starts again for a revision of the very same work: its task is said to be of it.
      const isSame = wanted !== undefined && workDigest(wanted.spec) === workDigest(spec)
      const revision = isSame ? told?.revision : started
      const isOld = wanted !== undefined && wanted.revision !== revision
      // What no node may run is left to an older revision that serves.
      if (isOld && placed.placement.unplaced.has(slot) && told !== undefined && isServing(told))
        continue
      if (owner !== host.node) found.push(`${task} runs on ${host.name}, where it does not belong`)
      else if (wanted?.revision !== revision) {
        found.push(`${task} runs on ${host.name} at an old revision`)
      } else if (told === undefined || !isServing(told)) {
        found.push(`${task} on ${host.name} is ${told?.state} and ${told?.health}`)
      } else if (!missing.delete(slot)) found.push(`${slot} runs twice on ${host.name}`)
    }
  }
  for (const slot of missing) {
    const owner = up.find(({ node }) => node === placed.placement.placed.get(slot))
    const wait = owner?.machine?.waits.find(other => other.slot === slot)
    found.push(`${slot} does not run on ${owner?.name}: ${wait?.reason ?? 'nobody says why'}`)
  }
  return found
}
