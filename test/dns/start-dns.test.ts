/** DNS in threads of its own: what reaches them, and what happens when one breaks or the main thread stands still. */

import { fork } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as after } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { query } from '../../src/dns/query.ts'
import { RCODE, TYPE } from '../../src/dns/records.ts'
import { isPortUnavailable } from '../../src/dns/start-dns-server.ts'
import { startDns, type Dns, type DnsOptions } from '../../src/dns/worker/start-dns.ts'
import type { Message } from '../../src/dns/wire.ts'
import { aRecord, answerWith, startFakeResolver } from './forward/fake-resolver.ts'
import { appId, makeApp, makeView } from './make-view.ts'

const address = '127.0.0.1'
const DEADLINE_MS = 10_000

/** The threads that this process has started, the latest last. */
const started: Worker[] = []
process.on('worker', worker => started.push(worker))

async function start(
  t: Test,
  options: Partial<DnsOptions> = {},
): Promise<{ dns: Dns; log: string[]; ask: (name: string, type?: number) => Promise<Message> }> {
  const log: string[] = []
  const dns = await startDns({
    addresses: [address],
    port: 0,
    view: makeView([makeApp('/web', 2)]),
    identity: { name: 'n1', version: 'Shoal test' },
    log: (message, error) =>
      log.push(`${message}${error === undefined ? '' : `: ${error.message}`}`),
    ...options,
  })
  t.teardown(() => dns.close())
  const ask = async (name: string, type: number = TYPE.A): Promise<Message> =>
    await query(name, type, { address, port: dns.port, timeoutMs: DEADLINE_MS })
  return { dns, log, ask }
}

