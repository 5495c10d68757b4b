import type { NodeId } from '../../model/ids.ts'
import { listNames } from '../../util/list-names.ts'
import type { ClusterEvent } from './events.ts'
import type { HealReport, RanTwice } from './split-report.ts'

/** A report of who is back and what ran on both sides, as an event: a line for people, and all of it for programs. */
export function healEvent(
  report: HealReport,
  nameOf: (node: NodeId) => string,
  timeMs: number,
): ClusterEvent {
  const { more } = report
  const away = report.away.map(({ node, forMs }) => ({ node: nameOf(node), forMs }))
  const ranTwice = report.ranTwice.map(one => ({
    ...one,
    nodes: one.nodes.map(node => nameOf(node)).toSorted(),
  }))
  const names = away.map(({ node }) => node).toSorted()
  const upTo = names.length === 1 ? 'is back after' : 'are back after up to'
  const back = `${upTo} ${seconds(Math.max(0, ...away.map(({ forMs }) => forMs)))}`
  return {
    timeMs,
    kind: 'healed',
    subject: listNames(names),
    text: `${back}: ${whatOf(ranTwice, ranTwice.length + more)}`,
    report: { away, ranTwice, more },
  }
}

function whatOf(ranTwice: readonly RanTwice<string>[], count: number): string {
  if (count === 0) return 'nothing ran twice'
  const slots = ranTwice.map(({ slot, nodes, forMs, isStill }) => {
    const still = isStill ? ', and still does' : ''
    return `${slot} on ${listNames(nodes)} for ${seconds(forMs)}${still}`
  })
  return `${count} slot${count === 1 ? '' : 's'} ran twice: ${listNames(slots, { count })}`
}

function seconds(ms: number): string {
  return ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`
}
