/**
 * Whole clusters on virtual time. `SEED=n` replays one seed of every test and
 * `SEEDS=n` tries the first n; without either each test takes a few.
 */

import t from 'tap'
import { swimOptions } from '../../../src/gossip/liveness/swim-options.ts'
import type { SwimMessage } from '../../../src/gossip/liveness/swim-message.ts'
import type { NodeId } from '../../../src/model/ids.ts'
import type { Verdict } from '../../../src/model/verdict.ts'
import { quantile, starve, whole } from './swim-weather.ts'
import { SwimWorld } from './swim-world.ts'

const { SEED, SEEDS } = process.env

function seeds(count: number): number[] {
  if (SEED !== undefined) return [Number(SEED)]
  return Array.from({ length: SEEDS === undefined ? count : Number(SEEDS) }, (_, i) => i + 1)
}

const DETECTION = [
  { nodes: 3, runs: 60, suspectMs: [700, 1800], deadMs: [2000, 3000] },
  { nodes: 10, runs: 60, suspectMs: [700, 1800], deadMs: [2000, 3000] },
  { nodes: 100, runs: 8, suspectMs: [900, 2600], deadMs: [3500, 5200] },
] as const

for (const { nodes, runs, suspectMs, deadMs } of DETECTION) {
  for (const closesConnections of [false, true]) {
    const how = closesConnections ? 'crash, connections closed' : 'cable pulled'
    t.test(`of ${nodes} nodes one is gone: ${how}`, async t => {
      const suspect: number[] = []
      const dead: number[] = []
      for (const seed of seeds(runs)) {
        const told = { suspect: new Set<NodeId>(), dead: new Set<NodeId>() }
        let gone: NodeId | undefined
        const onVerdict = ({ node, kind }: Verdict, by: NodeId): void => {
          if (node === gone && kind === 'suspect') told.suspect.add(by)
          if (node === gone && kind === 'dead') told.dead.add(by)
        }
        const world = whole({ seed, nodes, onVerdict })
        gone = world.nodes[Math.floor(world.random() * nodes)]!
        world.crash(gone, { closesConnections })
        const suspectAfterMs = world.run(10_000, () => told.suspect.size === nodes - 1)
        suspect.push(suspectAfterMs)
        dead.push(suspectAfterMs + world.run(10_000, () => told.dead.size === nodes - 1))
        t.equal(told.dead.size, nodes - 1, `seed ${seed}: all know`)
        for (const other of world.running) {
          const kinds = world
            .swim(other)
            .verdicts()
            .filter(({ node }) => node !== gone)
          t.ok(
            kinds.every(({ kind }) => kind === 'alive'),
            `seed ${seed}: nobody else is accused`,
          )
        }
      }
      const figures = {
        suspect: [0.5, 0.99].map(p => quantile(suspect, p)),
        dead: [0.5, 0.99].map(p => quantile(dead, p)),
      }
      t.comment(`known by all, p50 and p99 in ms: ${JSON.stringify(figures)}`)
      for (const [index, limitMs] of suspectMs.entries()) t.ok(figures.suspect[index]! <= limitMs)
      for (const [index, limitMs] of deadMs.entries()) t.ok(figures.dead[index]! <= limitMs)
    })
  }
}

for (const seed of seeds(1)) {
  t.test(`at 5 % loss, one in five starved, nobody is dead who is not: seed ${seed}`, async t => {
    const deaths: string[] = []
    const onVerdict = ({ node, kind }: Verdict, by: NodeId, atMs: number): void => {
      if (kind === 'dead') deaths.push(`${by} holds ${node} dead at ${Math.round(atMs)} ms`)
    }
    const world = whole({ seed, nodes: 50, loss: 0.05, onVerdict })
    for (const node of world.nodes.filter((_, index) => index % 5 === 0)) starve(world, node)
    world.run(10 * 60_000)
    t.same(deaths, [])
  })
}

