/** Asks the DNS server on a port one query after the other for some time, and tells how long the slowest took: a process of its own. */

import { query } from '../../src/dns/query.ts'
import { TYPE } from '../../src/dns/records.ts'

const [, , port = '', forMs = ''] = process.argv
const to = { address: '127.0.0.1', port: Number(port), timeoutMs: 5_000 }
await query('web.shoal', TYPE.A, to)
process.send!('asking')
const end = performance.now() + Number(forMs)
let asked = 0
let worstMs = 0
while (performance.now() < end) {
  const startMs = performance.now()
  // oxlint-disable-next-line no-await-in-loop
  await query('web.shoal', TYPE.A, to)
  worstMs = Math.max(worstMs, performance.now() - startMs)
  asked++
}
process.send!({ asked, worstMs })
