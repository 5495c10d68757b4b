/** Daemons and engines that go and come back, on three real Docker hosts. */

import t from 'tap'
import { createRandom } from '../../src/util/random.ts'
import { fetchFrom, lookUp } from './docker-clients.ts'
import { DockerCluster, onDockerHosts } from './docker-cluster.ts'
import { askDaemon, eventually, tryApply } from '../../scripts/testbed/host-daemon.ts'

const HELLO = {
  id: '/hello',
  image: 'hello_world:latest',
  instances: 5,
  ports: [{ name: 'http', port: 9001 }],
  resources: { cpus: 0.1, memMb: 16 },
  stopGrace: '1s',
}

t.test('docker: restarts on three hosts', onDockerHosts(), async t => {
  const cluster = await DockerCluster.start(t)
  await cluster.apply(cluster.host(1), HELLO)
  await cluster.untilSettled('/hello', 5)

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await t.test(`a daemon restarted after ${signal} touches no container`, async t => {
      const before = await cluster.lives()
      t.equal(Object.keys(before).length, 5)
      for (const host of cluster.hosts.slice(0, 2)) {
        await cluster.restart(host, signal)
        // A slow start is a death to the others: before the next one, all is to be as it was.
        await cluster.untilWhole()
        await cluster.untilSettled('/hello', 5)
      }
      t.strictSame(
        await cluster.lives(),
        before,
        'the very same containers, started when they were',
      )
    })
  }

  await t.test('kill -9 at any moment loses nothing acknowledged, stops nothing', async t => {
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    t.comment(`SEED=${seed}`)
    const random = createRandom(seed)
    const before = await cluster.lives()
    const acknowledged: string[] = []
    const over = new AbortController()
    const edit = async (): Promise<void> => {
      for (let n = 0; !over.signal.aborted; n++) {
        const host = cluster.hosts[n % 3]!
        const id = `/ledger/entry-${n}`
        // Apps of no slots: what is written is to survive, and no container is to be moved by it.
        const answer = await tryApply(host, [{ id, image: 'hello_world', instances: 0 }])
        if (answer?.stored !== undefined) acknowledged.push(id)
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    }
    const kill = async (): Promise<void> => {
      for (let round = 0; round < 5; round++) {
        await new Promise(resolve => setTimeout(resolve, random() * 400))
        await cluster.restart(cluster.hosts[Math.floor(random() * 3)]!)
        await cluster.untilWhole()
        await cluster.untilSettled('/hello', 5)
      }
    }
    const editing = edit()
    await kill().finally(() => over.abort())
    await editing
    await cluster.untilWhole()
    t.comment(`${acknowledged.length} edits were acknowledged`)
    t.ok(acknowledged.length > 20, 'edits went on beside the kills')
    for (const host of cluster.hosts) {
      await eventually(`host ${host.number} has every acknowledged edit`, 20_000, async () => {
        const apps = await askDaemon<{ id: string }[]>(host, '/v1/apps')
        const there = new Set(apps.map(({ id }) => id))
        const lost = acknowledged.filter(id => !there.has(id))
        return lost.length === 0 ? undefined : lost
      })
    }
    await cluster.untilSettled('/hello', 5)
    t.strictSame(await cluster.lives(), before, 'no container was touched')
  })

  await t.test('a Docker engine that dies is missed, and comes back', async t => {
    const victim = cluster.host(2)
    const witness = cluster.host(1)
    await cluster.bed.killDockerd(victim)
    const known = await eventually('all say that h2 has no Docker', 40_000, async () => {
      const views = await Promise.all(cluster.hosts.map(async host => await cluster.nodes(host)))
      const told = views.map(nodes => nodes.find(({ name }) => name === 'h2')?.docker)
      return told.includes(true) ? told : undefined
    })
    t.comment(`the loss of an engine was told after ${known.toFixed(1)} s`)
    const moved = await eventually('every slot serves elsewhere', 30_000, async () => {
      const tasks = await cluster.tasks(witness, '/hello')
      const serving = tasks.filter(({ health }) => health === 'none')
      const isRight =
        new Set(serving.map(({ slot }) => slot)).size === 5 &&
        serving.every(({ node, state }) => node !== 'h2' && state === 'running')
      return isRight ? undefined : tasks
    })
    t.comment(`and its slots ran elsewhere ${moved.toFixed(1)} s later`)
    for (const server of cluster.hosts) {
      await eventually(
        'DNS names five instances, none on the host that lost them',
        5000,
        async () => {
          const places = await lookUp(victim, server, '_hello._tcp.shoal')
          const gone = places.filter(place => place.startsWith(`${victim.address}:`))
          return places.length === 5 && gone.length === 0 ? undefined : places
        },
      )
    }

    await cluster.bed.startDockerd(victim)
    await cluster.untilWhole()
    await cluster.untilSettled('/hello', 5)
    for (const place of await lookUp(victim, victim, '_hello._tcp.shoal')) {
      t.equal(await fetchFrom(witness, `http://${place}/`), 'hello\n')
    }
    await cluster.remove('/hello')
    t.strictSame(await cluster.containers(), [], 'no engine has anything left of ours')
  })
})