for (const seed of seeds(3)) {
  t.test(`a node that freezes for 1.2 s is suspect, and refutes: seed ${seed}`, async t => {
    const kinds: string[] = []
    let frozen: NodeId | undefined
    const onVerdict = ({ node, kind }: Verdict): void => {
      if (node === frozen) kinds.push(kind)
    }
    const world = whole({ seed, nodes: 20, onVerdict })
    frozen = world.nodes[7]!
    const before = world.swim(frozen).incarnation
    world.freeze(frozen, 1200)
    world.run(3000)
    t.ok(kinds.includes('suspect'))
    t.notOk(kinds.includes('dead'))
    t.ok(world.isWhole)
    t.ok(world.swim(frozen).incarnation > before)
  })

  t.test(`a node that freezes for 30 s is dead, and back within 3 s: seed ${seed}`, async t => {
    const world = whole({ seed, nodes: 20 })
    const frozen = world.nodes[7]!
    world.freeze(frozen, 30_000)
    world.run(29_000)
    t.ok(world.running.every(by => by === frozen || world.kind(by, frozen) === 'dead'))
    world.run(1000)
    t.ok(world.run(3000, () => world.isWhole) < 3000)
  })

  t.test(`a split in halves heals within 3 s of contact: seed ${seed}`, async t => {
    let healed = false
    const deaths: string[] = []
    const onVerdict = ({ node, kind }: Verdict, by: NodeId): void => {
      if (healed && kind === 'dead') deaths.push(`${by} holds ${node} dead`)
    }
    const world = whole({ seed, nodes: 20, onVerdict })
    const left = world.nodes.slice(0, 10)
    const right = world.nodes.slice(10)
    world.split(left, right)
    world.run(30_000)
    for (const [mine, others] of [
      [left, right],
      [right, left],
    ] as const) {
      for (const by of mine) {
        t.ok(
          mine.every(node => world.kind(by, node) === 'alive'),
          'its own side lives',
        )
        t.ok(
          others.every(node => world.kind(by, node) === 'dead'),
          'the other side is dead',
        )
      }
    }
    healed = true
    world.heal()
    t.ok(world.run(3000, () => world.isWhole) < 3000)
    t.same(deaths, [], 'no verdict of the split outlives it')
  })

  t.test(
    `a node that is cut off knows that it is alone, and is back within 3 s: seed ${seed}`,
    async t => {
      const world = whole({ seed, nodes: 10 })
      const alone = world.nodes[3]!
      world.split(world.nodes.filter(node => node !== alone))
      const tookMs = world.run(10_000, () =>
        world.nodes.every(node => node === alone || world.kind(alone, node) === 'dead'),
      )
      t.ok(tookMs < 6000, `alone after ${Math.round(tookMs)} ms`)
      world.heal()
      t.ok(world.run(3000, () => world.isWhole) < 3000)
    },
  )

  t.test(`a node that hears nothing is dead to all, and harms nobody: seed ${seed}`, async t => {
    let deaf: NodeId | undefined
    const deaths: string[] = []
    const onVerdict = ({ node, kind }: Verdict, by: NodeId): void => {
      if (by !== deaf && node !== deaf && kind === 'dead') deaths.push(`${by} holds ${node} dead`)
    }
    const world = whole({ seed, nodes: 20, onVerdict })
    deaf = world.nodes[5]!
    for (const from of world.nodes) world.lose(from, deaf, 1)
    world.run(30_000)
    t.ok(world.agreed(deaf, 'dead'))
    t.same(deaths, [])
    world.heal()
    t.ok(world.run(3000, () => world.isWhole) < 3000)
  })

  t.test(`one link that loses one way accuses nobody for long: seed ${seed}`, async t => {
    const deaths: string[] = []
    const onVerdict = ({ node, kind }: Verdict): void => {
      if (kind === 'dead') deaths.push(node)
    }
    const world = whole({ seed, nodes: 10, onVerdict })
    world.lose(world.nodes[1]!, world.nodes[2]!, 1)
    world.run(120_000)
    t.same(deaths, [])
    t.ok(world.isWhole, 'helpers go round it')
  })

  t.test(`a good-bye is known by all at once, and a return too: seed ${seed}`, async t => {
    const world = whole({ seed, nodes: 30, loss: 0.05 })
    const gone = world.nodes[9]!
    world.tell(gone, { kind: 'leaving' })
    t.ok(world.run(2000, () => world.agreed(gone, 'left')) < 1000)
    world.crash(gone)
    world.run(10_000)
    t.ok(world.agreed(gone, 'left'), 'it stays so')
    world.start(gone)
    t.ok(world.run(3000, () => world.isWhole) < 3000)
  })

  t.test(
    `a node returns with an incarnation of the past, and is alive again: seed ${seed}`,
    async t => {
      const world = whole({ seed, nodes: 10 })
      const node = world.nodes[4]!
      for (let restart = 0; restart < 3; restart++) {
        world.crash(node)
        world.run(5000)
        world.start(node)
        world.run(5000)
      }
      world.crash(node)
      world.run(5000)
      t.ok(world.agreed(node, 'dead'))
      world.start(node, 1) // Its disk was restored from an old backup.
      t.ok(world.run(3000, () => world.isWhole) < 3000)
    },
  )

  t.test(`half of the nodes vanish together, and the others all know: seed ${seed}`, async t => {
    const world = whole({ seed, nodes: 20 })
    const gone = world.nodes.slice(0, 10)
    for (const node of gone) world.crash(node)
    const tookMs = world.run(30_000, () => gone.every(node => world.agreed(node, 'dead')))
    t.ok(tookMs < 10_000, `known by all after ${Math.round(tookMs)} ms`)
    t.ok(world.isWhole, 'the survivors stay alive to each other')
  })
}

