/** Forwarding against resolvers of the test's own on loopback, which lie, dawdle and lose packets as told. */

import t from 'tap'
import { ANYBODY, type Client } from '../../../src/dns/clients.ts'
import { RCODE, TYPE } from '../../../src/dns/records.ts'
import { FLAG } from '../../../src/dns/wire.ts'
import {
  aRecord,
  answerWith,
  soaRecord,
  startFakeResolver,
  type FakeResolver,
} from './fake-resolver.ts'
import { makeRig } from './make-rig.ts'

const HINFO = 13

/** What was asked but for the looks for loops. */
function askedNames({ asked }: FakeResolver): string[] {
  return asked.filter(({ type }) => type !== HINFO).map(({ name }) => name.toLowerCase())
}

t.test('a question is asked once, and its answer kept for as long as it says', async t => {
  const resolver = await startFakeResolver(t, query => [
    answerWith(query, { answers: [aRecord(1, 60), aRecord(2, 90)] }),
  ])
  let skippedMs = 0
  const { ask, lastBytes, counters } = makeRig(t, [resolver], {
    nowMs: () => performance.now() + skippedMs,
  })
  const replies = await Promise.all([ask('www.Example.com'), ask('WWW.example.com')])
  t.strictSame(
    replies.map(({ source }) => source),
    ['forward', 'forward'],
  )
  t.strictSame(askedNames(resolver), ['www.example.com'], 'once, though two wait')
  t.strictSame(await lastBytes('www.example.com'), [1, 2])
  skippedMs = 20_000
  const kept = await ask('www.example.com')
  t.equal(kept.source, 'cache')
  t.equal(kept.records.readUInt32BE(6), 40, 'it has that much left')
  t.equal(kept.records.readUInt32BE(16 + 6), 70)
  skippedMs = 60_000
  t.equal((await ask('www.example.com')).source, 'forward', 'and then it is asked anew')
  t.equal(askedNames(resolver).length, 2)
  t.match(counters().events, { 'forward-hits': 2, 'forward-misses': 3 })
  t.equal(counters().gauges['forward-pending'], 0)
  t.ok(counters().gauges['forward-cache-bytes'] > 0)
})

t.test('"there is no such name" is kept for as long as its SOA says (RFC 2308)', async t => {
  const cases: [what: string, authorities: string[], rcode: number, keptSeconds: number][] = [
    ['the minimum', [soaRecord(900, 30)], RCODE.NXDOMAIN, 30],
    ['its own TTL', [soaRecord(20, 900)], RCODE.NXDOMAIN, 20],
    ['NODATA', [soaRecord(900, 30)], RCODE.NOERROR, 30],
    ['never for longer than an hour', [soaRecord(90_000, 90_000)], RCODE.NXDOMAIN, 3_600],
    ['without one not at all', [], RCODE.NXDOMAIN, 0],
    ['a failure for a second', [], RCODE.SERVFAIL, 1],
  ]
  for (const [what, authorities, rcode, keptSeconds] of cases) {
    // oxlint-disable-next-line no-await-in-loop
    const resolver = await startFakeResolver(t, query => [
      answerWith(query, { authorities, rcode }),
    ])
    let skippedMs = 0
    const startMs = performance.now()
    const { ask } = makeRig(t, [resolver], { nowMs: () => startMs + skippedMs })
    // oxlint-disable-next-line no-await-in-loop
    t.equal((await ask('nope.example')).rcode, rcode, what)
    skippedMs = keptSeconds * 1000 - 1
    // oxlint-disable-next-line no-await-in-loop
    t.equal((await ask('nope.example')).source, keptSeconds === 0 ? 'forward' : 'cache', what)
    skippedMs = keptSeconds * 1000
    // oxlint-disable-next-line no-await-in-loop
    t.equal((await ask('nope.example')).source, 'forward', what)
  }
})

