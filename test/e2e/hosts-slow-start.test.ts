/** A daemon that is found by the others while it still starts: it must know them as connected. */

import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { ApplyAnswer, StatusAnswer } from '../../src/api/shapes.ts'
import { mustAsk } from '../../scripts/testbed/engine-api.ts'
import { awaitAnswer, formCluster } from '../../scripts/testbed/form-cluster.ts'
import { missingForTestbed } from '../../scripts/testbed/requirements.ts'
import { createTestbed } from '../../scripts/testbed/testbed.ts'
import { askDaemon, daemonSocket, eventually } from '../../scripts/testbed/host-daemon.ts'

/** Longer than mDNS and a handshake take. */
const ENGINE_MS = 3_000

const missing = missingForTestbed({ docker: false })
const onHosts = missing === undefined ? {} : { skip: missing }

t.test(
  'hosts: an edit through a node that took long to start is on two disks',
  onHosts,
  async t => {
    const bed = await createTestbed({ hosts: 2, docker: false })
    if ('unavailable' in bed) throw new Error(bed.unavailable)
    t.teardown(async () => await bed.remove())
    await formCluster(bed.hosts)
    const slow = bed.host(2)
    await slow.killDaemon('SIGKILL')
    // The daemon looks for its engine while the other one connects to it; this one takes long to hang up.
    const engine = createServer(socket => void setTimeout(() => socket.destroy(), ENGINE_MS))
    const path = join(slow.dir, 'slow.sock')
    engine.listen(path)
    await once(engine, 'listening')
    t.teardown(() => engine.close())
    slow.startDaemon(['--docker', path])
    await awaitAnswer(slow)
    await eventually('both see both', 40_000, async () => {
      const views = await Promise.all(
        bed.hosts.map(async host => await askDaemon<StatusAnswer>(host, '/v1/status')),
      )
      return views.every(({ nodes }) => nodes.alive === 2) ? undefined : views.map(one => one.nodes)
    })
    for (const host of bed.hosts) {
      const text = JSON.stringify({ id: `/by-h${host.number}`, command: 'true', instances: 0 })
      const body = JSON.stringify({ files: [{ name: 'app.json', text }] })
      const answer = await mustAsk(daemonSocket(host), { method: 'POST', path: '/v1/apply', body })
      const { stored } = JSON.parse(answer) as ApplyAnswer
      t.strictSame(stored?.on.toSorted(), ['h1', 'h2'], `through h${host.number}`)
    }
  },
)
