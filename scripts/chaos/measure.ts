import type { DnsAnswer } from './dns-watch.ts'

/** A fault as it was. All times by `performance.now()`. */
export interface Struck {
  readonly beganMs: number
  readonly healedMs: number
  /** Addresses of the hosts that it struck. */
  readonly addresses: readonly string[]
}

/** How the others took it. */
export interface Reaction {
  /** Until no DNS server of the others named an instance on a struck host any more; nothing where one still did at the end, or none ever had. */
  readonly outOfDnsMs?: number
  /** Until every DNS server of the others named all instances, none of them on a struck host; nothing if that never came. */
  readonly replacedMs?: number
}

/**
 * Reads from what the DNS servers of the hosts that were not struck said how long it took them to tell
 * clients of nothing that is gone, and of everything that came in its place.
 *
 * @param others The answers of each host that nothing happened to.
 * @param instances How many there are when all is well.
 */
export function measureReaction(
  { beganMs, healedMs, addresses }: Struck,
  others: readonly (readonly DnsAnswer[])[],
  instances: number,
): Reaction {
  const isStruck = (place: string): boolean => addresses.some(one => place.startsWith(`${one}:`))
  const moments = others
    .flatMap(answers => answers.map(({ atMs }) => atMs))
    .filter(atMs => atMs > beganMs && atMs <= healedMs)
    .toSorted((a, b) => a - b)
  const viewsAt = (atMs: number): (readonly string[] | undefined)[] =>
    others.map(answers => answers.findLast(answer => answer.atMs <= atMs)?.places)
  const namesStruck = (atMs: number): boolean =>
    viewsAt(atMs).some(places => places?.some(isStruck) === true)
  const isWhole = (atMs: number): boolean =>
    viewsAt(atMs).every(places => places?.length === instances && !places.some(isStruck))

  if (!namesStruck(beganMs)) return {}
  // From the last moment on that one of them still did: one that comes back for a while was not out yet.
  const lastNamed = [beganMs, ...moments].findLastIndex(namesStruck)
  const outMs = moments[lastNamed]
  const wholeMs = moments.find(isWhole)
  return {
    ...(outMs !== undefined && { outOfDnsMs: outMs - beganMs }),
    ...(wholeMs !== undefined && { replacedMs: wholeMs - beganMs }),
  }
}
