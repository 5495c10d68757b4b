import type { Test } from 'tap'
import type { NodeId } from '../../src/model/ids.ts'
import { PUBLISH_BYTES_MAX, TransportError, type Transport } from '../../src/gossip/transport.ts'
import { createRecorder, type Recorder, type Told } from './recorder.ts'

/** One implementation, able to start nodes that can reach each other. */
export interface Bed {
  /** Starts node number `n`; at the same address as before when it was closed. */
  start(n: number, recorder: Recorder): Promise<Transport>
  close(): Promise<void>
}

/** A started node with what it was told. */
export interface Peer extends Recorder {
  readonly transport: Transport
  readonly id: NodeId
}

const bytes = (text: string): Uint8Array => Buffer.from(text)
const never = new AbortController().signal

/** Makes every one of `peers` admit all of them and know where they are. */
export function introduce(...peers: readonly Peer[]): void {
  for (const { transport } of peers) {
    transport.setAdmitted(new Set(peers.map(({ id }) => id)))
    transport.setAddresses(new Map(peers.map(peer => [peer.id, peer.transport.multiaddrs()])))
  }
}

/** Waits until all of `peers` are connected to each other. */
export async function meet(...peers: readonly Peer[]): Promise<void> {
  introduce(...peers)
  await Promise.all(
    peers.flatMap(peer =>
      peers
        .filter(other => other !== peer)
        .map(other => peer.until(`connected to ${other.id}`, isUp(other.id))),
    ),
  )
}

