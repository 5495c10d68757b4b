import t from 'tap'
import { swimOptions } from '../../../src/gossip/liveness/swim-options.ts'
import { suspicionMs, Suspicions } from '../../../src/gossip/liveness/swim-suspicions.ts'
import type { NodeId } from '../../../src/model/ids.ts'

const OPTIONS = swimOptions('lan')
const X = 'x' as NodeId

t.test('suspicionMs() falls from the longest to the shortest as others confirm', async t => {
  const cases = [
    { nodes: 10, confirmers: 8, confirmed: 0, ms: 7200 },
    { nodes: 10, confirmers: 8, confirmed: 1, ms: 3414 },
    { nodes: 10, confirmers: 8, confirmed: 2, ms: 1200 },
    { nodes: 10, confirmers: 8, confirmed: 9, ms: 1200 },
    { nodes: 100, confirmers: 98, confirmed: 2, ms: 2400 },
    { nodes: 1000, confirmers: 998, confirmed: 2, ms: 3600 },
    { nodes: 3, confirmers: 1, confirmed: 0, ms: 7200 },
    { nodes: 3, confirmers: 1, confirmed: 1, ms: 1200 },
    { nodes: 2, confirmers: 0, confirmed: 0, ms: 1200 },
  ]
  for (const { nodes, confirmers, confirmed, ms } of cases) {
    const got = Math.round(suspicionMs(OPTIONS, { nodes, confirmers }, confirmed))
    t.equal(got, ms, `${nodes} nodes, ${confirmers} could confirm, ${confirmed} did`)
  }
})

t.test('due() calls once before it ends, and never ends without a call', async t => {
  const suspicions = new Suspicions(OPTIONS)
  const electorate = { nodes: 10, confirmers: 8 }
  suspicions.open(X, { by: 'a' as NodeId, kind: 'aloud', graceMs: 0 }, electorate, 0)
  t.same(suspicions.due(6999), { call: [], over: [] })
  t.ok(suspicions.confirm(X, 'b' as NodeId, electorate))
  t.notOk(suspicions.confirm(X, 'b' as NodeId, electorate), 'the same accuser counts once')
  t.ok(suspicions.confirm(X, 'c' as NodeId, electorate))
  t.notOk(suspicions.confirm(X, 'd' as NodeId, electorate), 'more do not matter')
  t.same(suspicions.due(7000), { call: [X], over: [] }, 'long due, but called first')
  t.same(suspicions.due(7199), { call: [], over: [] })
  t.same(suspicions.due(7200), { call: [], over: [X] })
  suspicions.close(X)
  t.equal(suspicions.nextMs, Infinity)
})

t.test('prolong() gives the time back that this node slept through', async t => {
  const suspicions = new Suspicions(OPTIONS)
  suspicions.open(
    X,
    { by: 'a' as NodeId, kind: 'settled', graceMs: 0 },
    { nodes: 10, confirmers: 8 },
    0,
  )
  suspicions.prolong(5000)
  t.same(suspicions.due(5999), { call: [], over: [] })
  t.same(suspicions.due(6000), { call: [X], over: [] })
  t.same(suspicions.due(6200), { call: [], over: [X] })
})

t.test('open() gives a node that only streams reach its grace', async t => {
  const suspicions = new Suspicions(OPTIONS)
  const how = { by: 'a' as NodeId, kind: 'settled', graceMs: 2500 } as const
  suspicions.open(X, how, { nodes: 10, confirmers: 8 }, 0)
  t.equal(suspicions.ageMs(X, 3000), 500, 'nor is it old enough for the word of another')
  t.same(suspicions.due(3499), { call: [], over: [] })
  t.same(suspicions.due(3500), { call: [X], over: [] })
  t.same(suspicions.due(3700), { call: [], over: [X] })
})
