import packet from 'dns-packet'
import t, { type Test } from 'tap'
import { createAnswerer } from '../../src/dns/answer.ts'
import { TCP_ANSWER_BYTES_MAX, type DnsTransport } from '../../src/dns/answerer.ts'
import { encodeQuery } from '../../src/dns/query.ts'
import { RCODE, TYPE } from '../../src/dns/records.ts'
import { decodeMessage, FLAG, type Message } from '../../src/dns/wire.ts'
import { createZone } from '../../src/dns/zone.ts'
import { appId, makeApp, makeView } from './make-view.ts'

const out = Buffer.alloc(TCP_ANSWER_BYTES_MAX)

function makeAsk(...apps: Parameters<typeof makeView>[0]): {
  zone: ReturnType<typeof createZone>
  raw: (query: Buffer, transport?: DnsTransport) => Buffer
  ask: (name: string, type?: number, bytesMax?: number, transport?: DnsTransport) => Message
} {
  const zone = createZone(makeView(apps))
  const answerer = createAnswerer(zone)
  const raw = (query: Buffer, transport: DnsTransport = 'udp'): Buffer => {
    out.fill(0xaa) // What an answer leaves of an earlier one would show.
    return Buffer.from(out.subarray(0, answerer.answer(query, out, transport)))
  }
  return {
    zone,
    raw,
    ask: (name, type = TYPE.A, bytesMax = 1232, transport = 'udp') =>
      decodeMessage(raw(encodeQuery(name, type, bytesMax), transport)),
  }
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
// web.shoal, in letters of both cases.
const WEB = '03 576542 05 73686f614c 00'
const NOPE = '04 6e6f7065 05 73686f616c 00'
const SOA = `c0PP 0006 0001 00000005 002b
  026e31046e6f6465c0PP 0a686f73746d6173746572c0PP 00000007 00000e10 00000258 00127500 00000005`

/** The authority section, for a name whose `shoal` stands at `at`. */
const soaAt = (at: string): string => SOA.replaceAll('PP', at)

t.test('answers, byte by byte', async t => {
  const { raw } = makeAsk(makeApp('/web', 1))
  const cases: [what: string, query: string, answer: string][] = [
    [
      'A: AA, the id, RD and the letters as they were',
      `abcd 0100 0001 0000 0000 0000 ${WEB} 0001 0001`,
      `abcd 8500 0001 0001 0000 0000 ${WEB} 0001 0001 c00c 0001 0001 00000005 0004 0a000001`,
    ],
    [
      'without RD, with CD and AD: CD is copied',
      `0001 0030 0001 0000 0000 0000 ${WEB} 0001 0001`,
      `0001 8410 0001 0001 0000 0000 ${WEB} 0001 0001 c00c 0001 0001 00000005 0004 0a000001`,
    ],
    [
      'NXDOMAIN with SOA',
      `0001 0000 0001 0000 0000 0000 ${NOPE} 0001 0001`,
      `0001 8403 0001 0000 0001 0000 ${NOPE} 0001 0001 ${soaAt('11')}`,
    ],
    [
      'NODATA with SOA',
      `0001 0000 0001 0000 0000 0000 ${WEB} 000f 0001`,
      `0001 8400 0001 0000 0001 0000 ${WEB} 000f 0001 ${soaAt('10')}`,
    ],
    [
      'EDNS: OPT is echoed with our size, DO is copied, options are not',
      `0001 0000 0001 0000 0000 0001 ${WEB} 0001 0001 00 0029 1000 0000 8000 000c 000a 0008 0102030405060708`,
      `0001 8400 0001 0001 0000 0001 ${WEB} 0001 0001 c00c 0001 0001 00000005 0004 0a000001
       00 0029 04d0 0000 8000 0000`,
    ],
    [
      'EDNS version 1: BADVERS, and no answer (RFC 6891, section 6.1.3)',
      `0001 0000 0001 0000 0000 0001 ${WEB} 0001 0001 00 0029 1000 0001 0000 0000`,
      `0001 8000 0001 0000 0000 0001 ${WEB} 0001 0001 00 0029 04d0 0100 0000 0000`,
    ],
    [
      'another domain: REFUSED',
      '0001 0100 0001 0000 0000 0000 03 636f6d 00 0001 0001',
      '0001 8105 0001 0000 0000 0000 03 636f6d 00 0001 0001',
    ],
    [
      'the root: REFUSED',
      '0001 0000 0001 0000 0000 0000 00 0002 0001',
      '0001 8005 0001 0000 0000 0000 00 0002 0001',
    ],
    [
      'class CHAOS: REFUSED',
      `0001 0000 0001 0000 0000 0000 ${WEB} 0010 0003`,
      `0001 8005 0001 0000 0000 0000 ${WEB} 0010 0003`,
    ],
    [
      'AXFR: REFUSED',
      `0001 0000 0001 0000 0000 0000 ${WEB} 00fc 0001`,
      `0001 8005 0001 0000 0000 0000 ${WEB} 00fc 0001`,
    ],
    [
      'IXFR, with the SOA that it may bring: REFUSED, with OPT',
      `0001 0000 0001 0000 0001 0001 ${WEB} 00fb 0001 c010 0006 0001 00000000 0000 00 0029 0200 0000 0000 0000`,
      `0001 8005 0001 0000 0000 0001 ${WEB} 00fb 0001 00 0029 04d0 0000 0000 0000`,
    ],
    [
      'TKEY: NOTIMP',
      `0001 0000 0001 0000 0000 0000 ${WEB} 00f9 0001`,
      `0001 8004 0001 0000 0000 0000 ${WEB} 00f9 0001`,
    ],
    ['opcode STATUS: NOTIMP', '0001 1100 0000 0000 0000 0000', '0001 9104 0000 0000 0000 0000'],
    [
      'opcode 15: NOTIMP',
      `0001 7800 0001 0000 0000 0000 ${WEB} 0001 0001`,
      '0001 f804 0000 0000 0000 0000',
    ],
    [
      'an unknown record in the additional section, and bytes behind the end, do not matter',
      `0001 0000 0001 0000 0000 0001 ${WEB} 0001 0001 c00c 9999 0001 00000000 0001 ff eeee`,
      `0001 8400 0001 0001 0000 0000 ${WEB} 0001 0001 c00c 0001 0001 00000005 0004 0a000001`,
    ],
  ]
  for (const [what, query, answer] of cases) {
    t.equal(raw(hex(query)).toString('hex'), hex(answer).toString('hex'), what)
  }
})

t.test('what is broken gets FORMERR, a header alone', async t => {
  const { raw } = makeAsk(makeApp('/web', 1))
  const opt = '00 0029 1000 0000 0000 0000'
  const cases: [what: string, query: string][] = [
    ['no question (RFC 9619)', '0001 0000 0000 0000 0000 0000'],
    ['two questions', `0001 0000 0002 0000 0000 0000 ${WEB} 0001 0001 ${WEB} 0001 0001`],
    ['a question that is cut off', `0001 0000 0001 0000 0000 0000 ${WEB} 0001 00`],
    ['a name that is cut off', '0001 0000 0001 0000 0000 0000 03 7765'],
    ['no name', '0001 0000 0001 0000 0000 0000'],
    ['a name that points at itself', '0001 0000 0001 0000 0000 0000 c00c 0001 0001'],
    ['a label of an unknown kind', '0001 0000 0001 0000 0000 0000 41 61 00 0001 0001'],
    [
      'a name of 256 bytes',
      `0001 0000 0001 0000 0000 0000 ${'01 61'.repeat(127)} 01 61 00 0001 0001`,
    ],
    ['an answer in it', `0001 0000 0001 0001 0000 0000 ${WEB} 0001 0001`],
    ['an authority in it', `0001 0000 0001 0000 0001 0000 ${WEB} 0001 0001`],
    ['an additional record that is not there', `0001 0000 0001 0000 0000 0001 ${WEB} 0001 0001`],
    ['two OPT', `0001 0000 0001 0000 0000 0002 ${WEB} 0001 0001 ${opt} ${opt}`],
    ['OPT with a name', `0001 0000 0001 0000 0000 0001 ${WEB} 0001 0001 01 61 ${opt}`],
    [
      'OPT with more data than there is',
      `0001 0000 0001 0000 0000 0001 ${WEB} 0001 0001 00 0029 1000 0000 0000 0001`,
    ],
    ['asking for OPT', `0001 0000 0001 0000 0000 0000 ${WEB} 0029 0001`],
  ]
  for (const [what, query] of cases) {
    t.equal(raw(hex(query)).toString('hex'), '000180010000000000000000', what)
  }
})

t.test('what is no query gets no answer', async t => {
  const { raw } = makeAsk(makeApp('/web', 1))
  t.equal(raw(Buffer.alloc(0)).length, 0, 'nothing')
  t.equal(raw(Buffer.alloc(11)).length, 0, 'less than a header')
  t.equal(raw(hex(`0001 8000 0001 0000 0000 0000 ${WEB} 0001 0001`)).length, 0, 'an answer')
})

t.test('a name of 255 bytes is a name', async t => {
  const { ask } = makeAsk()
  // 124 labels of one byte, and .shoal.
  t.equal(ask(`${'a.'.repeat(124)}shoal`).rcode, RCODE.NXDOMAIN)
})

t.test('names with strange bytes are strange names', async t => {
  const { raw } = makeAsk(makeApp('/web', 1))
  const rcodeOf = (name: string): number =>
    decodeMessage(raw(hex(`0001 0000 0001 0000 0000 0000 ${name} 0001 0001`))).rcode
  t.equal(rcodeOf('09 7765622e73686f616c 00'), RCODE.REFUSED, 'one label "web.shoal"')
  t.equal(rcodeOf('03 776500 05 73686f616c 00'), RCODE.NXDOMAIN, 'a zero in a label')
  t.equal(rcodeOf('02 c389 05 73686f616c 00'), RCODE.NXDOMAIN, 'bytes above ASCII')
})

t.test('SRV brings the addresses of its targets', async t => {
  const { ask } = makeAsk(makeApp('/shop/web', [{}, { address: 'fd00::2' }]))
  const { answers, additionals, authorities } = ask('_web-shop._tcp.shoal', TYPE.SRV)
  t.strictSame(
    answers.map(one => one.type === 'SRV' && [one.priority, one.weight, one.port, one.target]),
    [
      [0, 1, 31_001, '1.web-shop.shoal'],
      [0, 1, 31_000, '0.web-shop.shoal'],
    ],
  )
  t.match(additionals, [
    { name: '1.web-shop.shoal', type: 'AAAA', address: 'fd00::2' },
    { name: '0.web-shop.shoal', type: 'A', address: '10.0.0.1' },
  ])
  t.strictSame(authorities, [])
})

t.test('the apex has SOA, and NS with addresses', async t => {
  const { ask } = makeAsk()
  t.match(ask('shoal', TYPE.SOA).answers, [{ type: 'SOA', primary: 'n1.node.shoal', serial: 7 }])
  const { answers, additionals } = ask('shoal', TYPE.NS)
  t.equal(answers.length, 2)
  t.strictSame(additionals.map(({ name }) => name).toSorted(), ['n1.node.shoal', 'n2.node.shoal'])
  t.equal(ask('shoal', TYPE.A).answers.length, 0)
})

t.test('ANY gets the records of one type (RFC 8482)', async t => {
  const { ask } = makeAsk(makeApp('/web', [{}, { address: '::1' }]), makeApp('/none', []))
  t.match(ask('web.shoal', TYPE.ANY).answers, [{ type: 'A' }])
  t.match(ask('shoal', TYPE.ANY).answers, [{ type: 'SOA' }])
  t.match(ask('none.shoal', TYPE.ANY), { rcode: RCODE.NOERROR, authorities: [{ type: 'SOA' }] })
  t.strictSame(ask('_web._tcp.shoal', TYPE.ANY).additionals, [])
  t.equal(ask('nope.shoal', TYPE.ANY).rcode, RCODE.NXDOMAIN)
})

t.test('every record comes first equally often', async t => {
  const { ask } = makeAsk(makeApp('/web', 5))
  for (const [name, type] of [
    ['web.shoal', TYPE.A],
    ['_web._tcp.shoal', TYPE.SRV],
  ] as const) {
    const firsts = new Map<string, number>()
    for (let index = 0; index < 50; index++) {
      const { answers } = ask(name, type)
      t.equal(new Set(answers.map(one => JSON.stringify(one))).size, 5, 'all of them, each once')
      const first = JSON.stringify(answers[0])
      firsts.set(first, (firsts.get(first) ?? 0) + 1)
    }
    t.strictSame([...firsts.values()], [10, 10, 10, 10, 10])
  }
})

t.test('too large: first the additional section goes, then answers, with TC', async (t: Test) => {
  const { ask, raw } = makeAsk(makeApp('/web', 40))
  const sizeOf = (bytesMax: number, transport: DnsTransport = 'udp'): number =>
    raw(encodeQuery('_web._tcp.shoal', TYPE.SRV, bytesMax), transport).length
  const whole = ask('_web._tcp.shoal', TYPE.SRV, 0, 'tcp')
  t.match(
    { answers: whole.answers.length, additionals: whole.additionals.length },
    { answers: 40, additionals: 40 },
  )

  const classic = ask('_web._tcp.shoal', TYPE.SRV, 0)
  t.ok(classic.flags & FLAG.TC)
  t.ok(classic.answers.length > 5 && classic.answers.length < 40)
  t.strictSame(classic.additionals, [])
  t.ok(sizeOf(0) <= 512 && sizeOf(0) > 512 - 40, 'as many as fit')
  t.ok(sizeOf(100) <= 512, 'less than 512 means 512')
  t.ok(sizeOf(65_535) <= 1232, 'never more than our own limit')
  t.equal(ask('_web._tcp.shoal', TYPE.SRV, 700).udpPayloadBytes, 1232, 'OPT stays')

  const { ask: askFewer } = makeAsk(makeApp('/web', 14))
  const fewer = askFewer('_web._tcp.shoal', TYPE.SRV, 600)
  t.equal(fewer.flags & FLAG.TC, 0, 'dropping additional records is not truncation')
  t.equal(fewer.answers.length, 14)
  t.ok(fewer.additionals.length > 0 && fewer.additionals.length < 14)
  const targets = fewer.answers.map(one => one.type === 'SRV' && one.target)
  t.strictSame(
    fewer.additionals.map(({ name }) => name),
    targets.slice(0, fewer.additionals.length),
    'those of the first answers stay',
  )
})

t.test('an answer beyond 64 KiB is cut over TCP too', async t => {
  const { raw } = makeAsk(makeApp('/web', 4_000))
  const bytes = raw(encodeQuery('_web._tcp.shoal', TYPE.SRV, 0), 'tcp')
  t.ok(bytes.length <= 65_535 && bytes.length > 65_000)
  const message = decodeMessage(bytes)
  t.ok(message.flags & FLAG.TC)
  t.ok(message.answers.length > 1_000)
})

t.test('a change of the zone shows in the next answer', async t => {
  const { zone, ask } = makeAsk(makeApp('/web', 1), makeApp('/api', 1))
  const addresses = (name: string): unknown[] =>
    ask(name).answers.map(one => 'address' in one && one.address)
  t.strictSame(addresses('web.shoal'), ['10.0.0.1'])
  zone.update(makeApp('/web', [{ address: '10.8.0.1' }]))
  t.strictSame(addresses('web.shoal'), ['10.8.0.1'])
  zone.update(makeApp('/web', [{ serving: false }]))
  t.match(ask('web.shoal'), { rcode: 0, answers: [], authorities: [{ serial: 9 }] })
  zone.remove(appId('/web'))
  t.equal(ask('web.shoal').rcode, RCODE.NXDOMAIN)
  t.strictSame(addresses('api.shoal'), ['10.0.0.1'])
})

t.test('a full cache costs time, not truth', async t => {
  const zone = createZone(makeView([makeApp('/web', 3), makeApp('/api', 2)]))
  const answerer = createAnswerer(zone, { cacheBytesMax: 1 })
  for (let round = 0; round < 3; round++) {
    for (const [name, count] of [
      ['web.shoal', 3],
      ['api.shoal', 2],
    ] as const) {
      const length = answerer.answer(encodeQuery(name, TYPE.A, 0), out, 'udp')
      t.equal(decodeMessage(out.subarray(0, length)).answers.length, count)
    }
  }
})

t.test('dns-packet reads our answers', async t => {
  const { raw } = makeAsk(makeApp('/web', [{}, { address: 'fd00::2' }]))
  const srv = packet.decode(raw(encodeQuery('_web._tcp.shoal', TYPE.SRV, 1232)))
  t.match(srv, {
    type: 'response',
    flag_aa: true,
    answers: [{ type: 'SRV', ttl: 5 }, { type: 'SRV' }],
    additionals: [
      { type: 'AAAA', name: '1.web.shoal' },
      { type: 'A', data: '10.0.0.1' },
      { type: 'OPT' },
    ],
  })
  const soa = packet.decode(raw(encodeQuery('x.web.shoal', TYPE.SRV, 0)))
  t.match(soa, {
    rcode: 'NXDOMAIN',
    authorities: [
      {
        name: 'shoal',
        type: 'SOA',
        data: { mname: 'n1.node.shoal', rname: 'hostmaster.shoal', minimum: 5 },
      },
    ],
  })
})