/** Asks again and again until the answer is as wanted: no event tells that a thread has made a change. */
async function untilAnswer(
  ask: () => Promise<Message>,
  isWanted: (message: Message) => boolean,
): Promise<Message> {
  const deadline = performance.now() + DEADLINE_MS
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop
    const message = await ask()
    if (isWanted(message)) return message
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(message)}`)
  }
}

t.test('a thread answers by the view, and by each change', async t => {
  const { dns, ask } = await start(t)
  t.equal((await ask('web.shoal')).answers.length, 2)
  t.match((await ask('n2.node.shoal')).answers, [{ address: '10.0.0.2' }])
  const before = await ask('shoal', TYPE.SOA)

  dns.apply([
    { kind: 'app', app: makeApp('/web', 3) },
    { kind: 'app', app: makeApp('/api', 1) },
  ])
  t.equal(
    (
      await untilAnswer(
        () => ask('api.shoal'),
        one => one.rcode === 0,
      )
    ).answers.length,
    1,
  )
  t.equal((await ask('web.shoal')).answers.length, 3, 'in the order they came')
  dns.apply([
    { kind: 'app-removed', app: appId('/web') },
    { kind: 'nodes', nodes: [] },
  ])
  await untilAnswer(
    () => ask('web.shoal'),
    one => one.rcode === RCODE.NXDOMAIN,
  )
  const later = await ask('shoal', TYPE.SOA)
  const serials = [before, later].map(({ answers: [soa] }) => soa?.type === 'SOA' && soa.serial)
  t.strictSame(serials, [9, 13], 'each change adds one to the serial')
  t.ok(dns.counters().queries.length > 0, 'it counts')
})

t.test('cookies and identity work in a thread', async t => {
  const { dns } = await start(t)
  const client = createSocket('udp4')
  t.teardown(() => client.close())
  const packet = Buffer.from(
    'abcd01000001000000000001037765620573686f616c000001000100002910000000000000100003000' +
      '0000a00082464c4abcf10c957',
    'hex',
  )
  client.send(packet, dns.port, address)
  const [answer] = (await once(client, 'message')) as [Buffer]
  t.ok(answer.includes(Buffer.from('000a00182464c4abcf10c95701000000', 'hex')), 'a cookie')
  t.ok(answer.includes(Buffer.from('000300026e31', 'hex')), 'its name')
})

t.test('the threads answer while the main thread stands still', async t => {
  const { dns } = await start(t)
  const prober = fork(new URL('./probe-dns.ts', import.meta.url), [String(dns.port), '1500'], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  t.teardown(() => prober.kill())
  await once(prober, 'message') // It asks.
  const slowest = once(prober, 'message')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000)
  const [{ asked, worstMs }] = (await slowest) as [{ asked: number; worstMs: number }]
  t.ok(asked > 50, `${asked} queries were answered`)
  t.ok(worstMs < 500, `the slowest took ${worstMs} ms`)
})

t.test('a thread that breaks is started again, whole, on the same port', async t => {
  const { dns, log, ask } = await start(t)
  dns.apply([{ kind: 'app', app: makeApp('/api', 1) }])
  await untilAnswer(
    () => ask('api.shoal'),
    one => one.rcode === 0,
  )
  const [soa] = (await ask('shoal', TYPE.SOA)).answers
  const thread = started.at(-1)!
  // A message that is none breaks it as a fault of ours would.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window.
  thread.postMessage({ kind: 'changes', changes: 42 })
  const again = (): boolean => log.some(line => line.includes('answers again'))
  const deadline = performance.now() + DEADLINE_MS
  while (!again()) {
    if (performance.now() > deadline) throw new Error(`only ${log.join()}`)
    // oxlint-disable-next-line no-await-in-loop
    await after(5)
  }
  t.equal(dns.restarts(), 1)
  t.match(log[0], /^the DNS thread broke: it is started again in 50 ms: .*not iterable/)
  t.equal((await ask('api.shoal')).answers.length, 1, 'with what came after the start')
  t.equal((await ask('web.shoal')).answers.length, 2)
  t.strictSame((await ask('shoal', TYPE.SOA)).answers[0], soa, 'with the same serial')
  t.ok(dns.counters().queries.length > 0, 'what was counted stays')
})

t.test('other domains are asked of those whom the plan names', async t => {
  const resolver = await startFakeResolver(t, packet => [
    answerWith(packet, { answers: [aRecord(77)] }),
  ])
  const { dns, ask } = await start(t, {
    forward: {
      fallback: [],
      zones: new Map([['example.com', [{ address, port: resolver.port }]]]),
    },
  })
  t.match((await ask('www.example.com')).answers, [{ type: 'A', address: '10.0.0.77' }])
  t.match((await ask('www.example.com')).answers, [{ type: 'A', address: '10.0.0.77' }])
  t.equal((await ask('example.org')).rcode, RCODE.REFUSED, 'nobody is to be asked about it')
  t.equal((await ask('web.shoal')).answers.length, 2)
  t.equal(resolver.asked.filter(({ name }) => /^www\./i.test(name)).length, 1, 'and once')
  t.match(dns.counters().events, { 'forward-hits': 1, 'forward-misses': 2 })
})

t.test('several threads share a port, and what comes to it', async t => {
  const { dns, ask } = await start(t, { workers: 2 })
  dns.apply([{ kind: 'app', app: makeApp('/web', 1) }])
  // Each query comes from another port, so both are asked soon.
  let changed = 0
  await untilAnswer(
    () => ask('web.shoal'),
    ({ answers }) => {
      changed = answers.length === 1 ? changed + 1 : 0
      return changed === 50
    },
  )
  const tcp = await query('web.shoal', TYPE.A, { address, port: dns.port, tcp: true })
  t.equal(tcp.answers.length, 1)
  t.equal(started.length >= 2, true)
})

t.test('a port that is taken is told, also by threads that share', async t => {
  const { dns } = await start(t, { workers: 2 })
  for (const workers of [1, 2]) {
    // oxlint-disable-next-line no-await-in-loop
    const error = await start(t, { workers, port: dns.port }).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    t.ok(isPortUnavailable(error), `${workers} threads`)
  }
  await t.rejects(start(t, { addresses: ['192.0.2.1'] }), { code: 'EADDRNOTAVAIL' })
})

t.test('close() frees the port', async t => {
  const { dns } = await start(t)
  await dns.close()
  const again = await start(t, { port: dns.port })
  t.equal(again.dns.port, dns.port)
})
