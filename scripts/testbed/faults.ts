/** What is wrong between the hosts of a bed, by host number (from 1). Cables are apart: see pullCable. */
export interface Faults {
  /** Groups that do not hear each other; a host in none of them hears only the machine itself. */
  readonly partition?: ReadonlyArray<readonly number[]>
  /** `[from, to]`: what `from` sends never reaches `to`. */
  readonly oneWay?: ReadonlyArray<readonly [from: number, to: number]>
  /** Percent of the packets to and from a host that are lost, by host. */
  readonly loss?: Readonly<Record<number, number>>
}

/**
 * The nftables script that makes these faults and no others, applied in one transaction. Frames are
 * dropped on the bridge without regard to connections, as a broken wire drops them; there is no
 * netem on the machines we test on, so loss is a rule with chance in it. The machine's own cable
 * is on none of the sides, so that a test sees all hosts, whatever they see of each other.
 */
export function renderFaults(faults: Faults, hosts: number): string {
  const rules = [
    ...cutPairs(faults.partition, hosts).map(([from, to]) => drop(from, to)),
    // Address resolution passes, or the other way, whose answers it needs, would be cut as well.
    ...(faults.oneWay ?? []).map(([from, to]) => drop(from, to, 'ether type != arp ')),
    ...Object.entries(faults.loss ?? {}).flatMap(([host, percent]) =>
      ['iifname', 'oifname'].map(side => `${side} "v${host}" ${lose(percent)}drop`),
    ),
  ]
  return [
    // Naming the table first makes its removal succeed where there was none.
    'table bridge faults',
    'delete table bridge faults',
    'table bridge faults {',
    '  chain forward {',
    '    type filter hook forward priority 0; policy accept;',
    ...rules.map(rule => `    ${rule}`),
    '  }',
    '}',
    '',
  ].join('\n')
}

/** The ordered pairs of hosts that are on different sides. */
function cutPairs(groups: Faults['partition'], hosts: number): Array<readonly [number, number]> {
  if (groups === undefined) return []
  const numbers = Array.from({ length: hosts }, (_, index) => index + 1)
  const sideOf = (host: number): number => {
    const side = groups.findIndex(group => group.includes(host))
    return side === -1 ? -host : side
  }
  return numbers.flatMap(from =>
    numbers.filter(to => sideOf(from) !== sideOf(to)).map(to => [from, to] as const),
  )
}

function drop(from: number, to: number, when = ''): string {
  return `iifname "v${from}" oifname "v${to}" ${when}drop`
}

/** The condition that holds for this percent of the packets; nftables refuses one that always holds. */
function lose(percent: number): string {
  const perMille = Math.round(percent * 10)
  return perMille === 1000 ? '' : `numgen random mod 1000 < ${perMille} `
}