t.test('queries cannot be guessed: ids, ports and letters differ', async t => {
  const resolver = await startFakeResolver(t, query => [
    answerWith(query, { answers: [aRecord(1, 0)] }),
  ])
  const { ask } = makeRig(t, [resolver])
  const name = 'a-rather-long-name.example.com'
  for (let count = 0; count < 20; count++) {
    // oxlint-disable-next-line no-await-in-loop
    t.equal((await ask(name)).rcode, 0)
  }
  const queries = resolver.queries.filter((_, index) => resolver.asked[index]!.type !== HINFO)
  t.equal(queries.length, 20, 'a TTL of zero is not kept')
  t.ok(new Set(queries.map(query => query.readUInt16BE(0))).size > 15, 'ids')
  t.ok(new Set(resolver.ports).size > 15, 'ports')
  const names = new Set(resolver.asked.filter(({ type }) => type !== HINFO).map(one => one.name))
  t.ok(names.size > 15, 'letters')
  t.equal(queries[0]!.readUInt16BE(2) & FLAG.RD, FLAG.RD)
})

function forged(query: Buffer, change: (answer: Buffer) => void): Buffer {
  const answer = answerWith(query, { answers: [aRecord(66)] })
  change(answer)
  return answer
}

t.test('whoever does not know what was asked cannot answer', async t => {
  const resolver = await startFakeResolver(t, query => [
    Buffer.from('not DNS'),
    forged(query, answer => (answer[0]! ^= 1)),
    forged(query, answer => (answer[2]! &= 0x7f)),
    forged(query, answer => (answer[13]! ^= 0x02)),
    forged(query, answer => (answer[answer.indexOf(0, 12) + 2]! ^= 1)),
    forged(query, answer => (answer[7] = 200)),
    answerWith(query, { answers: [aRecord(1)] }),
  ])
  const { lastBytes, counters } = makeRig(t, [resolver])
  t.strictSame(await lastBytes('www.example.com'), [1])
  t.equal(counters().events['forward-mismatches'], 6)
})

t.test('who floods us with wrong answers is asked over TCP', async t => {
  const resolver = await startFakeResolver(t, (query, transport) => {
    const answer = answerWith(query, { answers: [aRecord(1)] })
    if (transport === 'tcp') return [answer]
    answer[0]! ^= 1
    return Array<Buffer>(20).fill(answer)
  })
  const { lastBytes } = makeRig(t, [resolver])
  t.strictSame(await lastBytes('www.example.com'), [1])
})

t.test('an answer that is too long is asked for over TCP', async t => {
  const resolver = await startFakeResolver(t, (query, transport) =>
    transport === 'udp'
      ? [answerWith(query, { flags: 0x8380 })]
      : [answerWith(query, { answers: Array.from({ length: 200 }, (_, index) => aRecord(index)) })],
  )
  const { ask, counters } = makeRig(t, [resolver])
  t.equal((await ask('big.example.com')).counts[0], 200)
  t.equal(counters().events['forward-tcp'], 1)
})

t.test(
  'a resolver that does not keep the letters is believed over TCP, and asked plainly from then on',
  async t => {
    const resolver = await startFakeResolver(t, query => {
      const plain = Buffer.from(query.toString('latin1').toLowerCase(), 'latin1')
      query.copy(plain, 0, 0, 12)
      return [answerWith(plain, { answers: [aRecord(1)] })]
    })
    const { lastBytes, counters } = makeRig(t, [resolver])
    t.strictSame(await lastBytes('rather-long-name.example.com'), [1])
    t.ok(counters().events['forward-tcp'] > 0)
    const before = counters().events['forward-tcp']
    t.strictSame(await lastBytes('another-long-name.example.com'), [1])
    t.equal(counters().events['forward-tcp'], before)
  },
)

function hasOpt(query: Buffer): boolean {
  return query.readUInt16BE(10) > 0
}

t.test('a resolver that does not know EDNS is asked without, from then on', async t => {
  const resolver = await startFakeResolver(t, query =>
    hasOpt(query)
      ? [Buffer.concat([query.subarray(0, 2), Buffer.from('81810000000000000000', 'hex')])]
      : [answerWith(query, { answers: [aRecord(1)] })],
  )
  const { lastBytes } = makeRig(t, [resolver])
  t.strictSame(await lastBytes('one.example.com'), [1])
  t.strictSame(await lastBytes('two.example.com'), [1])
  const queries = resolver.queries.filter((_, index) => resolver.asked[index]!.type !== HINFO)
  t.strictSame(queries.map(hasOpt), [true, false, false])
})

