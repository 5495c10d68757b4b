/** The server over real sockets of loopback: UDP, TCP, and what broken clients do. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import type { DnsTransport } from '../../src/dns/answerer.ts'
import { encodeQuery, query } from '../../src/dns/query.ts'
import { RCODE, TYPE } from '../../src/dns/records.ts'
import {
  isPortUnavailable,
  startDnsServer,
  type DnsServer,
  type DnsServerOptions,
} from '../../src/dns/start-dns-server.ts'
import { FLAG } from '../../src/dns/wire.ts'
import { createZone } from '../../src/dns/zone.ts'
import { makeApp, makeView } from './make-view.ts'

const address = '127.0.0.1'
const zone = createZone(makeView([makeApp('/web', 3), makeApp('/big', 100)]))

async function start(t: Test, options: Partial<DnsServerOptions> = {}): Promise<DnsServer> {
  const server = await startDnsServer({ addresses: [address], port: 0, names: zone, ...options })
  t.teardown(() => server.close())
  return server
}

async function connected(t: Test, port: number): Promise<Socket> {
  const socket = connect({ host: address, port, noDelay: true })
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Answers over `proto` so far. */
function answersOver(server: DnsServer, proto: DnsTransport): number {
  const { queries } = server.counters()
  return queries.filter(one => one.proto === proto).reduce((sum, { count }) => sum + count, 0)
}

/** When the connection is gone, whether it was closed or reset. */
async function closeOf(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.on('error', () => undefined)
  socket.on('close', () => resolve())
  await promise
}

function framed(...messages: Buffer[]): Buffer {
  return Buffer.concat(
    messages.flatMap(message => [Buffer.of(message.length >> 8, message.length & 255), message]),
  )
}

/** Reads until `count` whole messages are there. */
async function readMessages(socket: Socket, count: number): Promise<Buffer[]> {
  const messages: Buffer[] = []
  let bytes = Buffer.alloc(0)
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    bytes = Buffer.concat([bytes, chunk as Buffer])
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
      const end = 2 + bytes.readUInt16BE(0)
      messages.push(bytes.subarray(2, end))
      bytes = bytes.subarray(end)
    }
    if (messages.length >= count) break
  }
  return messages
}

t.test('query() asks over UDP, and over TCP when that is too small', async t => {
  const server = await start(t)
  const to = { address, port: server.port }
  t.equal((await query('web.shoal', TYPE.A, to)).answers.length, 3)
  t.strictSame(server.counters().queries, [{ type: 'A', rcode: 'NOERROR', proto: 'udp', count: 1 }])
  const big = await query('_big._tcp.shoal', TYPE.SRV, to)
  t.equal(big.answers.length, 100)
  t.equal(big.additionals.length, 100)
  t.equal(big.flags & FLAG.TC, 0)
  t.equal(server.counters().events.truncated, 1)
  t.equal((await query('nope.shoal', TYPE.A, { ...to, tcp: true })).rcode, RCODE.NXDOMAIN)
  const { queries, drops } = server.counters()
  t.strictSame(queries, [
    { type: 'A', rcode: 'NOERROR', proto: 'udp', count: 1 },
    { type: 'SRV', rcode: 'NOERROR', proto: 'udp', count: 1 },
    { type: 'A', rcode: 'NXDOMAIN', proto: 'tcp', count: 1 },
    { type: 'SRV', rcode: 'NOERROR', proto: 'tcp', count: 1 },
  ])
  t.ok(Object.values(drops).every(count => count === 0))
})

t.test('query() says when nobody answers', async t => {
  const silent = createSocket('udp4')
  t.teardown(() => silent.close())
  silent.bind(0, address)
  await once(silent, 'listening')
  const { port } = silent.address()
  await t.rejects(query('web.shoal', TYPE.A, { address, port, timeoutMs: 50 }), {
    message: `DNS server ${address} port ${port} did not answer within 50 ms`,
  })
  await t.rejects(query('web.shoal', TYPE.A, { address, port, tcp: true }), {
    code: 'ECONNREFUSED',
  })
  await t.rejects(
    query('web.shoal', TYPE.A, { address, port, signal: AbortSignal.abort(new Error('enough')) }),
    { message: 'enough' },
  )
})

