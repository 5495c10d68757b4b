import t from 'tap'
import { startDnsServer } from '../../src/dns/start-dns-server.ts'
import { createZone, type Zone } from '../../src/dns/zone.ts'
import { verifyDns, type VerifiedServer } from '../../src/node/verify-dns.ts'
import { makeApp, makeView, type TaskInput } from '../dns/make-view.ts'

const names = [
  'web.shoal',
  '_web._tcp.shoal',
  'n1.node.shoal',
  '1.0.0.10.in-addr.arpa',
  'gone.shoal',
]
const web: TaskInput[] = [{ ports: [{ hostPort: 31_080 }] }, { ports: [{ hostPort: 31_081 }] }]

async function serve(
  t: { teardown(end: () => Promise<void>): void },
  zone: Zone,
  node: string,
): Promise<VerifiedServer> {
  const server = await startDnsServer({ addresses: ['127.0.0.1'], port: 0, names: zone })
  t.teardown(async () => await server.close())
  return { node, address: '127.0.0.1', port: server.port }
}

t.test('verifyDns() has nothing to say where all servers say the same', async t => {
  const zone = createZone(makeView([makeApp('/web', web)]))
  const servers = [
    await serve(t, zone, 'n1'),
    await serve(t, createZone(makeView([makeApp('/web', web)])), 'n2'),
  ]
  const verified = await verifyDns({ zone, names, servers })
  t.strictSame(verified.differences, [])
  t.equal(verified.questions, names.length)
  t.strictSame(
    verified.servers.map(({ answers }) => answers),
    [2 * names.length, 2 * names.length],
  )
})

t.test('verifyDns() has a line for each answer that differs, by UDP and by TCP', async t => {
  const zone = createZone(makeView([makeApp('/web', web)]))
  const stale = createZone(
    makeView([makeApp('/web', [...web.slice(0, 1), { address: '10.9.9.9' }]), makeApp('/gone', 1)]),
  )
  const { differences } = await verifyDns({
    zone,
    names,
    servers: [await serve(t, stale, 'n2')],
    settleMs: 0,
  })
  for (const transport of ['udp', 'tcp']) {
    const lines = differences
      .filter(difference => difference.transport === transport)
      .map(({ node, name, type, problem }) => `${node} ${name} ${type} ${problem}`)
    t.strictSame(
      lines.toSorted(),
      [
        'n2 _web._tcp.shoal SRV lacks 0 1 31081 1.web.shoal; has 0 1 31001 1.web.shoal too many',
        'n2 gone.shoal A says NOERROR where this node says NXDOMAIN',
        'n2 web.shoal A lacks 10.0.0.2; has 10.9.9.9 too many',
      ],
      transport,
    )
  }
})

t.test('verifyDns() gives news the time to be everywhere', async t => {
  const zone = createZone(makeView([makeApp('/web', web)]))
  const late = createZone(makeView([]))
  const server = await serve(t, late, 'n2')
  let asked = 0
  const { query } = await import('../../src/dns/query.ts')
  const verified = await verifyDns({
    zone,
    names: ['web.shoal'],
    servers: [server],
    ask: async (name, type, options) => {
      // It learns of the app after the first look of both transports.
      if (++asked === 3) late.update(makeApp('/web', web))
      return await query(name, type, options)
    },
  })
  t.strictSame(verified.differences, [])
  t.ok(asked > 3)
})

t.test('verifyDns() stops asking a server that is silent', async t => {
  const zone = createZone(makeView([makeApp('/web', web)]))
  let asked = 0
  const verified = await verifyDns({
    zone,
    names: Array.from({ length: 200 }, (_, index) => `${index}.web.shoal`),
    servers: [{ node: 'n3', address: '::1', port: 53 }],
    ask: async () => {
      asked++
      throw new Error('DNS server ::1 port 53 did not answer within 2000 ms')
    },
  })
  t.ok(asked < 20, `asked ${asked} times`)
  t.match(verified.servers, [{ node: 'n3', server: '[::1]:53', answers: 0 }])
  t.match(verified.differences[0], { node: 'n3', transport: 'udp', problem: /did not answer/ })
})
