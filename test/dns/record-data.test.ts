import t from 'tap'
import { recordData } from '../../src/dns/record-data.ts'

const base = { name: 'web.shoal', ttlSeconds: 1 }

t.test('recordData() writes data as zone files have it', async t => {
  t.equal(recordData({ ...base, type: 'A', address: '10.0.0.1' }), '10.0.0.1')
  t.equal(
    recordData({ ...base, type: 'SRV', priority: 1, weight: 60, port: 80, target: '0.web.shoal' }),
    '1 60 80 0.web.shoal',
  )
  t.equal(recordData({ ...base, type: 'PTR', target: 'n1.node.shoal' }), 'n1.node.shoal')
  t.equal(
    recordData({ ...base, type: 'TXT', strings: ['a "b" \\c', 'tab\tend', ''] }),
    String.raw`"a \"b\" \\c" "tab\009end" ""`,
  )
  t.equal(recordData({ ...base, type: 'TYPE65', data: '00ff' }), '00ff')
})
