import { parseAddress } from './address.ts'
import type { AppBook } from './app-book.ts'
import type { DnsNode } from './dns-view.ts'
import type { Finding, ZonePart } from './finding.ts'
import { mangleLabel } from './labels.ts'
import { nodeName } from './own-zone.ts'
import type { NsRecord, PtrRecord } from './records.ts'

/** The names of addresses. */
export interface ReverseZones {
  /** The zone that `name`, which ends in `.arpa`, is in; nothing for addresses that are not ours. */
  partOf(name: string): ZonePart | undefined
  setNodes(nodes: readonly DnsNode[]): void
}

/**
 * Answers PTR for every address that we give out: tasks are reached at the addresses of nodes, so
 * each of those has the name of its node. Dead nodes keep theirs: it sends nobody anywhere, and an
 * address in yesterday's log should still have a name.
 *
 * Each address is a zone of its own, cut right at its name. The zone around it, `77.10.in-addr.arpa`,
 * belongs to whoever runs the network, and what it says of the other addresses must stay askable.
 */
export function createReverseZones(book: AppBook, domain: string): ReverseZones {
  let parts: ReadonlyMap<string, ZonePart> = new Map()

  return {
    partOf: name => {
      let rest = name
      for (;;) {
        const part = parts.get(rest)
        if (part !== undefined) return part
        const dot = rest.indexOf('.')
        if (dot < 0) return undefined
        rest = rest.slice(dot + 1)
      }
    },
    setNodes: nodes => {
      const named = nodes.flatMap(({ name, addresses }) =>
        addresses.map(address => ({ name: reverseName(address), label: mangleLabel(name) })),
      )
      const labels = Map.groupBy(named, ({ name }) => name ?? '')
      labels.delete('')
      parts = new Map(
        Array.from(labels, ([name, same]) => {
          const unique = [...new Set(same.map(({ label }) => label))].filter(label => label !== '')
          return [name, makePart(name, unique.toSorted())] as const
        }),
      )
    },
  }

  function makePart(name: string, labels: readonly string[]): ZonePart {
    const { ttlSeconds } = book
    const primary = nodeName(book.self, domain)
    const authority = parts.get(name)?.authority ?? book.authority(name, primary)
    const ns: NsRecord = { name, ttlSeconds, type: 'NS', target: primary }
    const pointers = labels.map((label): PtrRecord => ({
      name,
      ttlSeconds,
      type: 'PTR',
      target: nodeName(label, domain),
    }))
    const find = (asked: string): Finding => ({
      exists: asked === name,
      records: asked === name ? [authority.soa(), ns, ...pointers] : [],
      glue: [],
      source: book.apex,
      structure: book.structure,
      authority,
    })
    return { authority, find, names: () => [name] }
  }
}

/**
 * The name that an address is looked up by (RFC 1035, section 3.5; RFC 3596, section 2.5).
 *
 * @returns Nothing for what is no address.
 */
export function reverseName(address: string): string | undefined {
  const bytes = parseAddress(address)
  if (bytes === undefined) return undefined
  if (bytes.length === 4) return `${[...bytes].toReversed().join('.')}.in-addr.arpa`
  const nibbles = [...bytes].flatMap(byte => [byte >> 4, byte & 15])
  return `${nibbles
    .toReversed()
    .map(nibble => nibble.toString(16))
    .join('.')}.ip6.arpa`
}
