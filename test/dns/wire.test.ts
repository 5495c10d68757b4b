import packet from 'dns-packet'
import fc from 'fast-check'
import t from 'tap'
import { encodeQuery } from '../../src/dns/query.ts'
import { CLASS_IN, TYPE, type DnsRecord } from '../../src/dns/records.ts'
import { decodeMessage, encodeName, encodeRecord, isName, pointersTo } from '../../src/dns/wire.ts'

const label = fc.stringMatching(/^[a-z0-9_](?:[a-z0-9-]{0,10}[a-z0-9])?$/)
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map(labels => labels.join('.'))
const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const ttlSeconds = fc.integer({ min: 0, max: 0x7fff_ffff })

// Plain objects, so that they compare equal to decoded ones.
const plain = { noNullPrototype: true }
const base = { name, ttlSeconds }
const strings = fc.array(fc.stringMatching(/^[ -~]{0,255}$/), { minLength: 1, maxLength: 4 })
const record: fc.Arbitrary<DnsRecord> = fc.oneof(
  fc.record({ ...base, type: fc.constant('A' as const), address: fc.ipV4() }, plain),
  fc.record(
    {
      ...base,
      type: fc.constant('AAAA' as const),
      address: fc.constantFrom('::', '::1', 'fd00::9', '2001:db8:0:1:1:1:1:1'),
    },
    plain,
  ),
  fc.record(
    {
      ...base,
      type: fc.constant('SRV' as const),
      priority: u16,
      weight: u16,
      port: u16,
      target: name,
    },
    plain,
  ),
  fc.record({ ...base, type: fc.constant('NS' as const), target: name }, plain),
  fc.record({ ...base, type: fc.constant('PTR' as const), target: name }, plain),
  fc.record({ ...base, type: fc.constant('TXT' as const), strings }, plain),
  fc.record(
    {
      ...base,
      type: fc.constant('SOA' as const),
      primary: name,
      mailbox: name,
      serial: u32,
      refresh: u32,
      retry: u32,
      expire: u32,
      minimum: u32,
    },
    plain,
  ),
)

/** A message with one question and `records` as its answers, compressed against the question. */
function messageOf(question: string, records: readonly DnsRecord[]): Buffer {
  const header = Buffer.from('000184000001000000000000', 'hex')
  header.writeUInt16BE(records.length, 6)
  const asked = Buffer.concat([encodeName(question), Buffer.of(0, TYPE.ANY, 0, CLASS_IN)])
  const pointers = pointersTo(question, 12)
  return Buffer.concat([header, asked, ...records.map(one => encodeRecord(one, pointers))])
}

t.test('encodeName() writes the bytes of RFC 1035, section 4.1.4', async t => {
  t.equal(encodeName('f.isi.arpa').toString('hex'), '016603697369046172706100')
  t.equal(encodeName('').toString('hex'), '00', 'the root')
  const pointers = pointersTo('f.isi.arpa', 20)
  t.strictSame(
    [...pointers],
    [
      ['f.isi.arpa', 20],
      ['isi.arpa', 22],
      ['arpa', 26],
    ],
  )
  t.equal(encodeName('foo.f.isi.arpa', pointers).toString('hex'), '03666f6fc014')
  t.equal(encodeName('arpa', pointers).toString('hex'), 'c01a')
})

t.test('isName() holds to the limits of the wire', async t => {
  const longest = Array.from({ length: 127 }, () => 'a').join('.')
  for (const good of ['', 'a', '_web._tcp.shoal', 'x'.repeat(63), longest]) t.ok(isName(good), good)
  for (const bad of ['.', 'a.', 'a..b', 'x'.repeat(64), `${longest}.a`, 'a b', 'ä']) {
    t.notOk(isName(bad), bad)
  }
})

t.test('decodeMessage() reads back what encodeRecord() wrote', async t => {
  fc.assert(
    fc.property(name, fc.array(record, { maxLength: 8 }), (question, records) => {
      const decoded = decodeMessage(messageOf(question, records))
      t.strictSame(decoded.answers, records)
      return decoded.questions[0]!.name === question
    }),
    { numRuns: 100 },
  )
})

