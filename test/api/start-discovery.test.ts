/** What strangers can do to the discovery port: little, and not for long. */

import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { printInTurns, printList } from '../../src/api/print-in-turns.ts'
import { startDiscovery } from '../../src/api/start-discovery.ts'
import type { NodeService } from '../../src/node/service.ts'

const address = '127.0.0.1'

t.test('printInTurns() joins parts, and lets others have their turns', async t => {
  let turns = 0
  let isOver = false
  const tick = (): void => {
    turns++
    if (!isOver) setImmediate(tick)
  }
  setImmediate(tick)
  const parts = Array.from({ length: 5_000 }, (_, index) => (index % 7 === 0 ? '' : `${index},`))
  const pieces: string[] = []
  for await (const piece of printInTurns(parts)) pieces.push(piece)
  isOver = true
  t.equal(pieces.join(''), parts.join(''))
  t.ok(turns >= 9, `${turns} turns`)
  const large = ['x'.repeat(70_000), 'y'.repeat(70_000)]
  t.strictSame(await Array.fromAsync(printInTurns(large)), large)
  t.strictSame(await Array.fromAsync(printInTurns([])), [])
  for (const list of [[], [1], [{ a: '"' }, null, 'b']]) {
    t.strictSame(JSON.parse([...printList(list)].join('')), list)
  }
})

/** Discovery of a cluster that never ends. */
async function start(t: Test): Promise<{ url: string; ended: () => number }> {
  let ended = 0
  function* endless(): Generator<string> {
    try {
      for (;;) yield 'x'.repeat(10_000)
    } finally {
      ended++
    }
  }
  const dns = {
    domain: 'shoal',
    mesosDomain: 'mesos',
    discovery: { enumerate: endless, transfer: () => ['{}'] },
  }
  const service = { version: '0', dns } as unknown as NodeService
  const discovery = await startDiscovery({ service, address, port: 0 })
  t.teardown(async () => await discovery.close())
  return { url: `http://${address}:${discovery.port}`, ended: () => ended }
}

async function open(t: Test, url: string): Promise<IncomingMessage> {
  const asked = get(url, { agent: false }).on('error', () => undefined)
  t.teardown(() => asked.destroy())
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  return response
}

t.test('two whole lists are printed at a time, as fast as they are read', async t => {
  const { url, ended } = await start(t)
  const readers = [await open(t, `${url}/v1/enumerate`), await open(t, `${url}/v1/enumerate`)]
  const refused = await fetch(`${url}/v1/axfr`)
  t.match(refused, { status: 503 })
  t.equal(refused.headers.get('retry-after'), '1')
  t.match(await refused.json(), { message: /ask again/ })
  t.equal((await fetch(`${url}/v1/version`)).status, 200, 'the rest is answered')
  for (const reader of readers) reader.destroy()
  const deadline = performance.now() + 20_000
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- no event tells that the server saw them go
    const { status } = await fetch(`${url}/v1/axfr`)
    if (status === 200) break
    if (performance.now() > deadline) throw new Error(`still ${status}`)
  }
  t.ok(ended() >= 1, 'who goes ends the work')
})
