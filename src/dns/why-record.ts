import { TXT_BYTES_MAX, type TxtRecord } from './records.ts'
import type { DnsApp } from './dns-view.ts'

/** Slots that are explained; for more there is `shoal why`. */
const SLOTS_MAX = 12

/**
 * Why an app's slots are where they are, in few words: the first string says how many
 * serve, and each one after it speaks of a slot. For a look from a machine that has
 * `dig` and nothing else; `shoal why` knows more.
 */
export function whyRecord(name: string, ttlSeconds: number, app: DnsApp): TxtRecord {
  const lines = [
    ...app.tasks.map(({ suffix, node, zone, note }) => ({
      suffix,
      text: `${suffix} on ${node}${zone === '' ? '' : ` (zone ${zone})`}: ${note}`,
    })),
    ...app.missing.map(({ suffix, reason }) => ({
      suffix,
      text: `${suffix} has no task: ${reason}`,
    })),
  ].toSorted((one, other) => compareSuffixes(one.suffix, other.suffix))
  const serving = new Set(app.tasks.filter(task => task.serving).map(({ suffix }) => suffix)).size
  const strings = [
    `${app.id}: ${serving} of ${app.wanted} slots serve`,
    ...lines.slice(0, SLOTS_MAX).map(({ text }) => text),
    ...(lines.length > SLOTS_MAX ? [`more: shoal why ${app.id}`] : []),
  ]
  return { name, ttlSeconds, type: 'TXT', strings: strings.map(printable) }
}

function compareSuffixes(one: string, other: string): number {
  return Number(one) - Number(other) || (one < other ? -1 : Number(one > other))
}

/** Labels of nodes and messages of engines may be anything. */
function printable(text: string): string {
  const plain = text.replaceAll(/[^ -~]/g, '?')
  return plain.length <= TXT_BYTES_MAX ? plain : `${plain.slice(0, TXT_BYTES_MAX - 3)}...`
}