for (const seed of seeds(5)) {
  t.test(`who thaws accuses nobody, and no verdict of its dream is told: seed ${seed}`, async t => {
    const wrong: string[] = []
    let frozen: NodeId | undefined
    const onVerdict = ({ node, kind }: Verdict, by: NodeId, atMs: number): void => {
      if (frozen !== undefined && node !== frozen && kind !== 'alive')
        wrong.push(`${by} holds ${node} for ${kind} at ${Math.round(atMs)} ms`)
    }
    const world = whole({ seed, nodes: 12, loss: 0.02, streams: true, onVerdict })
    for (const forMs of [300, 1500, 10_000, 60_000]) {
      frozen = world.nodes[7]!
      world.freeze(frozen, forMs)
      world.run(forMs)
      // Others may suspect each other now and then at this loss; what the thawed one says is the question.
      wrong.length = 0
      world.run(3000, () => world.isWhole)
      t.same(
        wrong.filter(text => text.startsWith(`${frozen} `)),
        [],
        `after ${forMs} ms`,
      )
      world.run(3000)
      t.ok(world.isWhole, `whole after ${forMs} ms`)
    }
  })

  t.test(`who was cut off comes back without a word against others: seed ${seed}`, async t => {
    const wrong: string[] = []
    let alone: NodeId | undefined
    const onVerdict = ({ node, kind }: Verdict, by: NodeId): void => {
      if (alone !== undefined && by !== alone && node !== alone && kind !== 'alive')
        wrong.push(`${by} holds ${node} for ${kind}`)
    }
    const world = whole({ seed, nodes: 10, onVerdict })
    alone = world.nodes[3]!
    world.split(world.nodes.filter(node => node !== alone))
    world.run(10_000)
    t.ok(world.nodes.every(node => node === alone || world.kind(alone, node) === 'dead'))
    world.heal()
    world.run(5000)
    t.ok(world.isWhole)
    t.same(wrong, [])
  })

  t.test(`where UDP to one node is blocked, it lives by TCP: seed ${seed}`, async t => {
    const told = { verdicts: [] as string[], reached: [] as string[] }
    let isBlocked = false
    const world = whole({
      seed,
      nodes: 8,
      streams: true,
      onVerdict: ({ node, kind }, by) => {
        if (isBlocked) told.verdicts.push(`${by} holds ${node} for ${kind}`)
      },
      onReached: (node, way, by) => told.reached.push(`${by} ${node} ${way}`),
    })
    const walled = world.nodes[2]!
    const others = world.nodes.filter(node => node !== walled)
    isBlocked = true
    world.blockDatagrams(walled)
    const expected = (way: string): string[] =>
      others.flatMap(node => [`${node} ${walled} ${way}`, `${walled} ${node} ${way}`]).toSorted()
    world.run(60_000)
    t.same(told.verdicts, [], 'nobody is suspected')
    t.same(told.reached.toSorted(), expected('stream'), 'and all say how it is reached')

    world.stallMain(walled, 2000)
    world.run(6000)
    t.notOk(
      told.verdicts.some(text => text.startsWith(walled)),
      'it blames itself',
    )
    t.notOk(
      told.verdicts.some(text => text.endsWith('dead')),
      'a stall is no death',
    )
    t.ok(world.isWhole)

    told.reached.length = 0
    world.blockDatagrams(walled, false)
    world.run(30_000)
    t.same(told.reached.toSorted(), expected('datagram'))

    world.blockDatagrams(walled)
    world.run(10_000)
    world.crash(walled)
    t.ok(world.run(6000, () => world.agreed(walled, 'dead')) < 5000, 'it dies as others do')
  })

  t.test(
    `where there is no UDP at all, a cluster forms and heals by TCP: seed ${seed}`,
    async t => {
      const world = new SwimWorld({ seed, nodes: 6, loss: 0.02, streams: true })
      for (const node of world.nodes) world.blockDatagrams(node)
      t.ok(world.run(5000, () => world.isWhole) < 5000)
      world.run(30_000)
      const [gone, ...others] = world.nodes as [NodeId, ...NodeId[]]
      world.crash(gone)
      t.ok(world.run(8000, () => world.agreed(gone, 'dead')) < 5000)
      world.start(gone)
      t.ok(world.run(5000, () => world.isWhole) < 5000)
      world.split([gone, others[0]!, others[1]!], others.slice(2))
      world.run(20_000)
      t.equal(world.kind(gone, others[4]!), 'dead')
      world.heal()
      t.ok(world.run(5000, () => world.isWhole) < 5000)
    },
  )
}

