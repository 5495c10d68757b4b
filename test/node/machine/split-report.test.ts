import t from 'tap'
import type { NodeId, SlotId, TaskId } from '../../../src/model/ids.ts'
import type { NodeRecord } from '../../../src/model/node-record.ts'
import type { Task, TaskState } from '../../../src/model/task.ts'
import { healEvent } from '../../../src/node/machine/heal-event.ts'
import {
  HEAL_MS_MAX,
  HEAL_SETTLE_MS,
  RAN_TWICE_MAX,
  SplitReport,
} from '../../../src/node/machine/split-report.ts'
import { nodeOf } from '../../sim/keys.ts'
import { recordOf } from './make-machine.ts'

/** Node 0's report, with the records that it has; node 1's clock is an hour ahead. */
class Scene {
  readonly report: SplitReport
  readonly #records = new Map<NodeId, NodeRecord>()
  readonly #unreliable = new Set<NodeId>()

  constructor() {
    this.report = new SplitReport({
      self: nodeOf(0),
      recordOf: node => this.#records.get(node),
      tasksOf: slot =>
        [...this.#records.values()].flatMap(({ node, tasks }) =>
          tasks.filter(task => task.slot === slot).map(task => ({ node, task })),
        ),
      isReliable: ({ node }) => !this.#unreliable.has(node),
    })
  }

  /** Node `index` says at `atMs` what it runs, and is heard `lateMs` later. */
  says(index: number, atMs: number, tasks: readonly Task[], lateMs = 1): void {
    const aheadMs = index === 1 ? 3_600_000 : 0
    const record = recordOf(index, {
      tasks: tasks.map(task => ({
        ...task,
        sinceMs: task.sinceMs + aheadMs,
        ...(task.ranSinceMs !== undefined && { ranSinceMs: task.ranSinceMs + aheadMs }),
      })),
      run: { id: `run ${index}`, startedAtMs: 0, atMs: atMs + aheadMs, met: [] },
    })
    this.#records.set(record.node, record)
    this.report.heard(record, atMs + lateMs)
  }

  restarted(index: number): void {
    this.#unreliable.add(nodeOf(index))
  }
}

function taskOf(id: string, sinceMs: number, state: TaskState = 'running'): Task {
  const slot = id.slice(0, id.indexOf('@'))
  return {
    id: id as TaskId,
    slot: slot as SlotId,
    app: '/web' as Task['app'],
    revision: 'r' as Task['revision'],
    state,
    health: 'none',
    ports: [],
    sinceMs,
    message: '',
  }
}

/** Node 1 is lost from 10 s to 40 s; meanwhile node 0 starts web.0, which node 1 runs since 1 s. */
function split(): Scene {
  const scene = new Scene()
  const { report } = scene
  report.judged(nodeOf(1), 'alive', 0)
  scene.says(1, 2_000, [taskOf('/web.0@old', 1_000)])
  report.judged(nodeOf(1), 'suspect', 10_000)
  report.judged(nodeOf(1), 'dead', 11_000)
  scene.says(0, 12_100, [taskOf('/web.0@new', 12_000)])
  report.judged(nodeOf(1), 'alive', 40_000)
  return scene
}

t.test('SplitReport knows since when a node is away: from the first doubt on', async t => {
  const { report } = new Scene()
  for (const [kind, atMs, sinceMs] of [
    ['alive', 0, undefined],
    ['suspect', 10_000, 10_000],
    ['alive', 11_000, undefined],
    ['suspect', 20_000, 20_000],
    ['dead', 21_500, 20_000],
    ['alive', 60_000, undefined],
  ] as const) {
    report.judged(nodeOf(1), kind, atMs)
    t.equal(report.awaySinceMs(nodeOf(1)), sinceMs, `${kind} at ${atMs}`)
  }
  report.judged(nodeOf(1), 'dead', 70_000)
  report.keepOnly(new Set())
  t.equal(report.awaySinceMs(nodeOf(1)), undefined, 'who is admitted no more is forgotten')
})

t.test('SplitReport counts from the start of the second copy to the end of the first', async t => {
  const scene = split()
  const { report } = scene
  scene.says(1, 40_100, [taskOf('/web.0@old', 1_000)])
  t.equal(report.expire(60_000), undefined, 'both run still')
  scene.says(1, 61_000, [taskOf('/web.0@old', 60_500, 'stopping')])
  scene.says(1, 62_000, [])
  t.ok(report.wakeAtMs <= 62_001)
  t.strictSame(report.expire(62_001), {
    away: [{ node: nodeOf(1), forMs: 30_000 }],
    ranTwice: [
      { slot: '/web.0', nodes: [nodeOf(0), nodeOf(1)].toSorted(), forMs: 50_001, isStill: false },
    ],
    more: 0,
  })
  t.equal(report.expire(70_000), undefined, 'once')
  t.equal(report.wakeAtMs, Infinity)
})

t.test('SplitReport does not believe what was said before the loss', async t => {
  const scene = split()
  // Its last words of before come late, and again; then it says what is.
  scene.says(1, 9_000, [taskOf('/web.0@old', 1_000)], 31_500)
  scene.says(1, 41_000, [])
  t.strictSame(scene.report.expire(40_000 + HEAL_SETTLE_MS)?.ranTwice, [])
})

