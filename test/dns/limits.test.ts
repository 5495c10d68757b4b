/** Who may what, and how often, over real sockets: loopback plays the stranger here. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { Forward } from '../../src/dns/forward/forwarder.ts'
import { emptyReply } from '../../src/dns/forward/special-names.ts'
import { createNetworks } from '../../src/dns/networks.ts'
import { encodeQuery, query } from '../../src/dns/query.ts'
import { RCODE, TYPE } from '../../src/dns/records.ts'
import {
  startDnsServer,
  type DnsServer,
  type DnsServerOptions,
} from '../../src/dns/start-dns-server.ts'
import { FLAG } from '../../src/dns/wire.ts'
import { createZone } from '../../src/dns/zone.ts'
import { makeApp, makeView } from './make-view.ts'

const address = '127.0.0.1'
const nobody = createNetworks([])
const zone = createZone(makeView([makeApp('/web', 3)]))

/** A server to which loopback is a stranger, or whoever `clients` makes of it. */
async function start(
  t: Test,
  options: Partial<Omit<DnsServerOptions, 'clients'>> = {},
  clients: Partial<DnsServerOptions['clients']> = {},
): Promise<DnsServer> {
  const server = await startDnsServer({
    addresses: [address],
    port: 0,
    names: zone,
    clients: { local: nobody, home: nobody, transfer: nobody, seed: 1, ...clients },
    ...options,
  })
  t.teardown(() => server.close())
  return server
}

/** Sends a query so often, and gathers as many answers as are to come. */
async function flood(port: number, bytes: Buffer, sent: number, wanted: number): Promise<Buffer[]> {
  const client = createSocket('udp4')
  const answers: Buffer[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  client.on('message', answer => {
    if (answers.push(answer) === wanted) resolve()
  })
  client.connect(port, address)
  await once(client, 'connect')
  for (let index = 0; index < sent; index++) client.send(bytes)
  await promise
  client.close()
  return answers
}

t.test('other domains and whole zones are refused to strangers, our names are not', async t => {
  let asked = 0
  const forward: Forward = (_query, _client, reply) => {
    asked++
    reply(emptyReply(RCODE.NXDOMAIN), 'forward')
  }
  const loopback = createNetworks(['127.0.0.0/8'])
  const ours = await start(t, { forward }, { home: loopback })
  const others = await start(t, { forward })
  for (const tcp of [false, true]) {
    // oxlint-disable no-await-in-loop -- one after the other
    const to = { address, port: others.port, tcp }
    const refused = await query('example.com', TYPE.A, to)
    t.equal(refused.rcode, RCODE.REFUSED)
    t.equal(refused.flags & FLAG.RA, 0, 'nor does it say that it would')
    const own = await query('web.shoal', TYPE.A, to)
    t.equal(own.answers.length, 3)
    t.equal(own.flags & FLAG.RA, 0)
    t.equal(asked, Number(tcp))
    const passed = await query('example.com', TYPE.A, { ...to, port: ours.port })
    t.equal(passed.rcode, RCODE.NXDOMAIN)
    t.ok(passed.flags & FLAG.RA)
    // oxlint-enable no-await-in-loop
  }
  for (const { port } of [ours, others]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { rcode } = await query('shoal', TYPE.AXFR, { address, port, tcp: true })
    t.equal(rcode, RCODE.REFUSED, 'being at home does not give the zone')
  }
})

t.test('beyond the rate a stranger is told to come by TCP, and does', async t => {
  const server = await start(t, { answersPerSecond: 1 })
  const bytes = encodeQuery('web.shoal', TYPE.A, 0)
  // One whole answer a second, and a word to every second query beyond it.
  const answers = await flood(server.port, bytes, 40, 12)
  const cut = answers.filter(answer => (answer[2]! & 0x02) !== 0)
  t.ok(cut.length > 8, `${cut.length} with TC`)
  t.ok(
    cut.every(answer => answer.length === bytes.length),
    'none longer than the query',
  )
  t.ok(server.counters().drops.rate > 0)
  t.ok(server.counters().events.slipped >= cut.length)
  const { answers: whole } = await query('web.shoal', TYPE.A, {
    address,
    port: server.port,
    timeoutMs: 30_000,
  })
  t.equal(whole.length, 3, 'a client that comes again is answered in full')
})
