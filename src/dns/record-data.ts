import type { DnsRecord, UnknownRecord } from './records.ts'

/**
 * A record's data on one line, as `dig` and zone files have it (RFC 1035, section 5.1),
 * but names without their last dot. Equal data is equal text.
 */
export function recordData(record: DnsRecord | UnknownRecord): string {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return record.address
    case 'SRV':
      return `${record.priority} ${record.weight} ${record.port} ${record.target}`
    case 'NS':
    case 'PTR':
      return record.target
    case 'TXT':
      return record.strings.map(quote).join(' ')
    case 'SOA': {
      const { primary, mailbox, serial, refresh, retry, expire, minimum } = record
      return [primary, mailbox, serial, refresh, retry, expire, minimum].join(' ')
    }
    default:
      return record.data
  }
}

function quote(text: string): string {
  const escaped = text
    .replaceAll(/["\\]/g, String.raw`\$&`)
    .replaceAll(/[^ -~]/g, character => `\\${String(character.charCodeAt(0)).padStart(3, '0')}`)
  return `"${escaped}"`
}