for (const seed of seeds(3)) {
  t.test(
    `what is replayed to a node that has forgotten raises nobody for long: seed ${seed}`,
    async t => {
      // The codec refuses what it has seen; a receiver that started again has seen nothing yet.
      const recorded: { from: NodeId; to: NodeId; message: SwimMessage }[] = []
      const raised: string[] = []
      let gone: NodeId | undefined
      const world = whole({
        seed,
        nodes: 8,
        onSent: (from, to, message) => recorded.push({ from, to, message }),
        onVerdict: ({ node, kind }, by) => {
          if (node === gone && kind === 'alive') raised.push(by)
        },
      })
      const [receiver, ...others] = world.nodes as [NodeId, ...NodeId[]]
      const lost = others[3]!
      gone = lost
      world.run(5000)
      world.crash(lost)
      const old = recorded.filter(({ to }) => to === receiver)
      world.run(5000, () => world.agreed(lost, 'dead'))
      t.ok(old.some(({ from }) => from === gone))
      world.crash(receiver)
      world.start(receiver)
      const from = { address: '192.0.2.66', port: 666 }
      for (const one of old) {
        world.tell(receiver, {
          kind: 'received',
          from: one.from,
          route: from,
          message: one.message,
        })
      }
      t.equal(world.kind(receiver, lost), 'alive', 'it looks alive, for now')
      t.ok(world.run(8000, () => world.kind(receiver, lost) === 'dead') < 8000)
      world.run(3000)
      t.same([...new Set(raised)], [receiver], 'and to nobody else')
      t.ok(world.isWhole, 'the living are not harmed')
    },
  )
}

t.test('clocks that differ by days change nothing', async t => {
  const world = new SwimWorld({ seed: 1, nodes: 10, clockMs: index => (index - 5) * 86_400_000 })
  t.ok(world.run(5000, () => world.isWhole) < 5000)
  world.run(60_000)
  t.ok(world.isWhole)
  const gone = world.nodes[0]!
  world.crash(gone)
  t.ok(world.run(5000, () => world.agreed(gone, 'dead')) < 3500)
})

t.test('the same seed gives the same run', async t => {
  const runs = [1, 2].map(() => {
    const log: string[] = []
    const onVerdict = ({ node, kind, incarnation }: Verdict, by: NodeId, atMs: number): void => {
      log.push(`${atMs} ${by} ${node} ${kind} ${incarnation}`)
    }
    const world = new SwimWorld({ seed: 11, nodes: 10, loss: 0.2, onVerdict })
    world.run(20_000)
    return log
  })
  t.ok(runs[0]!.length > 90)
  t.same(runs[0], runs[1])
})

t.test('without the papers the same weather kills the living', async t => {
  // Shows that the tests above can fail: no helpers, no time to refute, no self-doubt.
  const plain = swimOptions('lan', {
    helpers: 0,
    suspicionMult: 0.1,
    confirmations: 0,
    lastCallMs: 0,
    stallMs: 1e9,
  })
  let deaths = 0
  const onVerdict = ({ kind }: Verdict): void => {
    if (kind === 'dead') deaths++
  }
  const world = new SwimWorld({ seed: 1, nodes: 20, loss: 0.05, swim: plain, onVerdict })
  world.run(60_000)
  t.ok(deaths > 10, `${deaths} deaths`)
})
