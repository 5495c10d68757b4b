/**
 * What a person does on the first day, on three real Docker hosts: the files that they already have,
 * `dig`, `curl`, logs, and a node that cannot run something.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { WhyAnswer } from '../../src/api/shapes.ts'
import { dig, fetchFrom, lookUp } from './docker-clients.ts'
import { DockerCluster, onDockerHosts } from './docker-cluster.ts'
import { askDaemon, eventually } from '../../scripts/testbed/host-daemon.ts'

const EXAMPLES = join(import.meta.dirname, '../../examples')
const MARATHON = '/marathon-demo-application'

t.test('docker: apps on three hosts', onDockerHosts(), async t => {
  const cluster = await DockerCluster.start(t)
  const [one, two, three] = [cluster.host(1), cluster.host(2), cluster.host(3)]

  await t.test('the literal curl command of Marathon users starts their app', async t => {
    const post = `curl -sS -w '%{http_code}' -X POST http://localhost:8080/v2/apps -d @hello-marathon.json -H "Content-type: application/json"`
    const inExamples = ['sh', '-c', `cd '${EXAMPLES}' && ${post}`]
    const answer = await one.mustExec(inExamples)
    t.match(answer, /201$/)
    const told = JSON.parse(answer.slice(0, -3)) as { id: string; deployments: { id: string }[] }
    t.equal(told.id, MARATHON)
    t.match(told.deployments, [{ id: /./ }])
    t.match(await one.mustExec(inExamples), /409$/, 'a second POST conflicts')
    await cluster.untilSettled(MARATHON, 1)
  })

  await t.test(
    'apply -f of the Kubernetes file, on another host, waits until it serves',
    async t => {
      const file = join(EXAMPLES, 'hello-kubernetes.yaml')
      const said = await cluster.shoal(two, 'apply', '-f', file, '--wait')
      t.match(said, /hello-world created/)
      t.match(said, /LoadBalancer/, 'what the Service cannot have here is said')
      const tasks = await cluster.untilSettled('/hello-world', 2)
      t.equal(new Set(tasks.map(({ node }) => node)).size, 2, 'two slots are on two nodes')
      for (const { ports } of tasks) t.match(ports, [{ containerPort: 9001 }])
    },
  )

  await t.test('dig finds both on every host, and any host fetches them', async t => {
    for (const [app, instances] of [
      ['marathon-demo-application', 1],
      ['hello-world', 2],
    ] as const) {
      const tasks = await cluster.tasks(one, `/${app}`)
      const wanted = tasks
        .map(({ address, ports }) => `${address}:${ports[0]?.hostPort}`)
        .toSorted()
      t.equal(wanted.length, instances)
      for (const [at, server] of cluster.hosts.entries()) {
        // Asked from the next host: names work from anywhere, over the wire.
        const client = cluster.hosts[(at + 1) % 3]!
        t.strictSame(await lookUp(client, server, `_${app}._tcp.shoal`), wanted)
        const addresses = await dig(client, server, `${app}.shoal`, 'A')
        t.strictSame(
          addresses.map(({ data }) => data).toSorted(),
          tasks.map(({ address = '' }) => address).toSorted(),
        )
      }
      for (const place of wanted) {
        const elsewhere = cluster.hosts.find(({ address }) => !place.startsWith(`${address}:`))!
        await eventually(`${place} greets`, 5000, async () => {
          const page = await fetchFrom(elsewhere, `http://${place}/`)
          return page === 'hello\n' ? undefined : page
        })
      }
    }
    t.strictSame(await lookUp(one, two, '_http._hello-world._tcp.shoal'), await lookUp(one, three, '_hello-world._tcp.shoal'), 'the named port') // prettier-ignore
  })

  await t.test('two slots that take the same port of their node never share one', async t => {
    // The two share the processors of this machine, of which the Marathon app wants a whole one each.
    await cluster.remove('/hello-world')
    await cluster.shoal(three, 'scale', 'marathon-demo-application=3')
    const tasks = await cluster.untilSettled(MARATHON, 3)
    t.strictSame(tasks.map(({ node }) => node).toSorted(), ['h1', 'h2', 'h3'])
    for (const { address } of tasks)
      t.equal(await fetchFrom(one, `http://${address}:9001/`), 'hello\n')

    await cluster.shoal(three, 'scale', 'marathon-demo-application=4')
    await eventually('the fourth is told to be pending', 10_000, async () => {
      const why = await askDaemon<WhyAnswer>(two, `/v1/why?app=${MARATHON}`)
      const pending = why.slots.filter(({ state }) => state === 'pending')
      const refused = pending[0]?.nodes.filter(({ verdict }) => verdict === 'refused') ?? []
      const isRight =
        pending.length === 1 &&
        refused.length === 3 &&
        refused.every(({ reason }) => reason.includes('9001'))
      return isRight ? undefined : why
    })
    await cluster.remove(MARATHON)
  })

  await t.test('a container gets its environment, port, volume and memory limit', async t => {
    const folder = join(one.dir, 'pages')
    mkdirSync(folder)
    writeFileSync(join(folder, 'index.html'), 'from the volume\n')
    await cluster.apply(three, {
      id: '/shop/env',
      image: 'hello_world:latest',
      instances: 3,
      command:
        'echo "$GREETING from $SHOAL_SLOT on $SHOAL_NODE"; echo oops >&2; exec httpd -f -p "$PORT0" -h /pages',
      ports: [{ name: 'http', port: 9002 }],
      env: { GREETING: 'good day' },
      volumes: [{ source: folder, target: '/pages', readOnly: true }],
      resources: { cpus: 0.25, memMb: 32 },
      limits: { memMb: 48 },
      stopGrace: '1s',
    })
    const tasks = await cluster.untilSettled('/shop/env', 3)
    const places = await lookUp(one, two, '_http._env-shop._tcp.shoal')
    t.equal(places.length, 3)
    for (const place of places) {
      await eventually(`${place} serves the volume`, 5000, async () => {
        const page = await fetchFrom(two, `http://${place}/`)
        return page === 'from the volume\n' ? undefined : page
      })
    }
    for (const container of await cluster.containers()) {
      const task = tasks.find(({ slot }) => slot === container.slot)
      const seen = await cluster.inspect(container)
      const hostPort = task?.ports[0]?.hostPort ?? 0
      t.ok(hostPort >= 31_000 && hostPort <= 32_000, `port ${hostPort} is of the range`)
      const bindings = seen.NetworkSettings.Ports['9002/tcp'] ?? []
      t.ok(
        bindings.some(({ HostPort }) => HostPort === String(hostPort)),
        'and the engine maps it',
      )
      t.match(seen.HostConfig, {
        Memory: 48 * 1024 * 1024,
        CpuShares: 256,
        NetworkMode: 'bridge',
        RestartPolicy: { Name: 'no' },
      })
      t.match(seen.Mounts, [{ Destination: '/pages', RW: false }])
      const env = new Set(seen.Config.Env)
      for (const text of [
        'GREETING=good day',
        'PORT0=9002',
        `HOST_PORT0=${hostPort}`,
        `HOST=${cluster.host(container.host).address}`,
        `SHOAL_SLOT=${container.slot}`,
        `SHOAL_NODE=h${container.host}`,
      ]) {
        t.ok(env.has(text), text)
      }
    }
  })

  await t.test('logs come from whichever node has the task', async t => {
    for (const { slot, node } of await cluster.tasks(one, '/shop/env')) {
      const elsewhere = cluster.hosts.find(({ number }) => `h${number}` !== node)!
      const { stdout, stderr, code } = await elsewhere.shoal(['logs', slot.slice(1)])
      t.equal(code, 0, stderr)
      t.match(stdout, `good day from ${slot} on ${node}`)
      t.match(stderr, 'oops')
    }
    await cluster.remove('/shop/env')
  })

  await t.test('a container finds another app by its bare name', async t => {
    const image = 'hello_world:latest'
    const stopGrace = '1s'
    const script = 'mkdir /w && echo from the db >/w/index.html && exec httpd -f -p 9100 -h /w'
    const ports = [{ name: 'http', port: 9100, hostPort: 9100 }]
    await cluster.apply(one, { id: '/shop/db', image, command: script, ports, stopGrace })
    const [db] = await cluster.untilSettled('/shop/db', 1)
    // The node's own getent and C library: the image has none.
    const getent =
      '$(ls /host/lib/*/ld-linux-*.so.* | head -n 1) --library-path $(echo /host/lib/*-linux-gnu) /host/bin/getent'
    await cluster.apply(two, {
      id: '/shop/web',
      image,
      instances: 3,
      command: `while :; do wget -q -O - http://db:9100/ && ${getent} hosts db && ${getent} hosts web; sleep 1; done`,
      volumes: [{ source: '/usr', target: '/host', readOnly: true }],
      stopGrace,
    })
    const tasks = await cluster.untilSettled('/shop/web', 3)
    for (const { slot, node } of tasks) {
      await eventually(`${slot} on ${node} has found both`, 15_000, async () => {
        const { stdout, stderr } = await three.shoal(['logs', slot.slice(1)])
        const isThere =
          stdout.includes('from the db') &&
          stdout.includes(`${db!.address} `) &&
          /db\.shop\.svc\.shoal/.test(stdout) &&
          /web\.shop\.svc\.shoal/.test(stdout)
        return isThere ? undefined : stdout + stderr
      })
    }
    const [container] = await cluster.containers([one])
    const { HostConfig } = await cluster.inspect(container!)
    t.match(HostConfig, { DnsSearch: ['shop.svc.shoal', 'svc.shoal', 'shoal'] })
    t.equal(HostConfig.Dns?.[0], one.address, 'its own node first')
    t.equal(HostConfig.Dns?.length, 3)
    for (const app of ['/shop/web', '/shop/db']) await cluster.remove(app)
  })

  await t.test('a node without the image refuses, says so, and the next takes over', async t => {
    await Promise.all([one, two].map(async host => await host.loadImage('rare:latest')))
    await cluster.apply(one, { id: '/rare', image: 'rare:latest', instances: 3, stopGrace: '1s' })
    const tasks = await cluster.untilSettled('/rare', 3)
    t.notOk(
      tasks.some(({ node }) => node === 'h3'),
      'none runs on the node that has no image',
    )
    const why = await cluster.shoal(two, 'why', 'rare')
    t.match(why, /✗ h3 .*(rare:latest|image)/i)
    t.comment(why)
    await cluster.remove('/rare')
  })
})
