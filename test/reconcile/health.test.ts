import fc from 'fast-check'
import t from 'tap'
import { appSchema, type HealthCheck } from '../../src/model/app.ts'
import {
  createCheck,
  FIRST_PROBES_MS,
  judge,
  overallHealth,
  type CheckState,
} from '../../src/reconcile/health.ts'

/** A check with an interval of 10 s, a grace of 30 s and so many failures allowed. */
function checkOf(maxFailures: number): HealthCheck {
  const health = [{ kind: 'command' as const, command: 'x', maxFailures }]
  return appSchema.parse({ id: '/web', command: 'x', health }).health[0]!
}

/** The states after each probe; `probes` are [at, in ms since the start; passed]. */
function statesOf(
  maxFailures: number,
  probes: readonly (readonly [number, boolean])[],
): CheckState[] {
  const check = checkOf(maxFailures)
  let state = createCheck(1000)
  return probes.map(([atMs, healthy]) => {
    const times = { nowMs: 1000 + atMs, startedAtMs: 1000 }
    return (state = judge(state, check, { healthy, message: healthy ? 'ok' : 'no' }, times))
  })
}

function of(health: CheckState['health']): CheckState {
  return { ...createCheck(0), health }
}

t.test('health: the first probe is due at once', async t => {
  t.match(createCheck(1000), { health: 'unknown', failures: 0, nextProbeAtMs: 1000 })
})

t.test('health: what probes make of a task', async t => {
  const late = 40_000
  const cases: [string, number, [number, boolean][], Partial<CheckState>][] = [
    ['one success is enough', 3, [[0, true]], { health: 'healthy', mustReplace: false }],
    [
      'failures within the grace are none',
      1,
      [
        [0, false],
        [29_000, false],
      ],
      { health: 'unknown', failures: 0 },
    ],
    ['after the grace they count', 3, [[late, false]], { health: 'unknown', failures: 1 }],
    [
      'too many, and it is replaced',
      2,
      [
        [late, false],
        [late, false],
      ],
      { health: 'unhealthy', mustReplace: true },
    ],
    [
      'a healthy task has no grace',
      1,
      [
        [0, true],
        [1000, false],
      ],
      { health: 'unhealthy', mustReplace: true },
    ],
    [
      'a few are forgiven',
      3,
      [
        [0, true],
        [1, false],
        [2, false],
      ],
      { health: 'healthy', failures: 2 },
    ],
    [
      'a success forgets them',
      3,
      [
        [0, true],
        [1, false],
        [2, false],
        [3, true],
      ],
      { failures: 0 },
    ],
    [
      'it may come back',
      1,
      [
        [late, false],
        [late + 1, true],
      ],
      { health: 'healthy', mustReplace: false },
    ],
    [
      'with 0, out of DNS but never replaced',
      0,
      [[late, false]],
      { health: 'unhealthy', mustReplace: false },
    ],
  ]
  for (const [name, maxFailures, probes, expected] of cases) {
    t.match(statesOf(maxFailures, probes).at(-1), expected, name)
  }
})

t.test('health: a task that has not passed yet is looked at more often', async t => {
  const [waiting, healthy, doubtful] = statesOf(3, [
    [0, false],
    [500, true],
    [10_500, false],
  ])
  t.equal(waiting?.nextProbeAtMs, 1000 + FIRST_PROBES_MS)
  t.equal(healthy?.nextProbeAtMs, 1500 + 10_000)
  t.equal(doubtful?.nextProbeAtMs, 11_500 + 10_000)
})

t.test('health: laws', async t => {
  const probes = fc
    .array(fc.tuple(fc.nat({ max: 20_000 }), fc.boolean()), { minLength: 1, maxLength: 30 })
    .map(steps => {
      let atMs = 0
      return steps.map(([stepMs, healthy]): [number, boolean] => [(atMs += stepMs), healthy])
    })
  const verdict = fc.check(
    fc.property(fc.nat({ max: 5 }), probes, (maxFailures, run) =>
      statesOf(maxFailures, run).every((state, index) => {
        const [atMs, healthy] = run[index]!
        return (
          // The next probe is always ahead, and never further than the interval.
          state.nextProbeAtMs > 1000 + atMs &&
          state.nextProbeAtMs <= 1000 + atMs + 10_000 &&
          (!healthy || (state.health === 'healthy' && state.failures === 0)) &&
          (!state.mustReplace || (state.health === 'unhealthy' && maxFailures > 0))
        )
      }),
    ),
  )
  t.notOk(verdict.failed, fc.defaultReportMessage(verdict) ?? '')
})

t.test('overallHealth() is as good as the worst', async t => {
  t.equal(overallHealth([]), 'none')
  t.equal(overallHealth([of('healthy'), of('healthy')]), 'healthy')
  t.equal(overallHealth([of('healthy'), of('unknown')]), 'unknown')
  t.equal(overallHealth([of('unknown'), of('unhealthy')]), 'unhealthy')
})
