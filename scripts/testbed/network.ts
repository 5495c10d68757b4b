import { bedNames, type BedState } from './bed-state.ts'
import { renderFaults } from './faults.ts'
import { until } from './process-table.ts'
import { mustRun, runCommand } from './run-command.ts'

/**
 * Wires a bed: a bridge in a namespace of its own, a cable from it to each host (`eth0` inside), and
 * one to the machine. The bridge is not in the machine's namespace because a Docker there
 * drops forwarded frames and filters bridges; here, nothing of the machine's is read or changed.
 */
export async function createNetwork({ id, hosts }: BedState): Promise<void> {
  const bed = bedNames(id)
  await mustRun(['ip', 'netns', 'add', bed.switch])
  await ip(bed.switch, 'link add br0 type bridge mcast_snooping 0')
  await ip(bed.switch, 'link set br0 up')
  await mustRun([
    'ip',
    'link',
    'add',
    bed.uplink,
    'type',
    'veth',
    'peer',
    'up0',
    'netns',
    bed.switch,
  ])
  await ip(bed.switch, 'link set up0 master br0 up')
  await mustRun(['ip', 'addr', 'add', `${bed.gateway}/24`, 'dev', bed.uplink])
  await mustRun(['ip', 'link', 'set', bed.uplink, 'up'])
  for (let number = 1; number <= hosts; number++) {
    const { namespace, port, address } = bed.host(number)
    await mustRun(['ip', 'netns', 'add', namespace])
    await ip(bed.switch, `link add ${port} type veth peer name eth0 netns ${namespace}`)
    await ip(bed.switch, `link set ${port} master br0 up`)
    await ip(namespace, `addr add ${address}/24 dev eth0`)
    await ip(namespace, 'link set lo up')
    await ip(namespace, 'link set eth0 up')
    await ip(namespace, `route add default via ${bed.gateway}`)
  }
  // Docker turns this on where it finds it, and the kernel has it only where bridges can be filtered.
  const filter = '/proc/sys/net/bridge/bridge-nf-call-iptables'
  await mustRun(enter(bed.switch, ['sh', '-c', `test ! -e ${filter} || echo 0 > ${filter}`]))
}

/** Removes what {@link createNetwork} made, as far as it got. */
export async function removeNetwork({ id, hosts }: BedState): Promise<void> {
  const bed = bedNames(id)
  const names = Array.from({ length: hosts }, (_, index) => bed.host(index + 1).namespace)
  await runCommand(['ip', 'link', 'del', bed.uplink])
  const known = new Set(
    (await mustRun(['ip', 'netns', 'list'])).split('\n').map(line => line.split(' ')[0]),
  )
  for (const name of [...names, bed.switch]) {
    if (known.has(name)) await mustRun(['ip', 'netns', 'del', name])
  }
}

/**
 * Pulls (`down`) or plugs (`up`) a host's cable: the link inside loses its carrier. Pulled, it is dead
 * at once; plugged, it is awaited, because the kernel tells a new carrier up to a second late. Then the
 * addresses that the host asked for in vain meanwhile are forgotten: the kernel repeats such a question
 * once a second, three times, and drops what waits for the last, so that the first packets over a link
 * that carries would come a second late, or never.
 */
export async function setCable(id: number, host: number, state: 'up' | 'down'): Promise<void> {
  const bed = bedNames(id)
  const { port, namespace } = bed.host(host)
  await ip(bed.switch, `link set ${port} ${state}`)
  if (state === 'down') return
  await until(`the cable of host ${host} carries`, 5000, async () => {
    const outside = await ip(bed.switch, `-d link show ${port}`)
    const inside = await ip(namespace, 'link show eth0')
    return outside.includes('bridge_slave state forwarding') && inside.includes(' state UP ')
  })
  await ip(namespace, 'neigh flush dev eth0')
}

/** Makes the state's faults real, in one step. */
export async function applyFaults({ id, hosts, faults }: BedState): Promise<void> {
  await mustRun(enter(bedNames(id).switch, ['nft', '-f', '-']), {
    input: renderFaults(faults, hosts),
  })
}

/**
 * The command that runs `argv` in a namespace. Not `ip netns exec`, which mounts a new /sys, where
 * Docker finds no cgroups.
 */
export function enter(namespace: string, argv: readonly string[]): readonly string[] {
  return ['nsenter', `--net=/run/netns/${namespace}`, '--', ...argv]
}

async function ip(namespace: string, command: string): Promise<string> {
  return await mustRun(['ip', '-n', namespace, ...command.split(' ')])
}
