/**
 * Reads an IPv4 or IPv6 address as its 4 or 16 bytes.
 *
 * @returns Nothing for whatever else: a host name, a scoped address (`fe80::1%eth0`
 *   means nothing on another machine), an octet with a leading zero.
 */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseV6(text) : parseV4(text)
}

/** Writes 4 or 16 bytes as an address; IPv6 as RFC 5952 wants it, so that equal addresses are equal text. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[2 * index]! << 8) | bytes[2 * index + 1]!).toString(16),
  )
  const { start, length } = longestZeros(groups)
  if (length < 2) return groups.join(':')
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`
}

function parseV4(text: string): Uint8Array | undefined {
  const octets = text.split('.')
  if (octets.length !== 4 || !octets.every(octet => /^(?:0|[1-9]\d{0,2})$/.test(octet))) {
    return undefined
  }
  const numbers = octets.map(Number)
  return numbers.every(number => number <= 255) ? Uint8Array.from(numbers) : undefined
}

function parseV6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map(half => (half === '' ? [] : half.split(':')))
  const before = groupsOf(head!, tail === undefined)
  const after = tail === undefined ? [] : groupsOf(tail, true)
  if (before === undefined || after === undefined) return undefined
  const missing = 8 - before.length - after.length
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  const groups = [...before, ...Array<number>(missing).fill(0), ...after]
  return Uint8Array.from(groups.flatMap(group => [group >> 8, group & 255]))
}

/** The 16-bit groups of one side of `::`. Only the very end may be written as IPv4. */
function groupsOf(parts: readonly string[], isEnd: boolean): number[] | undefined {
  const groups: number[] = []
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const v4 = isEnd && index === parts.length - 1 ? parseV4(part) : undefined
    if (v4 === undefined) return undefined
    groups.push((v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!)
  }
  return groups
}

function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let end = start
    while (groups[end] === '0') end++
    if (end - start > best.length) best = { start, length: end - start }
  }
  return best
}
