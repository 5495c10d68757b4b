/** Whole zones: RFC 5936 and RFC 1995, in messages that others can read. */

import { decode } from 'dns-packet'
import t from 'tap'
import { encodeQuery } from '../../src/dns/query.ts'
import { RCODE, TYPE } from '../../src/dns/records.ts'
import { transferZone } from '../../src/dns/transfer-zone.ts'
import { decodeMessage, FLAG, type Message } from '../../src/dns/wire.ts'
import { createZone } from '../../src/dns/zone.ts'
import { makeApp, makeView } from './make-view.ts'

const zone = createZone(makeView([makeApp('/web', 3), makeApp('/big', 300)]))
const SERIAL = 7

function transferred(query: Buffer, source = zone): { raw: Buffer[]; messages: Message[] } {
  const raw = [...transferZone(query, source)]
  return { raw, messages: raw.map(bytes => decodeMessage(bytes)) }
}

/** IXFR from a client that has `serial`; or that shows `record` in place of an SOA, as hex. */
function ixfr(serial: number, record?: string): Buffer {
  const query = encodeQuery('shoal', TYPE.IXFR, 0)
  query[9] = 1
  const hex = serial.toString(16).padStart(8, '0')
  const soa = `c00c00060001000000000018c00cc00c${hex}00000001000000020000000300000004`
  return Buffer.concat([query, Buffer.from(record ?? soa, 'hex')])
}

t.test('a zone is told from SOA to SOA, in messages that can be read', t => {
  const query = encodeQuery('Shoal', TYPE.AXFR, 1_232)
  const { raw, messages } = transferred(query)
  t.ok(messages.length > 1, `${messages.length} messages`)
  for (const [index, message] of messages.entries()) {
    t.ok(raw[index]!.length < 16_384, 'any place can be pointed at')
    t.equal(message.id, query.readUInt16BE(0))
    t.ok((message.flags & FLAG.AA) !== 0)
    t.equal(message.questions[0]?.name, 'shoal')
    t.equal(message.udpPayloadBytes !== undefined, index === 0, 'OPT in the first')
    t.equal(decode(raw[index]!).answers?.length, message.answers.length, 'dns-packet agrees')
  }
  const records = messages.flatMap(({ answers }) => answers)
  t.match(records[0], { type: 'SOA', name: 'shoal', serial: SERIAL })
  t.strictSame(records.at(-1), records[0])
  t.equal(records.filter(({ type }) => type === 'SOA').length, 2)
  const own = [...zone.transfer('shoal')!].filter(({ type }) => type !== 'SOA')
  const count = (type: string): number => records.filter(one => one.type === type).length
  t.equal(records.length, own.length + 2, 'every record, once')
  t.ok(count('SRV') > 300 && count('A') > 300 && count('NS') === 2)
  t.end()
})

t.test('IXFR: who has it gets one SOA, who has not gets all (RFC 1995, section 4)', t => {
  const same = transferred(ixfr(SERIAL)).messages
  t.match(same, [{ answers: [{ type: 'SOA', serial: SERIAL }] }])
  t.equal(same[0]!.answers.length, 1)
  const old = transferred(ixfr(SERIAL - 1)).messages.flatMap(({ answers }) => answers)
  t.ok(old.length > 600)
  t.equal(old.at(-1)?.type, 'SOA')
  t.end()
})

t.test('an SOA that is none is FORMERR', t => {
  const cases = {
    'an SOA of two bytes': 'c00c000600010000000000020000',
    'one without its numbers': 'c00c0006000100000000000bc019c0190000000000',
    'an owner that points forwards': 'c0ff00060001000000000000',
  }
  for (const [what, record] of Object.entries(cases)) {
    const [bytes, ...rest] = transferZone(ixfr(0, record), zone)
    t.equal(bytes![3]! & FLAG.RCODE, RCODE.FORMERR, what)
    t.equal(rest.length, 0)
  }
  t.end()
})

t.test('a zone that has gone in the meantime is SERVFAIL', t => {
  const [bytes] = transferZone(encodeQuery('shoal', TYPE.AXFR, 0), { transfer: () => undefined })
  t.equal(decodeMessage(bytes!).rcode, RCODE.SERVFAIL)
  t.end()
})
