import fc from 'fast-check'
import t from 'tap'
import { FAULT_KINDS, planFaults, type PlannedFault } from '../../scripts/chaos/fault-plan.ts'
import { mergeFaults } from '../../scripts/chaos/strike.ts'

const overlaps = (one: PlannedFault, other: PlannedFault): boolean =>
  one.atMs < other.atMs + other.forMs && other.atMs < one.atMs + one.forMs

t.test('planFaults() leaves a majority alone, and ends in time, whatever the seed', async t => {
  const options = fc.record({
    seed: fc.integer(),
    hosts: fc.integer({ min: 3, max: 20 }),
    durationMs: fc.integer({ min: 1_000, max: 900_000 }),
  })
  fc.assert(
    fc.property(options, ({ seed, hosts, durationMs }) => {
      const faults = planFaults({ seed, hosts, durationMs })
      for (const fault of faults) {
        const struck = faults.filter(other => overlaps(fault, other)).flatMap(other => other.hosts)
        const begin = faults
          .filter(({ atMs, forMs }) => atMs <= fault.atMs && fault.atMs < atMs + forMs)
          .flatMap(other => other.hosts)
        const isRight =
          fault.hosts.length === new Set(fault.hosts).size &&
          fault.hosts.length > 0 &&
          fault.hosts.every(host => host >= 1 && host <= hosts) &&
          begin.length <= (hosts - 1) / 2 &&
          begin.length === new Set(begin).size &&
          struck.filter(host => fault.hosts.includes(host)).length === fault.hosts.length &&
          fault.atMs + fault.forMs <= durationMs
        if (!isRight) return false
      }
      return true
    }),
  )
  t.pass()
})

const plan = (seed: number): PlannedFault[] => planFaults({ seed, hosts: 5, durationMs: 600_000 })

t.test('planFaults() gives the same faults for the same seed, and others for another', async t => {
  t.strictSame(plan(7), plan(7))
  t.notSame(plan(7), plan(8))
})

t.test('planFaults() has every kind in two minutes on five hosts', async t => {
  for (let seed = 1; seed <= 500; seed++) {
    const kinds = new Set(
      planFaults({ seed, hosts: 5, durationMs: 120_000 }).map(({ kind }) => kind),
    )
    if (kinds.size < FAULT_KINDS.length) t.fail(`seed ${seed} has ${[...kinds].join(' ')} only`)
  }
  t.pass()
})

const merged: ReadonlyArray<{
  readonly name: string
  readonly all: Parameters<typeof mergeFaults>[0]
  readonly want: ReturnType<typeof mergeFaults>
}> = [
  { name: 'nothing', all: [], want: { oneWay: [], loss: {} } },
  {
    name: 'two partitions: who is apart in one is apart',
    all: [{ partition: [[1], [2, 3, 4, 5]] }, { partition: [[2], [1, 3, 4, 5]] }],
    want: { partition: [[1], [2], [3, 4, 5]], oneWay: [], loss: {} },
  },
  {
    name: 'who is in no group is alone',
    all: [{ partition: [[1, 2]] }],
    want: { partition: [[1, 2], [3], [4], [5]], oneWay: [], loss: {} },
  },
  {
    name: 'cuts one after the other, and the worst loss of a host',
    all: [
      { oneWay: [[1, 2]], loss: { 3: 5 } },
      { oneWay: [[4, 5]], loss: { 3: 2, 4: 5 } },
    ],
    want: {
      oneWay: [
        [1, 2],
        [4, 5],
      ],
      loss: { 3: 5, 4: 5 },
    },
  },
]
for (const { name, all, want } of merged) {
  t.test(`mergeFaults() joins ${name}`, async t => {
    t.strictSame(mergeFaults(all, 5), want)
  })
}
