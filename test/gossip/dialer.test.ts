import t from 'tap'
import { createDialer } from '../../src/gossip/dialer.ts'
import type { NodeId } from '../../src/model/ids.ts'

const [self, other, third] = ['a', 'b', 'c'] as NodeId[]
const here = (...nodes: NodeId[]): Map<NodeId, string[]> =>
  new Map(nodes.map(node => [node, [`/at/${node}`]]))

/** A dialer on virtual time: tap's clock is not needed, node's mock timers are. */
function createBed(t: { mock?: unknown; teardown: (run: () => void) => void }): {
  readonly dialled: { node: NodeId; atMs: number; addresses: readonly string[] }[]
  readonly dialer: ReturnType<typeof createDialer>
  readonly connected: Set<NodeId>
  works: boolean
  /** Lets time pass, with what happens in it. */
  pass(ms: number): Promise<void>
} {
  const timers: { at: number; run: () => void; dead: boolean }[] = []
  let nowMs = 0
  const real = { set: globalThis.setTimeout, clear: globalThis.clearTimeout }
  const fake = globalThis as unknown as Record<string, unknown>
  fake['setTimeout'] = (run: () => void, ms: number) => {
    const timer = { at: nowMs + ms, run, dead: false }
    timers.push(timer)
    return timer
  }
  fake['clearTimeout'] = (timer?: { dead: boolean }) => {
    if (timer !== undefined) timer.dead = true
  }
  t.teardown(() => {
    globalThis.setTimeout = real.set
    globalThis.clearTimeout = real.clear
  })
  const connected = new Set<NodeId>()
  const bed = {
    dialled: [] as { node: NodeId; atMs: number; addresses: readonly string[] }[],
    connected,
    works: true,
    dialer: createDialer({
      self: self!,
      dial: async (node, addresses) => {
        bed.dialled.push({ node, atMs: nowMs, addresses })
        if (!bed.works) throw new Error('nobody there')
        connected.add(node)
      },
      isConnected: node => connected.has(node),
      random: () => 0.5,
    }),
    pass: async (ms: number) => {
      const endMs = nowMs + ms
      for (;;) {
        for (let turn = 0; turn < 10; turn++) await Promise.resolve()
        const next = timers
          .filter(({ dead, at }) => !dead && at <= endMs)
          .toSorted((x, y) => x.at - y.at)[0]
        if (next === undefined) break
        next.dead = true
        nowMs = next.at
        next.run()
      }
      nowMs = endMs
    },
  }
  return bed
}

t.test('dialer connects to whom it knows and admits, once', async t => {
  const bed = createBed(t)
  bed.dialer.setAddresses(here(other!, third!))
  await bed.pass(1000)
  t.strictSame(bed.dialled, [], 'nobody is admitted')
  bed.dialer.setAdmitted(new Set([self!, other!]))
  await bed.pass(60_000)
  t.strictSame(
    bed.dialled.map(({ node, addresses }) => [node, addresses]),
    [[other, ['/at/b']]],
  )
})

t.test('dialer waits ever longer after failures, up to 30 s', async t => {
  const bed = createBed(t)
  bed.works = false
  bed.dialer.setAddresses(here(other!))
  bed.dialer.setAdmitted(new Set([self!, other!]))
  await bed.pass(120_000)
  const waits = bed.dialled.map(({ atMs }, index) => atMs - (bed.dialled[index - 1]?.atMs ?? 0))
  t.strictSame(waits, [0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
})

t.test('dialer tries at once when addresses are new, and when told to', async t => {
  const bed = createBed(t)
  bed.works = false
  bed.dialer.setAddresses(here(other!))
  bed.dialer.setAdmitted(new Set([self!, other!]))
  await bed.pass(20_000)
  bed.dialled.length = 0
  bed.dialer.redial(other!)
  await bed.pass(0)
  t.equal(bed.dialled.length, 1, 'told to')
  bed.dialer.setAddresses(new Map([[other!, ['/moved']]]))
  await bed.pass(0)
  t.match(bed.dialled[1], { addresses: ['/moved'] })
  bed.works = true
  bed.dialer.found(other!, ['/found'])
  await bed.pass(0)
  t.match(bed.dialled[2], { addresses: ['/found', '/moved'] })
})

t.test(
  'dialer comes back soon after a good connection, later after one that was turned away',
  async t => {
    const bed = createBed(t)
    bed.dialer.setAddresses(here(other!))
    bed.dialer.setAdmitted(new Set([self!, other!]))
    await bed.pass(0)
    bed.dialer.welcomed(other!)
    bed.connected.clear()
    bed.dialer.lost(other!)
    await bed.pass(249)
    t.equal(bed.dialled.length, 1)
    await bed.pass(1)
    t.equal(bed.dialled.length, 2)
    // This time the other side closes without a welcome.
    bed.connected.clear()
    bed.dialer.lost(other!)
    await bed.pass(999)
    t.equal(bed.dialled.length, 2)
    await bed.pass(1)
    t.equal(bed.dialled.length, 3)
  },
)

t.test('dialer stops with those who are no longer admitted', async t => {
  const bed = createBed(t)
  bed.works = false
  bed.dialer.setAddresses(here(other!))
  bed.dialer.setAdmitted(new Set([self!, other!]))
  await bed.pass(0)
  bed.dialer.setAdmitted(new Set([self!]))
  await bed.pass(60_000)
  t.equal(bed.dialled.length, 1)
  bed.dialer.close()
})

t.test(
  'dialer connects to whom somebody has something to say to, however large the cluster',
  async t => {
    const bed = createBed(t)
    const many = Array.from({ length: 60 }, (_, index) => `n${index}` as NodeId)
    bed.dialer.setAddresses(here(...many))
    bed.dialer.setAdmitted(new Set([self!, ...many]))
    await bed.pass(60_000)
    const far = many.find(node => !bed.connected.has(node))
    t.ok(far, 'not everybody is connected to')
    bed.dialer.want(far!)
    await bed.pass(1_000)
    t.ok(bed.connected.has(far!))
    bed.connected.delete(far!)
    bed.dialer.lost(far!)
    await bed.pass(5_000)
    t.ok(bed.connected.has(far!), 'and stays so')
  },
)
