/** Cables that are pulled and networks that split, on three real Docker hosts. */

import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import type { AppAnswer } from '../../src/api/shapes.ts'
import { TruthWatch } from '../../scripts/chaos/truth-watch.ts'
import type { Container } from '../../scripts/testbed/containers.ts'
import type { TestHost } from '../../scripts/testbed/test-host.ts'
import { fetchFrom, lookUp } from './docker-clients.ts'
import { DockerCluster, onDockerHosts } from './docker-cluster.ts'
import { askDaemon, eventually } from '../../scripts/testbed/host-daemon.ts'

const APP = '/hello'
const hello = (greeting: string): object => ({
  id: APP,
  image: 'hello_world:latest',
  instances: 6,
  ports: [{ name: 'http', port: 9001 }],
  env: { GREETING: greeting },
  resources: { cpus: 0.1, memMb: 16 },
  update: { monitor: '1s' },
  stopGrace: '1s',
})
/** Its slots wait for a node that is lost: they are where they were when it is back. */
const waiting = {
  id: '/waiting',
  image: 'hello_world:latest',
  instances: 3,
  ports: [{ name: 'http', port: 9001 }],
  resources: { cpus: 0.1, memMb: 16 },
  onPartition: { lostAfter: '10m' },
  stopGrace: '1s',
}

t.test('docker: network faults on three hosts', onDockerHosts(), async t => {
  const cluster = await DockerCluster.start(t)
  const [one, two, three] = [cluster.host(1), cluster.host(2), cluster.host(3)]
  const survivors = [two, three]
  await cluster.apply(one, hello('first'))
  await cluster.apply(one, waiting)
  const before = await cluster.untilSettled(APP, 6)
  await cluster.untilSettled(waiting.id, 3)
  const watches = [APP, waiting.id].map(app => new TruthWatch(cluster.hosts, app))
  t.teardown(async () => await Promise.all(watches.map(async watch => await watch.stop())))
  t.strictSame(countBy(before.map(({ node }) => node)), { h1: 2, h2: 2, h3: 2 }, 'all take part')

  await t.test('the slots of a host whose cable is pulled come back on the others', async t => {
    // An edit taken just before the machine goes is acknowledged by two disks, so it is not lost with it.
    const edit = await cluster.apply(one, { id: '/last-words', image: 'any', instances: 0 })
    const pulledMs = performance.now()
    await cluster.bed.pullCable(one)
    t.equal(edit.stored?.onlyHere, false)
    const unnamed = eventually('DNS of the others forgets the host', 30_000, async () => {
      const found = await namesOf(survivors, one)
      return found.length === 0 ? undefined : found
    }).then(() => seconds(pulledMs))
    await cluster.untilSettled(APP, 6, { hosts: survivors })
    const replaced = seconds(pulledMs)
    let places: string[] = []
    await eventually('DNS of both names six instances', 10_000, async () => {
      const [mine = [], others = []] = await Promise.all(
        survivors.map(async server => await lookUp(two, server, '_hello._tcp.shoal')),
      )
      places = mine
      return mine.length === 6 && isDeepStrictEqual(mine, others) ? undefined : { mine, others }
    })
    t.comment(
      `cable pulled: out of DNS after ${(await unnamed).toFixed(1)} s, all slots run elsewhere after ${replaced.toFixed(1)} s and are in DNS after ${seconds(pulledMs).toFixed(1)} s`,
    )
    for (const place of places) t.equal(await fetchFrom(two, `http://${place}/`), 'hello\n')
    await named(survivors, 2)
    for (const host of survivors) {
      const apps = await askDaemon<{ id: string }[]>(host, '/v1/apps')
      t.ok(
        apps.some(({ id }) => id === '/last-words'),
        `host ${host.number} has the last edit`,
      )
    }
  })

  await t.test('the lone host says what it sees, and keeps its tasks', async t => {
    await eventually('it sees one of three', 20_000, async () => {
      const { nodes } = await cluster.status(one)
      return nodes.alive === 1 && nodes.admitted === 3 && nodes.missing === 2 ? undefined : nodes
    })
    await named([one], 1)
    t.match(await cluster.shoal(one, 'status'), /1 of 3 admitted nodes[^]*not a majority/)
    const running = (await cluster.containers([one])).filter(container => container.running)
    const lived = new Set(running.map(({ task }) => task))
    const own = before.filter(({ node }) => node === 'h1')
    t.ok(
      own.every(({ task = '' }) => lived.has(task)),
      'what ran on it runs on',
    )
  })

  await t.test('plugged in again, every slot is one container, wherever one looks', async t => {
    const pluggedMs = performance.now()
    await cluster.bed.plugCable(one)
    await cluster.untilWhole()
    const seen = seconds(pluggedMs)
    await named(cluster.hosts, 3)
    const tasks = await cluster.untilSettled(APP, 6)
    t.comment(
      `cable plugged: whole after ${seen.toFixed(1)} s, each slot once after ${seconds(pluggedMs).toFixed(1)} s`,
    )
    const running = await hellos()
    t.strictSame(
      running.map(({ slot, host }) => `${slot} on h${host}`).toSorted(),
      tasks.map(({ slot, node }) => `${slot} on ${node}`).toSorted(),
      'the engines have what `ps` says, and no orphan',
    )
    await agree(cluster, 6)
  })

  await t.test(
    'edits on both sides of a split end as one whole revision, told as a conflict',
    async t => {
      await cluster.bed.partition([[one], survivors])
      await eventually('both sides know', 30_000, async () => {
        const seen = await Promise.all(
          [one, two].map(async host => (await cluster.status(host)).nodes),
        )
        return isDeepStrictEqual(
          seen.map(({ alive }) => alive),
          [1, 2],
        )
          ? undefined
          : seen
      })
      const left = await cluster.apply(one, hello('from the left'))
      const right = await cluster.apply(two, hello('from the right'))
      t.equal(left.stored?.onlyHere, true, 'the lone side says that only it has the edit')
      t.strictSame(right.stored?.on.toSorted(), ['h2', 'h3'], 'the other has two copies of its own')

      const healedMs = performance.now()
      await cluster.bed.heal()
      await cluster.untilWhole()
      const [winner, loser] = await agreeOnRevision(cluster, [
        left.apps[0]?.revision ?? '',
        right.apps[0]?.revision ?? '',
      ])
      t.comment(`healed: one revision everywhere after ${seconds(healedMs).toFixed(1)} s`)
      for (const host of cluster.hosts) {
        await eventually(`host ${host.number} tells of the conflict`, 15_000, async () => {
          const { conflicts } = await cluster.status(host)
          const isTold = conflicts.some(
            ({ app, kept, lost }) => app === APP && kept === winner && lost === loser,
          )
          return isTold ? undefined : conflicts
        })
        t.match(await cluster.shoal(host, 'status'), /conflict {2}\/hello/)
      }
      const tasks = await cluster.untilSettled(APP, 6, { timeoutMs: 90_000, revision: winner })
      t.comment(`and each slot once after ${seconds(healedMs).toFixed(1)} s`)
      t.strictSame(new Set(tasks.map(({ revision }) => revision)), new Set([winner]))
      const { spec } = await askDaemon<AppAnswer>(three, `/v1/app?app=${APP}`)
      const greeting = winner === left.apps[0]?.revision ? 'from the left' : 'from the right'
      t.equal(spec.env['GREETING'], greeting, 'the revision is whole')
      for (const container of await hellos()) {
        const { Env } = (await cluster.inspect(container)).Config
        t.ok(Env.includes(`GREETING=${greeting}`), `${container.slot} runs it`)
      }
      await agree(cluster, 6)
    },
  )

  await t.test('DNS of each host said what the host itself held, all the while', async t => {
    for (const watch of watches) {
      t.strictSame([...watch.stale(), ...watch.missing()], [])
      t.comment(`DNS was behind by ${watch.worstMs.toFixed(0)} ms at most`)
    }
  })

  await t.test('a host whose daemon is started again has its names at once', async t => {
    await cluster.restart(one)
    const answersMs = performance.now()
    await named(cluster.hosts, 3)
    t.comment(`named by all ${seconds(answersMs).toFixed(1)} s after the daemon answered`)
    for (const watch of watches) {
      await watch.stop()
      t.strictSame(watch.stale(), [], 'nothing was named that was not there')
    }
  })

  await t.test('at the end nothing is left on any host', async t => {
    await Promise.all([APP, waiting.id].map(async app => await cluster.remove(app)))
    t.strictSame(await cluster.containers(), [])
    t.strictSame(await lookUp(one, two, '_hello._tcp.shoal'), [])
  })

  /** The containers of the greeting app that run anywhere. */
  async function hellos(): Promise<Container[]> {
    const there = await cluster.containers()
    return there.filter(({ running, slot }) => running && slot.startsWith(`${APP}.`))
  }

  /** Waits until DNS of each of these servers names so many instances of the app whose slots wait. */
  async function named(servers: readonly TestHost[], count: number): Promise<void> {
    await eventually(`DNS names ${count} of ${waiting.id}`, 10_000, async () => {
      const found = await Promise.all(
        servers.map(async server => await lookUp(server, server, '_waiting._tcp.shoal')),
      )
      return found.every(({ length }) => length === count) ? undefined : found
    })
  }

  /** What DNS of these servers says is on a host. */
  async function namesOf(servers: readonly TestHost[], host: TestHost): Promise<string[]> {
    const found = await Promise.all(
      servers.map(async server => await lookUp(two, server, '_hello._tcp.shoal')),
    )
    return found.flat().filter(place => place.startsWith(`${host.address}:`))
  }
})

