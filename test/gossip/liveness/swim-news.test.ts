import t from 'tap'
import {
  UPDATES_BYTES_MAX,
  updateBytes,
  type SwimUpdate,
} from '../../../src/gossip/liveness/swim-message.ts'
import { News } from '../../../src/gossip/liveness/swim-news.ts'
import type { NodeId } from '../../../src/model/ids.ts'

function alive(name: number, incarnation = 1): SwimUpdate {
  return { kind: 'alive', node: `node-${name}` as NodeId, incarnation }
}

t.test('take() tells each piece of news so often, and then no more', async t => {
  const news = new News()
  news.add(alive(1))
  for (let times = 0; times < 4; times++) t.same(news.take(1000, 4, []), [alive(1)])
  t.equal(news.size, 0)
  t.same(news.take(1000, 4, []), [])
})

t.test('take() prefers what was told least', async t => {
  const news = new News()
  news.add(alive(1))
  news.take(1000, 4, [])
  news.add(alive(2))
  t.same(news.take(updateBytes(alive(2)), 4, []), [alive(2)])
})

t.test('add() replaces older news of the same node', async t => {
  const news = new News()
  news.add(alive(1))
  news.take(1000, 4, [])
  news.add(alive(1, 2))
  t.equal(news.size, 1)
  t.same(news.take(1000, 4, []), [alive(1, 2)])
})

t.test('take() never exceeds its bytes, and puts what comes first first', async t => {
  const news = new News()
  for (let name = 0; name < 100; name++) {
    news.add({ kind: 'suspect', node: `node-${name}` as NodeId, incarnation: 1, by: 'x' as NodeId })
  }
  const first = alive(200)
  const taken = news.take(UPDATES_BYTES_MAX, 4, [first])
  const bytes = taken.reduce((sum, update) => sum + updateBytes(update), 0)
  t.equal(taken[0], first)
  t.ok(bytes <= UPDATES_BYTES_MAX && bytes > UPDATES_BYTES_MAX - 71, `${bytes} bytes`)
})
