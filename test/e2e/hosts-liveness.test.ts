/** Real daemons where UDP is blocked, and where a whole daemon stands still for a while. */

import t from 'tap'
import type { EventLine, StatusAnswer } from '../../src/api/shapes.ts'
import { askEngine } from '../../scripts/testbed/engine-api.ts'
import { formCluster } from '../../scripts/testbed/form-cluster.ts'
import { askDaemon, daemonSocket, eventually } from '../../scripts/testbed/host-daemon.ts'
import { signalProcess } from '../../scripts/testbed/process-table.ts'
import { missingForTestbed } from '../../scripts/testbed/requirements.ts'
import type { TestHost } from '../../scripts/testbed/test-host.ts'
import { createTestbed, type Testbed } from '../../scripts/testbed/testbed.ts'

const missing = missingForTestbed({ docker: false })
const onHosts = missing === undefined ? {} : { skip: missing }

/** A host's firewall that lets no UDP pass between the nodes; ICMP does not tell. */
const NO_UDP = `table inet noudp {
  chain in { type filter hook input priority 0; policy accept; udp dport 7440 drop; }
  chain out { type filter hook output priority 0; policy accept; udp dport 7440 drop; }
}`

t.test('hosts: a node that UDP does not reach lives by TCP, and says so', onHosts, async t => {
  const bed = await makeBed(t, 3)
  const [, , walled] = bed.hosts as [TestHost, TestHost, TestHost]
  await formCluster(bed.hosts)
  await allSee(bed.hosts, 3)
  const sinceMs = Date.now()
  await walled.mustExec(['nft', NO_UDP])
  await eventually('all find that only TCP is left', 60_000, async () => {
    const counts = await Promise.all(bed.hosts.map(nodesByStream))
    return counts.join(' ') === '1 1 2' ? undefined : counts
  })
  // On a busy machine a stream may take so long that a node is suspect for a moment.
  const accused = await againstOthers(bed.hosts, sinceMs)
  t.same(
    accused.filter(text => text.includes(' is dead')),
    [],
    'nobody was dead meanwhile',
  )
  const told = await askDaemon<EventLine[]>(bed.host(1), '/v1/events')
  t.ok(told.some(({ subject, text }) => subject === 'h3' && text.includes('open UDP port 7440')))

  await walled.killDaemon('SIGKILL')
  const seconds = await allSee(bed.hosts.slice(0, 2), 2)
  t.ok(seconds < 12, `it is out of the count after ${seconds.toFixed(1)} s`)
  walled.startDaemon()
  await allSee(bed.hosts, 3)
  await walled.mustExec(['nft', 'delete table inet noudp'])
  await eventually('UDP is used again', 60_000, async () => {
    const counts = await Promise.all(bed.hosts.map(nodesByStream))
    return counts.join(' ') === '0 0 0' ? undefined : counts
  })
})

t.test('hosts: a cluster forms without any UDP', onHosts, async t => {
  const bed = await makeBed(t, 3)
  await Promise.all(bed.hosts.map(async host => await host.mustExec(['nft', NO_UDP])))
  await formCluster(bed.hosts)
  await allSee(bed.hosts, 3)
})

t.test('hosts: a daemon that stands still for a while accuses nobody', onHosts, async t => {
  const bed = await makeBed(t, 3)
  const [first, , frozen] = bed.hosts as [TestHost, TestHost, TestHost]
  await formCluster(bed.hosts)
  await allSee(bed.hosts, 3)
  const sinceMs = Date.now()
  signalProcess(frozen.daemon!, 'SIGSTOP')
  await eventually('it is dead', 40_000, async () => {
    const told = await againstOthers([first], sinceMs)
    return told.some(text => text.includes('h3') && text.includes('dead')) ? undefined : told
  })
  signalProcess(frozen.daemon!, 'SIGCONT')
  await allSee(bed.hosts, 3)
  t.same(await againstOthers([frozen], sinceMs), [])
  const told = await askDaemon<EventLine[]>(frozen, '/v1/events')
  t.ok(
    told.some(({ subject, text }) => subject === 'h3' && /did not run for \d/.test(text)),
    'it says that it did not run',
  )
  t.match(await metric(frozen, 'shoal_stalls_total{thread="main"}'), /^[1-9]/)
})

async function makeBed(
  t: { readonly teardown: (end: () => Promise<void>) => void },
  hosts: number,
): Promise<Testbed> {
  const bed = await createTestbed({ hosts, docker: false })
  if ('unavailable' in bed) throw new Error(bed.unavailable)
  t.teardown(async () => await bed.remove())
  return bed
}

async function allSee(hosts: readonly TestHost[], count: number): Promise<number> {
  return await eventually(`all see ${count}`, 40_000, async () => {
    const views = await Promise.all(
      hosts.map(async host => await askDaemon<StatusAnswer>(host, '/v1/status')),
    )
    return views.every(({ nodes }) => nodes.alive === count)
      ? undefined
      : views.map(one => one.nodes)
  })
}

/** What these hosts told of others that were suspect, dead or gone. */
async function againstOthers(hosts: readonly TestHost[], sinceMs: number): Promise<string[]> {
  const told = await Promise.all(
    hosts.map(async host => {
      const events = await askDaemon<EventLine[]>(host, '/v1/events')
      return events
        .filter(({ timeMs, kind }) => timeMs >= sinceMs && kind === 'node')
        .filter(({ text }) => /suspect|dead|left/.test(text))
        .map(({ subject, text }) => `h${host.number}: ${subject} ${text}`)
    }),
  )
  return told.flat()
}

async function nodesByStream(host: TestHost): Promise<string | undefined> {
  return await metric(host, 'shoal_liveness_by_stream')
}

/** A figure of a daemon, as `/metrics` prints it. */
async function metric(host: TestHost, name: string): Promise<string | undefined> {
  const { body } = await askEngine(daemonSocket(host), { method: 'GET', path: '/metrics' })
  const line = body.split('\n').find(one => one.startsWith(`${name} `))
  return line?.slice(name.length + 1)
}
