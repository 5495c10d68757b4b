/**
 * mDNS is multicast between machines, so it is tested between machines: two hosts of a test bed, which are
 * network namespaces of this machine and hear nobody else.
 */

import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { missingForTestbed } from '../../scripts/testbed/requirements.ts'
import type { TestHost } from '../../scripts/testbed/test-host.ts'
import { createTestbed } from '../../scripts/testbed/testbed.ts'

const SCRIPT = join(import.meta.dirname, 'mdns-forever.ts')
const DEADLINE_MS = 20_000
const missing = missingForTestbed({ docker: false })
const onHosts = missing === undefined ? {} : { skip: missing }

/** What a node said, one key each: see mdns-forever.ts. */
type Told = Readonly<Record<string, string>>

interface Speaker {
  /** Everything said so far. */
  readonly told: readonly Told[]
  /** Waits for something said with this key, and gives it. */
  until(key: string): Promise<string>
}

async function twoHosts(t: Test): Promise<readonly [TestHost, TestHost]> {
  const bed = await createTestbed({ hosts: 2, docker: false })
  if ('unavailable' in bed) throw new Error(bed.unavailable)
  t.teardown(async () => await bed.remove())
  return [bed.host(1), bed.host(2)]
}

/** Starts a node on a host; the bed ends it. */
function speak(host: TestHost, cluster: string): Speaker {
  const { number, address } = host
  const child = host.spawn([process.execPath, SCRIPT, String(number), address, cluster])
  const told: Told[] = []
  const errors: string[] = []
  const looks = new Set<() => void>()
  child.stderr?.setEncoding('utf8').on('data', (text: string) => errors.push(text))
  createInterface({ input: child.stdout! }).on('line', line => {
    told.push(JSON.parse(line) as Told)
    for (const look of looks) look()
  })
  return {
    told,
    until: async key =>
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          const heard = `${JSON.stringify(told)} ${errors.join('')}`
          reject(new Error(`host ${number}: no "${key}" in ${DEADLINE_MS / 1000} s: ${heard}`))
        }, DEADLINE_MS)
        const look = (): void => {
          const found = told.find(one => key in one)?.[key]
          if (found === undefined) return
          clearTimeout(timer)
          looks.delete(look)
          resolve(found)
        }
        looks.add(look)
        look()
      }),
  }
}

t.test('mdns: two nodes on a LAN find each other without an address', onHosts, async t => {
  const [first, second] = await twoHosts(t)
  const one = speak(first, 'lan')
  const self = await one.until('self')
  const other = speak(second, 'lan')
  t.equal(await other.until('found'), self)
  t.equal(await other.until('connected'), self)
  t.equal(await one.until('connected'), await other.until('self'))
})

t.test('mdns: another cluster on the same LAN is not seen', onHosts, async t => {
  const [first, second] = await twoHosts(t)
  const stranger = speak(first, 'theirs')
  await stranger.until('self')
  const one = speak(second, 'ours')
  await one.until('self')
  // One of the same cluster, started last where the stranger is, shows that multicast got through.
  const friend = speak(first, 'ours')
  await one.until('found')
  await friend.until('found')
  t.strictSame(
    stranger.told.filter(told => !('self' in told || 'reads' in told)),
    [],
  )
})

t.test('mdns: where it cannot work, the node says so once and goes on', onHosts, async t => {
  const [host] = await twoHosts(t)
  // Somebody has the port and does not share it.
  const hold = `require('dgram').createSocket('udp4').bind(5353, () => console.log('held'))`
  const holder = host.spawn([process.execPath, '-e', hold])
  await once(holder.stdout!, 'data', { signal: AbortSignal.timeout(DEADLINE_MS) })
  const one = speak(host, 'lan')
  await one.until('self')
  t.match(await one.until('log'), /^mDNS discovery does not work here \(.*\)/)
  t.equal(one.told.filter(told => 'log' in told).length, 1)
})

t.test('mdns: the interfaces are not read every five seconds', onHosts, async t => {
  const [host] = await twoHosts(t)
  // Once to listen on them, and once to choose where to send.
  t.equal(await speak(host, 'lan').until('reads'), '2')
})
