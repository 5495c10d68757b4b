import type { ElsewhereLine, StatusAnswer } from '../api/shapes.ts'
import { listNames } from '../util/list-names.ts'
import { ago, count, say, span } from './print.ts'

/** Of an app so many slots are named; the rest is counted. */
const SLOTS_NAMED_MAX = 10

/** `shoal status`. */
export function showStatus(status: StatusAnswer, nowMs: number): void {
  const { slots, conflicts, dns } = status
  say(
    `node      ${status.name} (${status.node}), up ${span(status.uptimeMs)}, version ${status.version}`,
  )
  say(`cluster   ${status.cluster}`)
  showSeen(status, nowMs)
  showElsewhere(status.elsewhere)
  if (status.brake !== undefined) {
    const { lost, of, startIntervalMs } = status.brake
    say(
      `brake     ${lost} of ${of} nodes were lost at once: each node starts one task in their place every ${span(startIntervalMs)}`,
    )
  }
  for (const { node, address } of status.twins) {
    say(
      `twin      ${node} is also what another machine, at ${address}, calls itself: give that one a key of its own`,
    )
  }
  say(
    `apps      ${count(status.apps, 'app')}, ${slots.running} of ${count(slots.wanted, 'slot')} running`,
  )
  if (slots.pending > 0)
    say(`          ${count(slots.pending, 'slot')} pending: see \`shoal ps\` and \`shoal why APP\``)
  for (const { app, lost, kept, lostAuthor } of conflicts) {
    say(
      `conflict  ${app}: revision ${lost} (by ${lostAuthor}) lost against ${kept}; see \`shoal inspect ${app}\``,
    )
  }
  say(`dns       ${dns.address} port ${dns.port}, domain ${dns.domain}`)
}

/** What may be running where this node does not see it. Nothing is said when there is nothing. */
export function showElsewhere(lines: readonly ElsewhereLine[]): void {
  if (lines.length === 0) return
  const nodes = new Set(lines.flatMap(({ slots }) => slots.map(({ node }) => node)))
  say(
    `unseen    may still run on ${listNames([...nodes].toSorted())}, which cannot be seen from here:`,
  )
  for (const line of lines) say(`          ${line.app}: ${elsewhereText(line)}`)
}

function elsewhereText({ app, slots, isolated }: ElsewhereLine): string {
  const names = (of: ElsewhereLine['slots']): string => {
    const numbers = of.map(({ slot }) => slot.slice(app.length + 1))
    const what = numbers.length === 1 ? 'slot' : 'slots'
    return `${what} ${listNames(numbers, { namedMax: SLOTS_NAMED_MAX })}`
  }
  const twice = slots.filter(({ alsoSeen }) => alsoSeen)
  const text = names(slots)
  if (isolated === 'stop') return `${text}; a side without a majority ends them (isolated: stop)`
  if (twice.length === 0) return text
  const here =
    twice.length === slots.length ? (slots.length === 1 ? 'it' : 'all of them') : names(twice)
  return `${text}; this side runs ${here}, too`
}

function showSeen({ nodes, uptimeMs }: StatusAnswer, nowMs: number): void {
  const { admitted, alive, notAlive, sinceMs, majority } = nodes
  const seen = `nodes     I see ${alive} of ${count(admitted, 'admitted node')}`
  if (sinceMs === undefined) {
    say(seen)
    return
  }
  const since = new Date(sinceMs).toISOString().replace(/\.\d+Z$/, 'Z')
  say(`${seen}, since ${since} (${ago(sinceMs, nowMs)} ago)`)
  for (const node of notAlive) {
    const { name, verdict } = node
    const what =
      node.sinceMs === undefined
        ? `not heard of since this daemon started ${span(uptimeMs)} ago: what it runs is not known`
        : `${verdict}, no answer for ${ago(node.sinceMs, nowMs)}`
    say(`          ${name}: ${what}`)
  }
  say(
    majority
      ? '          this side is a majority'
      : '          this side is not a majority: the same work may be running on the other side',
  )
}
