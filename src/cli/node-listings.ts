import type { NodeAnswer, NodeLine, SettingLine } from '../api/shapes.ts'
import { showTasks } from './listings.ts'
import { ago, say, sayTable } from './print.ts'

/** `shoal node ls`. */
export function showNodes(nodes: readonly NodeLine[], nowMs: number): void {
  sayTable(
    ['NODE', 'VERDICT', 'FOR', 'ADDRESS', 'TASKS', 'CPUS', 'MEM MB', 'DOCKER', 'VERSION', 'LABELS'],
    nodes.map(node => [
      `${node.name}${node.isSelf ? ' *' : ''}`,
      verdictOf(node),
      ago(node.sinceMs, nowMs) || '-',
      node.address ?? '-',
      String(node.tasks),
      node.capacity === undefined ? '-' : `${node.used.cpus}/${node.capacity.cpus}`,
      node.capacity === undefined ? '-' : `${node.used.memMb}/${node.capacity.memMb}`,
      node.docker ? 'yes' : 'no',
      node.version ?? '-',
      pairsOf(node.labels),
    ]),
  )
}

/** `shoal node inspect`. */
export function showNode(node: NodeAnswer, nowMs: number): void {
  const { address, capacity, used, version } = node
  say(`node       ${node.name} (${node.node})`)
  say(`verdict    ${verdictOf(node)} for ${ago(node.sinceMs, nowMs) || '-'}`)
  say(`admitted   by ${node.admittedBy}, ${ago(node.admittedAtMs, nowMs)} ago`)
  if (address !== undefined) say(`address    ${address}, version ${version ?? '-'}`)
  if (capacity !== undefined) {
    const { cpus, memMb, diskMb, gpus } = capacity
    say(
      `used       ${used.cpus} of ${cpus} cpus, ${used.memMb} of ${memMb} MB of memory, ${used.diskMb} of ${diskMb} MB of disk, ${used.gpus} of ${gpus} gpus`,
    )
  }
  say(`labels     ${pairsOf(node.labels) || '-'}`)
  for (const [key, value] of Object.entries(node.ownLabels)) {
    if (node.setLabels[key] === undefined || node.setLabels[key] === value) continue
    say(`           ${key}=${value} by its own word does not count`)
  }
  for (const { slot, reason } of node.refusals) say(`refuses    ${slot}: ${reason}`)
  for (const { slot, reason } of node.waits) say(`waits      ${slot}: ${reason}`)
  for (const { slot, movesTo, waitsFor } of node.runs) {
    if (movesTo === undefined && waitsFor === undefined) continue
    const wait = waitsFor === undefined ? '' : `: ${waitsFor}`
    say(`moves      ${slot} ${movesTo === undefined ? 'ends' : `goes to ${movesTo}`}${wait}`)
  }
  say('')
  showTasks(node.runs, nowMs)
}

/** `shoal settings`. */
export function showSettings(settings: readonly SettingLine[]): void {
  sayTable(
    ['SETTING', 'VALUE', 'DEFAULT'],
    settings.map(({ name, value, defaultRule }) => [
      name,
      value === undefined ? 'default' : String(value),
      defaultRule,
    ]),
  )
}

/** What it is, and what people said of it: `alive, cordoned`. */
function verdictOf({ verdict, mode, leaving }: NodeLine): string {
  const more = leaving ? ['leaving'] : mode === 'active' ? [] : [mode]
  return [verdict, ...more].join(', ')
}

function pairsOf(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .toSorted()
    .join(' ')
}
