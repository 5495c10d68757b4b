import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import t, { type Test } from 'tap'
import { bedNames, listBeds } from '../../scripts/testbed/bed-state.ts'
import { processesOf } from '../../scripts/testbed/cgroups.ts'
import { HELLO_PORT } from '../../scripts/testbed/hello-image.ts'
import { findProcesses, networkOf, refer, until } from '../../scripts/testbed/process-table.ts'
import { missingForTestbed } from '../../scripts/testbed/requirements.ts'
import { mustRun } from '../../scripts/testbed/run-command.ts'
import type { TestHost } from '../../scripts/testbed/test-host.ts'
import { createTestbed, removeAbandoned, type Testbed } from '../../scripts/testbed/testbed.ts'

async function makeBed(
  t: Test,
  options: { readonly hosts: number; readonly docker: boolean },
): Promise<Testbed> {
  const bed = await createTestbed(options)
  if ('unavailable' in bed) throw new Error(bed.unavailable)
  t.teardown(async () => await bed.remove())
  return bed
}

function skipUnless(needs: { readonly docker: boolean }): { readonly skip?: string } {
  const missing = missingForTestbed(needs)
  return missing === undefined ? {} : { skip: missing }
}

async function hears(from: TestHost, to: { readonly address: string }): Promise<boolean> {
  return (await from.exec(['busybox', 'ping', '-c1', '-W1', to.address])).code === 0
}

/** What is left on the machine of a bed, by name. */
async function leftovers(id: number): Promise<readonly string[]> {
  const bed = bedNames(id)
  const links = (await mustRun(['ip', '-o', 'link'])).split('\n')
  const networks = (await mustRun(['ip', 'netns', 'list'])).split('\n')
  return [
    ...links.filter(line => line.includes(`${bed.uplink}@`)),
    ...networks.filter(line => new RegExp(`^${bed.switch}(-|\\b)`).test(line)),
    ...processesOf(bed.cgroup).map(({ pid }) => `process ${pid}`),
    ...(existsSync(bed.dir) ? [bed.dir] : []),
    ...readdirSync('/sys/fs/cgroup').filter(name => name === bed.cgroup),
  ]
}

const networkOnly = skipUnless({ docker: false })
const withDocker = skipUnless({ docker: true })

t.test('testbed: hosts hear each other, unless a fault is between them', networkOnly, async t => {
  const bed = await makeBed(t, { hosts: 3, docker: false })
  const [a, b, c] = [bed.host(1), bed.host(2), bed.host(3)]
  const view = async (): Promise<string> => {
    const pairs = [
      [a, b],
      [b, a],
      [a, c],
      [c, b],
    ] as const
    const heard = await Promise.all(pairs.map(async ([from, to]) => await hears(from, to)))
    return pairs
      .filter((_, i) => heard[i])
      .map(([x, y]) => `${x.number}-${y.number}`)
      .join(' ')
  }
  /** A ping may be late on a busy machine, so who is to be heard is asked again; who is cut never answers. */
  const isHeard = async (pairs: string, what = 'all hear each other'): Promise<void> => {
    const seen = [await view()]
    const deadlineMs = performance.now() + 10_000
    while (seen.at(-1) !== pairs && performance.now() < deadlineMs) seen.push(await view())
    t.equal(seen.at(-1), pairs, what)
    const allowed = pairs.split(' ')
    t.strictSame(
      seen.flatMap(one => one.split(' ')).filter(pair => pair !== '' && !allowed.includes(pair)),
      [],
      'nobody else was heard, however often one asked',
    )
  }
  const whole = '1-2 2-1 1-3 3-2'
  await isHeard(whole)
  await until('the machine hears a host', 10_000, async () => {
    return spawnSync('busybox', ['ping', '-c1', '-W1', a.address]).status === 0
  })

  await bed.pullCable(b)
  await isHeard('1-3', 'a pulled cable cuts one host off')
  await bed.plugCable(b)
  await isHeard(whole)

  await bed.partition([[a, b], [c]])
  await isHeard('1-2 2-1', 'groups hear only themselves')
  await bed.partition([[a, c]])
  await isHeard('1-3', 'a newer partition replaces the older; who is in none is alone')
  await bed.heal()
  await isHeard(whole)

  await bed.loss(c, 100)
  await isHeard('1-2 2-1', 'all packets of a host can be lost')
  await bed.heal()
  await isHeard(whole)
})

t.test('testbed: a host whose cable is plugged in is heard at once', networkOnly, async t => {
  const bed = await makeBed(t, { hosts: 2, docker: false })
  const [a, b] = [bed.host(1), bed.host(2)]
  await bed.pullCable(b)
  t.notOk(await hears(b, a))
  t.match(await b.mustExec(['ip', 'neigh']), a.address, 'it asks for an address in vain')
  await bed.plugCable(b)
  t.notMatch(await b.mustExec(['ip', 'neigh']), /INCOMPLETE|FAILED/, 'and no longer waits for that')
  await until('they hear each other', 10_000, async () => await hears(b, a))
})