t.test('SplitReport takes the last word for the truth when nothing newer comes', async t => {
  const scene = split()
  t.equal(scene.report.expire(40_000 + HEAL_SETTLE_MS), undefined, 'it runs twice')
  scene.says(1, 46_000, [])
  t.match(scene.report.expire(46_100)?.ranTwice, [{ slot: '/web.0' }])
})

t.test('SplitReport counts a copy that made way before the other node said a word', async t => {
  const silent = split()
  silent.says(0, 43_000, [])
  const [once] = silent.report.expire(45_001)?.ranTwice ?? []
  t.match(once, { slot: '/web.0', forMs: 43_001 - 12_000, isStill: false })

  const late = split()
  late.says(0, 43_000, [])
  late.says(1, 44_000, [taskOf('/web.0@old', 1_000)])
  t.match(late.report.expire(45_001)?.ranTwice, [{ forMs: 43_001 - 12_000 }])

  const ended = split()
  ended.says(0, 43_000, [])
  ended.says(1, 44_000, [])
  t.strictSame(ended.report.expire(45_001)?.ranTwice, [], 'unless it ran there no more')
})

t.test('SplitReport does not believe the record of a life before', async t => {
  const scene = split()
  scene.restarted(1)
  t.strictSame(scene.report.expire(40_000 + HEAL_SETTLE_MS)?.ranTwice, [])
})

t.test('SplitReport goes by when a task began that it first hears of as stopping', async t => {
  const scene = split()
  const [first, second] = ['/web.0@old', '/web.1@old'].map(id => taskOf(id, 40_100, 'stopping'))
  scene.says(0, 40_050, [taskOf('/web.0@new', 12_000), taskOf('/web.1@new', 40_040)])
  scene.says(1, 40_150, [
    { ...first!, ranSinceMs: 30_000 },
    { ...second!, ranSinceMs: 1_000 },
  ])
  scene.says(1, 41_000, [])
  const told = scene.report.expire(40_000 + HEAL_SETTLE_MS)
  t.match(told?.ranTwice, [{ slot: '/web.0', forMs: 11_000 }])
  t.equal(told?.ranTwice.length, 1, 'the other one was handed over')
})

t.test('SplitReport leaves hand-overs out, however they end', async t => {
  const scene = split()
  scene.says(1, 40_100, [])
  scene.says(1, 40_200, [taskOf('/web.0@back', 40_190, 'preparing')])
  scene.says(1, 40_400, [taskOf('/web.0@back', 40_390)])
  scene.says(0, 43_000, [taskOf('/web.0@new', 42_990, 'stopping')])
  scene.says(0, 43_100, [])
  t.strictSame(scene.report.expire(45_001)?.ranTwice, [])
})

t.test('SplitReport ends with what is lost again, and in any case after a while', async t => {
  const again = split()
  again.says(1, 40_100, [taskOf('/web.0@old', 1_000)])
  again.report.judged(nodeOf(1), 'dead', 50_000)
  t.match(again.report.expire(50_001)?.ranTwice, [{ forMs: 38_000, isStill: false }])

  const forever = split()
  forever.says(1, 40_100, [taskOf('/web.0@old', 1_000)])
  t.equal(forever.report.expire(40_000 + HEAL_MS_MAX - 1), undefined)
  t.match(forever.report.expire(40_000 + HEAL_MS_MAX)?.ranTwice, [{ isStill: true }])
})

t.test('SplitReport names so many, and counts the rest', async t => {
  const scene = split()
  const many = Array.from({ length: 6_000 }, (_, at) => at)
  scene.says(
    0,
    40_050,
    many.map(at => taskOf(`/web.${at}@new`, 12_000 + at)),
  )
  scene.says(
    1,
    40_100,
    many.map(at => taskOf(`/web.${at}@old`, 1_000)),
  )
  scene.says(1, 45_000, [])
  const report = scene.report.expire(45_001)!
  t.equal(report.ranTwice.length, RAN_TWICE_MAX)
  t.equal(report.ranTwice.length + report.more, 6_000)
  t.ok(report.ranTwice[0]!.forMs > report.ranTwice.at(-1)!.forMs, 'those that ran longest')
  const { text } = healEvent(report, () => 'n', 0)
  t.match(
    text,
    /^is back after 30 s: 6000 slots ran twice: \/web\.0 on n and n for 33 s, .* and 5992 more$/,
  )
  t.ok(text.length < 500)
})

const nameOf = (node: NodeId): string => `n${[0, 1, 2].findIndex(at => nodeOf(at) === node)}`

t.test('healEvent() reads as a person would say it', async t => {
  const [a, b, c] = [0, 1, 2].map(nodeOf)
  const away = [
    { node: c!, forMs: 61_400 },
    { node: b!, forMs: 4_321 },
  ]
  t.match(healEvent({ away, ranTwice: [], more: 0 }, nameOf, 7), {
    timeMs: 7,
    kind: 'healed',
    subject: 'n1 and n2',
    text: 'are back after up to 61 s: nothing ran twice',
    report: { away: [{ node: 'n2' }, { node: 'n1' }] },
  })
  const twice = { slot: '/db.1' as SlotId, nodes: [a!, c!], forMs: 4_321, isStill: true }
  t.match(
    healEvent({ away: [away[1]!], ranTwice: [twice], more: 0 }, nameOf, 7).text,
    'is back after 4.3 s: 1 slot ran twice: /db.1 on n0 and n2 for 4.3 s, and still does',
  )
})