t.test(
  'when one resolver is silent or cannot tell, the next is asked, and it is asked last from then on',
  async t => {
    const cases: [what: string, behave: FakeResolver['behave']][] = [
      ['silent', () => []],
      ['SERVFAIL', query => [answerWith(query, { rcode: RCODE.SERVFAIL })]],
      ['REFUSED', query => [answerWith(query, { rcode: RCODE.REFUSED })]],
    ]
    for (const [what, behave] of cases) {
      // oxlint-disable-next-line no-await-in-loop
      const [bad, good] = [
        await startFakeResolver(t, behave),
        await startFakeResolver(t, query => [answerWith(query, { answers: [aRecord(1)] })]),
      ]
      const { lastBytes } = makeRig(t, [bad, good])
      // oxlint-disable-next-line no-await-in-loop
      t.strictSame(await lastBytes('one.example.com'), [1], what)
      // oxlint-disable-next-line no-await-in-loop
      t.strictSame(await lastBytes('two.example.com'), [1], what)
      t.strictSame(askedNames(bad), ['one.example.com'], what)
      t.strictSame(askedNames(good), ['one.example.com', 'two.example.com'], what)
    }
  },
)

t.test('a closed port is no reason to wait', async t => {
  const gone = await startFakeResolver(t, () => [])
  const good = await startFakeResolver(t, query => [answerWith(query, { answers: [aRecord(1)] })])
  const { lastBytes } = makeRig(t, [{ ...gone, port: 1 }, good])
  const startMs = performance.now()
  t.strictSame(await lastBytes('one.example.com'), [1])
  t.ok(performance.now() - startMs < 600, 'before the next try would be due')
})

t.test(
  'when nobody answers, it is SERVFAIL before clients give up, and at once for a while',
  async t => {
    const resolver = await startFakeResolver(t, () => [])
    const { ask, counters } = makeRig(t, [resolver])
    const startMs = performance.now()
    t.equal((await ask('www.example.com')).rcode, RCODE.SERVFAIL)
    t.ok(performance.now() - startMs < 5_000)
    t.equal((await ask('www.example.com')).source, 'cache')
    t.equal(askedNames(resolver).length, 4, 'a lost packet is sent again')
    t.match(counters().events, { 'forward-failures': 1 })
    t.ok(counters().events['forward-timeouts'] > 0)
    const { ask: askNobody } = makeRig(t, [])
    t.equal((await askNobody('www.example.com')).rcode, RCODE.REFUSED, 'that is said at once')
  },
)

t.test('each domain has its resolvers; some names mean the same everywhere', async t => {
  const [host, corp] = [
    await startFakeResolver(t, query => [answerWith(query, { answers: [aRecord(1)] })]),
    await startFakeResolver(t, query => [answerWith(query, { answers: [aRecord(2)] })]),
  ]
  const { ask, lastBytes } = makeRig(t, [], {
    plan: {
      fallback: 'host',
      zones: new Map([
        ['corp.example', [corp]],
        ['secret.corp.example', []],
      ]),
    },
    hostResolvers: () => [host],
  })
  t.strictSame(await lastBytes('www.example'), [1])
  t.strictSame(await lastBytes('www.corp.example'), [2])
  t.strictSame(await lastBytes('corp.EXAMPLE'), [2])
  t.strictSame(await lastBytes('mycorp.example'), [1])
  t.equal((await ask('a.secret.corp.example')).rcode, RCODE.REFUSED)
  t.equal((await ask('nobody.onion')).rcode, RCODE.NXDOMAIN)
  t.equal((await ask('x.invalid')).rcode, RCODE.NXDOMAIN)
  t.equal((await ask('db.localhost')).records.readUInt32BE(12), 0x7f000001)
  t.strictSame((await ask('localhost', { type: TYPE.SRV })).counts, [0, 0, 0])
  t.equal(askedNames(host).length + askedNames(corp).length, 4)
})