/** Waits until DNS of each host names the same instances, all of which answer a client. */
async function agree(cluster: DockerCluster, instances: number): Promise<void> {
  await eventually('DNS of all hosts agrees, and every instance answers', 15_000, async () => {
    const answers = await Promise.all(
      cluster.hosts.map(async server => await lookUp(server, server, '_hello._tcp.shoal')),
    )
    const [places = []] = answers
    if (places.length !== instances || answers.some(one => !isDeepStrictEqual(one, places))) {
      return answers
    }
    await Promise.all(
      places.map(async place => await fetchFrom(cluster.host(1), `http://${place}/`)),
    )
    return undefined
  })
}

/** Waits until all nodes want the same one of two revisions; gives it, and the other. */
async function agreeOnRevision(
  cluster: DockerCluster,
  [left, right]: readonly [string, string],
): Promise<readonly [winner: string, loser: string]> {
  let winner = ''
  await eventually('all nodes want one revision', 20_000, async () => {
    const path = `/v1/app?app=${APP}`
    const wanted = await Promise.all(
      cluster.hosts.map(async host => (await askDaemon<AppAnswer>(host, path)).revision),
    )
    winner = wanted[0] ?? ''
    const isOne = wanted.every(one => one === winner) && [left, right].includes(winner)
    return isOne ? undefined : wanted
  })
  return winner === left ? [left, right] : [right, left]
}

function countBy(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    [...new Set(names)].toSorted().map(name => [name, names.filter(one => one === name).length]),
  )
}

function seconds(sinceMs: number): number {
  return (performance.now() - sinceMs) / 1000
}
