import t from 'tap'
import type { NodeId, SlotId } from '../../../src/model/ids.ts'
import { stepBetween } from '../../../src/node/machine/record-step.ts'
import { HandOvers, type HandOverView } from '../../../src/node/machine/hand-overs.ts'
import {
  MassLoss,
  BRAKE_MS_MAX,
  BRAKE_START_INTERVAL_MS,
} from '../../../src/node/machine/mass-loss.ts'
import { Stability, STEADY_MS, STEADY_MS_MAX } from '../../../src/node/machine/stability.ts'
import { recordOf, taskOf } from './records.ts'

const [OLD, NEW] = ['old', 'new'] as NodeId[] as [NodeId, NodeId]
const MINUTE = 60_000
const slots = Array.from({ length: 50 }, (_, index) => `/web.${index}` as SlotId)

/** All slots are served on one node and belong to another, as after a join that turns everything round. */
const view = (movesPerMinute?: number): HandOverView => ({
  placed: new Map(slots.map(slot => [slot, NEW])),
  records: [
    recordOf(
      OLD,
      slots.map(slot => taskOf(slot, 'running')),
    ),
    recordOf(NEW, []),
  ],
  movesPerMinute,
})

t.test(
  'a tenth of the slots may move in a minute, at least four, or what the settings say',
  async t => {
    t.equal(new HandOvers().allow(view(), 0).slots.size, 5)
    t.equal(new HandOvers().allow(view(12), 0).slots.size, 12)
    const few = { ...view(), placed: new Map(slots.slice(0, 9).map(slot => [slot, NEW])) }
    t.equal(new HandOvers().allow(few, 0).slots.size, 4)
  },
)

t.test('a move that was begun counts for a minute, and may go on', async t => {
  const moves = new HandOvers()
  const first = [...moves.allow(view(), 0).slots]
  const start = recordOf(
    NEW,
    first.map(slot => taskOf(slot, 'preparing')),
  )
  moves.see(stepBetween(recordOf(NEW, []), start), view(), () => true, 1_000)
  t.strictSame(new Set(moves.allow(view(), 2_000).slots), new Set(first), 'no other')
  t.equal(moves.allow(view(), 2_000).againAtMs, 1_000 + MINUTE)
  const next = moves.allow(view(), 1_000 + MINUTE)
  t.equal(next.slots.size, 5)
})

t.test(
  'a task that ends to make way is a move; a start that nobody served before is none',
  async t => {
    const one = [slots[0]!]
    const going = new HandOvers()
    const [before, after] = (['running', 'stopping'] as const).map(state =>
      recordOf(
        OLD,
        one.map(slot => taskOf(slot, state)),
      ),
    )
    going.see(stepBetween(before, after!), view(), () => false, 0)
    t.equal(going.allow(view(), 1).slots.has(slots[0]!), true)
    t.equal(going.allow(view(1), 1).slots.size, 1, 'it used the budget up')
    const fresh = new HandOvers()
    const start = recordOf(
      NEW,
      one.map(slot => taskOf(slot, 'preparing')),
    )
    fresh.see(stepBetween(recordOf(NEW, []), start), view(), () => false, 0)
    t.equal(fresh.allow(view(), 1).slots.size, 5)
    t.equal(fresh.allow({ ...view(), records: [] }, 1).slots.size, 0, 'nothing was counted')
  },
)

t.test('who came is steady after a while, and later the more often it came', async t => {
  const stability = new Stability({ recentStarts: 0, nowMs: 0 })
  stability.see(true, 100)
  t.equal(stability.isSteady(STEADY_MS - 1), false)
  t.equal(stability.isSteady(STEADY_MS), true, 'finding the others is no return')
  let nowMs = STEADY_MS
  const windows: number[] = []
  for (let times = 0; times < 8; times++) {
    stability.see(false, (nowMs += 1_000))
    stability.see(true, (nowMs += 1_000))
    windows.push(stability.steadyAtMs - nowMs)
    t.equal(stability.isFlapping(nowMs), times >= 2, `return ${times + 1}`)
  }
  t.strictSame(
    windows,
    [1, 2, 4, 8, 16, 32, 64, 128].map(times => Math.min(times * STEADY_MS, STEADY_MS_MAX)),
  )
  t.equal(stability.isFlapping(nowMs + STEADY_MS_MAX), false, 'it stayed')
  const crashing = new Stability({ recentStarts: 4, nowMs: 0 })
  t.equal(crashing.steadyAtMs, 8 * STEADY_MS, 'starts count, too')
  t.equal(crashing.isFlapping(1), false, 'but what it runs stays')
})

t.test(
  'the brake is pulled by more than three and more than a third, and let go in time',
  async t => {
    const nodes = Array.from({ length: 20 }, (_, index) => `n${index}` as NodeId)
    const lose = (lost: number, of: number): MassLoss => {
      const loss = new MassLoss()
      loss.see(nodes.slice(0, lost), { present: of - lost, doubted: 0 }, 0)
      return loss
    }
    const cases: [lost: number, of: number, isMass: boolean][] = [
      [3, 4, false],
      [4, 12, false],
      [4, 11, true],
      [5, 15, false],
      [6, 15, true],
    ]
    for (const [lost, of, isMass] of cases) {
      t.equal(lose(lost, of).brake !== undefined, isMass, `${lost} of ${of}`)
    }
    const loss = lose(6, 15)
    t.equal(loss.nextStartAtMs() <= 0, true)
    loss.started(500)
    t.equal(loss.nextStartAtMs(), 500 + BRAKE_START_INTERVAL_MS)
    t.equal(loss.see(nodes.slice(0, 6), { present: 9, doubted: 0 }, 1_000), undefined, 'said once')
    t.match(loss.see(nodes.slice(0, 3), { present: 12, doubted: 0 }, 2_000), /full speed/)
    t.equal(loss.brake, undefined)

    const long = lose(6, 15)
    t.equal(long.wakeAtMs, BRAKE_MS_MAX)
    t.match(long.see(nodes.slice(0, 6), { present: 9, doubted: 0 }, BRAKE_MS_MAX), /full speed/)
    t.equal(
      long.see(nodes.slice(0, 6), { present: 9, doubted: 0 }, BRAKE_MS_MAX + 1),
      undefined,
      'not by the same ones again',
    )

    const slow = new MassLoss()
    for (let lost = 1; lost <= 6; lost++) {
      slow.see(nodes.slice(0, lost), { present: 15 - lost, doubted: 0 }, lost * 30_000)
    }
    t.equal(slow.brake, undefined, 'one after the other is no mass loss')

    const first = new MassLoss()
    first.see(nodes.slice(0, 1), { present: 8, doubted: 3 }, 0)
    t.equal(first.brake, undefined, 'as long as it is not sure it is not said')
    t.equal(first.nextStartAtMs(), Infinity, 'but nothing is started')
    first.see(nodes.slice(0, 1), { present: 8, doubted: 2 }, 1)
    t.equal(first.nextStartAtMs() <= 0, true, 'until it is sure that it is none')
  },
)
