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

t.test('an instance that is named for a second after it was lost is told', async t => {
  const cases: [why: string, lost: readonly TaskLine[]][] = [
    ['its node is suspect', [one, task(1, 2, { nodeVerdict: 'suspect' })]],
    ['it is not healthy', [one, task(1, 2, { health: 'unhealthy' })]],
    ['it stops', [one, task(1, 2, { state: 'stopping' })]],
    ['it is not there', [one]],
  ]
  for (const [why, lost] of cases) {
    const check = new TruthCheck()
    check.look(0, [one, two])
    check.answered(10, places)
    check.look(200, lost)
    check.answered(900, places)
    check.look(1_150, lost)
    t.strictSame(check.stale, [], 'there is a second')
    check.answered(1_201, places)
    t.strictSame(check.stale, [], 'it may have changed meanwhile')
    check.look(1_400, lost)
    t.strictSame(check.stale, ['10.0.0.2:80 is named and does not serve, for 1.0 s'], why)
    t.equal(check.worstMs, 1_001)
    t.strictSame(check.missing, [])
  }
})

t.test('an instance that serves for a second and is not named is told', async t => {
  const check = new TruthCheck()
  check.look(0, [one])
  check.look(200, [one, two])
  check.answered(1_300, ['10.0.0.1:80'])
  check.look(1_400, [one, two])
  t.strictSame(check.missing, ['10.0.0.2:80 serves and is not named, for 1.1 s'])
  t.strictSame(check.stale, [])
})

t.test('what was not so all the while is not told', async t => {
  const flapping = new TruthCheck()
  flapping.look(0, [one])
  flapping.look(800, [one, two])
  flapping.look(1_000, [one])
  flapping.answered(1_500, places)
  flapping.look(1_600, [one])
  t.strictSame(flapping.stale, [], 'it served in between')

  const turned = new TruthCheck()
  turned.look(0, [one])
  turned.answered(2_000, places)
  turned.look(2_100, [one, two])
  t.strictSame([...turned.stale, ...turned.missing], [], 'it serves by now')

  const silent = new TruthCheck()
  silent.look(0, [one])
  silent.lost()
  silent.look(5_000, [one])
  silent.answered(5_100, places)
  silent.look(5_200, [one])
  t.strictSame(silent.stale, [], 'nobody knows since when')

  const doubled = new TruthCheck()
  doubled.look(0, [one, task(0, 3)])
  doubled.answered(3_000, ['10.0.0.1:80'])
  doubled.look(3_100, [one, task(0, 3)])
  t.strictSame(doubled.missing, [], 'the owner of the slot is named')
})

t.test('what stays wrong is told so often and no more', async t => {
  const check = new TruthCheck()
  check.look(0, [])
  for (let atMs = 2_000; atMs < 20_000; atMs += 200) {
    check.answered(atMs, places)
    check.look(atMs + 100, [])
  }
  t.equal(check.stale.length, 20)
})