/** Starts node `n` with a recorder that answers calls with `onCall`. */
export async function join(
  bed: Bed,
  n: number,
  onCall?: Parameters<typeof createRecorder>[0],
): Promise<Peer> {
  const recorder = createRecorder(onCall)
  const transport = await bed.start(n, recorder)
  return { ...recorder, transport, id: transport.self }
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<string[]> {
  const texts: string[] = []
  for await (const piece of pieces) texts.push(Buffer.from(piece).toString())
  return texts
}

const published = ({ told }: Peer): string[] =>
  told.flatMap(each => (each.kind === 'published' ? [`${each.topic} ${each.text}`] : []))

const isUp = (id: NodeId) => (told: Told) => told.kind === 'connected' && told.node === id
const isDown = (id: NodeId) => (told: Told) => told.kind === 'disconnected' && told.node === id
const isText = (text: string) => (told: Told) => 'text' in told && told.text === text

/** What every transport does. */
export function testTransport(t: Test, name: string, createBed: () => Promise<Bed>): void {
  async function withBed(run: (bed: Bed) => Promise<void>): Promise<void> {
    const bed = await createBed()
    try {
      await run(bed)
    } finally {
      await bed.close()
    }
  }

  t.test(`${name}: publish() reaches all who are admitted, only them, and once`, t =>
    withBed(async bed => {
      const [a, b, c, outside] = [
        await join(bed, 1),
        await join(bed, 2),
        await join(bed, 3),
        await join(bed, 4),
      ]
      await meet(a, b, c)
      // It knows them, and where they are, but they do not know it.
      outside.transport.setAdmitted(new Set([a.id, b.id, c.id, outside.id]))
      outside.transport.setAddresses(new Map([[a.id, a.transport.multiaddrs()]]))
      await a.until('outsider refused', ({ kind }) => kind === 'refused')

      a.transport.publish('desired', bytes('edit'))
      b.transport.publish('observed', bytes('same'))
      b.transport.publish('observed', bytes('same'))
      outside.transport.publish('desired', bytes('intruder'))
      await Promise.all([
        b.until('edit', isText('edit')),
        c.until('edit', isText('edit')),
        a.until('same', isText('same')),
      ])
      // Later messages, after which nothing earlier can still be on its way.
      a.transport.send(b.id, bytes('end'))
      c.transport.send(a.id, bytes('end'))
      await Promise.all([b.until('end', isText('end')), a.until('end', isText('end'))])

      t.strictSame(published(b), ['desired edit'], 'its own are not told')
      t.strictSame(
        published(a).filter(text => text === 'observed same').length,
        2,
        'equal bytes are two messages',
      )
      for (const peer of [a, b, c]) t.notOk(published(peer).includes('desired intruder'))
      t.strictSame(published(outside), [], 'who is outside hears nothing')
      const edit = b.told.find(isText('edit'))
      t.match(edit, { kind: 'published', from: a.id }, 'the author is named')
    }),
  )

  t.test(`${name}: publish() refuses what is too large`, t =>
    withBed(async bed => {
      const a = await join(bed, 1)
      t.throws(() => a.transport.publish('desired', new Uint8Array(PUBLISH_BYTES_MAX + 1)), {
        name: 'RangeError',
      })
    }),
  )

  t.test(`${name}: send() keeps the order, takes large messages, and counts what it loses`, t =>
    withBed(async bed => {
      const [a, b, c] = [await join(bed, 1), await join(bed, 2), await join(bed, 3)]
      await meet(a, b)
      const texts = Array.from({ length: 200 }, (_, index) => `message ${index}`)
      for (const text of texts) a.transport.send(b.id, bytes(text))
      a.transport.send(b.id, Buffer.alloc(3_000_000, 'x'))
      a.transport.send(b.id, bytes('last'))
      await b.until('last', isText('last'))
      const got = b.told.flatMap(told => (told.kind === 'sent' ? [told.text] : []))
      t.strictSame(got, [...texts, 'xxxxxxxx…3000000…xxxxxxxx', 'last'])
      t.equal(a.transport.dropped(), 0)
      a.transport.send(c.id, bytes('to nobody'))
      t.equal(a.transport.dropped(), 1, 'not connected: lost, and counted')
    }),
  )

  t.test(`${name}: call() streams the pieces of an answer`, t =>
    withBed(async bed => {
      const [a, b] = [await join(bed, 1), await join(bed, 2, count)]
      await meet(a, b)
      const options = { signal: never, timeoutMs: 5000 }
      t.strictSame(await collect(a.transport.call(b.id, 'count', bytes('3'), options)), [
        'piece 0',
        'piece 1',
        'piece 2',
      ])
      t.strictSame(await collect(a.transport.call(b.id, 'count', bytes('0'), options)), [])
      const [to] = b.transport.multiaddrs()
      const many = collect(a.transport.call({ multiaddr: to! }, 'count', bytes('500'), options))
      t.equal((await many).length, 500, 'and by address')
      t.match(
        b.told.find(({ kind }) => kind === 'called'),
        {
          from: a.id,
          service: 'count',
          admitted: true,
        },
      )
    }),
  )

  t.test(`${name}: call() carries large bodies and pieces`, t =>
    withBed(async bed => {
      const [a, b] = [
        await join(bed, 1),
        await join(bed, 2, async function* whole({ body }) {
          yield body
        }),
      ]
      await meet(a, b)
      const body = Buffer.alloc(4_000_000, 'abcdefg')
      const pieces = a.transport.call(b.id, 'whole', body, { signal: never, timeoutMs: 20_000 })
      for await (const piece of pieces) t.ok(body.equals(piece), `${piece.length} bytes are equal`)
    }),
  )

  t.test(`${name}: call() throws what the other side threw`, t =>
    withBed(async bed => {
      const [a, b] = [await join(bed, 1), await join(bed, 2, count)]
      await meet(a, b)
      const options = { signal: never, timeoutMs: 5000 }
      await t.rejects(collect(a.transport.call(b.id, 'break', bytes('2'), options)), {
        name: 'TransportError',
        code: 'failed',
        message: 'broken after 2',
      })
      await t.rejects(collect(a.transport.call(b.id, 'nonsense', bytes(''), options)), {
        code: 'failed',
        message: 'unknown service "nonsense"',
      })
    }),
  )

  t.test(
    `${name}: call() ends at once when the caller aborts or leaves, and the other side is told`,
    t =>
      withBed(async bed => {
        const [a, b] = [await join(bed, 1), await join(bed, 2, count)]
        await meet(a, b)
        const abort = new AbortController()
        const options = { signal: abort.signal, timeoutMs: 5000 }
        const error = await fails(async () => {
          for await (const _ of a.transport.call(b.id, 'hang', bytes('1'), options)) abort.abort()
        })
        t.match(error, { code: 'aborted' })
        await b.until('told of the abort', ({ kind }) => kind === 'hung-up')

        b.clear()
        const again = { signal: never, timeoutMs: 5000 }
        for await (const _ of a.transport.call(b.id, 'hang', bytes('1'), again)) break
        await b.until('told of the leaving', ({ kind }) => kind === 'hung-up')
      }),
  )

  t.test(`${name}: call() gives up on a silent service and on nobody`, t =>
    withBed(async bed => {
      const [a, b, gone] = [await join(bed, 1), await join(bed, 2, count), await join(bed, 3)]
      await meet(a, b)
      const options = { signal: never, timeoutMs: 300 }
      t.match(await fails(() => collect(a.transport.call(b.id, 'hang', bytes('0'), options))), {
        code: 'timeout',
        temporary: true,
      })
      const [address] = gone.transport.multiaddrs()
      await gone.transport.close()
      t.match(
        await fails(() =>
          collect(a.transport.call({ multiaddr: address! }, 'join', bytes(''), options)),
        ),
        { code: 'unreachable', temporary: true },
      )
      t.match(await fails(() => collect(a.transport.call(gone.id, 'x', bytes(''), options))), {
        code: 'unreachable',
      })
    }),
  )

  t.test(`${name}: who is not admitted may join and nothing else`, t =>
    withBed(async bed => {
      const [a, stranger] = [await join(bed, 1), await join(bed, 2)]
      a.transport.setAdmitted(new Set([a.id]))
      const [address] = a.transport.multiaddrs()
      const options = { signal: never, timeoutMs: 5000 }
      const ask = (service: string): Promise<string[]> =>
        collect(stranger.transport.call({ multiaddr: address! }, service, bytes('please'), options))
      t.match(await fails(() => ask('logs')), { code: 'failed', message: /admitted/ })
      const refused = await a.until('reported', ({ kind }) => kind === 'refused')
      t.match(refused, { node: stranger.id, reason: /not admitted/ })
      t.strictSame(await ask('join'), ['please'])
      t.match(
        a.told.filter(({ kind }) => kind === 'called'),
        [{ service: 'join', admitted: false, from: stranger.id }],
        'the other service never ran',
      )
      t.strictSame(a.transport.connected(), [])

      // Admitted at last, over what was left of the connection for joining.
      await meet(a, stranger)
      a.transport.publish('desired', bytes('welcome'))
      await stranger.until('gossip', isText('welcome'))
    }),
  )

  t.test(`${name}: a node that is no longer admitted is disconnected at once, and told why`, t =>
    withBed(async bed => {
      const [a, b] = [await join(bed, 1), await join(bed, 2)]
      await meet(a, b)
      a.transport.setAdmitted(new Set([a.id]))
      await Promise.all([a.until('down', isDown(b.id)), b.until('down', isDown(a.id))])
      await b.until('told why', ({ kind }) => kind === 'turned-away')
      t.strictSame(a.transport.connected(), [])
      b.transport.publish('desired', bytes('still here'))
      b.transport.send(a.id, bytes('still here'))
      await a.until('refused', ({ kind }) => kind === 'refused')
      t.notOk(a.told.some(isText('still here')))
    }),
  )

  t.test(`${name}: a node that restarts at its address is connected again`, t =>
    withBed(async bed => {
      const [a, first] = [await join(bed, 1), await join(bed, 2)]
      await meet(a, first)
      await first.transport.close()
      await a.until('down', isDown(first.id))
      t.strictSame(a.transport.connected(), [])
      a.clear()
      const second = await join(bed, 2)
      // Only `a` knows where the other is.
      second.transport.setAdmitted(new Set([a.id, second.id]))
      await Promise.all([a.until('up', isUp(second.id)), second.until('up', isUp(a.id))])
      a.transport.publish('desired', bytes('again'))
      await second.until('gossip', isText('again'))
    }),
  )

  t.test(`${name}: disconnect() hangs up, and the connection comes back`, t =>
    withBed(async bed => {
      const [a, b] = [await join(bed, 1), await join(bed, 2)]
      await meet(a, b)
      a.clear()
      b.clear()
      a.transport.disconnect(b.id)
      await Promise.all([a.until('down', isDown(b.id)), b.until('down', isDown(a.id))])
      a.transport.redial(b.id)
      await Promise.all([a.until('up', isUp(b.id)), b.until('up', isUp(a.id))])
      b.transport.send(a.id, bytes('hello'))
      await a.until('sent', isText('hello'))
      t.strictSame(a.transport.connected(), [b.id])
    }),
  )
}

/** Services: `count` yields n pieces, `break` throws after n, `hang` waits for the abort after n. */
async function* count(
  { service, body }: { service: string; body: Uint8Array },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const many = Number(Buffer.from(body).toString())
  if (!['count', 'break', 'hang'].includes(service)) throw new Error(`unknown service "${service}"`)
  for (let index = 0; index < many; index++) yield bytes(`piece ${index}`)
  if (service === 'break') throw new Error(`broken after ${many}`)
  if (service === 'hang') {
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
  }
}

async function fails(run: () => Promise<unknown>): Promise<TransportError> {
  try {
    await run()
  } catch (error) {
    if (error instanceof TransportError) return error
    throw error
  }
  throw new Error('it did not fail')
}
