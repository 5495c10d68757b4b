/** Real daemons on hosts without Docker, which all get new addresses at once: only mDNS can find them. */

import t from 'tap'
import type { StatusAnswer } from '../../src/api/shapes.ts'
import { formCluster } from '../../scripts/testbed/form-cluster.ts'
import { missingForTestbed } from '../../scripts/testbed/requirements.ts'
import type { TestHost } from '../../scripts/testbed/test-host.ts'
import { createTestbed } from '../../scripts/testbed/testbed.ts'
import { askDaemon, eventually } from '../../scripts/testbed/host-daemon.ts'

const missing = missingForTestbed({ docker: false })
const onHosts = missing === undefined ? {} : { skip: missing }

t.test('hosts: a cluster whose addresses all changed comes together again', onHosts, async t => {
  const bed = await createTestbed({ hosts: 2, docker: false })
  if ('unavailable' in bed) throw new Error(bed.unavailable)
  t.teardown(async () => await bed.remove())
  await formCluster(bed.hosts)
  await untilBothAlive('formed', bed.hosts)

  // Hard, so that nobody says good-bye: both remember the other where it no longer is.
  for (const host of bed.hosts) await host.killDaemon('SIGKILL')
  for (const host of bed.hosts) {
    const moved = host.address.replace(/\d+$/, last => String(Number(last) + 100))
    // Away first: with the last address go all that came after it, and the routes.
    for (const command of [
      `addr del ${host.address}/24 dev eth0`,
      `addr add ${moved}/24 dev eth0`,
      'route add default dev eth0',
    ]) {
      await host.mustExec(['ip', ...command.split(' ')])
    }
    host.startDaemon(['--advertise', moved])
  }
  const seconds = await untilBothAlive('found again', bed.hosts)
  t.comment(`found each other after ${seconds.toFixed(1)} s`)
  for (const host of bed.hosts) {
    const nodes = await askDaemon<{ address?: string }[]>(host, '/v1/nodes')
    for (const { address } of nodes) t.match(address, /\.11[12]$/, 'at its new address')
  }
})

async function untilBothAlive(what: string, hosts: readonly TestHost[]): Promise<number> {
  return await eventually(`the two are ${what}`, 40_000, async () => {
    const views = await Promise.all(
      hosts.map(async host => await askDaemon<StatusAnswer>(host, '/v1/status')),
    )
    return views.every(({ nodes }) => nodes.alive === 2) ? undefined : views.map(one => one.nodes)
  })
}