t.test('query() takes no answer with another id', async t => {
  const liar = createSocket('udp4')
  t.teardown(() => liar.close())
  liar.on('message', (bytes, { port, address: client }) => {
    const answer = Buffer.from(bytes)
    answer[2]! |= 0x80
    answer[0]! ^= 1
    liar.send(answer, port, client)
    liar.send('not DNS at all', port, client)
    answer[0]! ^= 1
    answer[3] = RCODE.SERVFAIL
    liar.send(answer, port, client)
  })
  liar.bind(0, address)
  await once(liar, 'listening')
  const { rcode } = await query('web.shoal', TYPE.A, { address, port: liar.address().port })
  t.equal(rcode, RCODE.SERVFAIL)
})

t.test('several addresses get one port', async t => {
  const server = await start(t, { addresses: [address, '127.0.0.2'] })
  for (const own of server.addresses) {
    for (const tcp of [false, true]) {
      // oxlint-disable-next-line no-await-in-loop
      const { rcode } = await query('web.shoal', TYPE.A, { address: own, port: server.port, tcp })
      t.equal(rcode, RCODE.NOERROR, `${own} tcp=${tcp}`)
    }
  }
})

const hasV6 = Object.values(networkInterfaces()).some(all =>
  all?.some(one => one.address === '::1'),
)

t.test('IPv6', { skip: hasV6 ? false : 'this machine has no ::1' }, async t => {
  const server = await start(t, { addresses: ['::1', address] })
  for (const tcp of [false, true]) {
    // oxlint-disable-next-line no-await-in-loop
    const { answers } = await query('web.shoal', TYPE.A, { address: '::1', port: server.port, tcp })
    t.equal(answers.length, 3)
  }
})

t.test('a port that is taken can be told from other trouble, and nothing stays open', async t => {
  const { port } = await start(t)
  const trouble = async (options: Partial<DnsServerOptions>): Promise<unknown> => {
    try {
      await start(t, options)
      return undefined
    } catch (error) {
      return error
    }
  }
  t.ok(isPortUnavailable(await trouble({ port })))
  t.ok(isPortUnavailable(await trouble({ port, addresses: ['127.0.0.3', address] })))
  await start(t, { port, addresses: ['127.0.0.3'] })
  const foreign = await trouble({ addresses: ['192.0.2.1'] })
  t.match(foreign, { code: 'EADDRNOTAVAIL' })
  t.notOk(isPortUnavailable(foreign))
  t.notOk(isPortUnavailable('EACCES'))

  const udpOnly = createSocket('udp4')
  t.teardown(() => udpOnly.close())
  udpOnly.bind(0, address)
  await once(udpOnly, 'listening')
  t.ok(isPortUnavailable(await trouble({ port: udpOnly.address().port })), 'taken for UDP alone')
})

t.test('TCP: many queries at once are answered in order, however they are cut', async t => {
  const { port } = await start(t)
  const queries = ['web', 'nope', 'six', 'big'].map(name => encodeQuery(`${name}.shoal`, TYPE.A, 0))
  const bytes = framed(...queries)
  const socket = await connected(t, port)
  socket.write(bytes)
  const ids = (await readMessages(socket, 4)).map(message => message.readUInt16BE(0))
  t.strictSame(
    ids,
    queries.map(one => one.readUInt16BE(0)),
    'in one piece',
  )

  const slow = await connected(t, port)
  const answers = readMessages(slow, 4)
  for (const byte of bytes) {
    // Each byte leaves by itself: the next is written when this one is gone.
    // oxlint-disable-next-line no-await-in-loop
    await new Promise<void>(done => {
      slow.write(Buffer.of(byte), () => done())
    })
  }
  t.equal((await answers).length, 4, 'byte by byte')
})

t.test('TCP: a client that does not read is not answered without end', async t => {
  const server = await start(t)
  const socket = await connected(t, server.port)
  const asked = 5_000
  const one = framed(encodeQuery('_big._tcp.shoal', TYPE.SRV, 0))
  socket.pause()
  socket.write(Buffer.concat(Array.from({ length: asked }, () => one)))
  // Another client's answers show that the server went on.
  await query('web.shoal', TYPE.A, { address, port: server.port })
  t.ok(answersOver(server, 'tcp') < asked, 'it stopped reading')
  t.equal((await readMessages(socket, asked)).length, asked, 'and goes on when the client reads')
})

t.test('TCP: a client that asks much and does not read is not read without end', async t => {
  const server = await start(t)
  const socket = await connected(t, server.port)
  const one = framed(encodeQuery('_big._tcp.shoal', TYPE.SRV, 0))
  socket.pause()
  // More than all buffers of the system between the two ends.
  socket.write(Buffer.alloc(one.length * Math.ceil((10 * 1024 * 1024) / one.length), one))
  const end = performance.now() + 1_300
  while (performance.now() < end) {
    // oxlint-disable-next-line no-await-in-loop
    await query('web.shoal', TYPE.A, { address, port: server.port, tcp: true })
  }
  t.ok(socket.writableLength > 0, 'the client could not get rid of all of it')
})