t.test('DO and CD are passed on, and answers for them kept apart', async t => {
  const resolver = await startFakeResolver(t, query => [
    answerWith(query, { answers: [aRecord(1)], flags: 0x81a0 }),
  ])
  const { ask } = makeRig(t, [resolver])
  const changes: ((query: Buffer) => void)[] = [
    () => undefined,
    query => (query[query.length - 4] = 0x80),
    query => (query[3]! |= 0x10),
  ]
  for (const change of changes) {
    // oxlint-disable-next-line no-await-in-loop
    t.match(await ask('www.example.com', { change }), { source: 'forward', isAuthentic: true })
  }
  const queries = resolver.queries.filter((_, index) => resolver.asked[index]!.type !== HINFO)
  t.strictSame(
    queries.map(query => query[query.length - 4]),
    [0, 0x80, 0],
  )
  t.strictSame(
    queries.map(query => query[3]! & 0x10),
    [0, 0, 0x10],
  )
})

t.test('a resolver that asks us again is found, told of, and left out', async t => {
  const loop = await startFakeResolver(t, query => {
    // As a resolver that has us for its own: it asks us, and answers when we do.
    forwarder.forward(Buffer.from(query), ANYBODY, () => undefined)
    return []
  })
  const good = await startFakeResolver(t, query => [answerWith(query, { answers: [aRecord(1)] })])
  const { forwarder, lastBytes, loops } = makeRig(t, [loop, good])
  t.strictSame(await lastBytes('www.example.com'), [1])
  t.strictSame(loops, [`127.0.0.1:${loop.port}`])
  t.strictSame(await lastBytes('two.example.com'), [1])
  t.strictSame(askedNames(loop), ['www.example.com'])
  t.equal(loop.asked.filter(({ type }) => type === HINFO).length, 1)
  const { ask, loops: own } = makeRig(t, [loop], { isSelf: ({ port }) => port === loop.port })
  t.equal((await ask('www.example.com')).rcode, RCODE.SERVFAIL)
  t.strictSame(own, [`127.0.0.1:${loop.port}`], 'we are not asked to begin with')
})

t.test('what keeps a question from being asked is SERVFAIL, is told of, and passes', async t => {
  const fake = await startFakeResolver(t, query => [answerWith(query, { answers: [aRecord(1)] })])
  const broken: unknown[] = []
  let isReadable = false
  const { ask, lastBytes, counters } = makeRig(t, [], {
    plan: { fallback: 'host', zones: new Map() },
    hostResolvers: () => {
      if (!isReadable) throw new Error('EACCES: resolv.conf')
      return [fake]
    },
    onBroken: error => broken.push(error),
  })
  const both = await Promise.all([ask('www.example'), ask('www.example')])
  t.strictSame(
    both.map(({ rcode }) => rcode),
    [RCODE.SERVFAIL, RCODE.SERVFAIL],
    'all who wait',
  )
  t.match(broken, [{ message: 'EACCES: resolv.conf' }])
  t.equal(counters().gauges['forward-pending'], 0)
  isReadable = true
  t.strictSame(await lastBytes('www.example'), [1])
})

t.test('clients that ask too much at once are told so at once', async t => {
  const resolver = await startFakeResolver(t, () => [])
  const { ask, counters, forwarder } = makeRig(t, [resolver])
  const greedy: Client = { ...ANYBODY, address: Buffer.of(10, 0, 0, 1) }
  const waiting = Array.from({ length: 128 }, (_, index) =>
    ask(`n${index}.example`, { client: greedy }),
  )
  t.equal((await ask('one-more.example', { client: greedy })).rcode, RCODE.SERVFAIL)
  t.equal(counters().drops['forward-queue'], 1)
  t.equal(counters().gauges['forward-pending'], 128)
  const other: Client = { ...ANYBODY, address: Buffer.of(10, 0, 0, 2) }
  let replied = false
  void ask('other.example', { client: other }).then(() => (replied = true))
  t.equal(counters().gauges['forward-pending'], 129, 'others go on')
  forwarder.close()
  await new Promise(resolve => {
    setImmediate(resolve)
  })
  t.notOk(replied, 'nobody is told anything after the end')
  t.equal(waiting.length, 128)
})
