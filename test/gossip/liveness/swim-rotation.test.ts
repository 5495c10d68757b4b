import fc from 'fast-check'
import t from 'tap'
import { Rotation } from '../../../src/gossip/liveness/swim-rotation.ts'
import { createRandom } from '../../../src/util/random.ts'

interface Item {
  readonly name: number
  place: number
}

t.test('next() gives everybody one turn a round', async t => {
  const rotation = new Rotation<Item>(createRandom(1))
  for (let name = 0; name < 20; name++) rotation.add({ name, place: -1 })
  for (let turn = 0; turn < 20; turn++) rotation.next() // Those who came late may have missed the first round.
  const orders = [1, 2].map(() => Array.from({ length: 20 }, () => rotation.next()!.name))
  for (const order of orders) t.equal(new Set(order).size, 20)
  t.notSame(orders[0], orders[1], 'in another order each round')
})

t.test('next() reaches whoever stays within 2n - 1 turns, whatever comes and goes', async () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.array(fc.constantFrom('add', 'remove', 'next'), { maxLength: 200 }),
      (seed, steps) => {
        const random = createRandom(seed)
        const rotation = new Rotation<Item>(random)
        const waits = new Map<Item, number>()
        let name = 0
        let largest = 0
        for (const step of steps) {
          if (step === 'add') {
            const item = { name: name++, place: -1 }
            rotation.add(item)
            waits.set(item, 0)
          } else if (step === 'remove') {
            const item = rotation.items[Math.floor(random() * rotation.size)]
            if (item === undefined) continue
            rotation.remove(item)
            waits.delete(item)
          } else {
            const item = rotation.next()
            for (const [other, wait] of waits) waits.set(other, other === item ? 0 : wait + 1)
          }
          largest = Math.max(largest, rotation.size)
          for (const [index, item] of rotation.items.entries()) {
            if (item.place !== index) return false
          }
          if ([...waits.values()].some(wait => wait > 2 * largest - 1)) return false
        }
        return rotation.size === waits.size
      },
    ),
    { numRuns: 300 },
  )
})

t.test('sample() gives different items that fit', async t => {
  const rotation = new Rotation<Item>(createRandom(3))
  t.same(
    rotation.sample(3, () => true),
    [],
    'none of none',
  )
  for (let name = 0; name < 10; name++) rotation.add({ name, place: -1 })
  for (let round = 0; round < 50; round++) {
    const names = rotation.sample(3, ({ name }) => name % 2 === 0).map(({ name }) => name)
    t.equal(new Set(names).size, names.length)
    t.ok(names.every(name => name % 2 === 0))
  }
})