t.test('TCP: who keeps asking stays connected', async t => {
  const idleMs = 400
  const server = await start(t, { idleMs })
  const socket = await connected(t, server.port)
  const end = performance.now() + 1.5 * idleMs
  let answered = 0
  while (performance.now() < end) {
    socket.write(framed(encodeQuery('web.shoal', TYPE.A, 0)))
    // oxlint-disable-next-line no-await-in-loop
    answered += (await readMessages(socket, 1)).length
  }
  t.ok(answered > 0)
  t.equal(answersOver(server, 'tcp'), answered)
  t.equal(server.counters().drops.idle, 0)
})

t.test('TCP: nonsense closes the connection', async t => {
  const server = await start(t)
  const cases: [what: string, bytes: Buffer][] = [
    ['a message of no bytes', Buffer.of(0, 0)],
    ['less than a header', framed(Buffer.from('GET /'))],
    ['an answer', framed(Buffer.alloc(12, 0x80))],
    ['a length that no query has', Buffer.of(0xff, 0xff, 1)],
  ]
  for (const [what, bytes] of cases) {
    // oxlint-disable-next-line no-await-in-loop
    const socket = await connected(t, server.port)
    const closed = closeOf(socket)
    socket.resume()
    socket.write(bytes)
    // oxlint-disable-next-line no-await-in-loop
    await closed
    t.pass(what)
  }
  t.equal(server.counters().drops['broken-stream'], cases.length)
  t.equal((await query('web.shoal', TYPE.A, { address, port: server.port, tcp: true })).rcode, 0)
})

t.test('TCP: who brings no whole query in time is closed, however he trickles', async t => {
  const server = await start(t, { idleMs: 100 })
  const socket = await connected(t, server.port)
  const closed = closeOf(socket)
  const trickle = setInterval(() => socket.write(Buffer.of(1)), 20)
  t.teardown(() => clearInterval(trickle))
  socket.resume()
  await closed
  t.equal(server.counters().drops.idle, 1)
})

t.test('TCP: with too many connections, the quietest goes', async t => {
  const server = await start(t, { connectionsMax: 3, connectionsPerClientMax: 2 })
  const [first, second] = [await connected(t, server.port), await connected(t, server.port)]
  first.write(framed(encodeQuery('web.shoal', TYPE.A, 0)))
  await readMessages(first, 1) // Now the second is the quietest.
  const closed = closeOf(second)
  second.resume()
  const third = await connected(t, server.port)
  await closed
  for (const socket of [first, third]) {
    socket.write(framed(encodeQuery('web.shoal', TYPE.A, 0)))
    // oxlint-disable-next-line no-await-in-loop
    t.equal((await readMessages(socket, 1)).length, 1)
  }
  t.equal(server.counters().drops['connection-limit'], 1)
})

t.test('UDP: broken packets are dropped or refused, and counted', async t => {
  const server = await start(t)
  const client = createSocket('udp4')
  t.teardown(() => client.close())
  const answers: Buffer[] = []
  const { promise: two, resolve } = Promise.withResolvers<void>()
  client.on('message', bytes => {
    if (answers.push(bytes) === 2) resolve()
  })
  const answer = encodeQuery('web.shoal', TYPE.A, 0)
  answer[2]! |= 0x80
  const cut = encodeQuery('web.shoal', TYPE.A, 0).subarray(0, 20)
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(5), answer, cut]) {
    client.send(bytes, server.port, address)
  }
  client.send(encodeQuery('web.shoal', TYPE.A, 0), server.port, address)
  await two
  const rcodes = answers.map(bytes => bytes[3]! & FLAG.RCODE)
  t.strictSame(rcodes, [RCODE.FORMERR, RCODE.NOERROR])
  t.equal(server.counters().drops['not-a-query'], 3)
  t.strictSame(server.counters().queries, [
    { type: 'other', rcode: 'FORMERR', proto: 'udp', count: 1 },
    { type: 'A', rcode: 'NOERROR', proto: 'udp', count: 1 },
  ])
})

t.test('close() ends connections, and the port is free again', async t => {
  const server = await startDnsServer({ addresses: [address], port: 0, names: zone })
  const socket = await connected(t, server.port)
  const closed = closeOf(socket)
  socket.resume()
  await server.close()
  await closed
  const again = await start(t, { port: server.port })
  t.equal(again.port, server.port)
})