t.test('dns-packet reads what encodeRecord() wrote', async t => {
  fc.assert(
    fc.property(name, fc.array(record, { maxLength: 8 }), (question, records) => {
      const { answers } = packet.decode(messageOf(question, records))
      const simple = answers!.map(answer => ('data' in answer ? answer.data : undefined))
      const expected = records.map(one => {
        if ('address' in one) return one.address
        if (one.type === 'NS' || one.type === 'PTR') return one.target
        if (one.type === 'TXT') return one.strings.map(text => Buffer.from(text, 'latin1'))
        if (one.type === 'SRV') {
          const { priority, weight, port, target } = one
          return { priority, weight, port, target }
        }
        const { primary: mname, mailbox: rname, serial, refresh, retry, expire, minimum } = one
        return { mname, rname, serial, refresh, retry, expire, minimum }
      })
      t.strictSame(simple, expected)
    }),
    { numRuns: 100 },
  )
})

t.test('decodeMessage() reads what dns-packet wrote', async t => {
  const bytes = packet.encode({
    type: 'response',
    id: 258,
    flags: packet.AUTHORITATIVE_ANSWER,
    questions: [{ type: 'SRV', name: '_web._tcp.Shoal' }],
    answers: [
      { type: 'SRV', name: '_web._tcp.shoal', ttl: 5, data: { port: 80, target: '0.web.shoal' } },
      { type: 'TXT', name: 'web.shoal', ttl: 5, data: 'hi' },
    ],
    additionals: [
      { type: 'A', name: '0.web.shoal', ttl: 5, data: '10.0.0.1' },
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 4096,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  })
  t.match(decodeMessage(bytes), {
    id: 258,
    rcode: 0,
    udpPayloadBytes: 4096,
    questions: [{ name: '_web._tcp.shoal', type: TYPE.SRV, class: CLASS_IN }],
    answers: [
      { type: 'SRV', port: 80, target: '0.web.shoal' },
      { type: 'TXT', strings: ['hi'] },
    ],
    additionals: [{ type: 'A', address: '10.0.0.1' }],
  })
})

t.test('dns-packet reads the queries of encodeQuery()', async t => {
  const withEdns = packet.decode(encodeQuery('Web.shoal.', TYPE.A, 1232))
  t.match(withEdns.questions, [{ name: 'Web.shoal', type: 'A', class: 'IN' }])
  t.match(withEdns.additionals, [{ type: 'OPT', udpPayloadSize: 1232 }])
  t.strictSame(packet.decode(encodeQuery('web.shoal', TYPE.A, 0)).additionals, [])
})

t.test('decodeMessage() refuses broken messages', async t => {
  const header = '000180000001000000000000'
  const cases: [hex: string, why: RegExp][] = [
    ['0001', /shorter than its header/],
    [header, /ends too early/],
    [`${header}03616263`, /ends too early/],
    [`${header}c00c00010001`, /goes forwards/],
    [`${header}0161c00c00010001`, /goes forwards/],
    [`${header}c00e00010001`, /goes forwards/],
    [`${header}4000010001`, /unknown kind/],
    [`${header}${`3f${'61'.repeat(63)}`.repeat(4)}0000010001`, /too long/],
    // An A record of five bytes.
    ['00018000000000010000000000000100010000000500050a00000101', /wrong length/],
  ]
  for (const [hex, why] of cases) t.throws(() => decodeMessage(Buffer.from(hex, 'hex')), why, hex)
})

t.test('decodeMessage() throws nothing but RangeError, whatever comes', async t => {
  const good = messageOf('web.shoal', [
    { type: 'NS', name: 'web.shoal', ttlSeconds: 5, target: 'n1.node.shoal' },
    { type: 'A', name: 'a.web.shoal', ttlSeconds: 5, address: '10.0.0.1' },
  ])
  const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })), {
    maxLength: 4,
  })
  let broken = 0
  fc.assert(
    fc.property(changes, fc.nat(good.length), (bytes, length) => {
      const bad = Buffer.from(good.subarray(0, length))
      for (const [at, value] of bytes) if (at < length) bad[at] = value
      try {
        decodeMessage(bad)
      } catch (error) {
        broken++
        return error instanceof RangeError
      }
      return true
    }),
    { numRuns: 5_000 },
  )
  t.ok(broken > 1_000, 'most were broken')
})
