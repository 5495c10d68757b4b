import t from 'tap'
import { listNames } from '../../src/util/list-names.ts'

t.test('listNames() reads as a person would say it', async t => {
  for (const [names, options, said] of [
    [[], {}, ''],
    [['a'], {}, 'a'],
    [['a', 'b'], {}, 'a and b'],
    [['a', 'b', 'c'], {}, 'a, b and c'],
    [['a', 'b', 'c'], { namedMax: 2 }, 'a, b and 1 more'],
    [['a', 'b'], { count: 14 }, 'a, b and 12 more'],
  ] as const) {
    t.equal(listNames(names, options), said)
  }
})
