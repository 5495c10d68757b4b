import t from 'tap'
import { TruthCheck } from '../../scripts/chaos/truth-check.ts'
import type { TaskLine } from '../../src/api/shapes.ts'

const task = (slot: number, host: number, more: Partial<TaskLine> = {}): TaskLine =>
  ({
    slot: `/web.${slot}`,
    app: '/web',
    node: `h${host}`,
    nodeVerdict: 'alive',
    address: `10.0.0.${host}`,
    ports: [{ name: '', protocol: 'tcp', containerPort: 80, hostPort: 80 }],
    state: 'running',
    health: 'healthy',
    message: '',
    ...more,
  }) as TaskLine
const [one, two] = [task(0, 1), task(1, 2)]
const places = ['10.0.0.1:80', '10.0.0.2:80']

/** Answers and looks in turn, from 0 ms on, 200 ms apart. */
function run(
  check: TruthCheck,
  answers: number,
  named: readonly string[],
  tasks: readonly TaskLine[],
): void {
  check.look(tasks)
  for (let index = 0; index < answers; index++) {
    check.answered(200 * index, named)
    check.look(tasks)
  }
}

t.test('an instance that is named for a second after it was lost is told', async t => {
  const cases: [why: string, lost: readonly TaskLine[]][] = [
    ['its node is suspect', [one, task(1, 2, { nodeVerdict: 'suspect' })]],
    ['it is not healthy', [one, task(1, 2, { health: 'unhealthy' })]],
    ['it stops', [one, task(1, 2, { state: 'stopping' })]],
    ['it is not there', [one]],
  ]
  for (const [why, lost] of cases) {
    const check = new TruthCheck()
    run(check, 5, places, lost)
    t.strictSame(check.stale, [], 'there is a second')
    check.answered(1_000, places)
    t.strictSame(check.stale, [], 'it may have changed meanwhile')
    check.look(lost)
    t.strictSame(check.stale, ['10.0.0.2:80 is named and does not serve, for 1.0 s'], why)
    t.equal(check.worstMs, 1_000)
    t.strictSame(check.missing, [])
  }
})

t.test('an instance that serves for a second and is not named is told', async t => {
  const check = new TruthCheck()
  run(check, 6, ['10.0.0.1:80'], [one, two])
  t.strictSame(check.missing, ['10.0.0.2:80 serves and is not named, for 1.0 s'])
  t.strictSame(check.stale, [])
})

t.test('what was not so all the while is not told', async t => {
  const flicker = new TruthCheck()
  run(flicker, 4, ['10.0.0.1:80'], [one])
  flicker.answered(4_000, places)
  flicker.look([one])
  flicker.answered(4_200, ['10.0.0.1:80'])
  flicker.look([one])
  flicker.answered(8_000, places)
  flicker.look([one])
  t.strictSame(flicker.stale, [], 'it came and went between two looks, twice')

  const turned = new TruthCheck()
  run(turned, 5, places, [one])
  turned.answered(2_000, places)
  turned.look([one, two])
  turned.answered(2_200, places)
  turned.look([one])
  t.strictSame([...turned.stale, ...turned.missing], [], 'it served meanwhile')

  const silent = new TruthCheck()
  run(silent, 5, places, [one])
  silent.lost()
  silent.answered(1_100, places)
  silent.look([one])
  silent.answered(1_300, places)
  silent.look([one])
  t.strictSame(silent.stale, [], 'nobody knows what was so meanwhile')

  const doubled = new TruthCheck()
  run(doubled, 20, ['10.0.0.1:80'], [one, task(0, 3)])
  t.strictSame(doubled.missing, [], 'the owner of the slot is named')
})

t.test('what stays wrong is told so often and no more', async t => {
  const check = new TruthCheck()
  run(check, 100, places, [])
  t.equal(check.stale.length, 20)
})