t.test('testbed: a one-way cut lets the other way through', networkOnly, async t => {
  const bed = await makeBed(t, { hosts: 2, docker: false })
  const [a, b] = [bed.host(1), bed.host(2)]
  t.strictSame([await arrives(a, b), await arrives(b, a)], [true, true])
  await bed.oneWay(a, b)
  t.strictSame([await arrives(a, b), await arrives(b, a)], [false, true])
})

/** Whether a datagram, which needs no answer, gets from one host to the other within a second. */
async function arrives(from: TestHost, to: TestHost): Promise<boolean> {
  const socket = `const socket = require('dgram').createSocket('udp4')`
  const listen = `${socket}
    socket.on('message', () => process.exit(0))
    socket.bind(7000, () => console.log('bound'))`
  const send = `${socket}; setInterval(() => socket.send('x', 7000, '${to.address}'), 50)
    setTimeout(() => process.exit(), 1000)`
  const listener = to.spawn([process.execPath, '-e', listen])
  await once(listener.stdout ?? listener, 'data')
  const sender = from.exec([process.execPath, '-e', send])
  const first = await Promise.race([sender, once(listener, 'exit')])
  if (listener.exitCode === null) listener.kill('SIGKILL')
  await sender
  return Array.isArray(first)
}

t.test('testbed: beds live beside each other, and one leaves nothing', networkOnly, async t => {
  const one = await makeBed(t, { hosts: 2, docker: false })
  const two = await makeBed(t, { hosts: 2, docker: false })
  t.not(one.host(1).address, two.host(1).address)
  const stray = one.host(1).spawn(['sleep', '1000'])
  t.ok(stray.pid)
  t.not((await leftovers(one.id)).length, 0)

  await one.remove()
  t.strictSame(await leftovers(one.id), [])
  await until('the other is untouched', 10_000, async () => await hears(two.host(1), two.host(2)))
  await two.remove()
  t.strictSame(await leftovers(two.id), [])
})

t.test('testbed: what a killed process left is removed by the next', networkOnly, async t => {
  const script = `
    import { createTestbed } from ${JSON.stringify(import.meta.resolve('../../scripts/testbed/testbed.ts'))}
    const bed = await createTestbed({ hosts: 1, docker: false })
    bed.host(1).spawn(['sleep', '1000'])
    console.log(bed.id)
    process.kill(process.pid, 'SIGKILL')`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  const id = Number(stdout)
  const network = networkOf(`/run/netns/${bedNames(id).host(1).namespace}`)
  t.ok(network, 'it left its network')
  t.equal(findProcesses(entry => entry.network === network).length, 1, 'and a process')
  await removeAbandoned()
  t.strictSame(await leftovers(id), [])
  t.equal(findProcesses(entry => entry.network === network).length, 0)
})

t.test('testbed: a bed in use is not abandoned', networkOnly, async t => {
  const bed = await makeBed(t, { hosts: 1, docker: false })
  await removeAbandoned()
  t.match(
    listBeds().find(({ id }) => id === bed.id),
    { owner: refer(process.pid) },
  )
})

t.test('testbed: containers answer across hosts, and engines come back', withDocker, async t => {
  const bed = await makeBed(t, { hosts: 2, docker: true })
  const [a, b] = [bed.host(1), bed.host(2)]
  await Promise.all(bed.hosts.map(async host => await host.loadImage()))

  await docker(a, 'run', '-d', '--net=host', '--name=one', 'hello_world:latest')
  await docker(b, 'run', '-d', '-p', `31000:${HELLO_PORT}`, 'hello_world:latest')
  await greets(b, `http://${a.address}:${HELLO_PORT}`)
  await greets(a, `http://${b.address}:31000`)

  await bed.killDockerd(a)
  t.equal(await fetchFrom(b, `http://${a.address}:${HELLO_PORT}`), '', 'killed with its containers')
  await bed.startDockerd(a)
  t.match(await docker(a, 'ps', '-a', '--format={{.Names}} {{.Status}}'), /^one Exited/)
  await docker(a, 'start', 'one')
  await greets(b, `http://${a.address}:${HELLO_PORT}`)

  await bed.remove()
  t.strictSame(await leftovers(bed.id), [])
})

async function docker(host: TestHost, ...args: readonly string[]): Promise<string> {
  const argv = ['docker', '-H', `unix://${host.dockerSocket}`, ...args]
  return await host.mustExec(argv, { timeoutMs: 30_000 })
}

async function fetchFrom(host: TestHost, url: string): Promise<string> {
  return (await host.exec(['timeout', '2', 'busybox', 'wget', '-qO-', url])).stdout
}

/** Waits for the greeting: a container is called running before its server listens. */
async function greets(host: TestHost, url: string): Promise<void> {
  await until(`${url} greets`, 10_000, async () => (await fetchFrom(host, url)) === 'hello\n')
}
