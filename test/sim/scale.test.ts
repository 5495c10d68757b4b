import t from 'tap'
import { START_GRACE_MS } from '../../src/node/machine/members.ts'
import { runScale } from './scale.ts'
import { World } from './world.ts'

t.test('sixty nodes form, run work, are edited and lose some of theirs', async t => {
  const result = runScale({
    seed: 1,
    nodes: 60,
    forMs: 70_000,
    slots: 100,
    deaths: 2,
    edits: 6,
  })
  t.strictSame(result.problems, [], 'in the end all agree, and what is wanted runs')
  t.ok(result.formedMs < 6_000, `all knew all after ${result.formedMs} ms`)
  t.ok(result.startedMs < 5_000, `all tasks ran after ${result.startedMs} ms`)
  t.equal(result.deadMs.length, 2)
  t.ok(Math.max(...result.deadMs) < 6_500, `deaths were known after ${result.deadMs.join()} ms`)
  t.ok(
    Math.max(...result.replacedMs) < 8_000,
    `slots ran again after ${result.replacedMs.join()} ms`,
  )
  t.ok(result.editMs.length >= 6 * 57)
  t.ok(
    Math.max(...result.editMs) < 500,
    `the last node had an edit after ${Math.max(...result.editMs)} ms`,
  )
})

t.test('who starts places once it has heard of all, and in time where it does not', async t => {
  const nodes = 12
  const world = new World({ seed: 3, nodes })
  const silent = world.hosts[nodes - 1]!
  silent.powerOff()
  const early: string[] = []
  world.onSettled = ({ name, machine }) => {
    const { placed, book } = machine!
    if (placed.input.nodes.length > 0 && book.records().length < nodes) early.push(name)
  }
  world.run(START_GRACE_MS - 500)
  t.strictSame(early, [], 'one was never heard of, so nobody has placed anything')
  world.run(2_000)
  t.strictSame(
    world.up.map(({ machine }) => machine!.placed.input.nodes.length),
    Array.from(world.up, () => nodes - 1),
  )
})
