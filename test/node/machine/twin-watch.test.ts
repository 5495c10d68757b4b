import t from 'tap'
import type { TaskId } from '../../../src/model/ids.ts'
import type { NodeRecord } from '../../../src/model/node-record.ts'
import {
  ANSWER_MS,
  ANSWER_MS_MAX,
  TWIN_GONE_MS,
  TwinWatch,
} from '../../../src/node/machine/twin-watch.ts'
import { recordOf } from './make-machine.ts'

/** A run of a node, with a clock of its own that began at some time of its own. */
class SimRun {
  readonly watch: TwinWatch
  readonly #offsetMs: number
  #seq = 0

  constructor(id: string, { startedAtMs = 0, offsetMs = 0, isFirstStart = false } = {}) {
    this.#offsetMs = offsetMs
    let draws = 0
    const drawRun = (): string => (draws++ === 0 ? id : `${id}-${draws}`)
    this.watch = new TwinWatch({ drawRun, isFirstStart, nowMs: startedAtMs + offsetMs })
  }

  /** What it says of itself at a time of the world. */
  says(atMs: number, fields: Partial<NodeRecord> = {}): NodeRecord {
    return recordOf(0, { seq: ++this.#seq, run: this.watch.run(atMs + this.#offsetMs), ...fields })
  }

  hears(record: NodeRecord, atMs: number, isLater = true): ReturnType<TwinWatch['meet']> {
    return this.watch.meet(record, isLater, atMs + this.#offsetMs)
  }
}

t.test('TwinWatch: of two runs that live, both say that the older was first', async t => {
  for (const offsetMs of [0, 86_400_000, -86_400_000]) {
    for (const isOldHeardFirst of [true, false]) {
      const old = new SimRun('old', { startedAtMs: 1_000 })
      const young = new SimRun('young', { startedAtMs: 61_000, offsetMs })
      const [one, other] = isOldHeardFirst ? [old, young] : [young, old]
      t.equal(other.hears(one.says(62_000), 62_100).kind, 'met')
      const first = one.hears(other.says(62_100), 62_200)
      const second = other.hears(one.says(62_200), 62_300)
      t.strictSame(
        [first.kind, second.kind],
        isOldHeardFirst ? ['twin', 'second'] : ['second', 'twin'],
        `clocks ${offsetMs} ms apart`,
      )
    }
  }
})

t.test('TwinWatch: two runs of the same age are told apart by their ids', async t => {
  const [a, b] = ['a', 'b'].map(id => new SimRun(id))
  const first = [a!.says(1_000), b!.says(1_000)]
  a!.hears(first[1]!, 1_500)
  b!.hears(first[0]!, 1_500)
  t.equal(a!.hears(b!.says(1_600), 1_700).kind, 'twin')
  t.equal(b!.hears(a!.says(1_600), 1_700).kind, 'second')
})

t.test('TwinWatch: the last words of a run that is over prove nothing', async t => {
  const before = new SimRun('before')
  const words = [before.says(1_000), before.says(2_000), before.says(3_000)]
  const now = new SimRun('now', { startedAtMs: 10_000, offsetMs: -5_000 })
  // However late, often, and in whatever order they are relayed.
  const heard = [1, 0, 2, 2, 0].map((at, index) => now.hears(words[at]!, 11_000 + 500 * index))
  t.strictSame(
    heard.map(({ kind }) => kind),
    ['met', 'nothing', 'nothing', 'nothing', 'nothing'],
  )
  t.equal(now.watch.twin(20_000), undefined)
  t.strictSame(
    now.watch.run(20_000).met.map(({ id }) => id),
    ['before'],
  )
})

t.test('TwinWatch: a machine that was cloned as it ran notices by its own name', async t => {
  const one = new SimRun('same')
  const other = new SimRun('same')
  t.equal(one.hears(one.says(900), 1_000, false).kind, 'nothing', 'its own words, relayed')
  t.equal(one.hears(other.says(1_000), 1_100).kind, 'met')
  t.equal(one.watch.run(1_100).id, 'same-2')
  t.equal(other.hears(one.says(1_200), 1_300).kind, 'twin', 'the other keeps the name')
  t.equal(one.hears(other.says(1_400), 1_500).kind, 'second')
})

t.test('TwinWatch: a machine whose memory was put back to an older state goes on', async t => {
  const later = new SimRun('same').says(9_000)
  const now = new SimRun('same')
  t.equal(now.hears(later, 2_000).kind, 'met')
  t.equal(now.hears(later, 3_000).kind, 'nothing')
  t.equal(now.watch.run(3_000).id, 'same-2')
})

t.test('TwinWatch: a twin is gone when nothing new was heard of it for long', async t => {
  const old = new SimRun('old')
  const young = new SimRun('young', { startedAtMs: 60_000 })
  young.hears(old.says(61_000), 61_100)
  const record = young.says(61_200, { address: '10.0.0.9' })
  t.match(old.hears(record, 61_300), { kind: 'twin', isNews: true, address: '10.0.0.9' })
  t.equal(old.watch.run(61_400).twin, '10.0.0.9')
  t.equal(old.hears(record, 80_000).kind, 'nothing', 'relayed again')
  const goneAtMs = 61_300 + TWIN_GONE_MS
  t.equal(old.watch.twinGoneAtMs(80_000), goneAtMs)
  t.ok(old.watch.twin(goneAtMs - 1))
  t.equal(old.watch.twin(goneAtMs), undefined)
  t.match(old.hears(young.says(100_000), 100_100), { kind: 'twin', isNews: false })
  t.ok(old.watch.twin(100_200), 'until it speaks again')
})

t.test('TwinWatch: a run that does not find what it left waits for an answer', async t => {
  const task = taskOf('/web.0@1')
  const before = new SimRun('before')
  const left = before.says(1_000, { tasks: [task] })
  const start = (): SimRun => new SimRun('now', { startedAtMs: 5_000 })
  const here = (id: TaskId): boolean => id === task.id

  const fresh = new SimRun('new', { isFirstStart: true })
  t.equal(fresh.watch.doubtEndsAtMs(nowhere, false), -Infinity, 'a new key has no past')

  const alone = start()
  t.equal(alone.watch.doubtEndsAtMs(nowhere, false), Infinity, 'nobody has said anything yet')
  t.equal(alone.watch.doubtEndsAtMs(nowhere, true), -Infinity, 'and nobody will')

  const forgotten = start()
  forgotten.watch.told(false, 5_100)
  t.equal(forgotten.watch.doubtEndsAtMs(nowhere, false), -Infinity, 'nobody knows of a past')

  const asked = start()
  asked.watch.told(true, 5_100)
  t.equal(asked.watch.doubtEndsAtMs(nowhere, false), Infinity, 'the record is on its way')

  const restarted = start()
  restarted.hears(left, 5_200, false)
  t.equal(restarted.watch.doubtEndsAtMs(here, false), -Infinity, 'its tasks are here')
  t.equal(restarted.watch.doubtEndsAtMs(nowhere, false), Infinity, 'it did not speak yet')
  restarted.watch.spoke(5_300)
  t.equal(restarted.watch.doubtEndsAtMs(nowhere, false), 5_300 + ANSWER_MS)

  const restored = start()
  restored.watch.spoke(5_050)
  restored.hears(left, 5_200, true)
  t.equal(restored.watch.doubtEndsAtMs(here, false), 5_200 + ANSWER_MS, 'its disk is too old')
  t.equal(restored.watch.isProven(5_200 + ANSWER_MS - 1), false)
  t.equal(restored.watch.isProven(5_200 + ANSWER_MS), true)

  for (let atMs = 6_000; atMs < 60_000; atMs += 2_000) restored.watch.connected(atMs)
  const endsAtMs = restored.watch.doubtEndsAtMs(here, false)
  t.equal(endsAtMs, 5_200 + ANSWER_MS_MAX, 'longer while connections come and go, not for ever')
})

t.test('TwinWatch remembers few runs, and names the latest', async t => {
  const now = new SimRun('now')
  for (let run = 0; run < 100; run++) {
    now.hears(new SimRun(`run-${run}`).says(1_000 + run), 2_000 + run)
  }
  t.strictSame(
    now.watch.run(3_000).met.map(({ id }) => id),
    ['run-96', 'run-97', 'run-98', 'run-99'],
  )
})

t.test('TwinWatch: a version that knows nothing of runs is left alone', async t => {
  const now = new SimRun('now')
  t.equal(now.hears(recordOf(0, { incarnation: 9 }), 1_000).kind, 'nothing')
})

function taskOf(id: string): NodeRecord['tasks'][number] {
  const slot = id.slice(0, id.indexOf('@'))
  return {
    id,
    slot,
    app: '/web',
    revision: 'r',
    state: 'running',
    health: 'none',
    ports: [],
    sinceMs: 0,
    message: '',
  } as unknown as NodeRecord['tasks'][number]
}

function nowhere(): boolean {
  return false
}
